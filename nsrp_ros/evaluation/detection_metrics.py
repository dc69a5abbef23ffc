"""
Metrics of voice presence detection: scores of windows with a talker against those without.

Pure functions of arrays; a higher score is stronger evidence of a talker. A perfect detector has
an area of 1 under its curve, a random one 0.5.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
from scipy.stats import rankdata

N_RESAMPLES = 500
"""Bootstrap resamples of an interval."""


def area_under_curve(silent: ArrayLike, talking: ArrayLike) -> float:
    """
    Return the probability that a window with a talker scores higher than one without.

    Parameters
    ----------
    silent, talking : array_like
        Scores, of any shapes; ties count half.

    Returns
    -------
    float
        Mann and Whitney's statistic over the number of pairs.

    """
    silent, talking = np.ravel(silent), np.ravel(talking)
    ranks = rankdata(np.concatenate([talking, silent]))[:len(talking)]
    above = ranks.sum() - len(talking) * (len(talking) + 1) / 2
    return float(above / (len(talking) * len(silent)))


def alarm_threshold(silent: NDArray[np.floating], false_alarms: float) -> float:
    """Return the lowest score that at most a share of the silent windows exceeds."""
    return float(np.quantile(silent, 1 - false_alarms, method='inverted_cdf'))


def share_above(scores: ArrayLike, threshold: float) -> float:
    """Return the share of scores above a threshold."""
    return float(np.mean(np.asarray(scores) > threshold))


def roc_curve(silent: ArrayLike,
              talking: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Compute the receiver operating characteristic.

    Parameters
    ----------
    silent, talking : array_like
        Scores, of any shapes.

    Returns
    -------
    tuple of numpy.ndarray
        False alarms and detections, shares that fall from 1 to 0 as the threshold rises.

    """
    silent, talking = np.sort(np.ravel(silent)), np.sort(np.ravel(talking))
    at = np.concatenate([[-np.inf], np.unique(np.concatenate([silent, talking]))])
    return (1 - np.searchsorted(silent, at, side='right') / len(silent),
            1 - np.searchsorted(talking, at, side='right') / len(talking))


def bootstrap_over_rooms(statistic: Callable[[NDArray, NDArray], float], silent: NDArray,
                         talking: NDArray, generator: np.random.Generator,
                         level: float = 0.95) -> tuple[float, float, float]:
    """
    Compute a statistic and bound it by the bootstrap over rooms.

    Parameters
    ----------
    statistic : callable
        Takes silent and talking scores (..., n), returns a number.
    silent, talking : numpy.ndarray
        Shapes (..., n), scores in the same n rooms, which are resampled together.
    generator : numpy.random.Generator
        Draws the resamples.
    level : float
        Of confidence.

    Returns
    -------
    tuple of float
        The statistic, its lower and its upper bound.

    """
    n = silent.shape[-1]
    if talking.shape[-1] != n:
        raise ValueError('silent and talking windows must be of the same rooms')
    drawn = [statistic(silent[..., pick], talking[..., pick])
             for pick in (generator.integers(n, size=n) for _ in range(N_RESAMPLES))]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return statistic(silent, talking), float(low), float(high)
