"""
From looks of a network that has a posterior to an estimate: the whole map first, then closer.

Whatever computes the network, torch or ONNX Runtime, is asked in the same way by arrays.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.posterior import expected_position
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.localization.backprojection.approximations import FINEST
import numpy as np

CLOSER = 1.5
"""Cells of the map, to either side of the likeliest place, that are looked at more closely."""


@dataclass(frozen=True)
class Look:
    """
    What a look at an area tells; one of B scenes has B before all shapes.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (nz, ny, nx), probabilities that sum to one.
    presence : float or numpy.ndarray
        The probability that somebody talks at all.
    memory : object
        What the network needs for looks inside this one.

    """

    cells: np.ndarray
    presence: float
    memory: object


def locate(listen: Callable, config, signals, mic_positions, room_dims, area=None, shape=None):
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
    grid = _grid(config, room_dims, area, shape)
    alive = hearing(signals)
    if alive.sum() < 2:
        return nobody(grid)
    look_at = listen(signals[alive], mic_positions[alive])
    look = look_at(grid.corners, grid.shape, None)
    whole = Posterior(look.cells, grid.x, grid.y, grid.z)
    fine = _closer_grid(whole, grid)
    closer = Posterior(look_at(fine.corners, fine.shape, look).cells, fine.x, fine.y, fine.z)
    return from_posterior(whole, closer, look.presence)


def locate_all(listen: Callable, config, scenes):
    """
    Locate the talkers of many windows, as many at once as have equally many microphones.

    Parameters
    ----------
    listen : callable
        As for `locate`, but of B scenes: takes signals (B, M, T), positions (B, M, 3) and rooms
        (B, 3); what it returns takes corners (B, 2, 3) and gives a Look whose cells and presence
        have B first.
    config : BackprojectionConfig
        See `locate`.
    scenes : list of tuple
        Of numpy.ndarray: signals (M, T), all with the same T, positions and room.

    Returns
    -------
    list of Estimate
        In the order of the scenes.

    """
    estimates, alike = [None] * len(scenes), defaultdict(list)
    grids = [_grid(config, room_dims) for _, _, room_dims in scenes]
    for k, (signals, _, _) in enumerate(scenes):
        alive = hearing(signals)
        if alive.sum() < 2:
            estimates[k] = nobody(grids[k])
        else:
            alike[int(alive.sum())].append((k, alive))
    for group in alike.values():
        look_at = listen(*(np.stack(parts) for parts in zip(
            *((scenes[k][0][alive], scenes[k][1][alive], scenes[k][2]) for k, alive in group),
            strict=True)))

        def look_everywhere(areas, before, look_at=look_at):
            look = look_at(np.stack([grid.corners for grid in areas]), areas[0].shape, before)
            return look, [Posterior(cells, grid.x, grid.y, grid.z)
                          for cells, grid in zip(look.cells, areas, strict=True)]
        own = [grids[k] for k, _ in group]
        look, wholes = look_everywhere(own, None)
        _, closers = look_everywhere(
            [_closer_grid(*each) for each in zip(wholes, own, strict=True)], look)
        for (k, _), *found in zip(group, wholes, closers, look.presence.tolist(), strict=True):
            estimates[k] = from_posterior(*found)
    return estimates


def hearing(signals):
    """Return which channels (M,) hear anything: one of zeros is a microphone not there."""
    return np.asarray(signals).any(axis=1)


def nobody(grid):
    """Return the estimate of a window in which fewer than two microphones hear anything."""
    flat = np.full(grid.shape, 1 / math.prod(grid.shape))
    return from_posterior(Posterior(flat, grid.x, grid.y, grid.z), presence=0.0)


def _grid(config, room_dims, area=None, shape=None):
    """Divide the floor, or an area of it, into cells."""
    corners = _corners(area, room_dims)
    rows, columns = shape or config.shape[1:]
    return _Cells.between(corners, columns, rows, config.heights)


def _closer_grid(whole, grid):
    """Divide what is around the place that a posterior finds likely into finer cells."""
    centre, reach = expected_position(whole), CLOSER * whole.cell_size
    nearer = grid.corners.copy()
    nearer[0, :2] = np.maximum(nearer[0, :2], centre - reach)
    nearer[1, :2] = np.minimum(nearer[1, :2], centre + reach)
    return _Cells.between(nearer, FINEST, FINEST, len(grid.z))


@dataclass(frozen=True)
class _Cells(Grid):
    """A grid that knows its corners (2, 3), metres."""

    corners: np.ndarray

    @classmethod
    def between(cls, corners, nx, ny, nz):
        """Divide the box between two corners."""
        grid = Grid.over_box(corners[0], corners[1], nx, ny, nz)
        return cls(grid.x, grid.y, grid.z, corners)


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
