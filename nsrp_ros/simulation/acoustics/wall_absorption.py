"""
Absorption of ordinary walls, and reverberation times by Eyring's formula.

Reflectivity-biased walls (shoebox_rooms.py) are reflective more often than real walls are; here
the reverberation time is drawn first and the absorption follows from it.

Shapes: B rooms, K octave bands; walls are (3 axes, 2 sides).
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.shoebox_rooms import Rooms
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
    return _eyring(volume, 2 * area.sum(dim=(1, 2)), (absorption * area).sum(dim=(1, 2)), air)


def reverberation_times(rooms: Rooms, air: torch.Tensor | None = None) -> torch.Tensor:
    """
    Compute reverberation times by Eyring's formula, of rooms with any floor plan.

    Parameters
    ----------
    rooms : Rooms
        B rooms.
    air : torch.Tensor, optional
        As for `eyring_rt60`.

    Returns
    -------
    torch.Tensor
        Shape (B, K), seconds.

    """
    if rooms.outline is None or rooms.wall_absorption is None:
        return eyring_rt60(rooms.dims, rooms.absorption, air)
    floor, _ = area_and_perimeter(rooms.outline)
    length = torch.linalg.vector_norm(rooms.outline.roll(-1, dims=1) - rooms.outline, dim=-1)
    walls = length * rooms.dims[:, 2:]  # (B, C), square metres
    absorbed = (rooms.absorption[:, 2].sum(dim=1) * floor[:, None]
                + (rooms.wall_absorption * walls[..., None]).sum(dim=1))
    return _eyring((floor * rooms.dims[:, 2])[:, None],
                   2 * floor[:, None] + walls.sum(dim=1, keepdim=True), absorbed, air)


def area_and_perimeter(outline: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the areas (B,), square metres, and perimeters (B,), metres, of (B, C, 2)."""
    after = outline.roll(-1, dims=1)
    twice = outline[..., 0] * after[..., 1] - outline[..., 1] * after[..., 0]
    return twice.sum(dim=1) / 2, torch.linalg.vector_norm(after - outline, dim=-1).sum(dim=1)


def _eyring(volume: torch.Tensor, surface: torch.Tensor, absorbed: torch.Tensor,
            air: torch.Tensor | None) -> torch.Tensor:
    """Apply the formula to (B, 1), (B, 1), sums of absorption times area (B, K) and air (K,)."""
    mean = absorbed / surface
    absorbing_area = -surface * (-mean.clamp(max=0.999)).log1p()
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


def limit_reverberation(rooms: Rooms, longest: float) -> Rooms:
    """
    Damp rooms that reverberate too long in some band, as `draw_walls` does boxes.

    Parameters
    ----------
    rooms : Rooms
        B rooms with any floor plan.
    longest : float
        Seconds.

    Returns
    -------
    Rooms
        With higher absorption coefficients where need be.

    """
    too_long = (reverberation_times(rooms) / longest).clamp(min=1)  # (B, K)

    def damped(walls: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return torch.where(factor > 1, (walls * factor).clamp(max=0.99), walls)

    edges = rooms.wall_absorption
    return replace(
        rooms, absorption=damped(rooms.absorption, too_long[:, None, None]),
        wall_absorption=None if edges is None else damped(edges, too_long[:, None]))


def _volume_and_areas(dims: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the volumes (B, 1) and the area of a wall of each axis (B, 3, 1, 1)."""
    volume = dims.prod(dim=1, keepdim=True)
    return volume, (volume / dims)[:, :, None, None]
