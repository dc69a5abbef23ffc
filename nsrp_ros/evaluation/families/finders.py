"""
What each method finds in a window, in one form for all: localizers, and baselines that are none.

A finding is a row of `WIDTH` numbers, as result_cache.py keeps them: of each of up to `MOST`
talkers x, y in metres and the confidence, then an azimuth from the microphones' centre in radians;
NaN where a method says nothing.
"""

from collections.abc import Callable
from collections.abc import Sequence
import math

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.evaluation.baselines.multi_source_srp import locate_several
from nsrp_ros.evaluation.baselines.multi_source_srp import MultiSourceConfig
from nsrp_ros.evaluation.baselines.music import ALGORITHMS
from nsrp_ros.evaluation.baselines.music import locate_direction
from nsrp_ros.evaluation.baselines.music import MusicConfig
from nsrp_ros.evaluation.families.definitions import Family
from nsrp_ros.evaluation.method_scores import accepts
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.method_scores import load_method
import numpy as np
from numpy.typing import NDArray

MOST = 3
"""Talkers that are looked for in a window."""
WIDTH = 3 * MOST + 1
XSRP = 'xsrp'
_VERSION = 1  # of what rows mean and baselines compute: to be raised when either changes
Finder = Callable[[NDArray[np.float32], int, NDArray[np.float64], Surroundings, int],
                  NDArray[np.float64]]
"""Takes signals (M, T), their rate, microphones (M, 3), surroundings, and how many talk."""


def suits(method: str, family: Family, n_mics: int) -> bool:
    """Tell whether a method answers what is asked in a family, with so many microphones."""
    if method in ALGORITHMS:
        return family.kind == 'direction'
    if method == XSRP:
        return family.kind == 'talkers'
    return accepts(method, n_mics)


def identity(method: str, family: Family) -> str:
    """Return all that a finding depends on, except the scene."""
    if method == XSRP:
        settings = repr(MultiSourceConfig())
    elif method in ALGORITHMS:
        settings = repr(MusicConfig())
    else:
        settings = fingerprint(method)
    return f'families {_VERSION} {method} {settings} {family.kind == "talkers"}'


def finder(method: str, family: Family, device: str = 'cpu') -> Finder:
    """
    Make what finds talkers.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes, 'xsrp', or one of `music.ALGORITHMS`.
    family : Family
        For one of talkers, all of them are looked for.
    device : str
        For networks.

    Returns
    -------
    callable
        See `Finder`.

    """
    if method == XSRP:
        return _find_peaks
    if method in ALGORITHMS:
        return lambda signals, rate, mics, surroundings, n_talking: row(
            azimuth=locate_direction(signals, mics, method).azimuth)
    localizer = load_method(method, device)
    several = family.kind == 'talkers'

    def find(signals: NDArray[np.float32], rate: int, mics: NDArray[np.float64],
             surroundings: Surroundings, n_talking: int) -> NDArray[np.float64]:
        """Ask the localizer, which is not told how many talk."""
        estimates: Sequence[Estimate]
        if several:
            estimates = localizer.locate_talkers(signals, rate, mics, surroundings, most=MOST)
        else:
            estimates = [localizer.locate(signals, rate, mics, surroundings)]
        return row([(*one.position, one.confidence) for one in estimates],
                   _azimuth(estimates[0], mics) if estimates else math.nan)
    return find


def row(talkers: list[tuple[float, ...]] | None = None,
        azimuth: float = math.nan) -> NDArray[np.float64]:
    """Return the row of talkers, each x, y and the confidence, and an azimuth."""
    values = np.full(WIDTH, np.nan)
    numbers = np.array((talkers or [])[:MOST], np.float64).ravel()
    values[:len(numbers)] = numbers
    values[-1] = azimuth
    return values


def _find_peaks(signals: NDArray[np.float32], rate: int, mics: NDArray[np.float64],
                surroundings: Surroundings, n_talking: int) -> NDArray[np.float64]:
    """Ask for as many peaks as there are talkers, which xsrp has to be told."""
    peaks = locate_several(signals, mics, surroundings, n_talking)
    return row([(*peak.position[:2], math.nan) for peak in peaks])


def _azimuth(estimate: Estimate, mics: NDArray[np.float64]) -> float:
    """Return the azimuth that the method says, or that its position has."""
    if estimate.direction is not None:
        return estimate.direction.azimuth
    x, y = estimate.position - mics.mean(axis=0)[:2]
    return math.atan2(y, x)
