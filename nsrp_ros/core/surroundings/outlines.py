"""
Outlines: polygons seen from above, as arrays of corners in order.

Shapes: C corners.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def inside_outline(points: Any, outline: Any) -> Any:
    """
    Tell which points are inside polygons: by how often a ray to the right crosses the edges.

    Parameters
    ----------
    points : numpy.ndarray or torch.Tensor
        Shape (..., 2), metres.
    outline : numpy.ndarray or torch.Tensor
        Shape (..., C, 2), metres: corners in order; batches as those of the points, with one more
        axis of length 1 for each axis that points have beyond them. A corner may be repeated.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        Shape (...), bool.

    """
    x, y = points[..., None, 0], points[..., None, 1]
    after = [*range(1, outline.shape[-2]), 0]
    x1, y1 = outline[..., 0], outline[..., 1]
    x2, y2 = outline[..., after, 0], outline[..., after, 1]
    straddles = (y1 > y) != (y2 > y)
    # Compared without dividing: level edges straddle nothing, and need no case of their own.
    left = (x - x1) * (y2 - y1) < (y - y1) * (x2 - x1)
    crossed = straddles & (left == (y2 > y1))
    return crossed.sum(-1) % 2 == 1


def area_of(outline: NDArray[np.float64]) -> float:
    """Return the area within an outline, square metres: positive if it is counterclockwise."""
    x, y = outline.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def walls_along(outline: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return planes (C, 4) and ends (C, 2) of the edges of a counterclockwise outline."""
    along = np.roll(outline, -1, axis=0) - outline
    length = np.linalg.norm(along, axis=1, keepdims=True)
    if length.min() < 1e-6:
        raise ValueError(f'two neighbouring corners of the outline {outline.tolist()} coincide')
    along = along / length
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)  # to the left: into the room
    offset = (normal * outline).sum(axis=1)
    planes = np.column_stack([normal, np.zeros(len(outline)), offset])
    # The direction (-ny, nx) runs against the edge.
    tangent = -along
    start = (tangent * outline).sum(axis=1)
    return planes, np.column_stack([start - length[:, 0], start])


def fills_its_box(outline: NDArray[np.float64]) -> bool:
    """Tell whether a counterclockwise outline is a rectangle along the axes."""
    return math.isclose(area_of(outline), float(np.prod(np.ptp(outline, axis=0))), rel_tol=1e-9)
