"""
A batched simulator of scenes in torch: rooms made while training, on a CPU or a GPU.

    rooms, walls, devices (shoebox_rooms.py, realistic_rooms.py) -> microphone signals
    (room_responses.py, talker_motion.py) -> noise (scene_noise.py)
    -> device errors and reported geometry (devices/errors.py)

Shapes: B rooms, M microphones, T samples of a window.
"""

from dataclasses import dataclass
import math
from typing import cast

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.devices.errors import apply_clock_drift
from nsrp_ros.simulation.devices.errors import draw_faults
from nsrp_ros.simulation.devices.errors import draw_gains
from nsrp_ros.simulation.devices.errors import report_geometry
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.joined_scenes import concatenate
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.realistic_rooms import draw_acoustics
from nsrp_ros.simulation.realistic_rooms import draw_real_rooms
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.told import tell
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.scene_noise import add_scene_noise
from nsrp_ros.simulation.scene_noise import CleanScenes
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.several_talkers import another_person
from nsrp_ros.simulation.several_talkers import draw_counts
from nsrp_ros.simulation.several_talkers import draw_levels
from nsrp_ros.simulation.several_talkers import draw_people
from nsrp_ros.simulation.several_talkers import LONGEST_PAUSE
from nsrp_ros.simulation.several_talkers import render_further
from nsrp_ros.simulation.several_talkers import stopped
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.simulation.talker_motion import draw_velocities
from nsrp_ros.simulation.talker_motion import render_moving
import torch

SceneConfig = RoomConfig | RealConfig | MixtureConfig | ToldConfig
_SLACK = 0.02  # seconds that latency and jitter may add to the delay of the furthest image


@dataclass(frozen=True)
class _Resources:
    """What every part of a simulation draws from, and where; fields as of `simulate`."""

    speech_bank: SpeechBank
    generator: torch.Generator
    device: str | torch.device
    max_bytes: int


