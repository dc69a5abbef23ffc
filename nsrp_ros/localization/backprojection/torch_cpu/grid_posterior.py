"""
What a look at an area has shown, and what it tells of finer cells before these are looked at.

Shapes: V = Z Y X cells, D channels.
"""

from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.localization.backprojection.interpolation import neighbours
import numpy as np
import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class View:
    """
    What a look at an area has shown.

    Attributes
    ----------
    area : torch.Tensor
        Shape (2, 3), metres.
    features : torch.Tensor or None
        Shape (Z, Y, X, D): what all pairs together say of every cell, if later looks need it.
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
class Neighbours:
    """
    The cells of an earlier look that each cell of a finer one lies between.

    Attributes
    ----------
    known_features, known_likely : torch.Tensor
        Shapes (V', D) and (V',): features and probabilities of the earlier look's cells.
    cells : torch.Tensor
        Shape (V, 8), int32: which of these.
    corners : torch.Tensor
        Shape (8, V): the same, laid out to be compared with one another.
    shares : torch.Tensor
        Shape (V, 8): how much each one counts where values are interpolated linearly.

    """

    known_features: torch.Tensor
    known_likely: torch.Tensor
    cells: torch.Tensor
    corners: torch.Tensor
    shares: torch.Tensor

    @classmethod
    def of(cls, view, area, shape):
        """
        Find the neighbours of cells.

        Parameters
        ----------
        view : View
            The earlier look, with features.
        area, shape
            As of `QuickBackprojection.look`; inside the area that was looked at.

        Returns
        -------
        Neighbours
            See there.

        """
        tables = _tables(
            tuple(view.area.flatten().tolist()), tuple(view.log_posterior.shape),
            tuple(area.flatten().tolist()), tuple(shape))
        return cls(view.features.flatten(0, 2), view.log_posterior.exp().flatten(), *tables)

    def features(self):
        """Interpolate features linearly: (V, D)."""
        return F.embedding_bag(self.cells, self.known_features, mode='sum',
                               per_sample_weights=self.shares)

    def likely(self):
        """Return the largest probability (V,) of the neighbours, each one counting fully."""
        return self.known_likely.index_select(0, self.corners.flatten()).view(
            self.corners.shape).amax(dim=0)


@lru_cache(maxsize=4)
def _tables(*areas_and_shapes):
    """Return `Neighbours`' tables: the cells, laid out in both ways, and the shares."""
    cells, shares = neighbours(*areas_and_shapes)
    return tuple(map(torch.from_numpy, (cells, np.ascontiguousarray(cells.T), shares)))
