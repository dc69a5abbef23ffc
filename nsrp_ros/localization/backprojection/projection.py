"""
Projection of lag features to cells, as torch_cpu/projection.py computes it, in two ways.

A `SparseProjection` holds the rows of the lag features that belong to a cell, and their weights,
as a sparse matrix: the features of cells are its product with the table of lag features. A
`CompiledProjection` gathers them in a loop of gathering_kernels.py, where there is Numba.

Shapes: M microphones, P pairs, V cells, n + 1 features of the lags -n, -n + 2 .. n of each pair.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float32]

# Of the 12 reflections of a pair: four walls come first, then the floor's, then the ceiling's.
_SURFACE_STARTS = np.array([0, 8, 10], np.int32)


@dataclass(frozen=True)
class MicrophonePairs:
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
        The largest lag that is evaluated, samples.
    sample_rate : float
        Hertz.

    """

    mics: Floats
    pairs: NDArray[np.int64]
    spacing: Floats
    n_lags: int
    sample_rate: float

    @property
    def rows_per_metre(self) -> np.float32:
        """Return the rows of lag features per metre of path difference."""
        return np.float32(lags_per_metre(self.sample_rate, STRIDE))


@dataclass(frozen=True)
class SparseProjection:
    """
    The projection from P pairs to V cells.

    Attributes
    ----------
    direct : scipy.sparse.csr_array
        Shape (V P, P (n + 1)): how features are interpolated at direct paths.
    echoes : scipy.sparse.csr_array
        Shape (V P 3, P (n + 1)): how those at reflections are summed, of walls, floor, ceiling.
    pair_geometry : numpy.ndarray
        Shape (V, P, 6), float32: the network's input about where a cell lies from a pair.

    """

    direct: csr_array
    echoes: csr_array
    pair_geometry: Floats

    def gather(self, direct: Floats, echo: Floats) -> tuple[Floats, Floats]:
        """
        Gather the features of cells.

        Parameters
        ----------
        direct, echo : numpy.ndarray
            Shapes (P (n + 1), D) and (P (n + 1), E): the lag features of all pairs.

        Returns
        -------
        tuple of numpy.ndarray
            Shapes (V, P, D) and (V, P, 3 E): at direct paths, and at reflections off walls,
            floor and ceiling.

        """
        shape = *self.pair_geometry.shape[:2], -1
        return (self.direct @ direct).reshape(shape), (self.echoes @ echo).reshape(shape)


@dataclass(frozen=True)
class CompiledProjection:
    """
    The same, whose rows are computed while features are gathered.

    Attributes
    ----------
    pairs : MicrophonePairs
        The pairs.
    distance, through : numpy.ndarray
        Shapes (V, M) and (V, M, 6), metres: from microphones, and from their images behind walls.
    pair_geometry : numpy.ndarray
        As of `SparseProjection`.

    """

    pairs: MicrophonePairs
    distance: Floats
    through: Floats
    pair_geometry: Floats

    def gather(self, direct: Floats, echo: Floats) -> tuple[Floats, Floats]:
        """Do what `SparseProjection.gather` does."""
        kernels = compiled_kernels('gathering_kernels')
        assert kernels is not None  # `project_pairs` would have chosen the other class
        n_cells, n_pairs = self.pair_geometry.shape[:2]
        direct_out = np.empty((n_cells, n_pairs, direct.shape[1]), np.float32)
        echo_out = np.empty((n_cells, n_pairs, 3, echo.shape[1]), np.float32)
        kernels.gather(
            self.pairs.pairs, self.distance, self.through, self.pairs.rows_per_metre,
            direct.reshape(n_pairs, -1, direct.shape[1]), echo.reshape(n_pairs, -1, echo.shape[1]),
            direct_out, echo_out)
        return direct_out, echo_out.reshape(n_cells, n_pairs, -1)


def project_pairs(pairs: MicrophonePairs, points: Floats, room_dims: Floats
                  ) -> CompiledProjection | SparseProjection:
    """
    Compute the projection to points by the faster way that works on this machine.

    Parameters
    ----------
    pairs, points, room_dims
        As of `sparse_projection`.

    Returns
    -------
    CompiledProjection or SparseProjection
        The features that they gather differ by rounding alone.

    """
    if compiled_kernels('gathering_kernels') is None:
        return sparse_projection(pairs, points, room_dims)
    distance, through = _distances(pairs.mics, points, room_dims)
    return CompiledProjection(pairs, distance, through, _pair_geometry(pairs, distance))


