"""
Methods that know rooms that are boxes from the origin, in any surroundings.

The one place where such a method's room is made from surroundings. What it can do is this:

* a room that is a box is that room, in its own frame if it is turned;
* of an outline, or an area of which no wall is known, the box around the search area is taken as
  if its sides were the walls, which they are not;
* if microphones are more than 0.25 m outside that box, it is extended to hold them.

Answers come back in the caller's frame and for the search area only. A posterior is conditioned on
the talker being there, and the presence is that of a talker there. Scores outside are the lowest
of the map.
"""

from collections.abc import Sequence
from dataclasses import replace
import math
from typing import Any
from typing import cast

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization.box_frames import BoxRoom
from nsrp_ros.localization.box_frames import Floats
from nsrp_ros.localization.box_frames import turned
from nsrp_ros.localization.methods import BatchMethod
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import PosteriorMethod
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

Scene = tuple[NDArray[np.float32], Floats, Surroundings]
"""Signals (M, T) at the method's rate, microphones (M, 3) and their surroundings."""

_SAME = 1e-6
"""Metres, and parts of unit normals, by which planes that are the same may differ."""


def has_posterior(method: Any) -> bool:
    """Tell whether a method for boxes has a posterior, and can be asked about a part of it."""
    return isinstance(method.config, BackprojectionConfig)


def is_exact_box(surroundings: Surroundings, mic_positions: Floats) -> bool:
    """Tell whether surroundings are a box, turned or not, that is known exactly and searched."""
    room = BoxRoom.around(surroundings, mic_positions)
    if room.search is not None or len(surroundings.planes) != 6 or surroundings.std.any():
        return False
    box = Surroundings.box(room.dims, room.origin, room.yaw)
    return all(np.abs(surroundings.planes - plane).max(axis=1).min() < _SAME
               for plane in box.planes)


def estimate(method: Method, scene: Scene, area: ArrayLike | None = None,
             shape: tuple[int, int] | None = None) -> Estimate:
    """
    Locate the talker of one window by a method that knows boxes.

    Parameters
    ----------
    method : Method
        Which.
    scene : tuple
        Signals, microphones and surroundings.
    area : array_like, optional
        Shape (2, 2), metres: see `Localizer.locate`.
    shape : tuple of int, optional
        Rows and columns of the map.

    Returns
    -------
    Estimate
        In the frame of the surroundings.

    Raises
    ------
    ValueError
        If the scene is none for this method, or the area no part of the search area.

    """
    signals, mics, surroundings = scene
    room = BoxRoom.around(surroundings, mics)
    wanted: dict[str, Any] = {name: value for name, value in (
        ('area', room.area(area, surroundings)), ('shape', shape),
        ('search', room.search if has_posterior(method) else None)) if value is not None}
    own = signals, room.inward(mics), room.dims
    if wanted:
        found = cast(PosteriorMethod, method).estimate(*own, **wanted)
    else:
        found = method.estimate(*own)
    return _outward(found, room, method, scene)


def estimate_all(method: Method, scenes: Sequence[Scene]) -> list[Estimate]:
    """Locate the talkers of many windows, together where the method can; see `estimate`."""
    rooms = [BoxRoom.around(surroundings, mics) for _, mics, surroundings in scenes]
    if not isinstance(method, BatchMethod) or any(
            room.search is not None and has_posterior(method) for room in rooms):
        return [estimate(method, scene) for scene in scenes]
    found = method.estimate_all([(signals, room.inward(mics), room.dims)
                                 for (signals, mics, _), room in zip(scenes, rooms, strict=True)])
    return [_outward(one, room, method, scene)
            for one, room, scene in zip(found, rooms, scenes, strict=True)]


def _outward(found: Estimate, room: BoxRoom, method: Method, scene: Scene) -> Estimate:
    """Bring an estimate to the caller's frame and to the search area."""
    signals, _, surroundings = scene
    if not room.yaw and not room.origin.any() and room.search is None:
        return found
    turn = turned(np.eye(2), room.yaw)
    moved = replace(
        found, position=room.outward(found.position), x=found.x + room.origin[0],
        y=found.y + room.origin[1],
        covariance=None if found.covariance is None else turn.T @ found.covariance @ turn,
        height=None if found.height is None else found.height + float(room.origin[2]),
        direction=found.direction and found.direction.turned(room.yaw))
    if not room.yaw and (room.search is None or found.covariance is not None):
        return moved
    values, searched, grid = _resampled(found, room, surroundings)
    if found.covariance is None and not surroundings.contains(moved.position):
        moved = from_scores(values, grid.x, grid.y, method.config.confidence, len(signals))
    return replace(moved, likelihood_map=values, x=grid.x, y=grid.y, searched=searched)


def _resampled(found: Estimate, room: BoxRoom, surroundings: Surroundings
               ) -> tuple[NDArray[np.floating], NDArray[np.bool_], Grid]:
    """
    Look the cells of a map along the caller's axes up in an estimate's map.

    Several points of each cell are looked up, lest a cell of the estimate's map be missed: scores
    are the greatest of them, probabilities their sum, scaled to one over all cells.
    """
    rows, columns = found.likelihood_map.shape
    low, high = np.zeros(2), room.dims[:2]
    if room.search is not None and found.covariance is not None:
        low, high = room.search.lower[:2], room.search.upper[:2]
    step = (high - low) / (columns, rows)
    width, depth = ((surroundings.upper - surroundings.lower)[:2] / (columns, rows)).tolist()
    several = max(2, math.ceil(2 * max(width, depth) / float(step.min())))
    fine = Grid.over_box(surroundings.lower, surroundings.upper, columns * several, rows * several)
    points = np.stack(np.meshgrid(fine.x, fine.y), axis=-1)
    at = np.floor((room.inward(points) - low) / step).astype(np.intp)
    inside = surroundings.contains(points)
    inside &= ((at >= 0) & (at < (columns, rows))).all(axis=-1)
    lowest = 0.0 if found.covariance is not None else found.likelihood_map.min()
    values = np.full(inside.shape, lowest, np.float64)
    values[inside] = found.likelihood_map[at[inside][:, 1], at[inside][:, 0]]
    parts = (rows, several, columns, several)
    grid = Grid.over_box(surroundings.lower, surroundings.upper, columns, rows)
    searched = np.asarray(inside.reshape(parts).any(axis=(1, 3)))
    if found.covariance is None:
        return values.reshape(parts).max(axis=(1, 3)), searched, grid
    values = values.reshape(parts).sum(axis=(1, 3))
    return values / max(float(values.sum()), 1e-300), searched, grid
