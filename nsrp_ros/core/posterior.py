"""
From a posterior to an answer: the point from which the talker is expected to be least far away.

Posteriors are read one by one: right after a network has run, what costs is how many different
functions of NumPy are called, each of which has left the processor's caches, and not how often or
of how many cells. Reading many at once gained nothing.
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
    Probabilities of cells.

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
    def floor(self):
        """Return the probabilities (ny, nx) whatever the height."""
        return self.cells.sum(axis=0)

    @property
    def cell_size(self):
        """Return the sizes of a cell along x and y, metres."""
        return np.array([_step(self.x), _step(self.y)])

    def height(self):
        """Return the median height, metres, taking talkers to be anywhere within their cells."""
        layers = self.cells.sum(axis=(1, 2)).tolist()  # few: plain floats are quicker than arrays
        below, half = 0.0, sum(layers) / 2
        for centre, layer in zip(self.z.tolist(), layers, strict=True):
            if below + layer >= half:
                break
            below += layer
        return centre + _step(self.z) * ((half - below) / layer - 0.5)


def from_posterior(posterior, closer=None, presence=1.0):
    """
    Answer with the point of least expected distance, which is finer than a cell.

    Parameters
    ----------
    posterior : Posterior
        Over all cells of the map.
    closer : Posterior, optional
        Over finer cells of a part of the map, given that the talker is there: it takes the
        place of the map's cells whose centres it covers.
    presence : float
        The probability that somebody talks at all.

    Returns
    -------
    Estimate
        With a covariance, to which the spread within cells is added.

    """
    floor = posterior.floor
    cells, weight, within = _cells(posterior), floor.ravel(), _within(posterior)
    if closer is not None:
        weight, share = _replaced(posterior, floor, closer)
        cells = np.concatenate([cells, _cells(closer)], axis=1)
        within = [(1 - share) * coarse + share * fine
                  for coarse, fine in zip(within, _within(closer), strict=True)]
    at = _median(cells, weight)
    x, y = cells[1] - at[0], cells[2] - at[1]
    weight_x = weight * x
    across = float(weight_x @ y)
    covariance = np.array([[float(weight_x @ x) + within[0], across],
                           [across, float(weight * y @ y) + within[1]]])
    near = min(1.0, float(weight @ (x * x + y * y <= RIGHT_WITHIN ** 2)))
    return Estimate(np.array(at), floor, posterior.x, posterior.y, presence * near, covariance,
                    presence, (closer or posterior).height())


def expected_position(posterior):
    """Return the point of least expected distance alone: (2,), metres."""
    return np.array(_median(_cells(posterior), posterior.floor.ravel()))


def _cells(posterior):
    """
    Write down where the floor's cells are: (4, ny nx).

    The rows are ones, the centres' x and y in metres, and the mean square distance, from the
    origin, of a talker who is anywhere in the cell. From any other point it is a sum of rows.
    """
    cells = np.empty((4, len(posterior.y), len(posterior.x)))
    ones, x, y, squares = cells
    ones[:], x[:], y[:] = 1.0, posterior.x, posterior.y[:, None]
    squares[:] = x * x + y * y + sum(_within(posterior))
    return cells.reshape(4, -1)


def _within(posterior):
    """Return the mean squares, along x and y, of a uniform talker about a cell's centre."""
    return [_step(centres) ** 2 / 12 for centres in (posterior.x, posterior.y)]


def _replaced(posterior, floor, closer):
    """
    Put a closer look's cells in the place of those whose centres they cover.

    Returns the weights of the floor's cells followed by those of the closer ones, and the share
    that the closer ones have of the whole.
    """
    covered = tuple(
        slice(bisect_left(coarse, fine[0] - _step(fine) / 2),
              bisect_right(coarse, fine[-1] + _step(fine) / 2))
        for coarse, fine in ((posterior.y, closer.y), (posterior.x, closer.x)))
    outside = floor.astype(np.float64)
    share = float(outside[covered].sum())
    outside[covered] = 0.0
    return np.concatenate([outside.ravel(), share * closer.floor.ravel()]), share


def _median(cells, weight, iterations=30):
    """
    Find the geometric median (x, y), by Weiszfeld's iteration from the mean.

    The spread of a talker within a cell is added to distances under the root, since the talker
    is somewhere in a cell and not at its centre. Each step moves the point by less than the one
    before, and a tenth of a millimetre is the end.
    """
    total, x, y, _ = (cells @ weight).tolist()
    at_x, at_y = x / total, y / total
    for _ in range(iterations):
        # |c - at|^2 = |at|^2 - 2 c at + |c|^2, of all cells by one product.
        squares = np.array([at_x * at_x + at_y * at_y, -2 * at_x, -2 * at_y, 1.0]) @ cells
        total, x, y, _ = (cells @ (weight / np.sqrt(squares))).tolist()
        moved = max(abs(x / total - at_x), abs(y / total - at_y))
        at_x, at_y = x / total, y / total
        if moved < 1e-4:
            break
    return at_x, at_y


def _step(centres):
    return float(centres[1] - centres[0] if len(centres) > 1 else 2 * centres[0])
