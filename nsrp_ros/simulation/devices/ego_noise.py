"""
A robot's own noise: fans and motors a hand's breadth from its microphones.

They are point sources in the near field: what distinguishes them from a talker are levels that
fall with 1 / r across the array, tones, and that they are always there.

Shapes: B scenes, M microphones, S sources, T samples.
"""

import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.noise import coloured
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

_SOURCES = 3  # at most, of one robot
_DISTANCES = (0.03, 0.2)  # metres from the array's centre
_NEAREST = 0.015  # metres: half a motor's size
_LEAD = 0.1  # seconds before the window: sound reaches microphones 34 m away
_BLADES = (80.0, 600.0)  # hertz: blades that pass a fan's strut
_WHINE = (200.0, 2500.0)  # hertz: commutation and gears of motors
_HARMONICS = 8
_WANDER = 0.003  # standard deviation of a tone's relative frequency, which wanders
_SPREAD_DB = 12.0  # by which the sources of a robot differ at most


def ego_noise(mic_positions: torch.Tensor, device_ids: torch.Tensor, n_samples: int,
              uniform: DrawFunction, normal: DrawFunction, rate: int) -> torch.Tensor:
    """
    Draw the noise of fans and motors around the first device's centre, in free field.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone; device 0 is on the robot.
    n_samples : int
        T.
    uniform, normal : DrawFunction
        Draw float32 numbers of a shape, on the device of `mic_positions`.
    rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32, of any level.

    """
    n_scenes, device = len(mic_positions), mic_positions.device
    own = (device_ids == 0).to(mic_positions)[..., None]
    centre = (own * mic_positions).sum(dim=1) / own.sum(dim=1)
    direction = normal(n_scenes, _SOURCES, 3)
    direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    low, high = _DISTANCES
    places = centre[:, None] + direction * (low + (high - low)
                                            * uniform(n_scenes, _SOURCES, 1))
    lead = math.ceil(_LEAD * rate)
    sounds = _machines(n_scenes, lead + n_samples, uniform, normal, rate)
    running = torch.arange(_SOURCES, device=device) <= (_SOURCES * uniform(n_scenes, 1)).long()
    level_db = -_SPREAD_DB * uniform(n_scenes, _SOURCES)
    sounds = sounds * (running * 10 ** (level_db / 20))[..., None]

    spectra = torch.fft.rfft(sounds)
    frequency = torch.fft.rfftfreq(lead + n_samples, 1 / rate, device=device)
    total = torch.zeros(*mic_positions.shape[:2], len(frequency), dtype=spectra.dtype,
                        device=device)
    for source in range(_SOURCES):  # one by one: (B, M, F) is large enough
        away = torch.linalg.vector_norm(mic_positions - places[:, None, source], dim=-1)
        away = away.clamp(min=_NEAREST)[..., None]
        turn = -2 * math.pi / SPEED_OF_SOUND * away * frequency
        total += torch.polar(1 / away.expand_as(turn), turn) * spectra[:, None, source]
    # What the lead brings around from the end of the window is left out with it.
    return torch.fft.irfft(total, lead + n_samples)[..., lead:]


def _machines(n_scenes: int, n_samples: int, uniform: DrawFunction, normal: DrawFunction,
              rate: int) -> torch.Tensor:
    """Draw the sounds (B, S, T) of fans and motors, about unit power, as many of each."""
    fan = uniform(n_scenes, _SOURCES) < 0.5
    pick = uniform(n_scenes, _SOURCES)
    pitch = torch.where(fan, _BLADES[0] * (_BLADES[1] / _BLADES[0]) ** pick,
                        _WHINE[0] * (_WHINE[1] / _WHINE[0]) ** pick)
    # A fan is turbulence with tones in it, a motor tones with some friction.
    colour = torch.where(fan, 0.5 + 1.5 * uniform(n_scenes, _SOURCES),
                         0.5 * uniform(n_scenes, _SOURCES))
    turbulence = coloured(normal(n_scenes, _SOURCES, n_samples), colour[..., None], 100.0, rate)
    tonal_db = torch.where(fan, -15 + 12 * uniform(n_scenes, _SOURCES),
                           15 * uniform(n_scenes, _SOURCES))
    tones = _tones(pitch, n_samples, uniform, normal, rate)
    return turbulence + 10 ** (tonal_db / 20)[..., None] * tones


def _tones(pitch: torch.Tensor, n_samples: int, uniform: DrawFunction, normal: DrawFunction,
           rate: int) -> torch.Tensor:
    """Draw harmonics (B, S, T) of pitches (B, S), hertz, of unit power, that wander a little."""
    # Load changes a motor's speed within tenths of a second: wandering below some 10 Hz.
    knots = normal(*pitch.shape, max(2, round(20 * n_samples / rate)))
    wander = torch.nn.functional.interpolate(knots, n_samples, mode='linear',
                                             align_corners=True)
    phase = 2 * math.pi * (pitch[..., None].double() / rate
                           * (1 + _WANDER * wander.double())).cumsum(dim=-1)
    total = torch.zeros_like(wander)
    for harmonic in range(1, _HARMONICS + 1):
        audible = harmonic * pitch < 0.45 * rate  # none folds back
        level = audible * uniform(*pitch.shape) / harmonic ** 0.5
        start = 2 * math.pi * uniform(*pitch.shape)
        total += level[..., None] * (harmonic * phase + start[..., None]).sin().float()
    return total / total.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)
