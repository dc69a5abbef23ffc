"""
Ordinary walls, and how long rooms ring: what Eyring's formula says, both ways.

Reflectivity-biased walls (shoebox_rooms.py) are hard more often than walls are; here the
reverberation time comes first and the walls follow.

Shapes: B rooms, K octave bands; walls are (3 axes, 2 sides).
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
import torch

_DECAY = 24 * math.log(10) / SPEED_OF_SOUND  # 60 dB over the mean free path 4 V / S


@dataclass(frozen=True)
class WallConfig:
    """How walls are drawn where they are not reflectivity-biased."""

    share: float = 0.5
    """Of the rooms that have ordinary walls; the others keep theirs, as far as `rt60` allows."""
    rt60: tuple = (0.1, 1.5)
    """Seconds; the reverberation time is uniform between them on a logarithmic scale. No band of
    any room rings longer than the second."""
    band_spread: float = 1.4
    """Factor by which the time of a band may differ from the room's."""

    def __post_init__(self):
        """Refuse walls that cannot be."""
        if not (0 <= self.share <= 1 and 0 < self.rt60[0] <= self.rt60[1]
                and self.band_spread >= 1):
            raise ValueError('share must be a share, rt60 two rising times and band_spread at '
                             'least 1')


def eyring_rt60(dims, absorption, air=None):
    """
    Compute reverberation times by Eyring's formula.

    Parameters
    ----------
    dims : torch.Tensor
        Shape (B, 3), metres.
    absorption : torch.Tensor
        Shape (B, 3, 2, K), shares of energy.
    air : torch.Tensor, optional
        Shape (K,), nepers of amplitude that air swallows a metre.

    Returns
    -------
    torch.Tensor
        Shape (B, K), seconds.

    """
    volume, area = _volume_and_areas(dims)
    mean = (absorption * area).sum(dim=(1, 2)) / (2 * area.sum(dim=(1, 2)))
    swallowed = -2 * area.sum(dim=(1, 2)) * (-mean.clamp(max=0.999)).log1p()
    if air is not None:
        swallowed = swallowed + 8 * air * volume
    return _DECAY * volume / swallowed.clamp(min=1e-6)


def draw_walls(config, dims, absorption, uniform):
    """
    Replace a share of the walls by ordinary ones, and damp those that ring too long.

    Parameters
    ----------
    config : WallConfig
        The distribution.
    dims, absorption : torch.Tensor
        Shapes (B, 3), metres, and (B, 3, 2, K), the walls as they are.
    uniform : callable
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, 3, 2, K).

    """
    n_rooms = len(dims)
    shortest, longest = (math.log(t) for t in config.rt60)
    times = (shortest + (longest - shortest) * uniform(n_rooms, 1)
             + math.log(config.band_spread) * (2 * uniform(n_rooms, len(BANDS)) - 1)).exp()
    volume, area = _volume_and_areas(dims)
    surface = 2 * area.sum(dim=(1, 2))
    mean = -(-_DECAY * volume / (surface * times)).expm1()  # (B, K)
    weight = 0.25 + 1.5 * uniform(n_rooms, 3, 2, 1)  # carpets here, concrete there
    weight = weight * surface[:, None, None] / (weight * area).sum(
        dim=(1, 2), keepdim=True)
    ordinary = (mean[:, None, None] * weight).clamp(max=0.99)
    chosen = (uniform(n_rooms) < config.share)[:, None, None, None]
    walls = absorption.where(~chosen, ordinary)
    # What stands in a real room keeps it from ringing for ever.
    too_long = (eyring_rt60(dims, walls) / config.rt60[1]).clamp(min=1)[:, None, None]
    return torch.where(too_long > 1, (walls * too_long).clamp(max=0.99), walls)


def _volume_and_areas(dims):
    """Return the volumes (B, 1) and the area of a wall of each axis (B, 3, 1, 1)."""
    volume = dims.prod(dim=1, keepdim=True)
    return volume, (volume / dims)[:, :, None, None]
