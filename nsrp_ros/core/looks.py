"""
From looks of a network that has a posterior to an estimate: the whole map first, then closer.

Whatever computes the network, torch or ONNX Runtime, is asked in the same way by arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math

from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.core.estimate import Posterior
from nsrp_ros.core.geometry import Grid
import numpy as np

CLOSER = 1.5
"""Cells of the map, to either side of the likeliest place, that are looked at more closely."""


@dataclass(frozen=True)
class Look:
    """
    What a look at an area tells.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (nz, ny, nx), probabilities that sum to one.
    presence : float
        The probability that somebody talks at all.
    memory : object
        What the network needs for looks inside this one.

    """

    cells: np.ndarray
    presence: float
    memory: object


def locate(listen: Callable, config, signals, mic_positions, room_dims, area=None, shape=None,
           finer=12):
    """
    Locate the talker of one window.

    Parameters
    ----------
    listen : callable
        Takes signals (M, T) and positions (M, 3) of microphones that hear anything, and returns
        what looks at an area: a callable that takes its corners (2, 3), metres, its cells
        (nz, ny, nx) and the earlier Look around it, if any, and returns a Look.
    config : BackprojectionConfig
        Says into how many cells the floor and the heights are divided.
    signals, mic_positions, room_dims : numpy.ndarray
        As of `SrpPhat.estimate`.
    area : array_like, optional
        Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor
        that the talker is known to be in; the whole floor if left out.
    shape : tuple of int, optional
        Rows and columns of the map; the network's own grid if left out.
    finer : int
        Cells along each side of the closer look.

    Returns
    -------
    Estimate
        Its map is a posterior over cells that tile the area. Where fewer than two microphones
        hear anything at all it is flat, and nobody is present.

    Raises
    ------
    ValueError
        If the area is not inside the room or the shape is empty.

    """
    corners = _corners(area, room_dims)
    rows, columns = shape or config.shape[1:]
    grid = Grid.over_box(corners[0], corners[1], columns, rows, config.heights)
    # A channel of zeros is a microphone that is not there.
    alive = np.asarray(signals).any(axis=1)
    if alive.sum() < 2:
        flat = np.full(grid.shape, 1 / math.prod(grid.shape))
        return from_posterior(Posterior(flat, grid.x, grid.y, grid.z), presence=0.0)

    look_at = listen(signals[alive], mic_positions[alive])
    look = look_at(corners, grid.shape, None)
    whole = Posterior(look.cells, grid.x, grid.y, grid.z)
    centre, reach = from_posterior(whole).position, CLOSER * whole.cell_size
    nearer = corners.copy()
    nearer[0, :2] = np.maximum(corners[0, :2], centre - reach)
    nearer[1, :2] = np.minimum(corners[1, :2], centre + reach)
    fine = Grid.over_box(nearer[0], nearer[1], finer, finer, config.heights)
    closer = Posterior(look_at(nearer, fine.shape, look).cells, fine.x, fine.y, fine.z)
    return from_posterior(whole, closer, look.presence)


def _corners(area, room_dims):
    """Return the box (2, 3) above an area of the floor, metres."""
    corners = np.stack([np.zeros(3), np.asarray(room_dims, dtype=np.float64)])
    if area is not None:
        area = np.asarray(area, dtype=np.float64)
        if (area.shape != (2, 2) or not np.isfinite(area).all() or (area[0] < 0).any()
                or (area[1] > corners[1, :2]).any() or (area[0] >= area[1]).any()):
            raise ValueError('area must be the lower and upper corner (x, y) of a part of the '
                             f'floor of {corners[1, 0]:g} x {corners[1, 1]:g} m, got '
                             f'{area.tolist()}')
        corners[:, :2] = area
    return corners
