"""
Target maps of the paper's networks: its hyperbolic map, its authors' variant, and the Gaussian.

A pair of microphones cannot tell apart sources on one branch of a hyperbola, so a pair's target
is a ridge along that branch (eq. 9); a network whose input is the whole array can be trained on a
bump around the source (eq. 8). All functions take any grid: points (B, ..., D).

Run as a module it draws the three side by side, like the paper's Fig. 4.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.geometry import SPEED_OF_SOUND
import torch


@dataclass(frozen=True)
class TargetConfig:
    """
    Which map a network is trained to predict.

    The paper names no value for its sigmas. Ours, in metres of path difference or distance:
    hyperbolic 1.0 (2.9 ms), gaussian 1.0; `normalised` has the 0.5 (no unit) of the authors'
    code.
    """

    kind: str = 'hyperbolic'
    """'hyperbolic' (eq. 9), 'normalised' (the authors' code) or 'gaussian' (eq. 8)."""
    sigma: float = 1.0
    """Decay, in metres (hyperbolic: of path difference, sigma = c times the paper's seconds;
    gaussian: of distance) or, for 'normalised', a share of the grid's largest TDOA error."""
    flat: bool = False
    """Whether TDOAs are computed in two dimensions, as the authors' code does. Otherwise cells
    lie at the talker's own height, where the true delay and the map agree exactly."""

    def __post_init__(self) -> None:
        """Refuse unknown kinds and widths that are not positive."""
        if self.kind not in ('hyperbolic', 'normalised', 'gaussian'):
            raise ValueError(f"kind must be 'hyperbolic', 'normalised' or 'gaussian', "
                             f'got {self.kind!r}')
        if not self.sigma > 0:
            raise ValueError('sigma must be above 0')


def floor_points(room_dims: torch.Tensor, height: torch.Tensor, grid_size: int) -> torch.Tensor:
    """
    Place the cell centres of square maps, each scaled to its room.

    Parameters
    ----------
    room_dims : torch.Tensor
        Shape (B, 3), metres.
    height : torch.Tensor
        Shape (B,), metres, at which every cell lies.
    grid_size : int
        Cells a side, G.

    Returns
    -------
    torch.Tensor
        Shape (B, G, G, 3), metres, y first.

    """
    centres = (torch.arange(grid_size, device=room_dims.device) + 0.5) / grid_size
    shape = len(room_dims), grid_size, grid_size
    x = (room_dims[:, 0, None] * centres)[:, None, :].expand(shape)
    y = (room_dims[:, 1, None] * centres)[:, :, None].expand(shape)
    z = height[:, None, None].expand(shape)
    return torch.stack([x, y, z], dim=-1)


def tdoa_error(points: torch.Tensor, mic_positions: torch.Tensor,
               source_position: torch.Tensor) -> torch.Tensor:
    """
    Return how far each cell's TDOA is from the source's, |tau_ij(p) - tau_ij(ps)|.

    Parameters
    ----------
    points : torch.Tensor
        Shape (B, ..., D), metres, D being 2 or 3.
    mic_positions : torch.Tensor
        Shape (B, 2, D), metres: the pair (i, j).
    source_position : torch.Tensor
        Shape (B, D), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, ...), seconds, 0 or more.

    """
    between = (1,) * (points.dim() - 2)

    def delay(where: torch.Tensor, extra: tuple[int, ...]) -> torch.Tensor:
        """Compute eq. 5 at `where`, which has `extra` dimensions between B and D."""
        mics = mic_positions.reshape(len(points), 2, *extra, -1)
        first, second = (torch.linalg.vector_norm(where - mics[:, k], dim=-1) for k in (0, 1))
        return path_difference(first, second) / SPEED_OF_SOUND

    at_source = delay(source_position, ()).reshape(-1, *between)
    return (delay(points, between) - at_source).abs()


def hyperbolic(points: torch.Tensor, mic_positions: torch.Tensor, source_position: torch.Tensor,
               sigma: float) -> torch.Tensor:
    """
    Compute the paper's target, eq. 9: y(p) = exp(-(|tau_ij(p) - tau_ij(ps)| / sigma)^2).

    Parameters
    ----------
    points, mic_positions, source_position : torch.Tensor
        As in `tdoa_error`.
    sigma : float
        Seconds.

    Returns
    -------
    torch.Tensor
        Shape (B, ...), 1 on the source's branch of the hyperbola.

    """
    return torch.exp(-(tdoa_error(points, mic_positions, source_position) / sigma) ** 2)


def normalised(points: torch.Tensor, mic_positions: torch.Tensor, source_position: torch.Tensor,
               sigma: float = 0.5) -> torch.Tensor:
    """
    Compute the authors' variant: exp(-(e / max e) / sigma^2), e = |tau_ij(p) - tau_ij(ps)|.

    The result is rescaled so that each grid spans [0, 1] exactly. Arguments and result are
    those of `hyperbolic`, but sigma has no unit.
    """
    error = tdoa_error(points, mic_positions, source_position)
    largest = error.flatten(1).amax(dim=1).clamp_min(1e-12)
    target = torch.exp(-error / largest.reshape(-1, *[1] * (error.dim() - 1)) / sigma ** 2)
    flat = target.flatten(1)
    lowest, highest = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    return ((flat - lowest) / (highest - lowest).clamp_min(1e-12)).reshape(target.shape)


def gaussian(points: torch.Tensor, source_position: torch.Tensor, sigma: float) -> torch.Tensor:
    """
    Compute eq. 8: y(p) = exp(-(|p - ps| / sigma)^2).

    Parameters
    ----------
    points : torch.Tensor
        Shape (B, ..., D), metres.
    source_position : torch.Tensor
        Shape (B, D), metres.
    sigma : float
        Metres.

    Returns
    -------
    torch.Tensor
        Shape (B, ...), 1 at the source.

    """
    source = source_position.reshape(len(points), *[1] * (points.dim() - 2), -1)
    return torch.exp(-(torch.linalg.vector_norm(points - source, dim=-1) / sigma) ** 2)


def target_maps(config: TargetConfig, grid_size: int, mic_positions: torch.Tensor,
                source_position: torch.Tensor, room_dims: torch.Tensor) -> torch.Tensor:
    """
    Compute a batch of targets over the rooms' floors.

    Parameters
    ----------
    config : TargetConfig
        Which target.
    grid_size : int
        Cells a side, G.
    mic_positions : torch.Tensor
        Shape (B, C, 3), metres; a hyperbolic target needs C = 2.
    source_position, room_dims : torch.Tensor
        Shape (B, 3), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, G, G), y first.

    """
    points = floor_points(room_dims, source_position[:, 2], grid_size)
    if config.kind == 'gaussian':
        return gaussian(points[..., :2], source_position[:, :2], config.sigma)
    if config.flat:
        points, mic_positions = points[..., :2], mic_positions[..., :2]
        source_position = source_position[:, :2]
    if config.kind == 'normalised':
        return normalised(points, mic_positions, source_position, config.sigma)
    return hyperbolic(points, mic_positions, source_position, config.sigma / SPEED_OF_SOUND)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the targets of one pair of microphones to a picture."""
    # Imported where it is used: training must not need matplotlib to start.
    from nsrp_ros.training.curves import save_figure
    from nsrp_ros.training.curves import targets_figure

    parser = argparse.ArgumentParser(description='Draw the training targets, like Fig. 4.')
    parser.add_argument('picture', nargs='?', default='targets.png', help='file to write')
    parser.add_argument('--grid-size', type=int, default=100, help='cells a side (default 100)')
    options = parser.parse_args(arguments)
    room = torch.tensor([[6.0, 5.0, 3.0]])
    mics = torch.tensor([[[1.5, 1.2, 1.0], [4.2, 3.9, 1.4]]])
    source = torch.tensor([[4.1, 1.6, 1.5]])
    maps = {
        name: target_maps(config, options.grid_size, mics, source, room)[0].numpy()
        for name, config in (
            ('hyperbolic (eq. 9)', TargetConfig()),
            ("the authors' normalised", TargetConfig('normalised', 0.5)),
            ('Gaussian (eq. 8)', TargetConfig('gaussian')))}
    save_figure(targets_figure(maps, mics[0].numpy(), source[0].numpy(), room[0].numpy()),
                options.picture)
    print(f'wrote {options.picture}')


if __name__ == '__main__':
    main()
