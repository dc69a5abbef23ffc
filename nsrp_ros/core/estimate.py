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
        The probability, in [0, 1], that the position is within 0.5 m of the talker, given that
        somebody talks. Read off the posterior where there is one; otherwise a logistic model of
        how far the map's peak stands out, fitted for each method on simulated rooms (see
        config.Confidence and each model card).
    covariance : numpy.ndarray or None
        Shape (2, 2), square metres: the spread of the posterior about the position; None
        without a posterior.

    """

    position: np.ndarray
    likelihood_map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    confidence: float
    covariance: np.ndarray | None = None


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


def from_posterior(probabilities, x, y, iterations=20):
    """
    Answer with the point of least expected distance, which is finer than a cell.

    That point is the posterior's geometric median, found by Weiszfeld's iteration from its mean;
    half a cell is added to distances under the root, since the talker is somewhere in a cell
    and not at its centre.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape (ny, nx), summing to one.
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), metres.
    iterations : int
        Of Weiszfeld's; each moves the point by less than the one before.

    Returns
    -------
    Estimate
        With a covariance, to which the spread within a cell is added.

    """
    weight = probabilities.astype(np.float64).ravel()
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    size = np.array([_step(x), _step(y)])
    within = (size ** 2 / 12).sum()  # mean square of a uniform talker about the cell's centre
    position = weight @ cells
    for _ in range(iterations):
        pull = weight / np.sqrt(((cells - position) ** 2).sum(axis=1) + within)
        position = pull @ cells / pull.sum()
    away = cells - position
    covariance = (weight[:, None] * away).T @ away + np.diag(size ** 2 / 12)
    near = float(weight[(away ** 2).sum(axis=1) <= RIGHT_WITHIN ** 2].sum())
    return Estimate(position, probabilities, x, y, min(near, 1.0), covariance)


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
