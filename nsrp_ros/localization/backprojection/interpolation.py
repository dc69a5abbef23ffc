"""
Linear interpolation from the cells of a coarser grid to those of a finer one; without torch.

torch_cpu/grid_posterior.py interpolates by the same table.

Shapes: V' = Z' Y' X' cells of the coarser grid, V = Z Y X cells of the finer one, D channels.
"""

from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@dataclass(frozen=True)
class GridFeatures:
    """
    The features of an evaluated grid, from which finer grids are interpolated.

    Attributes
    ----------
    corners : numpy.ndarray
        Shape (2, 3), metres, of its area.
    features : numpy.ndarray
        Shape (Z', Y', X', D).

    """

    corners: NDArray[np.float64]
    features: NDArray[np.float32]


@lru_cache(maxsize=4)  # the map's grid stays, refinement grids change
def neighbour_table(coarse_area: tuple[float, ...], coarse_shape: tuple[int, ...],
                    area: tuple[float, ...], shape: tuple[int, ...]
                    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """
    Tabulate the neighbours of each cell in a coarser grid.

    Parameters
    ----------
    coarse_area, area : tuple of float
        The corners (x, y, z) of the areas of the coarser and the finer grid, six numbers each,
        metres; the second inside the first.
    coarse_shape, shape : tuple of int
        Z, Y and X: how many cells either is divided into.

    Returns
    -------
    cells : numpy.ndarray
        Shape (V, 8), int32: indices of the coarser cells.
    weights : numpy.ndarray
        Shape (V, 8), float32: the weight of each in linear interpolation.

    """
    coarse, fine = np.reshape(coarse_area, (2, 3)), np.reshape(area, (2, 3))
    # All axes' cells, one after the other, since so few are not worth three turns; arrays are
    # (z, y, x), corners are (x, y, z).
    low, high, lower, upper = np.repeat(np.concatenate([coarse, fine])[:, ::-1], shape, axis=1)
    n_coarse, n_fine = np.repeat([coarse_shape, shape], shape, axis=1)
    centres = lower + (upper - lower) / n_fine * (np.concatenate([*map(np.arange, shape)]) + 0.5)
    at = ((centres - low) / (high - low) * n_coarse - 0.5).clip(0, n_coarse - 1)
    ends = np.stack([np.floor(at), np.ceil(at)], axis=1).astype(np.int32)
    above = (at % 1).astype(np.float32)
    shares = np.stack([1 - above, above], axis=1)

    cells, weights = np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32)
    start = 0
    for axis, n in enumerate(shape):
        # Of all axes so far, and of the two ends along each of them.
        own = np.s_[None, start:start + n, None]
        cells = (cells[:, None, :, None] * coarse_shape[axis] + ends[own]).reshape(
            len(cells) * n, -1)
        weights = (weights[:, None, :, None] * shares[own]).reshape(len(weights) * n, -1)
        start += n
    return cells, weights


def interpolate_features(known: GridFeatures, probabilities: NDArray[np.float32],
                         corners: NDArray[np.float64], shape: tuple[int, int, int]
                         ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Interpolate a coarser grid at the cells of an area inside its own.

    Parameters
    ----------
    known : GridFeatures
        Of the coarser grid.
    probabilities : numpy.ndarray
        Shape (Z', Y', X'), of its cells.
    corners : numpy.ndarray
        Shape (2, 3), metres: of the area.
    shape : tuple of int
        Z, Y and X: how many cells the area is divided into.

    Returns
    -------
    features : numpy.ndarray
        Shape (V, D), interpolated linearly.
    likely : numpy.ndarray
        Shape (V,): the largest probability of the neighbours.

    """
    cells, weights = neighbour_table(tuple(known.corners.flat), probabilities.shape,
                                     tuple(corners.flat), shape)
    table = known.features.reshape(probabilities.size, -1)
    kernels = compiled_kernels('gathering_kernels')
    if kernels is None:
        ends = np.arange(0, cells.size + 1, cells.shape[1], dtype=np.int32)
        features = csr_array((weights.ravel(), cells.ravel(), ends),
                             shape=(len(cells), len(table))) @ table
    else:
        features = np.empty((len(cells), table.shape[1]), np.float32)
        kernels.interpolate(cells, weights, table, features)
    return features, probabilities.ravel().take(cells).max(axis=1)
