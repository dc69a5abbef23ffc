"""
From a posterior over cells to an estimate: its geometric median and the spread about it.

The geometric median is the point of least expected distance to the talker. Of two peaks it stays
with the one that has more mass, where a mean would lie between them. Of many peaks, or of a ring,
it may lie in the middle, where nobody is likely to be; there the place that has most mass around
it is taken instead, if that is enough to be an answer (readout.py).

Posteriors are evaluated one at a time: right after a network has run, the cost is that of the
number of different NumPy functions, whose code has left the processor's caches, not that of the
cells. Batches were no faster.
"""

from bisect import bisect_left
from bisect import bisect_right
from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.core.direction import cells_in_space
from nsrp_ros.core.direction import Direction
from nsrp_ros.core.direction import direction_of
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import RIGHT_WITHIN
from nsrp_ros.core.posterior.readout import position_of
import numpy as np


@dataclass(frozen=True)
class Posterior:
    """
    Probabilities of the cells of a grid.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (nz, ny, nx), summing to one.
    x, y, z : numpy.ndarray
        Shapes (nx,), (ny,), (nz,), the cells' centres in metres.
    corners : numpy.ndarray or None
        Shape (2, 3), metres: the box that the cells tile. Without it, a side that is but one cell
        long begins at 0.
    searched : numpy.ndarray or None
        Shape (ny, nx), bool: where the talker was searched, which is where cells have
        probability; None where in all cells.

    """

    cells: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    corners: np.ndarray | None = None
    searched: np.ndarray | None = None

    @property
    def floor(self) -> np.ndarray:
        """Return the probabilities (ny, nx), summed over height."""
        floor: np.ndarray = self.cells.sum(axis=0)
        return floor

    @property
    def cell_size(self) -> np.ndarray:
        """Return the sizes of a cell along x and y, metres."""
        return np.array([self.step(0), self.step(1)])

    def step(self, axis: int) -> float:
        """Return the size of a cell along x (0), y (1) or z (2), metres."""
        centres = (self.x, self.y, self.z)[axis]
        if len(centres) > 1:
            return float(centres[1] - centres[0])
        if self.corners is not None:
            return float(self.corners[1, axis] - self.corners[0, axis])
        return float(2 * centres[0])

    def within(self, searched: np.ndarray) -> tuple['Posterior', float]:
        """
        Condition on the talker being in some of the floor's cells.

        Parameters
        ----------
        searched : numpy.ndarray
            Shape (ny, nx), bool: these cells.

        Returns
        -------
        posterior : Posterior
            Zero in all other cells; uniform in these ones if they had no probability.
        share : float
            The probability that the talker is in these cells, in [0, 1].

        Raises
        ------
        ValueError
            If there are no such cells.

        """
        if not searched.any():
            raise ValueError('no cell of the map is in the search area')
        inside = np.where(searched, self.cells, 0)
        share = float(inside.sum())
        if share <= 0:
            inside = np.broadcast_to(searched, self.cells.shape).astype(self.cells.dtype)
        return (replace(self, cells=inside / inside.sum(), searched=searched),
                min(1.0, max(0.0, share)))

    def height(self) -> float:
        """Return the median height, metres, for a uniform density within each layer."""
        # There are few layers: plain floats are faster than arrays.
        layers: list[float] = self.cells.sum(axis=(1, 2)).tolist()
        centres: list[float] = self.z.tolist()
        below, half = 0.0, sum(layers) / 2
        for centre, layer in zip(centres, layers, strict=True):
            if below + layer >= half:
                break
            below += layer
        return centre + self.step(2) * ((half - below) / layer - 0.5)


