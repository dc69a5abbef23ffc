"""
Absorption of ordinary walls, and reverberation times by Eyring's formula.

Reflectivity-biased walls (shoebox_rooms.py) are reflective more often than real walls are; here
the reverberation time is drawn first and the absorption follows from it.

Shapes: B rooms, K octave bands; walls are (3 axes, 2 sides).
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

_DECAY = 24 * math.log(10) / SPEED_OF_SOUND  # 60 dB over the mean free path 4 V / S


@dataclass(frozen=True)
class WallConfig:
    """How walls are drawn where they are not reflectivity-biased."""

    share: float = 0.5
    """Of the rooms that have ordinary walls; the others keep theirs, as far as `rt60` allows."""
    rt60: tuple[float, float] = (0.1, 1.5)
    """Seconds; the reverberation time is uniform between them on a logarithmic scale. The second
    is the limit in every band of any room."""
    band_spread: float = 1.4
    """Largest ratio between the reverberation time of a band and the room's."""

    def __post_init__(self) -> None:
        """Raise ValueError where a range does not rise or a share is none."""
        if not (0 <= self.share <= 1 and 0 < self.rt60[0] <= self.rt60[1]
                and self.band_spread >= 1):
            raise ValueError('share must be a share, rt60 two rising times and band_spread at '
                             'least 1')


def eyring_rt60(dims: torch.Tensor, absorption: torch.Tensor,
                air: torch.Tensor | None = None) -> torch.Tensor:
    """
    Compute reverberation times by Eyring's formula.

    Parameters
    ----------
    dims : torch.Tensor
        Shape (B, 3), metres.
    absorption : torch.Tensor
        Shape (B, 3, 2, K), energy absorption coefficients.
    air : torch.Tensor, optional
        Shape (K,), amplitude attenuation of air, nepers per metre.

    Returns
    -------
    torch.Tensor
        Shape (B, K), seconds.

    """
    volume, area = _volume_and_areas(dims)
    mean = (absorption * area).sum(dim=(1, 2)) / (2 * area.sum(dim=(1, 2)))
    absorbing_area = -2 * area.sum(dim=(1, 2)) * (-mean.clamp(max=0.999)).log1p()
    if air is not None:
        absorbing_area = absorbing_area + 8 * air * volume
    return _DECAY * volume / absorbing_area.clamp(min=1e-6)


def draw_walls(config: WallConfig, dims: torch.Tensor, absorption: torch.Tensor,
               uniform: DrawFunction) -> torch.Tensor:
    """
    Replace a share of the walls by ordinary ones, and damp rooms that reverberate too long.

    Parameters
    ----------
    config : WallConfig
        The distribution.
    dims, absorption : torch.Tensor
        Shapes (B, 3), metres, and (B, 3, 2, K), the walls as they are.
    uniform : DrawFunction
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
    weight = 0.25 + 1.5 * uniform(n_rooms, 3, 2, 1)  # walls of one room differ: carpet, concrete
    weight = weight * surface[:, None, None] / (weight * area).sum(
        dim=(1, 2), keepdim=True)
    ordinary = (mean[:, None, None] * weight).clamp(max=0.99)
    chosen = (uniform(n_rooms) < config.share)[:, None, None, None]
    walls = absorption.where(~chosen, ordinary)
    # The furniture of a real room limits its reverberation time.
    too_long = (eyring_rt60(dims, walls) / config.rt60[1]).clamp(min=1)[:, None, None]
    return torch.where(too_long > 1, (walls * too_long).clamp(max=0.99), walls)


def _volume_and_areas(dims: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the volumes (B, 1) and the area of a wall of each axis (B, 3, 1, 1)."""
    volume = dims.prod(dim=1, keepdim=True)
    return volume, (volume / dims)[:, :, None, None]
