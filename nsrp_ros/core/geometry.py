"""
Microphone pairs, grids over a room, and the sign of a TDOA.

Every convention of space and delay in this package is defined here, and only here:

* positions are (x, y, z) in metres in the room's frame; a room is the box [0, room_dims];
* maps are arrays (ny, nx), y first, as nav_msgs/OccupancyGrid is;
* the time difference of arrival of the pair (i, j) is positive when i receives the sound later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SPEED_OF_SOUND = 343.0
"""Metres per second, in air of 20 degrees Celsius."""


def microphone_pairs(n_mics: int) -> np.ndarray:
    """
    List every unordered pair of microphones once, i before j (the sums of the paper's eq. 6, 7).

    Parameters
    ----------
    n_mics : int
        Number of microphones M, 2 or more.

    Returns
    -------
    numpy.ndarray
        Shape (P, 2), integer, P = M (M - 1) / 2.

    Raises
    ------
    ValueError
        If there are fewer than two microphones.

    """
    if n_mics < 2:
        raise ValueError(f'localization needs at least 2 microphones, got {n_mics}')
    return np.stack(np.triu_indices(n_mics, k=1), axis=1)


def path_difference(first: Any, second: Any) -> Any:
    """
    Path to a pair's first microphone minus the path to its second.

    The one function that decides the sign of every TDOA, lag and reflection in this package: it is
    positive where the first microphone receives the sound later. Its arguments are of any type
    that can be subtracted, also the plain numbers of compiled loops.

    Parameters
    ----------
    first, second : float, numpy.ndarray or torch.Tensor
        Distances from a source or an image source to the first and the second microphone of each
        pair, metres (or samples, or seconds); of shapes that broadcast.

    Returns
    -------
    float, numpy.ndarray or torch.Tensor
        In the same unit.

    """
    return first - second


def cross_spectrum(first: Any, second: Any) -> Any:
    """
    Cross-spectrum of a pair, whose inverse transform peaks at the lag of `path_difference`.

    A sound that arrives after d_i seconds has the phase -w d_i, so X_i conj(X_j) has the phase
    -w (d_i - d_j): that of an impulse d_i - d_j seconds late. A test checks that the two agree.

    Parameters
    ----------
    first, second : complex, numpy.ndarray or torch.Tensor
        Spectra of the first and the second microphone of each pair.

    Returns
    -------
    complex, numpy.ndarray or torch.Tensor
        Their product, the second conjugated.

    """
    conjugate = second.conj()  # named: NumPy swaps the factors where the second is a temporary
    return first * conjugate


def cross_spectral_matrix(spectra: Any) -> Any:
    """
    Cross-spectra of all pairs of microphones, summed over frames by one matrix product.

    Parameters
    ----------
    spectra : numpy.ndarray or torch.Tensor
        Shape (..., M, N), complex: of M microphones in N frames.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        Shape (..., M, M): [i, j] is the sum over frames of `cross_spectrum` of i and j.

    """
    return spectra @ spectra.conj().swapaxes(-1, -2)


def lags_per_metre(sample_rate: float, step: float = 1) -> float:
    """
    Lags per metre of path difference.

    Parameters
    ----------
    sample_rate : float
        Hertz.
    step : float
        Samples from one lag to the next; below 1 where lags are interpolated.

    Returns
    -------
    float
        Lags per metre.

    """
    return sample_rate / SPEED_OF_SOUND / step


def tdoa(points: ArrayLike, mic_positions: ArrayLike, pairs: ArrayLike) -> np.ndarray:
    """
    Time differences of arrival, the paper's eq. 5.

    tau_ij(p) = (|p - m_i| - |p - m_j|) / c, positive where the sound of p reaches i after j.

    Parameters
    ----------
    points : array_like
        Shape (..., D), candidate source positions in metres, D being 2 or 3.
    mic_positions : array_like
        Shape (M, D), metres.
    pairs : array_like
        Shape (P, 2), indices into the microphones.

    Returns
    -------
    numpy.ndarray
        Shape (P, ...), seconds.

    """
    points = np.asarray(points, dtype=np.float64)
    mic_positions = np.asarray(mic_positions, dtype=np.float64)
    distances = np.stack([
        np.linalg.norm(points - mic, axis=-1) for mic in mic_positions])  # (M, ...)
    pairs = np.asarray(pairs)
    difference: np.ndarray = path_difference(distances[pairs[:, 0]], distances[pairs[:, 1]])
    return difference / SPEED_OF_SOUND


def cell_centres(length: float, n_cells: int) -> np.ndarray:
    """Return the centres (n_cells,) of equal cells that tile [0, length], metres."""
    return (np.arange(n_cells) + 0.5) * (length / n_cells)


@dataclass(frozen=True)
class Grid:
    """
    Cell centres that tile a room's floor, at one or several heights.

    Attributes
    ----------
    x, y, z : numpy.ndarray
        Shapes (nx,), (ny,), (nz,), metres in the room's frame.

    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def over_room(cls, room_dims: Sequence[float] | np.ndarray, nx: int, ny: int,
                  nz: int = 1) -> 'Grid':
        """Divide the box [0, room_dims] into nx by ny by nz equal cells."""
        return cls.over_box(np.zeros(3), room_dims, nx, ny, nz)

    @classmethod
    def over_box(cls, lower: Sequence[float] | np.ndarray, upper: Sequence[float] | np.ndarray,
                 nx: int, ny: int, nz: int = 1) -> 'Grid':
        """Divide the box between two corners (3,), in metres, into nx by ny by nz cells."""
        if min(nx, ny, nz) < 1:
            raise ValueError(f'a grid needs cells along every side, got {nx} x {ny} x {nz}')
        return cls(*(low + cell_centres(high - low, n)
                     for low, high, n in zip(lower, upper, (nx, ny, nz), strict=True)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (nz, ny, nx), the order of every array over the grid."""
        return len(self.z), len(self.y), len(self.x)

    def points(self) -> np.ndarray:
        """Return every cell's centre, shape (nz, ny, nx, 3), metres."""
        z, y, x = np.meshgrid(self.z, self.y, self.x, indexing='ij')
        return np.stack([x, y, z], axis=-1)
