"""
The position that a posterior means: a geometric median, or the place with most mass around it.

The geometric median of all cells has the least expected distance to the talker. In the middle of a
ring, though, which is what microphones in a line or close together leave of a talker nearby, it is
a place where nobody is, and mostly that of the microphones themselves.

Cells are given by their moments (4, N): ones, the centres' x and y in metres, and the mean square
distance from the origin of a point uniform in the cell.
"""

import math

from nsrp_ros.core.estimate import RIGHT_WITHIN
import numpy as np
from scipy.ndimage import convolve

_CLEARLY_LESS = 0.5
"""The median is left where the mass around it is less than this share of another place's."""
_AN_ANSWER = 0.2
"""The mass that there must be around another place: all places of noise have less."""


def position_of(cells: np.ndarray, weight: np.ndarray, floor: np.ndarray,
                size: np.ndarray) -> tuple[float, float]:
    """
    Return the geometric median, or that of the cells around the place with most mass.

    Parameters
    ----------
    cells : numpy.ndarray
        Shape (4, N), moments: those of the map, (ny nx), come first.
    weight : numpy.ndarray
        Shape (N,), their probabilities.
    floor : numpy.ndarray
        Shape (ny, nx), the map's own probabilities.
    size : numpy.ndarray
        Shape (2,), metres: the lengths of the map's cells along x and y.

    Returns
    -------
    tuple of float
        x and y, metres.

    """
    median = geometric_median(cells, weight)
    width, depth = size.tolist()
    # Of cells longer than the radius the neighbours still count, and cells at its edge partly:
    # else it would matter whether a median lies at a cell's centre or between cells.
    reach, edge = max(RIGHT_WITHIN, math.hypot(width, depth)), math.sqrt(width * depth)
    around = float(weight @ _shares(cells, median, reach, edge))
    if around >= _CLEARLY_LESS:  # of a mass that is one in all
        return median
    rows, columns = (np.arange(-n, n + 1) for n in (
        min(math.ceil((reach + edge) / step), length)
        for step, length in zip((depth, width), floor.shape, strict=True)))
    disc = _shares_at(columns * width, rows[:, None] * depth, reach, edge)
    peak = int(convolve(floor, disc, np.float64, mode='constant').argmax())
    local = float(cells[1, peak]), float(cells[2, peak])
    for _ in range(3):  # the median of what is in reach, of what is in reach of that, ...
        near = _shares(cells, local, reach, edge) > 0
        if not weight[near].any():
            return median
        local = geometric_median(cells[:, near], weight[near])
    most = float(weight @ _shares(cells, local, reach, edge))
    return local if most >= _AN_ANSWER and around < _CLEARLY_LESS * most else median


def _shares(cells: np.ndarray, at: tuple[float, float], reach: float, edge: float) -> np.ndarray:
    """Return which shares of cells (N,) are within reach of a place."""
    return _shares_at(cells[1] - at[0], cells[2] - at[1], reach, edge)


def _shares_at(x: np.ndarray, y: np.ndarray, reach: float, edge: float) -> np.ndarray:
    return np.clip((reach - np.hypot(x, y)) / edge + 0.5, 0, 1)


def geometric_median(cells: np.ndarray, weight: np.ndarray,
                     iterations: int = 30) -> tuple[float, float]:
    """
    Find the geometric median (x, y) by Weiszfeld's iteration, starting at the mean.

    The variance within a cell is added to the squared distances, since the talker is somewhere in
    the cell and not at its centre. Steps shrink; the iteration ends below a tenth of a millimetre.
    """
    total, x, y, _ = (cells @ weight).tolist()
    median_x, median_y = x / total, y / total
    for _ in range(iterations):
        # |c - m|^2 = |m|^2 - 2 c m + |c|^2 of all cells by one product.
        squares = np.array([median_x * median_x + median_y * median_y, -2 * median_x,
                            -2 * median_y, 1.0]) @ cells
        total, x, y, _ = (cells @ (weight / np.sqrt(squares))).tolist()
        moved = max(abs(x / total - median_x), abs(y / total - median_y))
        median_x, median_y = x / total, y / total
        if moved < 1e-4:
            break
    return median_x, median_y
