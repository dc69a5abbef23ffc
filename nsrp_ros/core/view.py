"""
What a look at an area has shown, and what it tells of finer cells before these are looked at.

Shapes: V = Z Y X cells, D channels.
"""

from dataclasses import dataclass

import torch


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


def interpolate(view, area, shape):
    """
    Carry an earlier look over to the cells of an area inside its own.

    Parameters
    ----------
    view : View
        With features.
    area, shape
        As of `QuickBackprojection.look`.

    Returns
    -------
    features : torch.Tensor
        Shape (V, D), interpolated linearly.
    likely : torch.Tensor
        Shape (V,): the largest probability of the earlier cells that are interpolated.

    """
    features, likely = view.features, view.log_posterior.exp()
    for axis, n in enumerate(shape):
        along = 2 - axis  # arrays are (z, y, x)
        low, high = view.area[:, along]
        size = (area[1, along] - area[0, along]) / n
        centres = area[0, along] + size * (torch.arange(n) + 0.5)
        cells = likely.shape[axis]
        at = ((centres - low) / (high - low) * cells - 0.5).clamp(0, cells - 1)  # (n,)
        share = (1 - (at[:, None] - torch.arange(cells)).abs()).clamp(min=0)  # (n, cells)
        features = torch.tensordot(share, features, dims=([1], [axis])).movedim(0, axis)
        either = [likely.index_select(axis, end.long()) for end in (at.floor(), at.ceil())]
        likely = torch.maximum(*either)
    return features.flatten(0, 2), likely.flatten()
