"""A likelihood map as a map server draws maps: square cells of whole numbers, y first."""

from collections.abc import Sequence
import math

from nsrp_ros.core.estimate import Estimate
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

PEAK = 98
"""What the likeliest cell is scaled to: RViz's map colours give 99 and 100 meanings of their own
(inscribed and lethal)."""
UNKNOWN = -1
"""Cells of which nothing is known."""


def square_map(estimate: Estimate, room_dims: Sequence[float], resolution: float,
               origin: Sequence[float] = (0.0, 0.0)) -> NDArray[np.float64]:
    """
    Resample an estimate's map to square cells from the lower corner of the room or search area.

    Parameters
    ----------
    estimate : nsrp_ros.core.estimate.Estimate
        Its cells may have any shape.
    room_dims : sequence of float
        The length, width and height of the room or the search area, metres.
    resolution : float
        Side of a cell, metres.
    origin : sequence of float
        The lower corner (x, y), metres, in the estimate's frame.

    Returns
    -------
    numpy.ndarray
        Shape (height, width), float; NaN in cells whose centre is outside the room, or was not
        searched.

    """
    width, height = (math.ceil(d / resolution - 1e-6) for d in room_dims[:2])
    step = [axis[1] - axis[0] if len(axis) > 1 else d
            for axis, d in zip((estimate.x, estimate.y), room_dims, strict=False)]
    # Cells coarser than the map's take the largest of several samples, lest they miss the peak.
    fine = math.ceil(resolution / min(step))
    offsets = (np.arange(fine) + 0.5) / fine
    x = (np.arange(width)[:, None] + offsets).ravel() * resolution
    y = (np.arange(height)[:, None] + offsets).ravel() * resolution
    columns = (x - (estimate.x[0] - origin[0])) / step[0]
    rows = (y - (estimate.y[0] - origin[1])) / step[1]
    values = map_coordinates(estimate.likelihood_map, np.meshgrid(rows, columns, indexing='ij'),
                             output=np.float64, order=1, mode='nearest')
    values = values.reshape(height, fine, width, fine).max(axis=(1, 3))
    values[(np.arange(height) + 0.5) * resolution > room_dims[1]] = np.nan
    values[:, (np.arange(width) + 0.5) * resolution > room_dims[0]] = np.nan
    if estimate.searched is not None:  # whatever the cell is that a centre lies in
        across, along = (
            np.clip(np.round(((np.arange(n) + 0.5) * resolution - (axis[0] - start)) / size), 0,
                    len(axis) - 1).astype(np.intp)
            for n, axis, start, size in zip((height, width), (estimate.y, estimate.x),
                                            origin[1::-1], step[::-1], strict=True))
        values[~estimate.searched[np.ix_(across, along)]] = np.nan
    return values


def occupancy(values: NDArray[np.floating]) -> NDArray[np.int8]:
    """
    Scale a map to whole numbers.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (height, width); NaN outside the room or the search area.

    Returns
    -------
    numpy.ndarray
        Shape (height, width), int8: 0 for the least likely cell, 98 for the likeliest, -1 outside;
        0 everywhere where the map is flat.

    """
    inside = np.isfinite(values)
    low, high = values[inside].min(), values[inside].max()
    cells = np.full(values.shape, UNKNOWN, dtype=np.int8)
    cells[inside] = 0
    if high - low > 1e-6 * max(abs(high), abs(low)):  # more than rounding
        cells[inside] = np.round(PEAK * (values[inside] - low) / (high - low)).astype(np.int8)
    return cells
