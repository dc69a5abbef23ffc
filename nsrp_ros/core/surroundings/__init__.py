"""
What is known of a room: where to search, and which planes reflect sound, each as well as known.

    Surroundings.box((6.0, 5.0, 2.5))                        # a room that is known exactly
    Surroundings.box((6.0, 5.0, 2.5), yaw=0.3, std=0.05)     # turned, walls known to 5 cm
    Surroundings.open((-4, -4, 0), (4, 4, 2.5))              # no wall known
    Surroundings.prism([(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)], (0, 2.5))  # L-shaped

Positions are in any frame whose z axis points up, such as that of the map; microphones, search
area, planes and estimates are all in the same one. A wall that is not known is better left out
than guessed: echoes are looked for where planes are said to be, as exactly as they are said to be
known.

Shapes: N planes, C corners of an outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
import math

from nsrp_ros.core.surroundings.outlines import area_of
from nsrp_ros.core.surroundings.outlines import fills_its_box
from nsrp_ros.core.surroundings.outlines import inside_outline
from nsrp_ros.core.surroundings.outlines import walls_along
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Surroundings:
    """
    A search area, and the reflecting planes that are known; see the module's docstring.

    Attributes
    ----------
    lower, upper : numpy.ndarray
        Shape (3,), metres: corners of the box around the search area. The talkers are searched
        there, and nowhere else.
    planes : numpy.ndarray
        Shape (N, 4): unit normals (nx, ny, nz) that point into the room, and offsets d; the plane
        is where nx x + ny y + nz z = d, metres. N may be 0.
    std : numpy.ndarray
        Shape (N,), metres: the standard deviation of each plane's place; 0 is exact, infinity
        not known, as if the plane were left out.
    ends : numpy.ndarray
        Shape (N, 2), metres: where a wall begins and ends along the horizontal direction
        (-ny, nx), infinite for planes without ends, floors and ceilings among them.
    outline : numpy.ndarray or None
        Shape (C, 2), metres: the corners of the search area's floor, counterclockwise, where it
        does not fill the box; cells outside are not searched.

    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    planes: NDArray[np.float64]
    std: NDArray[np.float64]
    ends: NDArray[np.float64]
    outline: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Bring everything to arrays; raise ValueError where they are no surroundings."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                object.__setattr__(self, field.name, np.array(value, dtype=np.float64))
        n = len(self.planes) if self.planes.ndim else 0
        if self.lower.shape != (3,) or self.upper.shape != (3,) or not (
                np.isfinite([self.lower, self.upper]).all() and (self.lower < self.upper).all()):
            raise ValueError('a search area needs a lower and an upper corner (x, y, z) in '
                             f'metres, got {self.lower.tolist()} and {self.upper.tolist()}')
        object.__setattr__(self, 'planes', self.planes.reshape(n, 4))
        object.__setattr__(self, 'ends', self.ends.reshape(n, 2))
        if self.std.shape != (n,) or np.isnan(self.std).any() or (self.std < 0).any():
            raise ValueError(f'{n} planes need as many standard deviations, 0 or more metres, got '
                             f'{self.std.tolist()}')
        if not np.isfinite(self.planes).all() or not np.allclose(
                np.linalg.norm(self.planes[:, :3], axis=1), 1, atol=1e-6):
            raise ValueError('planes must be finite, with unit normals, got '
                             f'{self.planes.tolist()}')
        if np.isnan(self.ends).any() or (self.ends[:, 0] >= self.ends[:, 1]).any():
            raise ValueError(f'the ends of walls must rise, got {self.ends.tolist()}')
        if self.outline is not None and (
                self.outline.ndim != 2 or self.outline.shape[1] != 2 or len(self.outline) < 3
                or not np.isfinite(self.outline).all()):
            raise ValueError('an outline needs three corners (x, y) or more, got '
                             f'{self.outline.tolist()}')

    @classmethod
    def box(cls, dims: ArrayLike, origin: ArrayLike = (0.0, 0.0, 0.0), yaw: float = 0.0,
            std: ArrayLike = 0.0) -> 'Surroundings':
        """
        Describe a room that is a box.

        Parameters
        ----------
        dims : array_like
            Shape (3,), metres: the lengths of its sides.
        origin : array_like
            Shape (3,), metres: the corner about which it is turned, its lowest one.
        yaw : float
            Radians that it is turned by, counterclockwise as seen from above.
        std : array_like
            Metres, how well the walls are known: one number, or six of the walls along y at
            x = 0 and x = dims[0], those along x at y = 0 and y = dims[1], floor and ceiling.

        Returns
        -------
        Surroundings
            The search area is the room.

        Raises
        ------
        ValueError
            If the lengths are not positive, or something is not finite.

        """
        dims, origin = np.asarray(dims, np.float64), np.asarray(origin, np.float64)
        if dims.shape != (3,) or not np.isfinite(dims).all() or (dims <= 0).any():
            raise ValueError(f'dims must be three positive lengths in metres, got {dims.tolist()}')
        if origin.shape != (3,) or not (np.isfinite(origin).all() and math.isfinite(yaw)):
            raise ValueError('origin must be three finite coordinates in metres, and yaw finite, '
                             f'got {origin.tolist()} and {yaw}')
        corners = np.array([(0, 0), (dims[0], 0), dims[:2], (0, dims[1])])
        turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
        std = np.asarray(std, np.float64)
        if std.shape == (6,):  # in the order of the outline's edges
            std = std[[2, 1, 3, 0, 4, 5]]
        return cls.prism(origin[:2] + corners @ turn.T, (origin[2], origin[2] + dims[2]), std)

    @classmethod
    def prism(cls, outline: ArrayLike, heights: Sequence[float],
              std: ArrayLike = 0.0) -> 'Surroundings':
        """
        Describe a room with upright walls and a level ceiling above any floor plan.

        Parameters
        ----------
        outline : array_like
            Shape (C, 2), metres: the corners of the floor, in order.
        heights : sequence of float
            Of the floor and of the ceiling, metres.
        std : array_like
            Metres, how well the walls are known: one number, or one of each wall, beginning with
            that between the first two corners, of the floor and of the ceiling: C + 2.

        Returns
        -------
        Surroundings
            The search area is the room.

        Raises
        ------
        ValueError
            If the outline has no area, or numbers are missing or not finite.

        """
        outline, std = np.asarray(outline, np.float64), np.asarray(std, np.float64)
        if outline.ndim != 2 or outline.shape[1:] != (2,) or len(outline) < 3 or not np.isfinite(
                outline).all():
            raise ValueError('an outline needs three finite corners (x, y) or more, got '
                             f'{outline.tolist()}')
        if std.shape not in ((), (len(outline) + 2,)):
            raise ValueError(f'{len(outline)} walls, floor and ceiling need one standard '
                             f'deviation or {len(outline) + 2}, got {std.tolist()}')
        area = area_of(outline)
        if abs(area) < 1e-6:
            raise ValueError(f'the outline {outline.tolist()} has no area')
        std = np.broadcast_to(std, (len(outline) + 2,))
        if area < 0:  # clockwise: turn the order round, walls keep their own values
            outline = outline[::-1]
            std = np.concatenate([std[-4::-1], std[-3:-2], std[-2:]])
        low, high = heights
        planes, ends = walls_along(outline)
        planes = np.concatenate([planes, [[0, 0, 1, low], [0, 0, -1, -high]]])
        ends = np.concatenate([ends, [[-np.inf, np.inf]] * 2])
        return cls(np.array([*outline.min(axis=0), low]), np.array([*outline.max(axis=0), high]),
                   planes, std, ends, None if fills_its_box(outline) else outline)

    @classmethod
    def open(cls, lower: ArrayLike, upper: ArrayLike) -> 'Surroundings':  # noqa: A003
        """
        Describe an area of which no wall is known.

        Parameters
        ----------
        lower, upper : array_like
            Shape (3,), metres: the corners of the box in which talkers are searched.

        Returns
        -------
        Surroundings
            Without planes.

        Raises
        ------
        ValueError
            If the box is none.

        """
        none = np.empty(0)
        return cls(np.asarray(lower), np.asarray(upper), none, none, none)

    def with_planes(self, planes: ArrayLike, std: ArrayLike = 0.0,
                    ends: ArrayLike | None = None) -> 'Surroundings':
        """Return the same search area with other reflecting planes, see the attributes."""
        planes = np.asarray(planes, np.float64).reshape(-1, 4)
        if ends is None:
            ends = np.tile([-np.inf, np.inf], (len(planes), 1))
        return replace(self, planes=planes, std=np.broadcast_to(std, (len(planes),)),
                       ends=np.asarray(ends, np.float64))

    def search(self, lower: ArrayLike, upper: ArrayLike,
               outline: ArrayLike | None = None) -> 'Surroundings':
        """Return the same planes with another search area, see the attributes."""
        return replace(self, lower=np.asarray(lower), upper=np.asarray(upper),
                       outline=None if outline is None else np.asarray(outline))

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points (..., 2) or (..., 3), metres, are in the search area."""
        points = np.asarray(points, np.float64)
        n = points.shape[-1]
        inside = ((points >= self.lower[:n]) & (points <= self.upper[:n])).all(axis=-1)
        if self.outline is not None:
            inside &= inside_outline(points[..., :2], self.outline)
        return np.asarray(inside)
