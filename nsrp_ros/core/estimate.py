"""
From a map to an answer: where the talker is, and how sure that is.

Methods whose maps are scores of their own (SRP, Neural-SRP) answer with the highest cell, as in
the paper; methods whose maps are posteriors answer with the point from which the talker is
expected to be the least far away.
"""

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

    def points(self):
        """List the cells of the floor: centres (ny nx, 2), probabilities, and sizes."""
        centres = np.stack(np.meshgrid(self.x, self.y), axis=-1).reshape(-1, 2)
        return centres, self.floor.ravel(), np.broadcast_to(self.cell_size, centres.shape)

    def height(self):
        """Return the median height, metres, taking talkers to be anywhere within their cells."""
        edges = np.append(self.z - _step(self.z) / 2, self.z[-1] + _step(self.z) / 2)
        below = np.append(0.0, self.cells.sum(axis=(1, 2)).cumsum())
        return float(np.interp(0.5 * below[-1], below, edges))


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


def from_posterior(posterior, closer=None, presence=1.0, iterations=30):
    """
    Answer with the point of least expected distance, which is finer than a cell.

    That point is the posterior's geometric median, found by Weiszfeld's iteration from its mean;
    the spread of a talker within a cell is added to distances under the root, since the talker
    is somewhere in a cell and not at its centre.

    Parameters
    ----------
    posterior : Posterior
        Over all cells of the map.
    closer : Posterior, optional
        Over finer cells of a part of the map, given that the talker is there: it takes the
        place of the map's cells whose centres it covers.
    presence : float
        The probability that somebody talks at all.
    iterations : int
        Of Weiszfeld's, at most; each moves the point by less than the one before, and a tenth
        of a millimetre is the end.

    Returns
    -------
    Estimate
        With a covariance, to which the spread within cells is added.

    """
    cells, weight, size = posterior.points()
    if closer is not None:
        low = [closer.x[0], closer.y[0]] - closer.cell_size / 2
        high = [closer.x[-1], closer.y[-1]] + closer.cell_size / 2
        outside = ((cells < low) | (cells > high)).any(axis=1)
        finer, share, finer_size = closer.points()
        cells = np.concatenate([cells[outside], finer])
        size = np.concatenate([size[outside], finer_size])
        weight = np.concatenate([weight[outside], share * weight[~outside].sum()])
    weight = weight.astype(np.float64) / weight.sum()
    # Mean square of a uniform talker about the cell's centre.
    within = (size ** 2 / 12).sum(axis=1)
    position = _median(cells, weight, within, iterations)
    away = cells - position
    covariance = (weight[:, None] * away).T @ away + np.diag(weight @ (size ** 2 / 12))
    near = min(float(weight[(away ** 2).sum(axis=1) <= RIGHT_WITHIN ** 2].sum()), 1.0)
    return Estimate(position, posterior.floor, posterior.x, posterior.y, presence * near,
                    covariance, presence, (closer or posterior).height())


def _median(cells, weight, within, iterations):
    """Return the point (2,) of least expected distance; see `from_posterior`."""
    # Of cells, those that move it by a hundredth of a millimetre together are left out; and
    # NumPy takes longer to sum over two columns than to add them.
    counts = weight > 1e-7 / len(weight)
    weight, within, (x, y) = weight[counts], within[counts], cells[counts].T.copy()
    at_x, at_y = weight @ x, weight @ y
    for _ in range(iterations):
        apart_x, apart_y = x - at_x, y - at_y
        pull = weight / np.sqrt(apart_x * apart_x + apart_y * apart_y + within)
        before_x, before_y, total = at_x, at_y, pull.sum()
        at_x, at_y = pull @ x / total, pull @ y / total
        if max(abs(at_x - before_x), abs(at_y - before_y)) < 1e-4:
            break
    return np.array([at_x, at_y])


def _step(centres):
    return centres[1] - centres[0] if len(centres) > 1 else 2 * centres[0]


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
