"""
Metrics: errors in metres, their summary with intervals, paired tests, calibration.

Pure functions of arrays. Errors are distances on the floor plan, as in the paper's section VI;
estimates that are equal to the truth score 0 m, and a mean is given with its 95 % interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
from scipy import stats

N_RESAMPLES = 2000
"""Bootstrap resamples of an interval."""


def position_errors(positions: ArrayLike, source_positions: ArrayLike) -> NDArray[np.float64]:
    """
    Compute the distances of estimates from the truth on the floor plan.

    Parameters
    ----------
    positions, source_positions : array_like
        Shapes (n, 2 or 3), metres; heights are ignored.

    Returns
    -------
    numpy.ndarray
        Shape (n,), metres.

    """
    positions, sources = np.asarray(positions), np.asarray(source_positions)
    if positions.ndim != 2 or positions.shape[:1] != sources.shape[:1]:
        raise ValueError(f'positions {positions.shape} and sources {sources.shape} do not match')
    return np.linalg.norm(positions[:, :2] - sources[:, :2], axis=1)


def bootstrap_interval(values: ArrayLike, generator: np.random.Generator,
                       level: float = 0.95) -> tuple[float, float]:
    """
    Bound the mean of the population that values were drawn from, by the percentile bootstrap.

    Parameters
    ----------
    values : array_like
        Shape (n,).
    generator : numpy.random.Generator
        Draws the resamples.
    level : float
        Of confidence.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    """
    values = np.asarray(values, dtype=np.float64)
    means = np.array([values[generator.integers(len(values), size=len(values))].mean()
                      for _ in range(N_RESAMPLES)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Summary:
    """
    A set of errors in a few numbers, metres and shares.

    `interval` bounds the mean with 95 % confidence; `below_half` and `below_one` are the shares
    of errors below 0.5 m and 1 m.
    """

    count: int
    mean: float
    interval: tuple[float, float]
    std: float
    median: float
    below_half: float
    below_one: float


def summarize(errors: ArrayLike, generator: np.random.Generator) -> Summary:
    """
    Summarize errors as a row of the paper's Table I, and more.

    Parameters
    ----------
    errors : array_like
        Shape (n,), metres, n of 1 or more.
    generator : numpy.random.Generator
        For the interval.

    Returns
    -------
    Summary
        See there.

    """
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 1 or len(errors) == 0 or not np.all(errors >= 0):
        raise ValueError('errors must be a non-empty row of distances')
    return Summary(len(errors), float(errors.mean()), bootstrap_interval(errors, generator),
                   float(errors.std()), float(np.median(errors)),
                   float(np.mean(errors < 0.5)), float(np.mean(errors < 1)))


@dataclass(frozen=True)
class PairedTest:
    """
    How one method compares with a reference on the same scenes.

    `difference` is the mean of the method's errors less the reference's, metres, below 0 where
    the method is better, `interval` its 95 % interval; `cut` the share by which the mean error
    falls; `p_value` that of Wilcoxon's signed-rank test, two-sided.
    """

    difference: float
    interval: tuple[float, float]
    cut: float
    p_value: float


def paired_test(errors: ArrayLike, reference_errors: ArrayLike,
                generator: np.random.Generator) -> PairedTest:
    """
    Compare two methods scene by scene.

    Parameters
    ----------
    errors, reference_errors : array_like
        Shape (n,), metres, of the same scenes in the same order.
    generator : numpy.random.Generator
        For the interval.

    Returns
    -------
    PairedTest
        See there.

    """
    errors, reference = np.asarray(errors), np.asarray(reference_errors)
    if errors.shape != reference.shape:
        raise ValueError('a paired test needs the same scenes for both methods')
    difference = errors - reference
    p_value = 1.0 if np.all(difference == 0) else float(stats.wilcoxon(difference).pvalue)
    return PairedTest(float(difference.mean()), bootstrap_interval(difference, generator),
                      float(1 - errors.mean() / reference.mean()), p_value)


def reliability(confidences: ArrayLike, right: ArrayLike,
                n_bins: int = 10) -> list[tuple[float, float, int]]:
    """
    Compare confidences with how often they were right, in bins of equally many estimates.

    Parameters
    ----------
    confidences : array_like
        Shape (n,), in [0, 1].
    right : array_like
        Shape (n,), boolean.
    n_bins : int
        At most this many bins.

    Returns
    -------
    list of tuple
        (mean confidence, share right, count) of each bin, by rising confidence.

    """
    confidences, right = np.asarray(confidences, float), np.asarray(right, bool)
    if confidences.shape != right.shape or len(right) == 0:
        raise ValueError('every confidence needs one outcome')
    order = np.argsort(confidences, kind='stable')
    parts = np.array_split(order, min(n_bins, len(order)))
    return [(float(confidences[p].mean()), float(right[p].mean()), len(p)) for p in parts]


def expected_calibration_error(table: Sequence[tuple[float, float, int]]) -> float:
    """Return the mean gap between confidence and share right over a reliability table."""
    mean, share, count = np.array(table, dtype=float).T
    return float(np.sum(count * np.abs(mean - share)) / count.sum())
