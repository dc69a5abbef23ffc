"""
How pairs see cells, and what cells hear, as torch_cpu/projection.py has it, in two ways.

For `ArraySight`, which rows of the lag features belong to a cell, and how much each counts, is
written as a sparse matrix: what cells hear is then its product with the table of features.
`CompiledSight` looks them up in a loop of gathering_kernels.py, where there is Numba.

Shapes: M microphones, P pairs, V cells, n + 1 features of the lags -n, -n + 2 .. n of each pair.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
import numpy as np
from scipy.sparse import csr_array

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

    def gather(self, direct, echo):
        """
        Tell what cells hear.

        Parameters
        ----------
        direct, echo : numpy.ndarray
            Shapes (P (n + 1), D) and (P (n + 1), E): the lag features of all pairs.

        Returns
        -------
        tuple of numpy.ndarray
            Shapes (V, P, D) and (V, P, 3 E): direct sound, and echoes of walls, floor, ceiling.

        """
        shape = *self.views.shape[:2], -1
        return (self.direct @ direct).reshape(shape), (self.echoes @ echo).reshape(shape)


@dataclass(frozen=True)
class CompiledSight:
    """
    The same, whose rows are looked up when features are there.

    Attributes
    ----------
    scene : Pairs
        The pairs.
    distance, through : numpy.ndarray
        Shapes (V, M) and (V, M, 6), metres: from microphones, and from their images behind walls.
    views : numpy.ndarray
        As of `ArraySight`.

    """

    scene: Pairs
    distance: np.ndarray
    through: np.ndarray
    views: np.ndarray

    def gather(self, direct, echo):
        """Do what `ArraySight.gather` does."""
        scene, (n_cells, n_pairs) = self.scene, self.views.shape[:2]
        direct_heard = np.empty((n_cells, n_pairs, direct.shape[1]), np.float32)
        echo_heard = np.empty((n_cells, n_pairs, 3, echo.shape[1]), np.float32)
        compiled_kernels('gathering_kernels').gather(
            scene.pairs, self.distance, self.through, _rows_per_metre(scene),
            direct.reshape(n_pairs, -1, direct.shape[1]), echo.reshape(n_pairs, -1, echo.shape[1]),
            direct_heard, echo_heard)
        return direct_heard, echo_heard.reshape(n_cells, n_pairs, -1)


def sight_of(scene, points, room_dims):
    """
    Compute how pairs see points, in the way that is fastest here; arguments as `array_sight`.

    Returns
    -------
    CompiledSight or ArraySight
        What either lets cells hear differs by rounding alone.

    """
    if compiled_kernels('gathering_kernels') is None:
        return array_sight(scene, points, room_dims)
    distance, through = _distances(scene.mics, points, room_dims)
    return CompiledSight(scene, distance, through, _views(scene, distance))


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
    rows_per_metre = _rows_per_metre(scene)

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

    return ArraySight(direct, echoes, _views(scene, distance))


def _rows_per_metre(scene):
    return np.float32(scene.sample_rate / SPEED_OF_SOUND / STRIDE)


def _views(scene, distance):
    """Tell how pairs see cells at some distances (V, M) of microphones: (V, P, 6)."""
    near, far = (distance[:, mic] for mic in scene.pairs.T)  # (V, P)
    views = np.empty((*near.shape, 6), np.float32)
    views[..., 0] = near / 5
    views[..., 1] = far / 5
    views[..., 2] = scene.spacing / 5
    views[..., 3] = (near - far) / scene.spacing
    views[..., 4] = 1 / (near + np.float32(0.3))
    views[..., 5] = 1 / (far + np.float32(0.3))
    return views


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
