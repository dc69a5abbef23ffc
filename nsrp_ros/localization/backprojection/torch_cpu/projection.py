"""
Projection of pairs' lag features to cells: which features belong to a cell, and their weights.

It depends on positions alone and not on sound, so it is computed once for as long as microphones
stand still. What depends on one microphone only, distances from it and from its mirror images, is
computed once a microphone; a pair's share is then one difference of rows that are gathered.

Shapes: M microphones, P pairs, V cells, D channels, 6 walls, off each of which a pair receives two
reflections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from functools import cached_property

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.lag_grid import STRIDE
import torch


@dataclass(frozen=True)
class MicrophonePairs:
    """
    Pairs of microphones, and where each one's lag features lie in a table of all.

    Attributes
    ----------
    mics : torch.Tensor
        Shape (M, 3), metres.
    pairs : torch.Tensor
        Shape (P, 2): indices of the pairs' microphones.
    spacing : torch.Tensor
        Shape (P,), metres.
    n_lags : torch.Tensor
        Shape (P,), integer: the largest lag of each pair that is evaluated, samples.
    sample_rate : float
        Hertz.
    low, high : torch.Tensor
        Shapes (P,), float32: the rows that hold the features of the lags -n_lags and n_lags. The
        rows before and after are zeros, for lags that are not evaluated.

    """

    mics: torch.Tensor
    pairs: torch.Tensor
    spacing: torch.Tensor
    n_lags: torch.Tensor
    sample_rate: float
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def of(cls, mics: torch.Tensor, pairs: torch.Tensor, spacing: torch.Tensor,
           n_lags: torch.Tensor, sample_rate: float) -> 'MicrophonePairs':
        """Lay the features of pairs (P, 2) one after the other, a row of zeros at either end."""
        steps = 2 * n_lags // STRIDE
        ends = (steps + 3).cumsum(0)
        return cls(mics, pairs, spacing, n_lags, sample_rate, (ends - steps - 2).float(),
                   (ends - 2).float())

    @cached_property
    def middle(self) -> torch.Tensor:
        """Return the rows (P,) of lag 0."""
        return (self.low + self.high) / 2

    @cached_property
    def echo_bounds(self) -> list[torch.Tensor]:
        """Return `middle` and the rows of zeros on either side, for 12 reflections: (P, 12)."""
        # Bounds as long as what they bound are faster than those that are broadcast.
        return [row[:, None].repeat(1, 12) for row in (self.middle, self.low - 1, self.high + 1)]


@dataclass(frozen=True)
class Projection:
    """
    The projection from P pairs to V cells.

    Attributes
    ----------
    direct_rows, direct_weights : torch.Tensor
        Shapes (V, P, 2): the two rows of lag features between which the direct path's lag lies,
        and the weight of each.
    echo_rows, echo_weights : torch.Tensor
        Shapes (V, P, 12): the same for the reflections off walls, floor and ceiling in turn, where
        either microphone of the pair receives the reflection and the other one the direct sound.
    scale, shift : torch.Tensor or None
        Shapes (V, P, D): the gates, by which the features are multiplied, and what is added.

    """

    direct_rows: torch.Tensor
    direct_weights: torch.Tensor
    echo_rows: torch.Tensor
    echo_weights: torch.Tensor
    scale: torch.Tensor | None = None
    shift: torch.Tensor | None = None

    def __getitem__(self, index: slice) -> 'Projection':
        """Return the projection to a slice of the cells."""
        return Projection(*(table[index] for table in self._tables()))

    def of(self, chosen: torch.Tensor) -> 'Projection':
        """Return the projection to the cells with some indices."""
        return Projection(*(table.index_select(0, chosen) for table in self._tables()))

    def __setitem__(self, index: torch.Tensor, projection: 'Projection') -> None:
        """Write the projection to some cells."""
        for table, rows in zip(self._tables(), projection._tables(), strict=True):
            table[index] = rows

    def gated(self, scale: torch.Tensor, shift: torch.Tensor) -> 'Projection':
        """Return the same with gates."""
        return replace(self, scale=scale, shift=shift)

    def empty_like(self, n_cells: int) -> 'Projection':
        """Allocate the tables of that many cells, to be written to."""
        return Projection(*(table.new_empty(n_cells, *table.shape[1:])
                            for table in self._tables()))

    def _tables(self) -> Sequence[torch.Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def project_pairs(pairs: MicrophonePairs, points: torch.Tensor, room_dims: torch.Tensor,
                  dtype: torch.dtype) -> tuple[Projection, torch.Tensor]:
    """
    Compute the projection to points; the equations are those of networks/lag_sampling.py.

    Parameters
    ----------
    pairs : MicrophonePairs
        The pairs.
    points : torch.Tensor
        Shape (V, 3), metres.
    room_dims : torch.Tensor
        Shape (3,), metres.
    dtype : torch.dtype
        Of the weights and the pair geometry.

    Returns
    -------
    projection : Projection
        Without gates.
    pair_geometry : torch.Tensor
        Shape (V, P, 6): the network's input about where a cell lies from a pair.

    """
    rows_per_metre = lags_per_metre(pairs.sample_rate, STRIDE)
    distance, through = _distances(pairs.mics, points, room_dims)  # (V, M), (V, M, 6)
    ends = _of_pairs(distance, pairs)  # (V, P, 2)
    near, far = ends.unbind(dim=2)
    difference = path_difference(near, far)
    row = torch.add(pairs.middle, difference, alpha=rows_per_metre)
    below = row.floor().clamp_(pairs.low, pairs.high - 1)
    upper = row.sub_(below).clamp_(0, 1)

    # Either microphone receives the reflection while the other receives the direct sound. Filling
    # tables is faster than stacking their columns.
    first, second = _of_pairs(through, pairs).unbind(dim=2)  # (V, P, 6)
    echo = through.new_empty(*first.shape, 2)
    echo[..., 0] = path_difference(first, far[..., None])
    echo[..., 1] = path_difference(near[..., None], second)
    middle, before, after = pairs.echo_bounds
    echo = torch.add(middle, echo.flatten(2), alpha=rows_per_metre)  # (V, P, 12)
    echo.round_().clamp_(before, after)
    loudness = (distance[..., None] / through.clamp_(min=1e-3)).to(dtype)  # (V, M, 6)
    weights = loudness.new_empty(*first.shape, 2)
    weights[..., 0], weights[..., 1] = _of_pairs(loudness, pairs).unbind(dim=2)
    projection = Projection(torch.stack([below, below + 1], dim=2).int(),
                            torch.stack([1 - upper, upper], dim=2).to(dtype), echo.int(),
                            weights.flatten(2))

    size = (pairs.spacing / 5).expand_as(difference)
    geometry = torch.cat([ends / 5, torch.stack([size, difference / pairs.spacing], dim=2),
                          (ends + 0.3).reciprocal_()], dim=2)
    return projection, geometry.to(dtype)


def _of_pairs(table: torch.Tensor, pairs: MicrophonePairs) -> torch.Tensor:
    """Gather the rows of microphones (V, M, ...) for both of each pair: (V, P, 2, ...)."""
    return table.index_select(1, pairs.pairs.flatten()).unflatten(1, (-1, 2))


def _distances(mics: torch.Tensor, points: torch.Tensor,
               room_dims: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Compute distances from microphones (V, M) and from their images behind the walls (V, M, 6).

    A mirror changes one coordinate only: behind the wall at 0, (p - m)^2 becomes (p + m)^2, which
    is 4 p m more; behind the one at L it is as many metres from L, 4 (L - p) (L - m) more.
    """
    distance = torch.cdist(points, mics, compute_mode='donot_use_mm_for_euclid_dist')  # (V, M)
    ends, own_ends = (torch.stack([of, room_dims - of], dim=-1).flatten(1)
                      for of in (points, mics))  # (V, 6), (M, 6)
    through = torch.addcmul(distance.square()[..., None], ends[:, None], own_ends, value=4)
    return distance, through.clamp_(min=0).sqrt_()
