"""
The posterior from the features of cells on a processor, for torch_cpu/network.py.

The equations are those of `Backprojection.read_posterior`, which is what is trained. For one
scene, and for inference only, they take two thirds of the time here: in place, with what depends
on positions alone given, and the presence only where it is wanted.

Shapes: V = Z Y X cells, D channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.backprojection import cell_context
from nsrp_ros.networks.cell_geometry import area_points
import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class GridCells:
    """
    The cells of a grid, and the network's inputs about them.

    Attributes
    ----------
    shape : tuple of int
        Z, Y and X.
    points : torch.Tensor
        Shape (V, 3), metres: their centres.
    room_dims, context : torch.Tensor
        Shapes (3,), metres, and (4,), see `cell_context`.
    place : torch.Tensor
        Shape (V, D): what is added to features for where a cell is.

    """

    shape: tuple[int, int, int]
    points: torch.Tensor
    room_dims: torch.Tensor
    context: torch.Tensor
    place: torch.Tensor


class PosteriorReadout:
    """
    The part of a Backprojection that computes the posterior.

    Parameters
    ----------
    model : Backprojection
        The network; not changed.
    net : Backprojection
        The same with weights of as many bits as wanted, which are not copied.

    """

    def __init__(self, model: Backprojection, net: Backprojection) -> None:
        self._place, self._presence = model.place, model.presence
        scores: tuple[Any, Any] = model.point_score, model.floor.score
        self._score, self._floor_score = (
            (layer.weight.data.flatten(), layer.bias.data) for layer in scores)
        point: Any = net.point[1]
        self._point: tuple[torch.Tensor, torch.Tensor] = point.weight, point.bias
        self._floor_blocks: list[Any] = list(net.floor.blocks)
        self._activation = model.activation
        # The map's grid stays, refinement grids change.
        self._cached_cells = lru_cache(maxsize=4)(self._divide)
        self._in_place = in_place(model.activation)

    def cells(self, room_dims: torch.Tensor, area: torch.Tensor, shape: tuple[int, int, int],
              n_mics: int) -> GridCells:
        """
        Divide an area into cells; those of the last few areas are cached.

        Parameters
        ----------
        room_dims, area : torch.Tensor
            Shapes (3,) and (2, 3), metres.
        shape : tuple of int
            Z, Y and X.
        n_mics : int
            How many microphones the scene has.

        Returns
        -------
        GridCells
            The same object as before for the same arguments.

        """
        return self._cached_cells(tuple(room_dims.tolist()), tuple(area.flatten().tolist()),
                                  shape, n_mics)

    def _divide(self, dims: tuple[float, ...], corners: tuple[float, ...],
                shape: tuple[int, int, int], n_mics: int) -> GridCells:
        """Do what `cells` does, for numbers."""
        room_dims, area = torch.tensor(dims), torch.tensor(corners).view(1, 2, 3)
        points = area_points(area, shape)[0].flatten(0, 2)
        context = cell_context(area, shape, n_mics)[0]
        place = self._place(torch.cat([points / 5, (room_dims - points) / 5,
                                       context.expand(len(points), -1)], dim=1))
        return GridCells(shape, points, room_dims, context, place)

    def read(self, features: torch.Tensor, cells: GridCells, with_presence: bool
             ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """
        Compute the posterior of one scene.

        Parameters
        ----------
        features : torch.Tensor
            Shape (V, D), float32: the cells' features, pooled over pairs.
        cells : GridCells
            By `cells`.
        with_presence : bool
            Whether to compute the presence, too.

        Returns
        -------
        tuple of torch.Tensor
            The log-posterior, shape (Z, Y, X), and the log-odds that somebody talks, a scalar,
            or None.

        """
        n_heights, rows, columns = cells.shape
        # Activated while of 32 bits, which takes half as long as of 16.
        hidden = self._in_place(features + cells.place).to(self._point[0].dtype)
        every = self._in_place(F.linear(hidden, *self._point).float())
        weight, bias = self._score
        score = torch.addmv(bias, every, weight).view(n_heights, -1)  # (Z, Y X)
        floor = F.embedding_bag(_columns(n_heights, rows * columns), every, mode='sum',
                                per_sample_weights=score.softmax(dim=0).T)  # (Y X, D)
        floor = self._floor(floor, rows, columns)
        weight, bias = self._floor_score
        score += torch.addmv(bias, floor, weight)
        log_posterior = score.flatten().log_softmax(dim=0).view(cells.shape)
        if not with_presence:
            return log_posterior, None
        likely = log_posterior.exp().sum(dim=0).flatten()
        return log_posterior, self._presence(
            torch.cat([likely @ floor, floor.mean(dim=0)]))[0]

    def _floor(self, floor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """Apply the convolutions over the floor: (Y X, D), float32, to the same."""
        # (1, D, Y, X), whose memory is (Y, X, D).
        floor = floor.to(self._point[0].dtype).view(1, rows, columns, -1).permute(0, 3, 1, 2)
        for _, first, _, second in self._floor_blocks:
            hidden = F.conv2d(self._activation(floor), first.weight, first.bias, padding=1)
            floor += F.conv2d(self._in_place(hidden), second.weight, second.bias, padding=1)
        return floor[0].flatten(1).T.float()


@lru_cache(maxsize=4)
def _columns(n_heights: int, n_columns: int) -> torch.Tensor:
    """Return which cells stand above one another: (Y X, Z)."""
    cells = torch.arange(n_heights * n_columns, dtype=torch.int32)
    return cells.view(n_heights, n_columns).T.contiguous()


def in_place(activation: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function of an activation module, in place where there is such a one."""
    return torch.relu_ if isinstance(activation, nn.ReLU) else activation
