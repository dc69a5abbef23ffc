"""
Directivity of talkers and microphones.

The gain at the angle theta off the axis is of the cardioid family,

    g(theta) = 1 - a (1 - cos theta),

with a = 0 for omnidirectional, 1/2 for a cardioid, more beyond. A head shadows short waves only,
so a talker's a grows from octave to octave; a microphone's is the same in all.

Shapes: B rooms, M microphones, K octave bands.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

TALKER_PATTERN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""A talker's a in BANDS, at strength 1: omnidirectional at 125 Hz, a cardioid at 4 kHz."""
MIN_GAIN = 0.05
"""Least gain: diffraction around a head, even where the cardioid family falls to zero."""


@dataclass(frozen=True)
class DirectivityConfig:
    """How directional talkers and microphones are, and how they are oriented."""

    talker: tuple[float, float] = (0.3, 1.1)
    """Strengths between which a talker's is uniform; (0, 0) is omnidirectional."""
    elevation_deg: float = 15.0
    """Standard deviation of the elevation of the talker's axis; its azimuth is uniform."""
    directional_mics: float = 0.0
    """Share of the devices whose microphones are directional, with random orientation."""
    microphone: tuple[float, float] = (0.25, 0.5)
    """Values between which such a microphone's a is uniform."""

    def __post_init__(self) -> None:
        """Raise ValueError where a range does not rise or a pattern would invert."""
        if not 0 <= self.talker[0] <= self.talker[1] <= 1.2:
            raise ValueError('talker must be two rising strengths, at most 1.2')
        if not (0 <= self.directional_mics <= 1
                and 0 <= self.microphone[0] <= self.microphone[1] <= 0.6):
            raise ValueError('directional_mics must be a share, microphone at most 0.6')


def directional_gain(a: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
    """Return the gain of the family, at least `MIN_GAIN`; see the module's docstring."""
    # In place: these are the largest arrays of a simulation.
    return (a * (cosine - 1)).add_(1).clamp_(min=MIN_GAIN)


def diffuse_power(a: torch.Tensor) -> torch.Tensor:
    """Return the mean over all directions of the squared gain: its power in a diffuse field."""
    return (1 - a) ** 2 + a ** 2 / 3


def draw_talkers(config: DirectivityConfig, n_rooms: int, uniform: DrawFunction,
                 normal: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw the orientation and the directivity of talkers.

    Parameters
    ----------
    config : DirectivityConfig
        The distribution.
    n_rooms : int
        B.
    uniform, normal : DrawFunction
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
    return axis, strength * strength.new_tensor(TALKER_PATTERN)


def draw_microphones(config: DirectivityConfig, device_ids: torch.Tensor, uniform: DrawFunction,
                     normal: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw the orientation and the directivity of microphones.

    Parameters
    ----------
    config : DirectivityConfig
        The distribution.
    device_ids : torch.Tensor
        Shape (B, M): the device of each microphone, whose orientation it shares.
    uniform, normal : DrawFunction
        Draw float32 numbers of a shape.

    Returns
    -------
    tuple of torch.Tensor
        Unit vectors (B, M, 3), and a in each band (B, M, K), zero where omnidirectional.

    """
    axis = normal(*device_ids.shape, 3)
    axis = axis / torch.linalg.vector_norm(axis, dim=-1, keepdim=True)
    low, high = config.microphone
    a = (low + (high - low) * uniform(*device_ids.shape)) * (
        uniform(*device_ids.shape) < config.directional_mics)
    axis = axis.gather(1, device_ids[..., None].expand_as(axis))
    return axis, a.gather(1, device_ids)[..., None].expand(*device_ids.shape, len(BANDS))
