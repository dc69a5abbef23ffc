"""
Position estimates, and how they follow from a map of scores.

Methods whose maps are scores (SRP, Neural-SRP) take the highest cell, as in the paper; methods
whose maps are posteriors take the geometric median (posterior.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import overload

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.direction import Direction
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
        Shape (2,), x and y in metres, in the frame of the microphones and the surroundings.
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
        Metres, z in that frame, the median of its posterior: above the floor, in a room from the
        origin. None if the method has none.
    searched : numpy.ndarray or None
        Shape (ny, nx), bool: which of the map's cells are in the search area; nothing is known
        of the others. None where all are.
    direction : Direction or None
        From the centre of the microphones to the talker, with its spread and that of the
        distance; None without a posterior.

    """

    position: np.ndarray
    likelihood_map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    confidence: float
    covariance: np.ndarray | None = None
    presence: float | None = None
    height: float | None = None
    searched: np.ndarray | None = None
    direction: Direction | None = None


@dataclass(frozen=True)
class Talkers(Sequence[Estimate]):
    """
    Everybody who talks in one window: a sequence of estimates, the surest first.

    Attributes
    ----------
    estimates : tuple of Estimate
        One of each voice.
    likelihood_map : numpy.ndarray or None
        Shape (ny, nx): how many talkers are expected in each cell, which sums to how many there
        are; of methods whose maps are scores, the one estimate's map. None if nobody talks.

    Examples
    --------
    >>> len(Talkers(()))
    0

    """

    estimates: tuple[Estimate, ...]

    @property
    def likelihood_map(self) -> np.ndarray | None:
        """Return the map of all."""
        maps = [one.likelihood_map if one.presence is None or one.covariance is None
                else one.presence * one.likelihood_map for one in self.estimates]
        return sum(maps[1:], maps[0]) if maps else None

    @overload
    def __getitem__(self, number: int) -> Estimate: ...

    @overload
    def __getitem__(self, number: slice) -> tuple[Estimate, ...]: ...

    def __getitem__(self, number: int | slice) -> Estimate | tuple[Estimate, ...]:
        """Return one of the estimates, or some of them."""
        return self.estimates[number]

    def __len__(self) -> int:
        """Return how many talkers there are."""
        return len(self.estimates)


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
