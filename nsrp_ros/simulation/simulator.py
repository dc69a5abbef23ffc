"""
A batched simulator of scenes in torch: rooms made while training, on a CPU or a GPU.

    rooms, walls, devices (shoebox_rooms.py, realistic_rooms.py) -> what microphones hear
    (room_responses.py) -> noise (noise.py, babble.py)
    -> what devices do, and what is told of them (device_errors.py)

Shapes: B rooms, M microphones, T samples of a window.
"""

import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.room_responses import hear
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.babble import babble_around
from nsrp_ros.simulation.babble import babble_in_room
from nsrp_ros.simulation.device_errors import draw_faults
from nsrp_ros.simulation.device_errors import draw_gains
from nsrp_ros.simulation.device_errors import drift
from nsrp_ros.simulation.device_errors import tell
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.noise import at_ratio
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.noise import sensor_noise
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.realistic_rooms import Draw
from nsrp_ros.simulation.realistic_rooms import draw_acoustics
from nsrp_ros.simulation.realistic_rooms import draw_real_rooms
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.talker_motion import draw_velocities
from nsrp_ros.simulation.talker_motion import hear_moving
import torch

_SLACK = 0.02  # seconds that latencies and wandering images may take beyond the furthest image


def simulate(config, n_mics, n_scenes, speech_bank, generator, device='cpu', max_bytes=2 ** 31):
    """
    Simulate scenes: windows of 0.5 s, cut from running speech in rooms that still ring.

    Parameters
    ----------
    config : RoomConfig, RealConfig or MixtureConfig
        The distribution of rooms.
    n_mics, n_scenes : int
        M and B.
    speech_bank : SpeechBank
        What is said, and at which sample rate.
    generator : torch.Generator
        On any device.
    device : str or torch.device
        Where the scenes are made and stay.
    max_bytes : int
        About how much memory may be taken at once.

    Returns
    -------
    Scenes
        float32 tensors on the device.

    """
    if isinstance(config, MixtureConfig):
        return _simulate_mixture(config, n_mics, n_scenes, speech_bank, generator, device,
                                 max_bytes)
    if isinstance(config, RealConfig):
        # Noise and devices take some ten copies of the signals.
        most = max(1, max_bytes // (40 * n_mics * window_length(speech_bank.sample_rate)))
        return _joined([
            _simulate_real(config, n_mics, min(most, n_scenes - at), speech_bank, generator,
                           device, max_bytes) for at in range(0, n_scenes, most)])
    rooms, speech = draw_scenes(config, n_mics, n_scenes, speech_bank, generator, device)
    signals = hear(config, rooms, speech, speech_bank.sample_rate, max_bytes)
    return Scenes(add_sensor_noise(signals, config.snr_db, generator), rooms.mic_positions,
                  rooms.source_position, rooms.dims, speech_bank.sample_rate)


def draw_scenes(config, n_mics, n_scenes, speech_bank, generator, device='cpu'):
    """
    Draw ideal rooms and what is said in them; arguments as for `simulate`.

    Returns
    -------
    tuple of Rooms and torch.Tensor
        The rooms, and the speech of their windows with as much before it as can still ring:
        (B, S).

    """
    rooms = draw_rooms(config, n_mics, n_scenes, generator, device)
    rate = speech_bank.sample_rate
    n_speech = longest_response(config, rate) + window_length(rate)
    return rooms, speech_bank.draw(n_scenes, n_speech, generator, device)


def longest_response(config, sample_rate):
    """Return how many samples it may take the sound of the furthest image to arrive."""
    if isinstance(config, RealConfig):
        images = longest_response(config.room, sample_rate)
        if config.furniture is not None or (config.devices is not None
                                            and config.devices.is_late):
            images += math.ceil(_SLACK * sample_rate)
        tail = 0 if config.tail is None else math.ceil(config.tail.seconds * sample_rate)
        return max(images, tail)
    diagonal = math.dist(config.max_dims, (0, 0, 0))
    reach = config.max_order * max(config.max_dims) + diagonal  # metres
    return math.ceil(reach / SPEED_OF_SOUND * sample_rate)


def _simulate_mixture(config, n_mics, n_scenes, speech_bank, generator, device, max_bytes):
    """Simulate each part's share of the scenes, and shuffle them."""
    # What rounding leaves of the shares goes to parts by lot.
    wanted = torch.tensor(config.shares, dtype=torch.float64) * n_scenes
    counts = wanted.floor().long()
    left = n_scenes - int(counts.sum())
    if left:
        shares = (wanted - counts).to(generator.device, torch.float32)
        lots = torch.multinomial(shares, left, replacement=True, generator=generator)
        counts += torch.bincount(lots.cpu(), minlength=len(counts))
    made = [simulate(part, n_mics, count, speech_bank, generator, device, max_bytes)
            for part, count in zip(config.parts, counts.tolist(), strict=True) if count]
    order = torch.randperm(n_scenes, generator=generator, device=generator.device).to(device)
    return _joined(made, order)


def _joined(made, order=slice(None)):
    """Join scenes, in another order if one is given."""
    def join(name, otherwise):
        return torch.cat([getattr(scenes, otherwise) if getattr(scenes, name) is None
                          else getattr(scenes, name) for scenes in made])[order]

    told = {name: join(name, name) for name in (
        'signals', 'mic_positions', 'source_position', 'room_dims')}
    somebody = [torch.ones(len(scenes), dtype=torch.bool, device=scenes.signals.device)
                if scenes.talking is None else scenes.talking for scenes in made]
    return Scenes(**told, sample_rate=made[0].sample_rate,
                  true_mic_positions=join('true_mic_positions', 'mic_positions'),
                  true_room_dims=join('true_room_dims', 'room_dims'),
                  talking=torch.cat(somebody)[order])


def _simulate_real(config, n_mics, n_scenes, speech_bank, generator, device, max_bytes):
    """Simulate scenes of a RealConfig; arguments and result as of `simulate`."""
    rate, draw = speech_bank.sample_rate, Draw(generator)
    rooms, units = draw_real_rooms(config, n_mics, n_scenes, generator)
    acoustics = draw_acoustics(config, rooms, units, generator)
    rooms = rooms.to(device)
    acoustics = None if acoustics is None else acoustics.to(device)
    n_speech = longest_response(config, rate) + window_length(rate)
    speech = speech_bank.draw(n_scenes, n_speech, generator, device)
    if config.motion is None:
        signals = hear(config, rooms, speech, rate, max_bytes, acoustics, generator)
    else:
        velocity = draw_velocities(config.motion, n_scenes, draw.uniform).to(device)
        signals = hear_moving(velocity, config, rooms, speech, rate, max_bytes, acoustics,
                              generator)

    faults, gains = 1.0, 1.0
    if config.devices is not None and config.devices.faulty:
        faults = draw_faults(config.devices, n_scenes, n_mics, draw.uniform).to(device)
    if config.devices is not None and (config.devices.gain_db or config.devices.inverted):
        gains = draw_gains(config.devices, units, draw.uniform).to(device)
    talking = torch.ones(n_scenes, dtype=torch.bool, device=device)
    if config.silent:
        talking = (draw.uniform(n_scenes) >= config.silent).to(device)
    if config.noise is None:
        signals = add_sensor_noise(signals * faults, config.room.snr_db, generator)
    else:
        signals = _add_noise(config, signals, faults, talking, rooms, acoustics, speech_bank,
                             n_speech, generator, max_bytes)
    told, told_dims = rooms.mic_positions, rooms.dims
    if config.devices is not None:
        signals = signals * gains
        if config.devices.drift_ppm:
            ppm = config.devices.drift_ppm * (2 * draw.uniform(*units.shape) - 1)
            signals = drift(signals, ppm.gather(1, units).to(device), rate)
        told, told_dims = (of.to(device) for of in tell(
            config.devices, told.to(generator.device), told_dims.to(generator.device), units,
            draw.uniform, draw.normal))
    return Scenes(signals, told, rooms.source_position, told_dims, rate, rooms.mic_positions,
                  rooms.dims, talking)


def _add_noise(config, clean, faults, talking, rooms, acoustics, speech_bank, n_speech,
               generator, max_bytes):
    """
    Add all noise of a NoiseConfig to signals (B, M, T); faulty microphones hear less.

    Where nobody is `talking` (B,), the noise is as it would be beside somebody, and alone.
    """
    noise, draw, rate = config.noise, Draw(generator), speech_bank.sample_rate
    device, n_scenes, n_samples = clean.device, len(clean), clean.shape[-1]

    def uniform(*shape):
        return draw.uniform(*shape).to(device)

    def normal(*shape):
        return draw.normal(*shape).to(device)

    def ratio(ends, n):
        return ends[0] + (ends[1] - ends[0]) * uniform(n)

    power, sound = mean_power(clean), clean * talking[:, None, None]
    which = uniform(n_scenes)  # below babble / 2 in the room, below babble all around
    inside = ((which < noise.babble / 2) & talking).nonzero()[:, 0]
    around = ((which >= noise.babble / 2) & (which < noise.babble)).nonzero()[:, 0]
    humming = (uniform(n_scenes) < noise.hum).nonzero()[:, 0]
    if len(inside):
        babble = babble_in_room(noise, config, rooms[inside],
                                None if acoustics is None else acoustics[inside], speech_bank,
                                n_speech, generator, max_bytes)
        sound[inside] += at_ratio(babble, power[inside], ratio(noise.babble_snr_db, len(inside)))
    if len(around):
        babble = babble_around(noise, rooms.mic_positions[around], speech_bank, n_samples,
                               generator)
        sound[around] += at_ratio(babble, power[around], ratio(noise.babble_snr_db, len(around)))
    if len(humming):
        machines = hum(rooms.mic_positions[humming], n_samples, uniform, normal, rate)
        sound[humming] += at_ratio(machines, power[humming],
                                   ratio(noise.hum_snr_db, len(humming)))
    hiss = sensor_noise(noise, clean.shape, uniform, normal, rate)
    return sound * faults + at_ratio(hiss, power, ratio(noise.sensor_snr_db, n_scenes))