def sparse_projection(pairs: MicrophonePairs, points: Floats,
                      room_dims: Floats) -> SparseProjection:
    """
    Compute the projection to points; the equations are those of networks/lag_sampling.py.

    Parameters
    ----------
    pairs : MicrophonePairs
        The pairs.
    points : numpy.ndarray
        Shape (V, 3), metres, float32.
    room_dims : numpy.ndarray
        Shape (3,), metres, float32.

    Returns
    -------
    SparseProjection
        See there.

    """
    i, j = pairs.pairs.T
    n_steps = 2 * pairs.n_lags // STRIDE
    n_rows, length = len(points) * len(i), n_steps + 1
    starts = (length * np.arange(len(i))).astype(np.int32)  # (P,)

    distance, through = _distances(pairs.mics, points, room_dims)  # (V, M), (V, M, 6)
    near, far = distance[:, i], distance[:, j]  # (V, P)
    row = path_difference(near, far) * pairs.rows_per_metre + np.float32(n_steps / 2)
    below = np.clip(np.floor(row), 0, n_steps - 1)
    upper = np.clip(row - below, 0, 1)
    first = below.astype(np.int32) + starts
    direct = csr_array((np.stack([1 - upper, upper], axis=-1).ravel(),
                        np.stack([first, first + 1], axis=-1).ravel(),
                        2 * np.arange(n_rows + 1, dtype=np.int32)),
                       shape=(n_rows, len(i) * length))

    # Either microphone receives the reflection while the other receives the direct sound.
    loudness = distance[..., None] / np.maximum(through, 1e-3)  # (V, M, 6)
    rows = np.empty((len(points), len(i), 6, 2), np.float32)
    rows[..., 0] = path_difference(through[:, i], far[..., None])
    rows[..., 1] = path_difference(near[..., None], through[:, j])
    rows *= pairs.rows_per_metre
    rows += np.float32(n_steps / 2)
    np.rint(rows, out=rows)
    weights = np.stack([loudness[:, i], loudness[:, j]], axis=-1)
    weights *= (rows >= 0) & (rows <= n_steps)  # lags that are not evaluated have weight zero
    np.clip(rows, 0, n_steps, out=rows)
    index = rows.astype(np.int32)
    index += starts[:, None, None]
    ends = np.append((12 * np.arange(n_rows, dtype=np.int32)[:, None] + _SURFACE_STARTS).ravel(),
                     np.int32(12 * n_rows))
    echoes = csr_array((weights.ravel(), index.ravel(), ends),
                       shape=(3 * n_rows, len(i) * length))

    return SparseProjection(direct, echoes, _pair_geometry(pairs, distance))


def _pair_geometry(pairs: MicrophonePairs, distance: Floats) -> Floats:
    """Describe where cells at distances (V, M) from microphones lie from pairs: (V, P, 6)."""
    near, far = (distance[:, mic] for mic in pairs.pairs.T)  # (V, P)
    geometry = np.empty((*near.shape, 6), np.float32)
    geometry[..., 0] = near / 5
    geometry[..., 1] = far / 5
    geometry[..., 2] = pairs.spacing / 5
    geometry[..., 3] = path_difference(near, far) / pairs.spacing
    geometry[..., 4] = 1 / (near + np.float32(0.3))
    geometry[..., 5] = 1 / (far + np.float32(0.3))
    return geometry


def _distances(mics: Floats, points: Floats, room_dims: Floats) -> tuple[Floats, Floats]:
    """
    Compute distances from microphones (V, M) and from their images behind the walls (V, M, 6).

    A mirror changes one coordinate only, so each image costs one addition and one root.
    """
    squares = np.square(points[:, None] - mics)  # (V, M, 3)
    total = squares.sum(axis=-1)
    sums = points[:, None] + mics
    images = np.square(np.stack([sums, sums - 2 * room_dims], axis=-1))  # (V, M, 3, 2)
    through = np.sqrt(np.maximum((total[..., None] - squares)[..., None] + images, 0))
    return np.sqrt(total), through.reshape(*total.shape, 6)
