"""
Reading the posterior off the features of cells on a processor, for torch_cpu/network.py.

The equations are those of `Backprojection.read`, which is what is trained. For one scene, and for
answers only, it can be done in two thirds of the time: in place, with what depends on positions
alone given, and whether anybody talks only where that is asked.

Shapes: V = Z Y X cells, D channels.
"""

from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.networks.backprojection import cell_context
from nsrp_ros.networks.cell_geometry import area_points
import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Cells:
    """
    The cells of an area, and what the network is told of them.

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

    shape: tuple
    points: torch.Tensor
    room_dims: torch.Tensor
    context: torch.Tensor
    place: torch.Tensor


class Reader:
    """
    The reading part of a Backprojection.

    Parameters
    ----------
    model : Backprojection
        The network; left as it is.
    net : Backprojection
        The same with weights of as many bits as wanted, which are not copied.

    """

    def __init__(self, model, net):
        self._place, self._presence = model.place, model.presence
        self._score, self._floor_score = (
            (layer.weight.data.flatten(), layer.bias.data)
            for layer in (model.point_score, model.floor.score))
        self._point = net.point[1].weight, net.point[1].bias
        self._floor_blocks = net.floor.blocks
        self._activation = model.activation
        self._cells = lru_cache(maxsize=4)(self._divide)  # the map stays, closer looks pass by
        self._in_place = in_place(model.activation)

    def cells(self, room_dims, area, shape, n_mics):
        """
        Divide an area into cells; those of the last few areas are remembered.

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
        Cells
            The same object as before where it is the same question.

        """
        return self._cells(tuple(room_dims.tolist()), tuple(area.flatten().tolist()), shape,
                           n_mics)

    def _divide(self, room_dims, area, shape, n_mics):
        """Do what `cells` does, for numbers."""
        room_dims, area = torch.tensor(room_dims), torch.tensor(area).view(1, 2, 3)
        points = area_points(area, shape)[0].flatten(0, 2)
        context = cell_context(area, shape, n_mics)[0]
        place = self._place(torch.cat([points / 5, (room_dims - points) / 5,
                                       context.expand(len(points), -1)], dim=1))
        return Cells(shape, points, room_dims, context, place)

    def read(self, features, cells, asks_presence):
        """
        Read the posterior of one scene.

        Parameters
        ----------
        features : torch.Tensor
            Shape (V, D), float32: what all pairs together say of every cell.
        cells : Cells
            By `cells`.
        asks_presence : bool
            Whether to tell if anybody talks.

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
        floor = F.embedding_bag(_columns(*score.shape), every, mode='sum',
                                per_sample_weights=score.softmax(dim=0).T)  # (Y X, D)
        floor = self._floor(floor, rows, columns)
        weight, bias = self._floor_score
        score += torch.addmv(bias, floor, weight)
        log_posterior = score.flatten().log_softmax(dim=0).view(cells.shape)
        if not asks_presence:
            return log_posterior, None
        likely = log_posterior.exp().sum(dim=0).flatten()
        return log_posterior, self._presence(
            torch.cat([likely @ floor, floor.mean(dim=0)]))[0]

    def _floor(self, floor, rows, columns):
        """Let neighbours speak to each other: (Y X, D), float32, to the same."""
        # (1, D, Y, X), whose memory is (Y, X, D).
        floor = floor.to(self._point[0].dtype).view(1, rows, columns, -1).permute(0, 3, 1, 2)
        for _, first, _, second in self._floor_blocks:
            hidden = F.conv2d(self._activation(floor), first.weight, first.bias, padding=1)
            floor += F.conv2d(self._in_place(hidden), second.weight, second.bias, padding=1)
        return floor[0].flatten(1).T.float()


@lru_cache(maxsize=4)
def _columns(n_heights, n_columns):
    """Return which cells stand above one another: (Y X, Z)."""
    cells = torch.arange(n_heights * n_columns, dtype=torch.int32)
    return cells.view(n_heights, n_columns).T.contiguous()


def in_place(activation):
    """Return the function of a module that activates, in place where there is such a one."""
    return torch.relu_ if isinstance(activation, nn.ReLU) else activation
