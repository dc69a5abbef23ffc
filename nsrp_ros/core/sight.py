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

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.layers import STRIDE
import torch


@dataclass(frozen=True)
class Listeners:
    """
    Pairs of microphones, and where each one's lag features lie in a table of all.

    Attributes
    ----------
    mics : torch.Tensor
        Shape (M, 3), metres.
    first, second : torch.Tensor
        Shapes (P,): indices of the pairs' microphones.
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
    first: torch.Tensor
    second: torch.Tensor
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
        return cls(mics, pairs[:, 0].contiguous(), pairs[:, 1].contiguous(), spacing, n_lags,
                   sample_rate, (ends - steps - 2).float(), (ends - 2).float())

    def stand_as(self, others):
        """Return whether others, if any, are the same pairs in the same places."""
        return others is not None and all(
            torch.equal(getattr(self, name), getattr(others, name))
            for name in ('mics', 'first', 'second', 'n_lags'))


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
    i, j, low, high = listeners.first, listeners.second, listeners.low, listeners.high
    rows_per_metre = listeners.sample_rate / SPEED_OF_SOUND / STRIDE
    middle = (low + high) / 2  # (P,): the row of lag 0

    distance, through = _distances(listeners.mics, points, room_dims)  # (V, M), (V, M, 6)
    near, far = distance.index_select(1, i), distance.index_select(1, j)  # (V, P)
    difference = near - far
    row = difference * rows_per_metre + middle
    below = torch.minimum(torch.maximum(row.floor(), low), high - 1)
    upper = (row - below).clamp_(0, 1)

    # The echo of either microphone: (through_i - distance_j) and (distance_i - through_j), so
    # the rows of the one that is subtracted are those of the other with the two swapped.
    direct = distance[..., None].expand_as(through)
    heard = torch.stack([through, direct], dim=-1).mul_(rows_per_metre)  # (V, M, 6, 2)
    swapped = heard.flip(-1).flatten(2)
    echo = heard.flatten(2).index_select(1, i).sub_(swapped.index_select(1, j))  # (V, P, 12)
    echo.add_(middle[:, None]).round_().clamp_((low - 1)[:, None], (high + 1)[:, None])

    loudness = direct / through.clamp(min=1e-3)  # (V, M, 6)
    weights = loudness.new_empty(*near.shape, 6, 2, dtype=dtype)  # filled faster than stacked
    weights[..., 0] = loudness.index_select(1, i)
    weights[..., 1] = loudness.index_select(1, j)

    spacing = listeners.spacing
    views = torch.stack([near / 5, far / 5, (spacing / 5).expand_as(near), difference / spacing,
                         1 / (near + 0.3), 1 / (far + 0.3)], dim=-1)
    sight = Sight(torch.stack([below, below + 1], dim=-1).int(),
                  torch.stack([1 - upper, upper], dim=-1).to(dtype), echo.int(),
                  weights.flatten(2))
    return sight, views.to(dtype)


def _distances(mics, points, room_dims):
    """
    Compute distances from microphones (V, M) and from their images behind the walls (V, M, 6).

    A mirror changes one coordinate only, so each image costs one addition and one root.
    """
    apart = (points[:, None] - mics).square()  # (V, M, 3)
    total = apart.sum(dim=-1)  # (V, M)
    sums = points[:, None] + mics
    images = torch.stack([sums, sums - 2 * room_dims], dim=-1).square()  # (V, M, 3, 2)
    through = (total[..., None, None] + images - apart[..., None]).clamp_(min=0).sqrt_()
    return total.sqrt(), through.flatten(2)
