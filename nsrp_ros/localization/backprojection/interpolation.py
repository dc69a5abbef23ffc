"""
Which cells of an earlier look each cell of a finer one lies between; without torch.

torch_cpu/grid_posterior.py and engine.py carry over by it what is known of the earlier cells.

Shapes: V' cells of the earlier look, V = Z Y X cells of the finer one.
"""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4)  # the map stays, closer looks pass by
def neighbours(known_area, known_shape, area, shape):
    """
    Find the neighbours of cells.

    Parameters
    ----------
    known_area, area : tuple of float
        The corners (x, y, z) of the areas of the earlier and the finer look, six numbers each,
        metres; the second inside the first.
    known_shape, shape : tuple of int
        Z, Y and X: how many cells either is divided into.

    Returns
    -------
    cells : numpy.ndarray
        Shape (V, 8), int32: which of the earlier cells.
    shares : numpy.ndarray
        Shape (V, 8), float32: how much each one counts where values are interpolated linearly.

    """
    known, area = np.reshape(known_area, (2, 3)), np.reshape(area, (2, 3))
    # All axes' cells, one after the other, since so few are not worth three turns; arrays are
    # (z, y, x), corners are (x, y, z).
    low, high, lower, upper = np.repeat(np.concatenate([known, area])[:, ::-1], shape, axis=1)
    n_known, n = np.repeat([known_shape, shape], shape, axis=1)
    centres = lower + (upper - lower) / n * (np.concatenate([*map(np.arange, shape)]) + 0.5)
    at = ((centres - low) / (high - low) * n_known - 0.5).clip(0, n_known - 1)
    ends = np.stack([np.floor(at), np.ceil(at)], axis=1).astype(np.int32)
    above = (at % 1).astype(np.float32)
    counts = np.stack([1 - above, above], axis=1)

    cells, shares = np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32)
    start = 0
    for axis, n in enumerate(shape):
        # Of all axes so far, and of the two ends along each of them.
        own = np.s_[None, start:start + n, None]
        cells = (cells[:, None, :, None] * known_shape[axis] + ends[own]).reshape(
            len(cells) * n, -1)
        shares = (shares[:, None, :, None] * counts[own]).reshape(len(shares) * n, -1)
        start += n
    return cells, shares
