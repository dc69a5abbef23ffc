"""
From a posterior over cells to an estimate: its geometric median and the spread about it.

The geometric median is the point of least expected distance to the talker. Of two peaks it stays
with the one that has more mass, where a mean would lie between them.

Posteriors are evaluated one at a time: right after a network has run, the cost is that of the
number of different NumPy functions, whose code has left the processor's caches, not that of the
cells. Batches were no faster.
"""

from bisect import bisect_left
from bisect import bisect_right
from dataclasses import dataclass

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import RIGHT_WITHIN
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

    """

    cells: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def floor(self) -> np.ndarray:
        """Return the probabilities (ny, nx), summed over height."""
        floor: np.ndarray = self.cells.sum(axis=0)
        return floor

    @property
    def cell_size(self) -> np.ndarray:
        """Return the sizes of a cell along x and y, metres."""
        return np.array([_step(self.x), _step(self.y)])

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
        return centre + _step(self.z) * ((half - below) / layer - 0.5)


def from_posterior(posterior: Posterior, refined: Posterior | None = None,
                   presence: float = 1.0) -> Estimate:
    """
    Estimate the position as the geometric median, which is not bound to cell centres.

    Parameters
    ----------
    posterior : Posterior
        Over all cells of the map.
    refined : Posterior, optional
        Over finer cells of a part of the map, conditional on the talker being there. It replaces
        the map's cells whose centres it covers.
    presence : float
        The probability that somebody talks.

    Returns
    -------
    Estimate
        With a covariance that includes the spread within cells.

    """
    floor = posterior.floor
    cells, weight, within = _cells(posterior), floor.ravel(), _within(posterior)
    if refined is not None:
        weight, share = _replaced(posterior, floor, refined)
        cells = np.concatenate([cells, _cells(refined)], axis=1)
        within = [(1 - share) * coarse + share * fine
                  for coarse, fine in zip(within, _within(refined), strict=True)]
    median = _median(cells, weight)
    x, y = cells[1] - median[0], cells[2] - median[1]
    weight_x = weight * x
    across = float(weight_x @ y)
    covariance = np.array([[float(weight_x @ x) + within[0], across],
                           [across, float(weight * y @ y) + within[1]]])
    near = min(1.0, float(weight @ (x * x + y * y <= RIGHT_WITHIN ** 2)))
    return Estimate(np.array(median), floor, posterior.x, posterior.y, presence * near, covariance,
                    presence, (refined or posterior).height())


def expected_position(posterior: Posterior) -> np.ndarray:
    """Return the position of `from_posterior` alone: the geometric median, (2,), metres."""
    return np.array(_median(_cells(posterior), posterior.floor.ravel()))


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
    return [_step(centres) ** 2 / 12 for centres in (posterior.x, posterior.y)]


def _replaced(posterior: Posterior, floor: np.ndarray,
              refined: Posterior) -> tuple[np.ndarray, float]:
    """
    Replace the cells whose centres the refined grid covers.

    Returns the weights of the floor's cells followed by those of the refined ones, and the mass of
    the latter.
    """
    covered = tuple(
        slice(bisect_left(coarse, fine[0] - _step(fine) / 2),
              bisect_right(coarse, fine[-1] + _step(fine) / 2))
        for coarse, fine in ((posterior.y, refined.y), (posterior.x, refined.x)))
    outside = floor.astype(np.float64)
    share = float(outside[covered].sum())
    outside[covered] = 0.0
    return np.concatenate([outside.ravel(), share * refined.floor.ravel()]), share


def _median(cells: np.ndarray, weight: np.ndarray, iterations: int = 30) -> tuple[float, float]:
    """
    Find the geometric median (x, y) by Weiszfeld's iteration, starting at the mean.

    The variance within a cell is added to the squared distances, since the talker is somewhere in
    the cell and not at its centre. Steps shrink; the iteration ends below a tenth of a millimetre.
    """
    total, x, y, _ = (cells @ weight).tolist()
    median_x, median_y = x / total, y / total
    for _ in range(iterations):
        # |c - m|^2 = |m|^2 - 2 c m + |c|^2 of all cells by one product.
        squares = np.array([median_x * median_x + median_y * median_y, -2 * median_x,
                            -2 * median_y, 1.0]) @ cells
        total, x, y, _ = (cells @ (weight / np.sqrt(squares))).tolist()
        moved = max(abs(x / total - median_x), abs(y / total - median_y))
        median_x, median_y = x / total, y / total
        if moved < 1e-4:
            break
    return median_x, median_y


def _step(centres: np.ndarray) -> float:
    return float(centres[1] - centres[0] if len(centres) > 1 else 2 * centres[0])
