"""
Peaks of a likelihood map, with the mass near each: the detections of the tracker.

The posterior is that of a single talker. Where two talk at once, that of `backprojection` has
nearly all its mass at the louder one, which changes from window to window; the other is seldom
more than a faint second peak (`nsrp_ros.evaluation.tracking` prints the shares). A single window
therefore shows one or two of the talkers, and the tracker (tracker.py) establishes how many there
are.
"""

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import maximum_filter


@dataclass(frozen=True)
class PeakConfig:
    """What counts as a peak of a map."""

    radius: float = 0.6
    """Metres around a peak whose mass is attributed to it."""
    separation: float = 1.0
    """Metres, smallest distance of a peak from every peak of more mass."""
    min_mass: float = 0.05
    """Share of the map's mass below which a peak is ignored."""
    max_peaks: int = 4
    """Largest number of peaks of a map."""
    sharpness: float = 1.0
    """Exponent applied to maps: 1 for posteriors; maps of scores, whose peaks are hardly higher
    than the rest, need more."""

    def __post_init__(self) -> None:
        """Refuse invalid values."""
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
    A peak of a map: one window's detection of a talker.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (2,), metres in the frame of the map's axes: the mean of the mass near the peak.
    mass : float
        Share of the map's mass that is near this peak and not nearer to another.
    covariance : numpy.ndarray
        Shape (2, 2), square metres, of that mass, including the spread within cells.

    """

    position: np.ndarray
    mass: float
    covariance: np.ndarray


def find_peaks(values: ArrayLike, x: ArrayLike, y: ArrayLike,
               config: PeakConfig = PeakConfig()) -> list[Peak]:
    """
    Find the peaks of a map.

    Parameters
    ----------
    values : array_like
        Shape (ny, nx), not negative, of any scale; cells that are not finite are outside the map.
    x, y : array_like
        Shapes (nx,), (ny,), the cells' centres, evenly spaced, metres.
    config : PeakConfig
        What counts as a peak.

    Returns
    -------
    list of Peak
        By descending mass; none if the map is flat or zero.

    Raises
    ------
    ValueError
        If shapes disagree or a value is negative.

    """
    values = np.array(values, dtype=np.float64)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if values.shape != (len(y), len(x)):
        raise ValueError(f'a map over {len(x)} x {len(y)} cells must have shape '
                         f'({len(y)}, {len(x)}), got {values.shape}')
    values[~np.isfinite(values)] = 0
    if (values < 0).any():
        raise ValueError('a map must not hold negative values')
    highest = values.max(initial=0)
    if highest <= 0 or values.min() == highest:
        return []
    mass = (values / highest) ** config.sharpness
    mass /= mass.sum()
    maxima = np.argwhere((maximum_filter(mass, size=3) == mass) & (mass > 0))
    candidates = np.stack([x[maxima[:, 1]], y[maxima[:, 0]]], axis=1)  # (S, 2)
    rows, columns = np.nonzero(mass)
    cells = np.stack([x[columns], y[rows]], axis=1)  # (C, 2)
    weight = mass[rows, columns]
    # The cells of a plateau are all maxima: the separation keeps one of them.
    near = np.array([weight[_within(cells, c, config.radius)].sum() for c in candidates])
    chosen: list[np.ndarray] = []
    for k in np.argsort(-near, kind='stable'):
        if near[k] < config.min_mass or len(chosen) == config.max_peaks:
            break
        if all(np.hypot(*(candidates[k] - other)) >= config.separation for other in chosen):
            chosen.append(candidates[k])
    if not chosen:
        return []
    distance = np.linalg.norm(cells[:, None] - np.array(chosen), axis=-1)  # (C, K)
    nearest = np.where(distance.min(axis=1) <= config.radius, distance.argmin(axis=1), -1)
    within = np.diag([_step(axis) ** 2 / 12 for axis in (x, y)])
    peaks = [_peak(cells[nearest == k], weight[nearest == k], within) for k in range(len(chosen))]
    return sorted((p for p in peaks if p.mass >= config.min_mass), key=lambda p: -p.mass)


def _within(cells: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Return which cells (C, 2) are within a radius of a point, (C,) bool."""
    near: np.ndarray = ((cells - centre) ** 2).sum(axis=1) <= radius ** 2
    return near


def _peak(cells: np.ndarray, weight: np.ndarray, within: np.ndarray) -> Peak:
    """Return the peak of cells (C, 2) with weights (C,); `within` is a cell's own covariance."""
    mass = float(weight.sum())
    position = weight @ cells / mass
    deviation = cells - position
    return Peak(position, mass, (weight[:, None] * deviation).T @ deviation / mass + within)


def _step(centres: np.ndarray) -> float:
    return float(centres[1] - centres[0] if len(centres) > 1 else 2 * centres[0])
