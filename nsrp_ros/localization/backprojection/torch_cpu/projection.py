"""
How pairs of microphones see cells: which of their lag features belong to a cell, and how much.

It depends on positions alone and not on sound, so it is computed once for as long as microphones
stand still. What depends on one microphone only, distances from it and from its mirror images, is
computed once a microphone; a pair's share is then one difference of rows that are gathered.

Shapes: M microphones, P pairs, V cells, D channels, 6 walls, of each of which a pair hears two
echoes.
"""

from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
from functools import cached_property

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import STRIDE
import torch


@dataclass(frozen=True)
class Listeners:
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
        Shape (P,), integer: the largest lag of each pair that is looked at, samples.
    sample_rate : float
        Hertz.
    low, high : torch.Tensor
        Shapes (P,), float32: the rows that hold the features of the lags -n_lags and n_lags. The
        rows before and after are zeros: there fall lags that are not looked at.

    """

    mics: torch.Tensor
    pairs: torch.Tensor
    spacing: torch.Tensor
    n_lags: torch.Tensor
    sample_rate: float
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def of(cls, mics, pairs, spacing, n_lags, sample_rate):
        """Lay the features of pairs (P, 2) one after the other, a row of zeros at either end."""
        steps = 2 * n_lags // STRIDE
        ends = (steps + 3).cumsum(0)
        return cls(mics, pairs, spacing, n_lags, sample_rate, (ends - steps - 2).float(),
                   (ends - 2).float())

    @cached_property
    def middle(self):
        """Return the rows (P,) of lag 0."""
        return (self.low + self.high) / 2

    @cached_property
    def echo_bounds(self):
        """Return `middle`, and the rows of zeros on either side, all for 12 echoes: (P, 12)."""
        # Bounds as long as what they bound are faster than those that are broadcast.
        return [row[:, None].repeat(1, 12) for row in (self.middle, self.low - 1, self.high + 1)]


@dataclass(frozen=True)
class Sight:
    """
    How P pairs see V cells.

    Attributes
    ----------
    direct_rows, direct_weights : torch.Tensor
        Shapes (V, P, 2): the two rows of lag features between which the direct sound's delay
        lies, and what each counts.
    echo_rows, echo_weights : torch.Tensor
        Shapes (V, P, 12): the same for the echoes of walls, floor and ceiling in turn, where
        either microphone of the pair hears the echo and the other one the direct sound.
    scale, shift : torch.Tensor or None
        Shapes (V, P, D): what the features found there are multiplied by, and what is added.

    """

    direct_rows: torch.Tensor
    direct_weights: torch.Tensor
    echo_rows: torch.Tensor
    echo_weights: torch.Tensor
    scale: torch.Tensor | None = None
    shift: torch.Tensor | None = None

    def __getitem__(self, index):
        """Return the sight of a slice of the cells."""
        return Sight(*(table[index] for table in self._tables()))

    def of(self, chosen):
        """Return the sight of the cells with some indices."""
        return Sight(*(table.index_select(0, chosen) for table in self._tables()))

    def __setitem__(self, index, sight):
        """Put in the sight of some cells."""
        for table, rows in zip(self._tables(), sight._tables(), strict=True):
            table[index] = rows

    def gated(self, scale, shift):
        """Return the same with gates."""
        return replace(self, scale=scale, shift=shift)

    def room_for(self, n_cells):
        """Make tables of that many cells, to be put in."""
        return Sight(*(table.new_empty(n_cells, *table.shape[1:]) for table in self._tables()))

    def _tables(self):
        return [getattr(self, field.name) for field in fields(self)]


def see(listeners, points, room_dims, dtype):
    """
    Compute how pairs see points; the equations are those of `Backprojection.look`.

    Parameters
    ----------
    listeners : Listeners
        The pairs.
    points : torch.Tensor
        Shape (V, 3), metres.
    room_dims : torch.Tensor
        Shape (3,), metres.
    dtype : torch.dtype
        Of the weights and views.

    Returns
    -------
    sight : Sight
        Without gates.
    views : torch.Tensor
        Shape (V, P, 6): what the network is told of how a pair sees a cell.

    """
    rows_per_metre = listeners.sample_rate / SPEED_OF_SOUND / STRIDE
    distance, through = _distances(listeners.mics, points, room_dims)  # (V, M), (V, M, 6)
    ends = _of_pairs(distance, listeners)  # (V, P, 2)
    near, far = ends.unbind(dim=2)
    difference = near - far
    row = torch.add(listeners.middle, difference, alpha=rows_per_metre)
    below = row.floor().clamp_(listeners.low, listeners.high - 1)
    upper = row.sub_(below).clamp_(0, 1)

    # The echo of either microphone while the other hears the direct sound: filling tables is
    # faster than stacking their columns.
    first, second = _of_pairs(through, listeners).unbind(dim=2)  # (V, P, 6)
    echo = through.new_empty(*first.shape, 2)
    torch.sub(first, far[..., None], out=echo[..., 0])
    torch.sub(near[..., None], second, out=echo[..., 1])
    middle, before, after = listeners.echo_bounds
    echo = torch.add(middle, echo.flatten(2), alpha=rows_per_metre)  # (V, P, 12)
    echo.round_().clamp_(before, after)
    loudness = (distance[..., None] / through.clamp_(min=1e-3)).to(dtype)  # (V, M, 6)
    weights = loudness.new_empty(*first.shape, 2)
    weights[..., 0], weights[..., 1] = _of_pairs(loudness, listeners).unbind(dim=2)
    sight = Sight(torch.stack([below, below + 1], dim=2).int(),
                  torch.stack([1 - upper, upper], dim=2).to(dtype), echo.int(),
                  weights.flatten(2))

    size = (listeners.spacing / 5).expand_as(difference)
    views = torch.cat([ends / 5, torch.stack([size, difference / listeners.spacing], dim=2),
                       (ends + 0.3).reciprocal_()], dim=2)
    return sight, views.to(dtype)


def _of_pairs(table, listeners):
    """Gather what is known of microphones (V, M, ...) for both of each pair: (V, P, 2, ...)."""
    return table.index_select(1, listeners.pairs.flatten()).unflatten(1, (-1, 2))


def _distances(mics, points, room_dims):
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
