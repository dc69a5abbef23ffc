"""
Paired scenes for robustness tests: the same rooms under every condition.

Each scene has its own seed, that of the frozen test set's scene of the same index. A condition
changes numbers in a configuration but not the random draws, or it modifies simulated scenes:
rooms, microphones, talkers, speech and noise stay the same.

Shapes: B scenes, M microphones, T samples of a window.
"""

from collections.abc import Sequence
from dataclasses import replace
import math

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.datasets.generate import scene_generator
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.realistic_rooms import draw_acoustics
from nsrp_ros.simulation.realistic_rooms import draw_real_rooms
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.simulator import longest_response
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import torch

MAX_BYTES = 2 ** 28
"""Memory that the simulator may take; fixed, because random scattering and tails depend on it."""
FAULT_DB = 30.0
"""Decibels by which a deaf microphone's signal is attenuated, and of the noise of a dead one below
the talker's mean power."""
WALK_STEP = 0.03
"""Metres between two simulated places of a walking talker: half a wavelength at 6 kHz."""
_HEADINGS = 16  # drawn to find a walk that stays in the room


def simulate_scenes(config: RealConfig, n_mics: int, n_scenes: int, bank: SpeechBank,
                    seed: int = 0) -> Scenes:
    """
    Simulate scenes, each from its own seed.

    Parameters
    ----------
    config : RealConfig
        The distribution.
    n_mics, n_scenes : int
        M and B.
    bank : SpeechBank
        Speech of the talkers.
    seed : int
        Of all scenes; 0 is the frozen test sets'.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    return join_scenes([
        simulate(config, n_mics, 1, bank, scene_generator(seed, 'test', k), 'cpu', MAX_BYTES)
        for k in range(n_scenes)])


def join_scenes(made: Sequence[Scenes]) -> Scenes:
    """Join scenes of tensors into scenes of NumPy arrays, without the true geometry."""
    signals, mic_positions, source_position, room_dims = (
        np.concatenate([np.asarray(getattr(scene, name)) for scene in made])
        for name in ('signals', 'mic_positions', 'source_position', 'room_dims'))
    return Scenes(signals, mic_positions, source_position, room_dims, made[0].sample_rate)


def draw_scene(config: RealConfig, n_mics: int, bank: SpeechBank, generator: torch.Generator,
               ) -> tuple[Rooms, Acoustics | None, torch.Tensor]:
    """
    Draw the room and the speech of one scene, whose signals are left to the caller.

    Parameters
    ----------
    config : RealConfig
        The distribution; its noise and its imperfect devices are left to the caller.
    n_mics : int
        M.
    bank : SpeechBank
        Speech of the talkers.
    generator : torch.Generator
        Of the scene.

    Returns
    -------
    tuple of Rooms, Acoustics or None, and torch.Tensor
        One room; its acoustics beyond walls; and speech (1, S), which begins early enough for all
        reverberation in the window.

    """
    rooms, units = draw_real_rooms(config, n_mics, 1, generator)
    acoustics = draw_acoustics(config, rooms, units, generator)
    n_speech = longest_response(config, bank.sample_rate) + window_length(bank.sample_rate)
    return rooms, acoustics, bank.draw(1, n_speech, generator)


def simulate_walking(config: RealConfig, speed: float, n_mics: int, n_scenes: int,
                     bank: SpeechBank, seed: int = 0, fastest: float = 2.0) -> Scenes:
    """
    Simulate walking talkers, at places `WALK_STEP` apart that are cross-faded.

    Parameters
    ----------
    config : RealConfig
        The distribution; instead of its noise and imperfect devices there is the white noise of
        `room.snr_db`.
    speed : float
        Metres a second, in a straight line; the true position is that in mid-window.
    n_mics, n_scenes, bank, seed
        As for `simulate_scenes`.
    fastest : float
        Metres a second; whatever the speed, the heading is one on which even such a walk stays
        in the room, if there is one. Otherwise walls stop the talker.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    made = []
    for k in range(n_scenes):
        generator = scene_generator(seed, 'test', k)
        rooms, acoustics, speech = draw_scene(config, n_mics, bank, generator)
        path = speed * WindowConfig().length * _heading(rooms, fastest, generator)
        n_steps = max(1, math.ceil(speed * WindowConfig().length / WALK_STEP))
        time = torch.linspace(0, n_steps, window_length(bank.sample_rate))
        state = generator.get_state()
        signals = torch.zeros(1, n_mics, len(time))
        for step in range(n_steps + 1):
            generator.set_state(state)  # the same scattering and tail at every place
            place = rooms.source_position + (step / n_steps - 0.5) * path
            place = torch.minimum(place.clamp(min=0.05), rooms.dims - 0.05) if speed else place
            received = render_microphones(config, replace(rooms, source_position=place), speech,
                                          bank.sample_rate, MAX_BYTES, acoustics, generator)
            signals = signals + (1 - (time - step).abs()).clamp(min=0) * received
        made.append(Scenes(add_sensor_noise(signals, config.room.snr_db, generator),
                           rooms.mic_positions, rooms.source_position, rooms.dims,
                           bank.sample_rate))
    return join_scenes(made)


def _heading(rooms: Rooms, fastest: float, generator: torch.Generator) -> torch.Tensor:
    """Choose a horizontal unit vector (1, 3) along which a walk at `fastest` stays in the room."""
    angle = 2 * math.pi * torch.rand(_HEADINGS, generator=generator)
    headings = torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=1)
    reach = fastest * WindowConfig().length / 2 * headings
    both = torch.stack([rooms.source_position - reach, rooms.source_position + reach])
    inside = ((both >= 0.05) & (both <= rooms.dims - 0.05))[..., :2].all(dim=2).all(dim=0)
    return headings[int(inside.int().argmax())][None]  # the first where none is


def without_last_microphone(scenes: Scenes) -> Scenes:
    """Remove the last microphone."""
    return replace(scenes, signals=scenes.signals[:, :-1],
                   mic_positions=scenes.mic_positions[:, :-1])


def with_faulty_microphone(scenes: Scenes, gain: float, noisy: bool) -> Scenes:
    """
    Replace the last microphone's signal by that of a faulty one.

    Parameters
    ----------
    scenes : Scenes
        Of NumPy arrays.
    gain : float
        Factor of its signal.
    noisy : bool
        Whether it has white noise of its own, `FAULT_DB` below the talker.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    signals = scenes.signals.copy()
    signals[:, -1] *= gain
    if noisy:
        noise = np.random.default_rng(0).standard_normal(signals[:, -1].shape)
        level = np.sqrt((scenes.signals ** 2).mean(axis=(1, 2))) * 10 ** (-FAULT_DB / 20)
        signals[:, -1] += (level[:, None] * noise).astype(np.float32)
    return replace(scenes, signals=signals)


def wrong_room_dims(scenes: Scenes, share: float) -> Scenes:
    """
    Report every side of the rooms too long or too short by a share, at random.

    Parameters
    ----------
    scenes : Scenes
        Of NumPy arrays.
    share : float
        Of each true side.

    Returns
    -------
    Scenes
        The origin stays in the same corner, and each room still contains its microphones.

    """
    sign = np.random.default_rng(0).choice([-1.0, 1.0], size=scenes.room_dims.shape)
    reported = (scenes.room_dims * (1 + share * sign)).astype(scenes.room_dims.dtype)
    return replace(scenes, room_dims=np.maximum(reported, scenes.mic_positions.max(axis=1)))
