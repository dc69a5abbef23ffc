"""
What sight.py computes, by NumPy and SciPy: how pairs see cells, without torch.

Which rows of the lag features belong to a cell, and how much each counts, is written as a sparse
matrix: what cells hear is then its product with the table of features.

Shapes: M microphones, P pairs, V cells, n + 1 features of the lags -n, -n + 2 .. n of each pair.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import SPEED_OF_SOUND
import numpy as np
from scipy.sparse import csr_array

STRIDE = 2
"""Lags of the correlations that one lag feature stands for, as layers.STRIDE."""
_ECHOES = np.array([0, 8, 10], np.int32)  # of four walls come first, the floor's, the ceiling's


@dataclass(frozen=True)
class Pairs:
    """
    Pairs of microphones of one scene.

    Attributes
    ----------
    mics : numpy.ndarray
        Shape (M, 3), metres, float32.
    pairs : numpy.ndarray
        Shape (P, 2).
    spacing : numpy.ndarray
        Shape (P,), metres, float32.
    n_lags : int
        The largest lag that is looked at, samples.
    sample_rate : float
        Hertz.

    """

    mics: np.ndarray
    pairs: np.ndarray
    spacing: np.ndarray
    n_lags: int
    sample_rate: float


@dataclass(frozen=True)
class ArraySight:
    """
    How P pairs see V cells.

    Attributes
    ----------
    direct : scipy.sparse.csr_array
        Shape (V P, P (n + 1)): how the direct sound's features are interpolated.
    echoes : scipy.sparse.csr_array
        Shape (V P 3, P (n + 1)): how the echoes' features are summed, of walls, floor, ceiling.
    views : numpy.ndarray
        Shape (V, P, 6), float32: what the network is told of how a pair sees a cell.

    """

    direct: csr_array
    echoes: csr_array
    views: np.ndarray


def array_sight(scene, points, room_dims):
    """
    Compute how pairs see points; the equations are those of `sight.see`.

    Parameters
    ----------
    scene : Pairs
        The pairs.
    points : numpy.ndarray
        Shape (V, 3), metres, float32.
    room_dims : numpy.ndarray
        Shape (3,), metres, float32.

    Returns
    -------
    ArraySight
        See there.

    """
    i, j = scene.pairs.T
    n_steps = 2 * scene.n_lags // STRIDE
    n_rows, length = len(points) * len(i), n_steps + 1
    starts = (length * np.arange(len(i))).astype(np.int32)  # (P,)
    rows_per_metre = np.float32(scene.sample_rate / SPEED_OF_SOUND / STRIDE)

    distance, through = _distances(scene.mics, points, room_dims)  # (V, M), (V, M, 6)
    near, far = distance[:, i], distance[:, j]  # (V, P)
    difference = near - far
    row = difference * rows_per_metre + np.float32(n_steps / 2)
    below = np.clip(np.floor(row), 0, n_steps - 1)
    upper = np.clip(row - below, 0, 1)
    first = below.astype(np.int32) + starts
    direct = csr_array((np.stack([1 - upper, upper], axis=-1).ravel(),
                        np.stack([first, first + 1], axis=-1).ravel(),
                        2 * np.arange(n_rows + 1, dtype=np.int32)),
                       shape=(n_rows, len(i) * length))

    # The echo of either microphone: (through_i - distance_j) and (distance_i - through_j).
    loudness = distance[..., None] / np.maximum(through, 1e-3)  # (V, M, 6)
    rows = np.empty((len(points), len(i), 6, 2), np.float32)
    np.subtract(through[:, i], far[..., None], out=rows[..., 0])
    np.subtract(near[..., None], through[:, j], out=rows[..., 1])
    rows *= rows_per_metre
    rows += np.float32(n_steps / 2)
    np.rint(rows, out=rows)
    weights = np.stack([loudness[:, i], loudness[:, j]], axis=-1)
    weights *= (rows >= 0) & (rows <= n_steps)  # lags that are not looked at count nothing
    np.clip(rows, 0, n_steps, out=rows)
    index = rows.astype(np.int32)
    index += starts[:, None, None]
    ends = np.append((12 * np.arange(n_rows, dtype=np.int32)[:, None] + _ECHOES).ravel(),
                     np.int32(12 * n_rows))
    echoes = csr_array((weights.ravel(), index.ravel(), ends),
                       shape=(3 * n_rows, len(i) * length))

    views = np.stack([near / 5, far / 5, np.broadcast_to(scene.spacing / 5, near.shape),
                      difference / scene.spacing, 1 / (near + np.float32(0.3)),
                      1 / (far + np.float32(0.3))], axis=-1)
    return ArraySight(direct, echoes, views)


def _distances(mics, points, room_dims):
    """
    Compute distances from microphones (V, M) and from their images behind the walls (V, M, 6).

    A mirror changes one coordinate only, so each image costs one addition and one root.
    """
    apart = np.square(points[:, None] - mics)  # (V, M, 3)
    total = apart.sum(axis=-1)
    sums = points[:, None] + mics
    images = np.square(np.stack([sums, sums - 2 * room_dims], axis=-1))  # (V, M, 3, 2)
    through = np.sqrt(np.maximum((total[..., None] - apart)[..., None] + images, 0))
    return np.sqrt(total), through.reshape(*total.shape, 6)