def simulate(config: SceneConfig, n_mics: int, n_scenes: int, speech_bank: SpeechBank,
             generator: torch.Generator, device: str | torch.device = 'cpu',
             max_bytes: int = 2 ** 31) -> Scenes[torch.Tensor]:
    """
    Simulate scenes: windows of 0.5 s, cut from running speech in reverberant rooms.

    Parameters
    ----------
    config : SceneConfig
        The distribution of rooms, and of what is told of them if that is not all.
    n_mics, n_scenes : int
        M and B.
    speech_bank : SpeechBank
        The talkers' speech, and its sample rate.
    generator : torch.Generator
        On any device.
    device : str or torch.device
        Where the scenes are made and stay.
    max_bytes : int
        About how much memory may be used at once.

    Returns
    -------
    Scenes
        float32 tensors on the device.

    """
    if isinstance(config, ToldConfig):
        scenes = simulate(cast(SceneConfig, config.rooms), n_mics, n_scenes, speech_bank,
                          generator, device, max_bytes)
        return tell(scenes, config.told, generator)
    resources = _Resources(speech_bank, generator, device, max_bytes)
    if isinstance(config, MixtureConfig):
        return _simulate_mixture(config, n_mics, n_scenes, resources)
    if isinstance(config, RealConfig):
        # Noise and device errors take some ten copies of the signals.
        most = max(1, max_bytes // (40 * n_mics * window_length(speech_bank.sample_rate)))
        return concatenate([
            _simulate_real(config, n_mics, min(most, n_scenes - at), resources)
            for at in range(0, n_scenes, most)])
    rooms, speech = draw_scenes(config, n_mics, n_scenes, speech_bank, generator, device)
    signals = render_microphones(config, rooms, speech, speech_bank.sample_rate, max_bytes)
    return Scenes(add_sensor_noise(signals, config.snr_db, generator), rooms.mic_positions,
                  rooms.source_position, rooms.dims, speech_bank.sample_rate)


def draw_scenes(config: RoomConfig, n_mics: int, n_scenes: int, speech_bank: SpeechBank,
                generator: torch.Generator,
                device: str | torch.device = 'cpu') -> tuple[Rooms, torch.Tensor]:
    """
    Draw ideal rooms and their talkers' speech; arguments as for `simulate`.

    Returns
    -------
    tuple of Rooms and torch.Tensor
        The rooms, and the speech of their windows preceded by as much as still reverberates:
        (B, S).

    """
    rooms = draw_rooms(config, n_mics, n_scenes, generator, device)
    rate = speech_bank.sample_rate
    n_speech = longest_response(config, rate) + window_length(rate)
    return rooms, speech_bank.draw(n_scenes, n_speech, generator, device)


def longest_response(config: RoomConfig | RealConfig, sample_rate: int) -> int:
    """Return the length in samples of the longest response: the delay of the furthest image."""
    if isinstance(config, RealConfig):
        images = longest_response(config.room, sample_rate)
        if config.furniture is not None or (config.devices is not None
                                            and config.devices.has_latency):
            images += math.ceil(_SLACK * sample_rate)
        tail = 0 if config.tail is None else math.ceil(config.tail.seconds * sample_rate)
        return max(images, tail)
    diagonal = math.dist(config.max_dims, (0, 0, 0))
    reach = config.max_order * max(config.max_dims) + diagonal  # metres
    return math.ceil(reach / SPEED_OF_SOUND * sample_rate)


def _simulate_mixture(config: MixtureConfig, n_mics: int, n_scenes: int,
                      resources: _Resources) -> Scenes[torch.Tensor]:
    """Simulate each part's share of the scenes, and shuffle them."""
    generator, device = resources.generator, resources.device
    # The scenes that rounding down leaves over are drawn by the remainders of the shares.
    wanted = torch.tensor(config.shares, dtype=torch.float64) * n_scenes
    counts = wanted.floor().long()
    left = n_scenes - int(counts.sum())
    if left:
        remainders = (wanted - counts).to(generator.device, torch.float32)
        drawn = torch.multinomial(remainders, left, replacement=True, generator=generator)
        counts += torch.bincount(drawn.cpu(), minlength=len(counts))
    made = [simulate(part, n_mics, count, resources.speech_bank, generator, device,
                     resources.max_bytes)
            for part, count in zip(config.parts, counts.tolist(), strict=True) if count]
    order = torch.randperm(n_scenes, generator=generator, device=generator.device).to(device)
    return concatenate(made).take(order)


def _simulate_real(config: RealConfig, n_mics: int, n_scenes: int,
                   resources: _Resources) -> Scenes[torch.Tensor]:
    """Simulate scenes of a RealConfig; result as of `simulate`."""
    bank, generator, device = resources.speech_bank, resources.generator, resources.device
    rate, max_bytes, draw = bank.sample_rate, resources.max_bytes, Draw(generator)
    rooms, device_ids = draw_real_rooms(config, n_mics, n_scenes, generator)
    acoustics = draw_acoustics(config, rooms, device_ids, generator)
    people = None if config.talkers is None else _draw_people(
        config.talkers, config, rooms, draw).to(device)
    rooms = rooms.to(device)
    acoustics = None if acoustics is None else acoustics.to(device)
    n_speech = longest_response(config, rate) + window_length(rate)

    def render(rooms: Rooms, speech: torch.Tensor, acoustics: Acoustics | None) -> torch.Tensor:
        if config.motion is None:
            return render_microphones(config, rooms, speech, rate, max_bytes, acoustics,
                                      generator)
        velocity = draw_velocities(config.motion, len(rooms), draw.uniform).to(device)
        return render_moving(velocity, config, rooms, speech, rate, max_bytes, acoustics,
                             generator)

    speech = bank.draw(n_scenes, n_speech, generator, device)
    first = render(rooms, speech, acoustics)
    faults, gains = torch.ones((), device=device), torch.ones((), device=device)
    if config.devices is not None and config.devices.faulty:
        faults = draw_faults(config.devices, n_scenes, n_mics, draw.uniform).to(device)
    if config.devices is not None and (config.devices.gain_db or config.devices.inverted):
        gains = draw_gains(config.devices, device_ids, draw.uniform).to(device)
    n_talking = torch.ones(n_scenes, dtype=torch.long, device=device)
    if config.silent:
        n_talking = (draw.uniform(n_scenes) >= config.silent).long().to(device)
    heard = first * n_talking[:, None, None]
    if people is not None and config.talkers is not None:
        n_talking = n_talking * draw_counts(config.talkers, n_scenes, draw.uniform).to(device)
        levels = draw_levels(config.talkers, n_scenes, draw.uniform).to(device)
        heard = first * (n_talking > 0)[:, None, None] + render_further(
            people, n_talking, mean_power(first)[:, 0] * 10 ** (levels.double() / 10), rooms,
            lambda part: None if acoustics is None else another_person(
                acoustics[part], config.directivity, config.furniture,
                device_ids[part.to(device_ids.device)], generator),
            lambda n: bank.draw(n, n_speech, generator, device), render)
    if config.ringing:
        ringing = (draw.uniform(n_scenes) < config.ringing).to(device) & (n_talking == 0)
        ended = ringing.nonzero()[:, 0]
        pause = LONGEST_PAUSE * draw.uniform(len(ended)).to(device)
        if len(ended):
            heard[ended] = render(
                rooms[ended], stopped(speech[ended], pause, window_length(rate), rate),
                None if acoustics is None else acoustics[ended])
    if config.noise is None:
        signals = add_sensor_noise(first * faults, config.room.snr_db, generator)
        signals = signals + (heard - first) * faults  # the noise is in proportion to the first
    else:
        # Where several may talk, nobody in the room is noise.
        crowded = (n_talking > 0) & (config.talkers is None)
        clean = CleanScenes(heard, mean_power(first), faults, crowded, device_ids.to(device),
                            rooms, acoustics)
        signals = add_scene_noise(config.noise, config, clean, bank, n_speech, generator,
                                  max_bytes)
    reported, reported_dims = rooms.mic_positions, rooms.dims
    if config.devices is not None:
        signals = signals * gains
        if config.devices.drift_ppm:
            ppm = config.devices.drift_ppm * (2 * draw.uniform(*device_ids.shape) - 1)
            signals = apply_clock_drift(signals, ppm.gather(1, device_ids).to(device), rate)
        reported, reported_dims = (of.to(device) for of in report_geometry(
            config.devices, reported.to(generator.device), reported_dims.to(generator.device),
            device_ids, draw.uniform, draw.normal))
    return Scenes(signals, reported, rooms.source_position, reported_dims, rate,
                  rooms.mic_positions, rooms.dims, n_talking > 0, people,
                  None if people is None else n_talking, outline=rooms.outline)


def _draw_people(talkers: TalkersConfig, config: RealConfig, rooms: Rooms,
                 draw: Draw) -> torch.Tensor:
    """Draw people (B, K, 3) where the first one might as well have been."""
    mounting = config.mounting
    if mounting is None and config.arrays is not None:
        mounting = MountingConfig()
    if mounting is None:
        margin, heights = config.room.margin, config.room.heights
    else:
        margin, heights = mounting.talker_margin, mounting.talker_heights
    return draw_people(talkers, rooms, margin, heights, config.room.min_distance, draw.uniform)