def from_posterior(posterior: Posterior, refined: Posterior | None = None,
                   presence: float = 1.0, centre: np.ndarray | None = None) -> Estimate:
    """
    Estimate the position as the geometric median, which is not bound to cell centres.

    Where clearly more mass is around another place than around the median, as in a ring, the
    position is the median of the cells around that place; see readout.py.

    Parameters
    ----------
    posterior : Posterior
        Over all cells of the map.
    refined : Posterior, optional
        Over finer cells of a part of the map, conditional on the talker being there. It replaces
        the map's cells whose centres it covers.
    presence : float
        The probability that somebody talks.
    centre : numpy.ndarray, optional
        Shape (3,), metres: the centre of the microphones, from where the direction is seen.

    Returns
    -------
    Estimate
        With a covariance that includes the spread within cells; with a direction if the centre
        is given.

    """
    floor = posterior.floor
    cells, weight, within = _cells(posterior), floor.ravel(), _within(posterior)
    if refined is not None:
        weight, share = _replaced(posterior, floor, refined)
        cells = np.concatenate([cells, _cells(refined)], axis=1)
        within = [(1 - share) * coarse + share * fine
                  for coarse, fine in zip(within, _within(refined), strict=True)]
    position = position_of(cells, weight, floor, posterior.cell_size)
    x, y = cells[1] - position[0], cells[2] - position[1]
    weight_x = weight * x
    across = float(weight_x @ y)
    covariance = np.array([[float(weight_x @ x) + within[0], across],
                           [across, float(weight * y @ y) + within[1]]])
    near = min(1.0, float(weight @ (x * x + y * y <= RIGHT_WITHIN ** 2)))
    return Estimate(np.array(position), floor, posterior.x, posterior.y, presence * near,
                    covariance, presence, (refined or posterior).height(), posterior.searched,
                    None if centre is None else _direction(posterior, refined, centre))


def expected_position(posterior: Posterior) -> np.ndarray:
    """Return the position of `from_posterior` alone, (2,), metres."""
    floor = posterior.floor
    return np.array(position_of(_cells(posterior), floor.ravel(), floor, posterior.cell_size))


def _cells(posterior: Posterior) -> np.ndarray:
    """
    Return the moments of the floor's cells: (4, ny nx).

    The rows are ones, the centres' x and y in metres, and the mean square distance from the origin
    of a point uniform in the cell. That from any other point is a sum of the rows.
    """
    cells = np.empty((4, len(posterior.y), len(posterior.x)))
    ones, x, y, squares = cells
    ones[:], x[:], y[:] = 1.0, posterior.x, posterior.y[:, None]
    squares[:] = x * x + y * y + sum(_within(posterior))
    return cells.reshape(4, -1)


def _within(posterior: Posterior) -> list[float]:
    """Return the variances along x and y of a point that is uniform in a cell."""
    return [posterior.step(axis) ** 2 / 12 for axis in (0, 1)]


def _covered(posterior: Posterior, refined: Posterior) -> tuple[slice, slice]:
    """Return the rows and columns of the cells whose centres the refined grid covers."""
    rows, columns = (
        slice(bisect_left(coarse, fine[0] - refined.step(axis) / 2),
              bisect_right(coarse, fine[-1] + refined.step(axis) / 2))
        for axis, coarse, fine in ((1, posterior.y, refined.y), (0, posterior.x, refined.x)))
    return rows, columns


def _replaced(posterior: Posterior, floor: np.ndarray,
              refined: Posterior) -> tuple[np.ndarray, float]:
    """
    Replace the cells whose centres the refined grid covers.

    Returns the weights of the floor's cells followed by those of the refined ones, and the mass of
    the latter.
    """
    covered = _covered(posterior, refined)
    outside = floor.astype(np.float64)
    share = float(outside[covered].sum())
    outside[covered] = 0.0
    return np.concatenate([outside.ravel(), share * refined.floor.ravel()]), share


def _direction(posterior: Posterior, refined: Posterior | None, centre: np.ndarray) -> Direction:
    """See the cells in space from the centre of the microphones."""
    parts = [(posterior, posterior.cells.astype(np.float64))]
    if refined is not None:
        covered = (slice(None), *_covered(posterior, refined))
        share = float(parts[0][1][covered].sum())
        parts[0][1][covered] = 0.0
        parts.append((refined, share * refined.cells))
    points, sizes, weight = (np.concatenate(values) for values in zip(*(
        cells_in_space(weight, (grid.x, grid.y, grid.z), [grid.step(axis) for axis in range(3)])
        for grid, weight in parts), strict=True))
    return direction_of(points, sizes, weight, centre)
