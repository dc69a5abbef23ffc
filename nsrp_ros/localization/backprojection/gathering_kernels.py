"""
Compiled loops, by Numba, that gather the features of cells from lags or from a coarser grid.

projection.py and engine.py call them, where Numba is installed.

Shapes: M microphones, P pairs, V cells, n + 1 features of each pair's lags, D and E channels.
"""

from nsrp_ros.localization.backprojection.kernel_compiler import compiled
from nsrp_ros.localization.backprojection.kernel_compiler import Floats
from nsrp_ros.localization.backprojection.kernel_compiler import Integers
from nsrp_ros.localization.backprojection.kernel_compiler import path_difference
from numba import float32 as f4
from numba import int32 as i4
from numba import int64 as i8
import numpy as np
from numpy.typing import NDArray

_NEXT, _SIDES = np.uintp(1), np.uintp(2)
_WALLS = np.uintp(4)  # come first, then the floor, then the ceiling
_MIN_DISTANCE = np.float32(1e-3)  # metres from an image source
_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


@compiled(i8[:, ::1], f4[:, ::1], f4[:, :, ::1], f4, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1],
          f4[:, :, :, ::1])
def gather(pairs: Integers, distance: Floats, through: Floats, rows_per_metre: float,
           direct: Floats, echo: Floats, direct_out: Floats, echo_out: Floats) -> None:
    """
    Interpolate features at direct paths and sum those at reflections, as `SparseProjection` does.

    Parameters
    ----------
    pairs : numpy.ndarray
        Shape (P, 2), integer.
    distance, through : numpy.ndarray
        Shapes (V, M) and (V, M, 6), metres: from microphones, and from their images behind walls.
    rows_per_metre : float
        Lag features per metre of path difference.
    direct, echo : numpy.ndarray
        Shapes (P, n + 1, D) and (P, n + 1, E): the features.
    direct_out, echo_out : numpy.ndarray
        Shapes (V, P, D) and (V, P, 3, E), written to.

    """
    # Unsigned indices need no check for counting from the end.
    n_direct, n_echo = np.uintp(direct.shape[2]), np.uintp(echo.shape[2])
    n_images, last = np.uintp(2 * through.shape[2]), direct.shape[1] - 1
    highest = np.float32(last)
    rows, loudness = np.empty(n_images, np.float32), np.empty(n_images, np.float32)
    for v in range(np.uintp(len(distance))):
        for p in range(np.uintp(len(pairs))):
            i, j = np.uintp(pairs[p, 0]), np.uintp(pairs[p, 1])
            near, far = distance[v, i], distance[v, j]
            row = path_difference(near, far) * rows_per_metre + _HALF * highest
            below = min(max(np.floor(row), _ZERO), highest - _ONE)
            upper = min(max(row - below, _ZERO), _ONE)
            lower, at = _ONE - upper, np.uintp(below)
            for d in range(n_direct):
                direct_out[v, p, d] = lower * direct[p, at, d] + upper * direct[p, at + _NEXT, d]
            for wall in range(n_images // _SIDES):  # either microphone receives the reflection
                first, second = through[v, i, wall], through[v, j, wall]
                rows[_SIDES * wall] = path_difference(first, far)
                rows[_SIDES * wall + _NEXT] = path_difference(near, second)
                loudness[_SIDES * wall] = near / max(first, _MIN_DISTANCE)
                loudness[_SIDES * wall + _NEXT] = far / max(second, _MIN_DISTANCE)
            for k in range(n_images):
                row = np.rint(rows[k] * rows_per_metre + _HALF * highest)
                # Lags that are not evaluated have weight zero.
                loudness[k] = loudness[k] if _ZERO <= row <= highest else _ZERO
                rows[k] = min(max(row, _ZERO), highest)
            for kind in range(np.uintp(3)):
                for e in range(n_echo):
                    echo_out[v, p, kind, e] = _ZERO
            for k in range(n_images):
                kind = np.uintp(max(k // _SIDES, _WALLS - _NEXT)) - (_WALLS - _NEXT)
                at, loud = np.uintp(rows[k]), loudness[k]
                for e in range(n_echo):
                    echo_out[v, p, kind, e] += loud * echo[p, at, e]


@compiled(i4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])
def interpolate(cells: NDArray[np.int32], weights: Floats, features: Floats,
                out: Floats) -> None:
    """
    Sum the features of neighbouring cells by weight.

    Parameters
    ----------
    cells, weights : numpy.ndarray
        Shapes (V, n): see interpolation.py.
    features : numpy.ndarray
        Shape (V', D).
    out : numpy.ndarray
        Shape (V, D), written to.

    """
    n_features, n_neighbours = np.uintp(features.shape[1]), np.uintp(cells.shape[1])
    for v in range(np.uintp(len(cells))):
        for d in range(n_features):
            out[v, d] = _ZERO
        for k in range(n_neighbours):
            at, weight = np.uintp(cells[v, k]), weights[v, k]
            for d in range(n_features):
                out[v, d] += weight * features[at, d]
