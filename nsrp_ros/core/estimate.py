"""
From a map to an answer: where the talker is, and how sure that is.

Methods whose maps are scores of their own (SRP, Neural-SRP) answer with the highest cell, as in
the paper; methods whose maps are posteriors answer with the point from which the talker is
expected to be the least far away.

Posteriors are read one by one: right after a network has run, what costs is how many different
functions of NumPy are called, each of which has left the processor's caches, and not how often or
of how many cells. Reading many at once gained nothing.
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
