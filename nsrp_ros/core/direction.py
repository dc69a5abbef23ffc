"""
The direction of a talker as the microphones see it, and his distance apart from it.

Microphones that are close together tell the direction much better than the distance: the posterior
is a ray, and its covariance in x and y is large although the azimuth is known to a degree.

Shapes: N cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-9
"""Cells of less probability than this share of an average cell's are left out."""


@dataclass(frozen=True)
class Direction:
    """
    Where a talker is as seen from the centre of the microphones, the mean of their positions.

    Standard deviations are those of the posterior about the values given, each of its own: they
    hold all of its peaks, and the extent of its cells.

    Attributes
    ----------
    azimuth : float
        Radians, counterclockwise from the x axis as seen from above, within -pi and pi; in the
        frame of the microphones' positions.
    elevation : float
        Radians above the horizontal, within -pi / 2 and pi / 2.
    azimuth_std, elevation_std : float
        Radians.
    distance, distance_std : float
        Metres from the centre.

    """

    azimuth: float
    elevation: float
    azimuth_std: float
    elevation_std: float
    distance: float
    distance_std: float

    def turned(self, yaw: float) -> 'Direction':
        """Return the same direction in a frame in which everything is turned by yaw, radians."""
        return replace(self, azimuth=float(_wrapped(self.azimuth + yaw)))


def cells_in_space(weight: NDArray[np.floating], axes: Sequence[Floats],
                   size: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """
    List the cells of a grid that have any probability.

    Parameters
    ----------
    weight : numpy.ndarray
        Shape (nz, ny, nx).
    axes : sequence of numpy.ndarray
        Shapes (nx,), (ny,), (nz,): the cells' centres along x, y and z, metres.
    size : sequence of float
        Of a cell along x, y and z, metres.

    Returns
    -------
    points, sizes, weight : numpy.ndarray
        Shapes (N, 3), (N, 3) and (N,), for `direction_of`.

    """
    layer, row, column = np.nonzero(weight > _NEGLIGIBLE / weight.size)
    points = np.stack([axes[0][column], axes[1][row], axes[2][layer]], axis=1)
    return (points, np.broadcast_to(np.asarray(size, np.float64), points.shape),
            weight[layer, row, column].astype(np.float64))


def direction_of(points: Floats, sizes: Floats, weight: Floats, centre: Floats) -> Direction:
    """
    Summarise a posterior over cells in space as a direction and a distance.

    Azimuth, elevation and distance are weighted medians, which stay with the greater of two
    peaks, as the position does; for the azimuth on the circle.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (N, 3), metres: the cells' centres.
    sizes : numpy.ndarray
        Shape (N, 3), metres: their lengths along x, y and z.
    weight : numpy.ndarray
        Shape (N,): their probabilities, which need not sum to one.
    centre : numpy.ndarray
        Shape (3,), metres: where the direction is seen from.

    Returns
    -------
    Direction
        See there.

    Raises
    ------
    ValueError
        If no cell has any probability.

    """
    total = float(weight.sum())
    if not total > 0:
        raise ValueError('a posterior without probability has no direction')
    weight = weight / total
    x, y, z = (points - centre).T
    # Variances of a point that is uniform in its cell; its share across and along the line of
    # sight widens the angles and the distance.
    var_x, var_y, var_z = (sizes ** 2 / 12).T
    flat = x * x + y * y
    level = np.sqrt(flat)
    azimuth = np.arctan2(y, x)
    sin, cos = np.sin(azimuth), np.cos(azimuth)
    across = (var_x * sin * sin + var_y * cos * cos) / (flat + var_x + var_y)
    outward = var_x * cos * cos + var_y * sin * sin
    squares = flat + z * z
    distance = np.sqrt(squares)
    elevation = np.arctan2(z, level)
    rise, run = np.sin(elevation) ** 2, np.cos(elevation) ** 2
    upward = (var_z * run + outward * rise) / (squares + var_x + var_y + var_z)
    # Cut the circle opposite to the mean direction, where least of the mass is.
    middle = math.atan2(float(weight @ sin), float(weight @ cos))
    beside = _wrapped(azimuth - middle)
    best = float(_wrapped(middle + _median(beside, weight)))
    height, away = _median(elevation, weight), _median(distance, weight)
    return Direction(
        best, height, _spread(_wrapped(azimuth - best), across, weight),
        _spread(elevation - height, upward, weight), away,
        _spread(distance - away, outward * run + var_z * rise, weight))


def _wrapped(angle: Floats | float) -> Floats:
    """Bring angles to the interval from -pi to pi."""
    return np.asarray((angle + math.pi) % (2 * math.pi) - math.pi)


def _median(values: Floats, weight: Floats) -> float:
    """Return the weighted median, interpolated between values."""
    order = np.argsort(values)
    ordered = weight[order]
    return float(np.interp(0.5, np.cumsum(ordered) - ordered / 2, values[order]))


def _spread(deviation: Floats, within: Floats, weight: Floats) -> float:
    return math.sqrt(float(weight @ (deviation * deviation + within)))
