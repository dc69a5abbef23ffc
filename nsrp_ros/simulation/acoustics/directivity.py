"""
Talkers and microphones that hear more on one side than on the other.

Their gain at the angle theta off their axis is of the cardioid family,

    g(theta) = 1 - a (1 - cos theta),

with a = 0 for a sphere, 1/2 for a cardioid, more beyond. A head shadows short waves only, so a
talker's a grows octave by octave; a microphone's is the same in all.

Shapes: B rooms, M microphones, K octave bands.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.octave_bands import BANDS
import torch

GROWTH = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""A talker's a in BANDS, at a strength of 1: from a sphere at 125 Hz to a cardioid at 4 kHz."""
LEAK = 0.05
"""Least gain: what is bent around a head, even where the cardioid family falls to nothing."""


@dataclass(frozen=True)
class DirectivityConfig:
    """How directional the talker and the microphones are, and where they are turned."""

    talker: tuple = (0.3, 1.1)
    """Strengths between which a talker's is uniform; (0, 0) speaks to all sides."""
    elevation_deg: float = 15.0
    """Standard deviation of the talker's look from the horizontal; the azimuth is any."""
    directional_mics: float = 0.0
    """Share of the devices whose microphones are directional, and turned anywhere."""
    microphone: tuple = (0.25, 0.5)
    """Values between which such a microphone's a is uniform."""

    def __post_init__(self):
        """Refuse patterns that turn around."""
        if not 0 <= self.talker[0] <= self.talker[1] <= 1.2:
            raise ValueError('talker must be two rising strengths, at most 1.2')
        if not (0 <= self.directional_mics <= 1
                and 0 <= self.microphone[0] <= self.microphone[1] <= 0.6):
            raise ValueError('directional_mics must be a share, microphone at most 0.6')


def directional_gain(a, cosine):
    """Return the gain of the family, at least `LEAK`; see the module's docstring."""
    # In place: in a simulation these are the largest arrays.
    return (a * (cosine - 1)).add_(1).clamp_(min=LEAK)


def diffuse_power(a):
    """Average the squared gain over all directions: how loud a diffuse field is."""
    return (1 - a) ** 2 + a ** 2 / 3


def draw_talkers(config, n_rooms, uniform, normal):
    """
    Draw where talkers look and how directional they are.

    Parameters
    ----------
    config : DirectivityConfig
        The distribution.
    n_rooms : int
        B.
    uniform, normal : callable
        Draw float32 numbers of a shape.

    Returns
    -------
    tuple of torch.Tensor
        Unit vectors (B, 3), and a in each band (B, K).

    """
    azimuth = 2 * math.pi * uniform(n_rooms)
    elevation = math.radians(config.elevation_deg) * normal(n_rooms)
    axis = torch.stack([elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(),
                        elevation.sin()], dim=1)
    strength = config.talker[0] + (config.talker[1] - config.talker[0]) * uniform(n_rooms, 1)
    return axis, strength * strength.new_tensor(GROWTH)


def draw_microphones(config, units, uniform, normal):
    """
    Draw where microphones are turned and how directional they are.

    Parameters
    ----------
    config : DirectivityConfig
        The distribution.
    units : torch.Tensor
        Shape (B, M): the device that each microphone belongs to and is turned with.
    uniform, normal : callable
        Draw float32 numbers of a shape.

    Returns
    -------
    tuple of torch.Tensor
        Unit vectors (B, M, 3), and a in each band (B, M, K), zero for most.

    """
    axis = normal(*units.shape, 3)
    axis = axis / torch.linalg.vector_norm(axis, dim=-1, keepdim=True)
    low, high = config.microphone
    a = (low + (high - low) * uniform(*units.shape)) * (
        uniform(*units.shape) < config.directional_mics)
    axis = axis.gather(1, units[..., None].expand_as(axis))
    return axis, a.gather(1, units)[..., None].expand(*units.shape, len(BANDS))
