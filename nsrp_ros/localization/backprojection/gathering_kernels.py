"""
Compiled loops that gather what cells hear, or their neighbours have heard, where there is Numba.

projection.py and engine.py call them.

Shapes: M microphones, P pairs, V cells, n + 1 features of each pair's lags, D and E channels.
"""

from nsrp_ros.localization.backprojection.correlation_kernels import compiled
from numba import float32 as f4
from numba import int32 as i4
from numba import int64 as i8
import numpy as np

_NEXT, _SIDES = np.uintp(1), np.uintp(2)
_WALLS = np.uintp(4)  # come first, then the floor, then the ceiling
_CLOSEST = np.float32(1e-3)  # metres from an image
_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


@compiled(i8[:, ::1], f4[:, ::1], f4[:, :, ::1], f4, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1],
          f4[:, :, :, ::1])
def gather(pairs, distance, through, rows_per_metre, direct, echo, direct_heard, echo_heard):
    """
    Look up the features of the direct sound and sum those of the echoes, as `ArraySight` does.

    Parameters
    ----------
    pairs : numpy.ndarray
        Shape (P, 2), integer.
    distance, through : numpy.ndarray
        Shapes (V, M) and (V, M, 6), metres: from microphones, and from their images behind walls.
    rows_per_metre : float
        Lag features per metre of difference.
    direct, echo : numpy.ndarray
        Shapes (P, n + 1, D) and (P, n + 1, E): the features.
    direct_heard, echo_heard : numpy.ndarray
        Shapes (V, P, D) and (V, P, 3, E), written to.

    """
    # Indices without a sign spare loops the question whether they count from the end.
    n_direct, n_echo = np.uintp(direct.shape[2]), np.uintp(echo.shape[2])
    n_images, last = np.uintp(2 * through.shape[2]), direct.shape[1] - 1
    highest = np.float32(last)
    rows, loudness = np.empty(n_images, np.float32), np.empty(n_images, np.float32)
    for v in range(np.uintp(len(distance))):
        for p in range(np.uintp(len(pairs))):
            i, j = np.uintp(pairs[p, 0]), np.uintp(pairs[p, 1])
            near, far = distance[v, i], distance[v, j]
            row = (near - far) * rows_per_metre + _HALF * highest
            below = min(max(np.floor(row), _ZERO), highest - _ONE)
            upper = min(max(row - below, _ZERO), _ONE)
            lower, at = _ONE - upper, np.uintp(below)
            for d in range(n_direct):
                direct_heard[v, p, d] = lower * direct[p, at, d] + upper * direct[p, at + _NEXT, d]
            for wall in range(n_images // _SIDES):  # either microphone of the pair hears the echo
                first, second = through[v, i, wall], through[v, j, wall]
                rows[_SIDES * wall] = first - far
                rows[_SIDES * wall + _NEXT] = near - second
                loudness[_SIDES * wall] = near / max(first, _CLOSEST)
                loudness[_SIDES * wall + _NEXT] = far / max(second, _CLOSEST)
            for k in range(n_images):
                row = np.rint(rows[k] * rows_per_metre + _HALF * highest)
                # Lags that are not looked at count nothing.
                loudness[k] = loudness[k] if _ZERO <= row <= highest else _ZERO
                rows[k] = min(max(row, _ZERO), highest)
            for kind in range(np.uintp(3)):
                for e in range(n_echo):
                    echo_heard[v, p, kind, e] = _ZERO
            for k in range(n_images):
                kind = np.uintp(max(k // _SIDES, _WALLS - _NEXT)) - (_WALLS - _NEXT)
                at, loud = np.uintp(rows[k]), loudness[k]
                for e in range(n_echo):
                    echo_heard[v, p, kind, e] += loud * echo[p, at, e]


@compiled(i4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])
def interpolate(cells, shares, features, interpolated):
    """
    Sum the features of neighbouring cells by their shares.

    Parameters
    ----------
    cells, shares : numpy.ndarray
        Shapes (V, n): see interpolation.py.
    features : numpy.ndarray
        Shape (V', D).
    interpolated : numpy.ndarray
        Shape (V, D), written to.

    """
    n_features, n_neighbours = np.uintp(features.shape[1]), np.uintp(cells.shape[1])
    for v in range(np.uintp(len(cells))):
        for d in range(n_features):
            interpolated[v, d] = _ZERO
        for k in range(n_neighbours):
            at, share = np.uintp(cells[v, k]), shares[v, k]
            for d in range(n_features):
                interpolated[v, d] += share * features[at, d]
