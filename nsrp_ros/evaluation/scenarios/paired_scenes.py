"""
Scenes for tables of robustness: drawn one by one, so that conditions differ in nothing else.

Each scene has its own seed, that of the frozen test set's scene of the same index. A condition
changes numbers in a configuration but not what is drawn, or does something to scenes that have
been made: rooms, microphones, talkers, speech and noise stay the same.

Shapes: B scenes, M microphones, T samples of a window.
"""

from dataclasses import replace
import math

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.datasets.generate import scene_generator
from nsrp_ros.simulation.acoustics.room_responses import hear
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.realistic_rooms import draw_acoustics
from nsrp_ros.simulation.realistic_rooms import draw_real_rooms
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import longest_response
from nsrp_ros.simulation.simulator import simulate
import numpy as np
import torch

MAX_BYTES = 2 ** 28
"""Memory that the simulator may take; what wanders or rings depends on it, so it is fixed."""
DEAF_DB = 30.0
"""Decibels that a deaf microphone hears less, and that the hiss of a dead one is below the
talker's mean power."""
WALK_STEP = 0.03
"""Metres between two places at which a walking talker is heard: half a wavelength at 6 kHz."""
_HEADINGS = 16  # that are tried until a walk ends before the wall


def simulated(config, n_mics, n_scenes, bank, seed=0):
    """
    Simulate scenes, each from its own seed.

    Parameters
    ----------
    config : RealConfig
        The distribution.
    n_mics, n_scenes : int
        M and B.
    bank : SpeechBank
        What is said.
    seed : int
        Of all scenes; 0 is the frozen test sets'.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    return together([simulate(config, n_mics, 1, bank, scene_generator(seed, 'test', k), 'cpu',
                              MAX_BYTES) for k in range(n_scenes)])


def together(made):
    """Join scenes of tensors into scenes of NumPy arrays, without the truths kept beside."""
    return Scenes(*(np.concatenate([np.asarray(getattr(scene, name)) for scene in made])
                    for name in ('signals', 'mic_positions', 'source_position', 'room_dims')),
                  made[0].sample_rate)


def draw_talk(config, n_mics, bank, generator):
    """
    Draw one scene that is not heard yet.

    Parameters
    ----------
    config : RealConfig
        The distribution; its noise and its imperfect devices are left to the caller.
    n_mics : int
        M.
    bank : SpeechBank
        What is said.
    generator : torch.Generator
        Of the scene.

    Returns
    -------
    tuple of Rooms, Acoustics or None, and torch.Tensor
        One room; what it has beyond walls; and speech (1, S), long enough to ring until the
        window.

    """
    rooms, units = draw_real_rooms(config, n_mics, 1, generator)
    acoustics = draw_acoustics(config, rooms, units, generator)
    n_speech = longest_response(config, bank.sample_rate) + window_length(bank.sample_rate)
    return rooms, acoustics, bank.draw(1, n_speech, generator)


def walking(config, speed, n_mics, n_scenes, bank, seed=0, fastest=2.0):
    """
    Let talkers walk, heard every `WALK_STEP` on their way.

    Parameters
    ----------
    config : RealConfig
        The distribution; instead of its noise and imperfect devices there is the white noise of
        `room.snr_db`.
    speed : float
        Metres a second, straight ahead; the truth is where a talker is in mid-window.
    n_mics, n_scenes, bank, seed
        As for `simulated`.
    fastest : float
        Metres a second; a heading is chosen, whatever the speed, on which even such a walk
        stays inside, if there is one. Otherwise walls stop the talker.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    made = []
    for k in range(n_scenes):
        generator = scene_generator(seed, 'test', k)
        rooms, acoustics, speech = draw_talk(config, n_mics, bank, generator)
        path = speed * WindowConfig().length * _heading(rooms, fastest, generator)
        n_steps = max(1, math.ceil(speed * WindowConfig().length / WALK_STEP))
        time = torch.linspace(0, n_steps, window_length(bank.sample_rate))
        state = generator.get_state()
        signals = 0.0
        for step in range(n_steps + 1):
            generator.set_state(state)  # a room wanders and rings the same way all along
            place = rooms.source_position + (step / n_steps - 0.5) * path
            place = torch.minimum(place.clamp(min=0.05), rooms.dims - 0.05) if speed else place
            heard = hear(config, replace(rooms, source_position=place), speech,
                         bank.sample_rate, MAX_BYTES, acoustics, generator)
            signals = signals + (1 - (time - step).abs()).clamp(min=0) * heard
        made.append(Scenes(add_sensor_noise(signals, config.room.snr_db, generator),
                           rooms.mic_positions, rooms.source_position, rooms.dims,
                           bank.sample_rate))
    return together(made)


def _heading(rooms, fastest, generator):
    """Choose a level unit vector (1, 3) along which a walk at `fastest` stays in the room."""
    angle = 2 * math.pi * torch.rand(_HEADINGS, generator=generator)
    headings = torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=1)
    reach = fastest * WindowConfig().length / 2 * headings
    both = torch.stack([rooms.source_position - reach, rooms.source_position + reach])
    inside = ((both >= 0.05) & (both <= rooms.dims - 0.05))[..., :2].all(dim=2).all(dim=0)
    return headings[int(inside.int().argmax())][None]  # the first where none is


def without_last(scenes):
    """Take the last microphone away."""
    return replace(scenes, signals=scenes.signals[:, :-1],
                   mic_positions=scenes.mic_positions[:, :-1])


def with_last(scenes, sound, hiss):
    """
    Let the last microphone fail.

    Parameters
    ----------
    scenes : Scenes
        Of NumPy arrays.
    sound : float
        Factor of what it hears.
    hiss : bool
        Whether its own white noise, `DEAF_DB` below the talker, is left.

    Returns
    -------
    Scenes
        Of NumPy arrays.

    """
    signals = scenes.signals.copy()
    signals[:, -1] *= sound
    if hiss:
        noise = np.random.default_rng(0).standard_normal(signals[:, -1].shape)
        level = np.sqrt((scenes.signals ** 2).mean(axis=(1, 2))) * 10 ** (-DEAF_DB / 20)
        signals[:, -1] += (level[:, None] * noise).astype(np.float32)
    return replace(scenes, signals=signals)


def misjudged(scenes, share):
    """
    Tell every side of the rooms too long or too short by a share, by lot.

    Parameters
    ----------
    scenes : Scenes
        Of NumPy arrays.
    share : float
        Of each true side.

    Returns
    -------
    Scenes
        The corner of a room is where it was, and each room still holds its microphones.

    """
    sign = np.random.default_rng(0).choice([-1.0, 1.0], size=scenes.room_dims.shape)
    told = (scenes.room_dims * (1 + share * sign)).astype(scenes.room_dims.dtype)
    return replace(scenes, room_dims=np.maximum(told, scenes.mic_positions.max(axis=1)))
