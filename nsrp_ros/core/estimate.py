"""
Position estimates, and how they follow from a map of scores.

Methods whose maps are scores (SRP, Neural-SRP) take the highest cell, as in the paper; methods
whose maps are posteriors take the geometric median (posterior.py).
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.config import Confidence
import numpy as np

RIGHT_WITHIN = 0.5
"""Metres within which an estimate counts as correct; a confidence is the probability of that."""


@dataclass(frozen=True)
class Estimate:
    """
    The position of the talker, estimated from one window.

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
        The probability, in [0, 1], that a talker is within 0.5 m of the position. The
        posterior's mass there if the method has a posterior; otherwise a logistic model of the
        peak's prominence, conditional on somebody talking, fitted for each method on simulated
        rooms (see config.Confidence and the model cards).
    covariance : numpy.ndarray or None
        Shape (2, 2), square metres: the posterior's second moment about the position; None
        without a posterior.
    presence : float or None
        The probability that somebody talks; None if the method does not estimate it.
    height : float or None
        Metres above the floor, the median of its posterior; None if the method has none.

    """

    position: np.ndarray
    likelihood_map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    confidence: float
    covariance: np.ndarray | None = None
    presence: float | None = None
    height: float | None = None


def from_scores(scores: np.ndarray, x: np.ndarray, y: np.ndarray, model: Confidence,
                n_mics: int) -> Estimate:
    """
    Estimate the position as the centre of the highest cell (paper, section III-A).

    Parameters
    ----------
    scores : numpy.ndarray
        Shape (ny, nx).
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), metres.
    model : config.Confidence
        The method's model of confidence.
    n_mics : int
        Number of microphones M.

    Returns
    -------
    Estimate
        Without a covariance.

    """
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    return Estimate(np.array([x[column], y[row]]), scores, x, y,
                    confidence(model, scores, n_mics))


def peak_prominence(likelihood_map: np.ndarray) -> float:
    """Return the height of the map's peak above its mean, in standard deviations of the map."""
    spread = float(likelihood_map.std())
    return float(likelihood_map.max() - likelihood_map.mean()) / spread if spread > 0 else 0.0


def confidence(model: Confidence, likelihood_map: np.ndarray, n_mics: int) -> float:
    """Evaluate the logistic model of config.Confidence for a map."""
    prominence = peak_prominence(likelihood_map)
    if prominence <= 0:  # a flat map holds no information
        return 0.0
    logit = (model.bias + model.prominence * math.log(prominence)
             + model.mics * math.log(n_mics))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
