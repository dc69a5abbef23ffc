"""
Steered response power for several talkers, with peaks de-emphasised by xsrp.

    A. Brutti, M. Omologo, P. Svaizer, "Multiple source localization based on acoustic map
    de-emphasis", EURASIP Journal on Audio, Speech, and Music Processing, 2010.
    E. Grinstein et al., "Steered Response Power for Sound Source Localization: a tutorial
    review", 2024; its package xsrp (MIT licence)

The highest point of the map is the first talker; a notch at his lags in the correlations of all
pairs removes him, and the highest point of the new map is the next. Powers say nothing of whether
a talker is there: whoever asks has to know how many there are.

The correlations and the notch are xsrp's own. Of the rest of xsrp 0.1.1 nothing is used: its class
`MultiSourceSrp` is empty, its `peak_de_emphasis_searcher` puts the notch at lags of the other sign
than those that its maps are read at, and its maps are loops over cells that take minutes on a grid
that is fine enough not to miss a peak: one sample is 2 cm. Here a coarse grid is read from the
correlations' maxima over what a cell spans, and the best cells are searched on a fine one. Its
correlations are given a spectrum of twice the window, since by default they drop half of it.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.core.spectral_edges import faded
from nsrp_ros.core.surroundings import Surroundings
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from xsrp.grid_search import de_emphasize_peak
from xsrp.signal_features.gcc_phat import gcc_phat


@dataclass(frozen=True)
class MultiSourceConfig:
    """Grid and notch; the values are the best on simulated rooms with two talkers."""

    sample_rate: int = 16000
    """Hertz."""
    cell: float = 0.1
    """Largest side of a cell, metres."""
    refined: int = 500
    """Cells that are searched for the peak: those with the highest bounds."""
    subdivision: int = 5
    """Points along each side of such a cell."""
    rectified: bool = False
    """Whether correlations are replaced by their absolute values."""
    notch: float = 6.0
    """Half width of the notch at a talker's lags, samples."""
    steepness: float = 2.0
    """Exponent of the notch."""


@dataclass(frozen=True)
class Peak:
    """
    A talker, found as a peak of the map.

    Attributes
    ----------
    position : numpy.ndarray
        Shape (3,), metres.
    power : float
        Mean over pairs of the correlation there, at most 1.

    """

    position: NDArray[np.float64]
    power: float


def locate_several(signals: NDArray[np.floating], mic_positions: NDArray[np.floating],
                   surroundings: Surroundings, most: int,
                   config: MultiSourceConfig | None = None) -> list[Peak]:
    """
    Find a number of talkers in one window.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), at `config.sample_rate`.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    surroundings : Surroundings
        Where to search; walls are not used.
    most : int
        How many talkers.
    config : MultiSourceConfig, optional
        The settings.

    Returns
    -------
    list of Peak
        As many as `most`, in the order in which they were found.

    """
    config = config or MultiSourceConfig()
    pairs = microphone_pairs(len(signals))
    size = surroundings.upper - surroundings.lower
    nx, ny, nz = np.maximum(1, np.ceil(size / config.cell)).astype(int)
    cells = Grid.over_box(surroundings.lower, surroundings.upper, nx, ny, nz).points()
    cells = cells[surroundings.contains(cells)]  # (N, 3)
    within = size / (nx, ny, nz) * _subdivision(config.subdivision)  # (S, 3), from the centre
    cell_lags = tdoa(cells, mic_positions, pairs) * config.sample_rate  # (P, N)
    # About what a cell spans of a correlation: the extreme of its bound would be twice as much.
    span = float(np.linalg.norm(size / (nx, ny, nz))) * lags_per_metre(config.sample_rate)

    matrix = gcc_phat(faded(signals), abs=config.rectified, return_lags=False,
                      n_dft_bins=2 * signals.shape[-1])  # (M, M, 2 T), lag 0 at T
    rows = matrix[pairs[:, 0], pairs[:, 1]]
    lags = np.arange(rows.shape[1]) - rows.shape[1] // 2
    peaks: list[Peak] = []
    for _ in range(most):
        bound = _mean_at(maximum_filter1d(rows, 2 * round(span / 2) + 1, axis=1), cell_lags)
        best = np.argpartition(-bound, min(config.refined, len(bound)) - 1)[:config.refined]
        points = (cells[best, None] + within).reshape(-1, 3)
        points = points[surroundings.contains(points)]
        power = _mean_at(rows, tdoa(points, mic_positions, pairs) * config.sample_rate)
        peaks.append(Peak(points[power.argmax()], float(power.max())))
        centres = tdoa(peaks[-1].position, mic_positions, pairs) * config.sample_rate  # (P,)
        rows = np.stack([
            de_emphasize_peak(row, lags, centre, config.notch, config.steepness)
            for row, centre in zip(rows, centres, strict=True)])
    return peaks


def _subdivision(n: int) -> NDArray[np.float64]:
    """Return the centres (n ** 3, 3) of the equal parts of a cube of side 1 about the origin."""
    parts = cell_centres(1.0, n) - 0.5
    return np.stack(np.meshgrid(parts, parts, parts), axis=-1).reshape(-1, 3)


def _mean_at(rows: NDArray[np.floating], lags: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean over pairs of correlations (P, L), lag 0 in the middle, at lags (P, N)."""
    total = np.zeros(lags.shape[1])
    for row, lag in zip(rows, lags + rows.shape[1] // 2, strict=True):
        below = lag.astype(np.int32)
        total += row[below] + (lag - below) * (row[below + 1] - row[below])
    return total / len(rows)
