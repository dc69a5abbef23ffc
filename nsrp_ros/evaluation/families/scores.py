"""
From findings to the numbers of the table.

Pure functions of arrays: W windows, K people in the room, E estimates.
"""

from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.core.estimate import RIGHT_WITHIN
from nsrp_ros.evaluation.metrics import bootstrap_interval
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SURE = 0.5
"""Confidence from which a talker counts as reported."""
_MISS = 1e6  # metres: dearer than any distance, so that assignments have the most hits


@dataclass(frozen=True)
class Share:
    """A share or a mean, with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PositionScores:
    """
    How well one talker is located.

    Attributes
    ----------
    count : int
        Windows in which somebody talks.
    mean : Share or None
        Of the errors, metres; None, as the others, for methods without positions.
    median, right : float or None
        Of the errors, metres; the share of them below 0.5 m.
    lies, sure : float or None
        The shares of windows with a confidence of 0.5 or more that are 0.5 m off or more, and of
        those with one of 0.5 or more; None for methods without confidence.
    azimuth_mean, azimuth_median : float or None
        Errors of the azimuth, degrees.

    """

    count: int
    mean: Share | None = None
    median: float | None = None
    right: float | None = None
    lies: float | None = None
    sure: float | None = None
    azimuth_mean: float | None = None
    azimuth_median: float | None = None


@dataclass(frozen=True)
class TalkerScores:
    """
    How well all talkers are located.

    Attributes
    ----------
    count : int
        Windows.
    all_found : Share or None
        The share of windows with talkers in which each is within 0.5 m of an estimate of his own;
        None where nobody ever talks.
    all_sure : float or None
        The same, of estimates with a confidence of 0.5 or more only.
    invented : float or None
        The share of all windows with an estimate of a confidence of 0.5 or more that is 0.5 m off
        everybody who talks; None for methods without confidence.
    by_rank : tuple of float
        For the first estimate, the second and so on the share of windows with as many talkers in
        which it belongs to a talker who belongs to no other.

    """

    count: int
    all_found: Share | None
    all_sure: float | None
    invented: float | None
    by_rank: tuple[float, ...]


def with_interval(values: NDArray[np.floating]) -> Share:
    """Return the mean of values (W,) and its interval; equal values give equal intervals."""
    return Share(float(np.mean(values)),
                 *bootstrap_interval(values, np.random.default_rng(0)))


def score_positions(rows: NDArray[np.float64], talker: NDArray[np.float64],
                    talking: NDArray[np.bool_],
                    centre: NDArray[np.float64] | None = None) -> PositionScores:
    """
    Score the first estimate of each window.

    Parameters
    ----------
    rows : numpy.ndarray
        Shape (W, 3 E + 1), see finders.py.
    talker : numpy.ndarray
        Shape (W, 3), metres.
    talking : numpy.ndarray
        Shape (W,), bool; the others are left out.
    centre : numpy.ndarray, optional
        Shape (W, 3), metres: the microphones' centres, for azimuths.

    Returns
    -------
    PositionScores
        See there.

    """
    rows, talker = rows[talking], talker[talking]
    confidence = rows[:, 2]
    scores = PositionScores(len(rows))
    if np.isfinite(rows[:, 0]).any():
        error = np.linalg.norm(rows[:, :2] - talker[:, :2], axis=1)
        scores = replace(scores, mean=with_interval(error), median=float(np.median(error)),
                         right=float(np.mean(error < RIGHT_WITHIN)))
        if np.isfinite(confidence).any():
            sure = confidence >= SURE
            scores = replace(scores, lies=float(np.mean(sure & (error >= RIGHT_WITHIN))),
                             sure=float(np.mean(sure)))
    if centre is not None:
        x, y = (talker - centre[talking])[:, :2].T
        turned = np.exp(1j * (rows[:, -1] - np.arctan2(y, x)))
        degrees = np.abs(np.degrees(np.angle(turned)))
        scores = replace(scores, azimuth_mean=float(degrees.mean()),
                         azimuth_median=float(np.median(degrees)))
    return scores


def hits(positions: NDArray[np.float64], talkers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """
    Tell which estimates belong to a talker within 0.5 m, each talker to one estimate at most.

    Parameters
    ----------
    positions : numpy.ndarray
        Shape (E, 2), metres.
    talkers : numpy.ndarray
        Shape (K, 2 or 3), metres.

    Returns
    -------
    numpy.ndarray
        Shape (E,), bool, of an assignment with as many of them as possible.

    """
    distance = np.linalg.norm(positions[:, None] - talkers[None, :, :2], axis=-1)
    near = distance < RIGHT_WITHIN
    estimates, people = linear_sum_assignment(np.where(near, distance, _MISS))
    found = np.zeros(len(positions), dtype=bool)
    found[estimates] = near[estimates, people]
    return found


def score_talkers(rows: NDArray[np.float64], talkers: NDArray[np.float64],
                  talking: NDArray[np.bool_]) -> TalkerScores:
    """
    Score all estimates of each window.

    Parameters
    ----------
    rows : numpy.ndarray
        Shape (W, 3 E + 1), see finders.py.
    talkers : numpy.ndarray
        Shape (W, K, 3), metres.
    talking : numpy.ndarray
        Shape (W, K), bool.

    Returns
    -------
    TalkerScores
        See there.

    """
    most = rows.shape[1] // 3
    complete, complete_sure, invented = [], [], []
    ranks: list[list[bool]] = [[] for _ in range(most)]
    for values, people, who in zip(rows, talkers, talking, strict=True):
        estimates = values[:3 * most].reshape(most, 3)
        estimates = estimates[np.isfinite(estimates[:, 0])]
        active = people[who]
        sure = estimates[estimates[:, 2] >= SURE, :2]
        distance = np.linalg.norm(sure[:, None] - active[None, :, :2], axis=-1)
        invented.append(bool(np.any(np.all(distance >= RIGHT_WITHIN, axis=1))))
        if len(active):
            found = hits(estimates[:, :2], active)
            complete.append(found.sum() == len(active))
            complete_sure.append(hits(sure, active).sum() == len(active))
            for rank in range(min(len(active), most)):
                ranks[rank].append(rank < len(found) and bool(found[rank]))
    # Who reports nobody at all is honest about it, and not a method without confidence.
    confident = np.isfinite(rows[:, 2]).any() or not np.isfinite(rows[:, 0]).any()
    return TalkerScores(
        len(rows), with_interval(np.array(complete, float)) if complete else None,
        float(np.mean(complete_sure)) if complete and confident else None,
        float(np.mean(invented)) if confident else None,
        tuple(float(np.mean(rank)) for rank in ranks if rank))
