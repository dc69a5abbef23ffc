"""
Several talkers on one map: its peaks, with the mass near each.

A posterior of one talker says where *the* talker is, not where talkers are. Where two talk at
once, that of `backprojection` has nearly all its mass at one of them, and at which one changes
from window to window with who is louder; the other is seldom more than a faint second peak
(`nsrp_ros.evaluation.tracking` prints the shares). So a single window is a glimpse of one or
two talkers, and it is the tracker (tracker.py) that knows how many there are.
"""

from dataclasses import dataclass
import math

import numpy as np
from scipy.ndimage import maximum_filter


@dataclass(frozen=True)
class PeakConfig:
    """What counts as a talker on a map."""

    radius: float = 0.6
    """Metres within which the mass near a peak is its own."""
    separation: float = 1.0
    """Metres that a peak must be away from every peak of more mass."""
    min_mass: float = 0.05
    """Share of the map's mass below which a peak is no talker."""
    max_peaks: int = 4
    """Most peaks of a map."""
    sharpness: float = 1.0
    """Power that maps are raised to: 1 for posteriors; maps of scores, whose peaks hardly stand
    out of the rest, need more."""

    def __post_init__(self):
        """Refuse what cannot be."""
        if not 0 < self.radius <= self.separation:
            raise ValueError('radius must be above 0 and at most separation, got '
                             f'{self.radius} and {self.separation}')
        if not 0 < self.min_mass <= 1:
            raise ValueError(f'min_mass must be a share above 0, got {self.min_mass}')
        if self.max_peaks < 1 or not (math.isfinite(self.sharpness) and self.sharpness > 0):
            raise ValueError('max_peaks must be 1 or more, and sharpness above 0')


@dataclass(frozen=True)
class Peak:
    """
    Where a map says that somebody talks.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), metres in the frame of the map's axes: the mean of the mass near the peak.
    mass : float
        Share of the map's mass that is near this peak and nearer to no other.
    covariance : numpy.ndarray
        Shape (2, 2), square metres: the spread of that mass, that within cells included.

    """

    position: np.ndarray
    mass: float
    covariance: np.ndarray


def find_peaks(values, x, y, config=PeakConfig()):
    """
    Find talkers on a map.

    Parameters
    ----------
    values : array_like
        Shape (ny, nx), not negative; what is not finite is outside the map. Of any scale.
    x, y : array_like
        Shapes (nx,), (ny,), the cells' centres, evenly spaced, metres.
    config : PeakConfig
        What counts as a peak.

    Returns
    -------
    list of Peak
        The one with the most mass first; empty where the map is flat or empty.

    Raises
    ------
    ValueError
        If shapes do not fit or a value is negative.

    """
    values = np.array(values, dtype=np.float64)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if values.shape != (len(y), len(x)):
        raise ValueError(f'a map over {len(x)} x {len(y)} cells must have shape '
                         f'({len(y)}, {len(x)}), got {values.shape}')
    values[~np.isfinite(values)] = 0
    if (values < 0).any():
        raise ValueError('a map must not hold negative values')
    top = values.max(initial=0)
    if top <= 0 or values.min() == top:
        return []
    mass = (values / top) ** config.sharpness
    mass /= mass.sum()
    summits = np.argwhere((maximum_filter(mass, size=3) == mass) & (mass > 0))
    tops = np.stack([x[summits[:, 1]], y[summits[:, 0]]], axis=1)  # (S, 2)
    rows, columns = np.nonzero(mass)
    cells = np.stack([x[columns], y[rows]], axis=1)  # (C, 2)
    weight = mass[rows, columns]
    # A side's plateau is as high as its middle: the nearest of its cells are one summit.
    near = np.array([weight[_within(cells, top, config.radius)].sum() for top in tops])
    chosen: list[np.ndarray] = []
    for k in np.argsort(-near, kind='stable'):
        if near[k] < config.min_mass or len(chosen) == config.max_peaks:
            break
        if all(np.hypot(*(tops[k] - other)) >= config.separation for other in chosen):
            chosen.append(tops[k])
    if not chosen:
        return []
    distance = np.linalg.norm(cells[:, None] - np.array(chosen), axis=-1)  # (C, K)
    own = np.where(distance.min(axis=1) <= config.radius, distance.argmin(axis=1), -1)
    within = np.diag([_step(axis) ** 2 / 12 for axis in (x, y)])
    peaks = [_peak(cells[own == k], weight[own == k], within) for k in range(len(chosen))]
    return sorted((p for p in peaks if p.mass >= config.min_mass), key=lambda p: -p.mass)


def _within(cells, centre, radius):
    return ((cells - centre) ** 2).sum(axis=1) <= radius ** 2


def _peak(cells, weight, within):
    """Sum up cells (C, 2) with weights (C,) that are one peak's own."""
    mass = float(weight.sum())
    position = weight @ cells / mass
    away = cells - position
    return Peak(position, mass, (weight[:, None] * away).T @ away / mass + within)


def _step(centres):
    return centres[1] - centres[0] if len(centres) > 1 else 2 * centres[0]
