"""
The posterior over a grid, and its interpolation at the cells of a finer grid.

Shapes: V = Z Y X cells, D channels.
"""

from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.localization.backprojection.interpolation import neighbour_table
import numpy as np
import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class GridLogPosterior:
    """
    The result of evaluating a grid.

    Attributes
    ----------
    area : torch.Tensor
        Shape (2, 3), metres.
    features : torch.Tensor or None
        Shape (Z, Y, X, D): the cells' features, pooled over pairs, if finer grids need them.
    log_posterior : torch.Tensor
        Shape (Z, Y, X).
    presence : torch.Tensor
        Scalar: the log-odds that somebody talks.

    """

    area: torch.Tensor
    features: torch.Tensor | None
    log_posterior: torch.Tensor
    presence: torch.Tensor


@dataclass(frozen=True)
class GridInterpolation:
    """
    Interpolation of a coarser grid at the cells of a finer one.

    Attributes
    ----------
    coarse_features, coarse_posterior : torch.Tensor
        Shapes (V', D) and (V',): features and probabilities of the coarser cells.
    cells : torch.Tensor
        Shape (V, 8), int32: which of these are the neighbours.
    corners : torch.Tensor
        Shape (8, V): the same, laid out to be compared with one another.
    weights : torch.Tensor
        Shape (V, 8): the weight of each in linear interpolation.

    """

    coarse_features: torch.Tensor
    coarse_posterior: torch.Tensor
    cells: torch.Tensor
    corners: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, coarse: GridLogPosterior, area: torch.Tensor,
           shape: tuple[int, int, int]) -> 'GridInterpolation':
        """
        Find the neighbours of cells.

        Parameters
        ----------
        coarse : GridLogPosterior
            Of the coarser grid, with features.
        area, shape
            Of the finer grid, as of `FastBackprojection.evaluate_grid`; inside the coarser one's
            area.

        Returns
        -------
        GridInterpolation
            See there.

        """
        assert coarse.features is not None
        tables = _tables(
            tuple(coarse.area.flatten().tolist()), tuple(coarse.log_posterior.shape),
            tuple(area.flatten().tolist()), tuple(shape))
        return cls(coarse.features.flatten(0, 2), coarse.log_posterior.exp().flatten(), *tables)

    def features(self) -> torch.Tensor:
        """Interpolate features linearly: (V, D)."""
        return F.embedding_bag(self.cells, self.coarse_features, mode='sum',
                               per_sample_weights=self.weights)

    def largest_probability(self) -> torch.Tensor:
        """Return the largest probability (V,) of the neighbours, whatever their weights."""
        return self.coarse_posterior.index_select(0, self.corners.flatten()).view(
            self.corners.shape).amax(dim=0)


@lru_cache(maxsize=4)
def _tables(coarse_area: tuple[float, ...], coarse_shape: tuple[int, ...],
            area: tuple[float, ...], shape: tuple[int, ...]
            ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the tables of `GridInterpolation`: cells, laid out in both ways, and weights."""
    cells, weights = neighbour_table(coarse_area, coarse_shape, area, shape)
    return (torch.from_numpy(cells), torch.from_numpy(np.ascontiguousarray(cells.T)),
            torch.from_numpy(weights))
