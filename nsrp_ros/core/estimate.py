"""
From a map to an answer: where the talker is, and how sure that is.

Methods whose maps are scores of their own (SRP, Neural-SRP) answer with the highest cell, as in
the paper; methods whose maps are posteriors answer with the point from which the talker is
expected to be the least far away.

Posteriors are read one by one: right after a network has run, what costs is how many different
functions of NumPy are called, each of which has left the processor's caches, and not how often or
of how many cells. Reading many at once gained nothing.
"""

from bisect import bisect_left
from bisect import bisect_right
from dataclasses import dataclass
import math

import numpy as np

RIGHT_WITHIN = 0.5
"""Metres within which a position is counted as right: what a confidence is the probability of."""


@dataclass(frozen=True)
class Estimate:
    """
    Where somebody is talking, as far as one window tells.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), x and y in metres in the room's frame.
    likelihood_map : numpy.ndarray
        Shape (ny, nx), y first; higher is likelier. Probabilities of the cells, which sum to
        one, where the method has a posterior; scores in its own units otherwise.
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), the cells' centres in metres.
    confidence : float
        The probability, in [0, 1], that somebody talks within 0.5 m of the position. Read off
        the posterior where there is one; otherwise a logistic model of how far the map's peak
        stands out, given that somebody talks at all, fitted for each method on simulated rooms
        (see config.Confidence and each model card).
    covariance : numpy.ndarray or None
        Shape (2, 2), square metres: the spread of the posterior about the position; None
        without a posterior.
    presence : float or None
        The probability that somebody talks at all; None where a method cannot tell.
    height : float or None
        Metres above the floor, the median of its posterior; None where a method has none.

    """

    position: np.ndarray
    likelihood_map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    confidence: float
    covariance: np.ndarray | None = None
    presence: float | None = None
    height: float | None = None


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


def from_scores(scores, x, y, model, n_mics):
    """
    Answer with the centre of the highest cell (paper, section III-A).

    Parameters
    ----------
    scores : numpy.ndarray
        Shape (ny, nx).
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), metres.
    model : config.Confidence
        What the peak's prominence means for this method.
    n_mics : int
        Microphones that the scores rest on.

    Returns
    -------
    Estimate
        Without a covariance.

    """
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    return Estimate(np.array([x[column], y[row]]), scores, x, y,
                    confidence(model, scores, n_mics))


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


def position(posterior):
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


def peak_prominence(likelihood_map):
    """Return how many standard deviations the map's peak stands above its mean."""
    spread = float(likelihood_map.std())
    return float(likelihood_map.max() - likelihood_map.mean()) / spread if spread > 0 else 0.0


def confidence(model, likelihood_map, n_mics):
    """Evaluate the logistic model of config.Confidence on a map."""
    prominence = peak_prominence(likelihood_map)
    if prominence <= 0:  # a flat map says nothing at all
        return 0.0
    logit = (model.bias + model.prominence * math.log(prominence)
             + model.mics * math.log(n_mics))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
