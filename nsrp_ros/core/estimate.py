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
    return from_posteriors([posterior], None if closer is None else [closer], [presence])[0]


def from_posteriors(posteriors, closers=None, presences=None):
    """Do what `from_posterior` does for B scenes alike, whose posteriors have the same shape."""
    floors, parts = _parts(posteriors, closers)
    x, y, weight, within = parts
    at = _medians(*parts)  # (B, 2)
    away = np.stack([x, y], axis=1) - at[:, :, None]  # (B, 2, N)
    covariance = (weight[:, None] * away) @ away.transpose(0, 2, 1)
    covariance[:, [0, 1], [0, 1]] += (weight[:, None] * within).sum(axis=2)
    near = ((away ** 2).sum(axis=1) <= RIGHT_WITHIN ** 2) * weight
    near = np.minimum(near.sum(axis=1), 1.0)
    presences = [1.0] * len(posteriors) if presences is None else presences
    return [Estimate(at[k], floors[k], posterior.x, posterior.y, float(presence * near[k]),
                     covariance[k], presence, (closers or posteriors)[k].height())
            for k, (posterior, presence) in enumerate(zip(posteriors, presences, strict=True))]


def positions(posteriors):
    """Return the points of least expected distance alone: (B, 2), metres."""
    return _medians(*_parts(posteriors)[1])


def _parts(posteriors, closers=None):
    """
    Take posteriors apart: floors (B, ny, nx), and what their cells are, in one row a scene.

    Cells are centres x and y and weights (B, N), which sum to one, and the mean squares (B, 2, N)
    of a uniform talker about the centres, along x and y.
    """
    floors = np.stack([of.cells for of in posteriors]).sum(axis=1)
    x, y, size = _centres(posteriors)
    weight = floors.reshape(x.shape).astype(np.float64)
    within = np.broadcast_to(size[:, :, None] ** 2 / 12, (*size.shape, x.shape[1]))
    if closers is not None:
        finer_x, finer_y, finer_size = _centres(closers)
        covered = np.ones(x.shape, dtype=bool)
        for axis, (coarse, fine) in enumerate(((x, finer_x), (y, finer_y))):
            half = finer_size[:, axis:axis + 1] / 2
            covered &= ((coarse >= fine[:, :1] - half) & (coarse <= fine[:, -1:] + half))
        share = np.stack([of.cells for of in closers]).sum(axis=1).reshape(finer_x.shape)
        share = share * (weight * covered).sum(axis=1, keepdims=True)
        weight = np.concatenate([weight * ~covered, share], axis=1)
        x, y = np.concatenate([x, finer_x], axis=1), np.concatenate([y, finer_y], axis=1)
        within = np.concatenate([within, np.broadcast_to(
            finer_size[:, :, None] ** 2 / 12, (*size.shape, share.shape[1]))], axis=2)
    return floors, (x, y, weight / weight.sum(axis=1, keepdims=True), within)


def _centres(posteriors):
    """List the floors' cells: centres x and y (B, ny nx) and sizes (B, 2), metres."""
    x, y = np.stack([of.x for of in posteriors]), np.stack([of.y for of in posteriors])
    size = np.stack([of.cell_size for of in posteriors])
    return np.tile(x, (1, y.shape[1])), np.repeat(y, x.shape[1], axis=1), size


def _medians(x, y, weight, within, iterations=30):
    """
    Find geometric medians, by Weiszfeld's iteration from the means: (B, 2).

    The spread of a talker within a cell is added to distances under the root, since the talker
    is somewhere in a cell and not at its centre. Each step moves the point by less than the one
    before, and a tenth of a millimetre is the end.
    """
    within = within.sum(axis=1)
    if len(x) == 1:  # cells that move one point by a hundredth of a millimetre together
        counts = weight[0] > 1e-7 / weight.shape[1]
        x, y, weight, within = (of[:, counts] for of in (x, y, weight, within))
    at_x, at_y = (weight * x).sum(axis=1), (weight * y).sum(axis=1)
    moves = np.ones(len(x), dtype=bool)
    for _ in range(iterations):
        apart_x, apart_y = x - at_x[:, None], y - at_y[:, None]
        pull = weight / np.sqrt(apart_x * apart_x + apart_y * apart_y + within)
        total = pull.sum(axis=1)
        new_x, new_y = (pull * x).sum(axis=1) / total, (pull * y).sum(axis=1) / total
        moved = np.maximum(np.abs(new_x - at_x), np.abs(new_y - at_y))
        # Who has arrived stays, whoever else is asked about at the same time.
        at_x, at_y = np.where(moves, new_x, at_x), np.where(moves, new_y, at_y)
        moves &= moved >= 1e-4
        if not moves.any():
            break
    return np.stack([at_x, at_y], axis=1)


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
