"""
A room that is a box, in a frame of its own: the way there from any surroundings, and back.

Shapes: M microphones.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.surroundings.outlines import area_of
from nsrp_ros.core.validation import ROOM_MARGIN
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoxRoom:
    """
    A room from the origin of its own frame.

    Attributes
    ----------
    origin : numpy.ndarray
        Shape (3,), metres: its lowest corner in the caller's frame.
    yaw : float
        Radians by which it is turned about that corner.
    dims : numpy.ndarray
        Shape (3,), metres.
    search : Surroundings or None
        The search area in the room's own frame; None where it is the whole room.

    """

    origin: Floats
    yaw: float
    dims: Floats
    search: Surroundings | None

    @classmethod
    def around(cls, surroundings: Surroundings, mics: Floats) -> 'BoxRoom':
        """Make the room of surroundings that holds the microphones (M, 3), too."""
        low, high = surroundings.lower, surroundings.upper
        sides = _turned_rectangle(surroundings.outline)
        if sides is None:
            room = cls(low, 0.0, high - low, None)
        else:
            corner, yaw, lengths = sides
            room = cls(np.array([*corner, low[2]]), yaw,
                       np.array([*lengths, high[2] - low[2]]), None)
        own = room.inward(mics)
        start = np.where((own < -ROOM_MARGIN).any(axis=0), own.min(axis=0), 0.0)
        end = np.where((own > room.dims + ROOM_MARGIN).any(axis=0), own.max(axis=0), room.dims)
        polygon = surroundings.outline if sides is None else None
        if polygon is None and not start.any() and (end == room.dims).all():
            return room
        if polygon is not None:
            polygon = polygon - low[:2] - start[:2]
        search = Surroundings.open(-start, room.dims - start).search(
            -start, room.dims - start, polygon)
        return cls(room.outward(start), room.yaw, end - start, search)

    def inward(self, points: Floats) -> Floats:
        """Bring points (..., 3) or (..., 2) from the caller's frame to the room's own."""
        return turned(points - self.origin[:points.shape[-1]], -self.yaw)

    def outward(self, points: Floats) -> Floats:
        """Bring points (..., 3) or (..., 2) from the room's own frame to the caller's."""
        return turned(points, self.yaw) + self.origin[:points.shape[-1]]

    def area(self, area: ArrayLike | None, surroundings: Surroundings) -> Floats | None:
        """Bring the corners (2, 2) of a part of the floor to the room's own frame."""
        if area is None:
            return None
        area = np.asarray(area, np.float64)
        if self.yaw:
            raise ValueError('an area cannot be asked of a room that is turned: its sides are '
                             'along the axes')
        if self.origin[:2].any():
            low, high = surroundings.lower[:2], surroundings.upper[:2]
            if area.shape != (2, 2) or not ((area >= low) & (area <= high)).all():
                raise ValueError('area must be the lower and upper corner (x, y) of a part of the '
                                 f'search area from {low.tolist()} to {high.tolist()}, got '
                                 f'{area.tolist()}')
            # Rounding must not carry its sides beyond the search area's.
            limit = self.search or Surroundings.open(np.zeros(3), self.dims)
            area = np.clip(self.inward(area), limit.lower[:2], limit.upper[:2])
        return area


def turned(points: Floats, yaw: float) -> Floats:
    """Turn points (..., 2) or (..., 3) counterclockwise about the origin by yaw, radians."""
    if not yaw:
        return points
    sin, cos = math.sin(yaw), math.cos(yaw)
    result = points.copy()
    result[..., :2] = points[..., :2] @ np.array([[cos, sin], [-sin, cos]])
    return result


def _turned_rectangle(outline: Floats | None) -> tuple[Floats, float, Floats] | None:
    """Return the first corner, the yaw and both lengths of a rectangle; None of other outlines."""
    if outline is None:
        return None
    corners = outline[np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1) > 1e-6]
    if len(corners) != 4:
        return None
    if area_of(corners) < 0:
        corners = corners[::-1]
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)[:2]
    if (np.abs(sides[0] + sides[2]).max() > 1e-6
            or abs(sides[0] @ sides[1]) > 1e-6 * lengths.prod()):
        return None
    return corners[0], math.atan2(sides[0, 1], sides[0, 0]), lengths
