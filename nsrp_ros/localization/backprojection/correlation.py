"""
The cross-correlations of networks/correlation.py without torch, in two ways.

`CompiledCorrelator` computes them by compiled_correlation.py, whose loops need Numba,
`NumpyCorrelator` by NumPy and SciPy; `make_correlator` takes the second where Numba is missing or
cannot compile.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import cross_spectral_matrix
from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.stft_bands import band_filters
from nsrp_ros.core.stft_bands import check_lags
from nsrp_ros.core.stft_bands import hann_window
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.compiled_correlation import CompiledSums
from nsrp_ros.localization.backprojection.compiled_correlation import Transforms
from nsrp_ros.localization.backprojection.compiled_correlation import WhitenedSpectra
import numpy as np
from numpy.typing import NDArray
from scipy import fft

LearnedWeights = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Maps magnitudes (1, M, F, N) to learned weights (M, W', F, N)."""
Correlate = Callable[[NDArray[np.int64], int, NDArray[np.float32]], None]
"""Takes pairs (P, 2), their largest lag and an array (K, P, L), float32, to which it writes their
correlations: K as of `pair_correlations`, but before pairs."""


def make_correlator(config: BackprojectionConfig, learned: LearnedWeights | None = None
                    ) -> 'CompiledCorrelator | NumpyCorrelator':
    """
    Make the faster correlator that works on this machine.

    Parameters
    ----------
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : callable, optional
        A `LearnedWeights`.

    Returns
    -------
    CompiledCorrelator or NumpyCorrelator
        Their results differ by rounding alone.

    """
    kernels = compiled_kernels()
    return (NumpyCorrelator(config, learned) if kernels is None
            else CompiledCorrelator(kernels, config, learned))


class CompiledCorrelator:
    """
    Correlations by compiled loops, for one scene.

    Parameters
    ----------
    kernels : module
        By `compiled_kernels`.
    config, learned
        As of `make_correlator`.

    """

    def __init__(self, kernels: ModuleType, config: BackprojectionConfig,
                 learned: LearnedWeights | None = None) -> None:
        self._config = config
        self._sums = CompiledSums(
            kernels, config, Transforms(fft.rfft, _sums_of_both_sides),
            None if learned is None else partial(_shared_weights, learned, config.shared_bins))

    def prepare(self, signals: NDArray[np.float32], n_lags: int) -> Correlate:
        """
        Compute what pairs are correlated from; the equations are those of correlation.py.

        Parameters
        ----------
        signals, n_lags
            As of `CompiledSums.spectra`.

        Returns
        -------
        callable
            A `Correlate`.

        Raises
        ------
        ValueError
            If a frame is too short for the lags.

        """
        spectra = self._sums.spectra(signals, n_lags)
        whole = _whole_window(signals, n_lags, self._config) if self._config.whole_window else None
        return partial(self._correlate, spectra, whole)

    def _correlate(self, spectra: WhitenedSpectra, whole: NDArray[np.complex64] | None,
                   pairs: NDArray[np.int64], n_lags: int, out: NDArray[np.float32]) -> None:
        """Correlate pairs; see `prepare`."""
        full = self._sums.correlate(spectra, pairs).swapaxes(0, 1)  # (K', P, n_fft)
        _put_lags(full, n_lags, out[:len(full)])
        if whole is not None:
            _put_whole(whole, pairs, n_lags, out[-1])


def _shared_weights(learned: LearnedWeights, shared_bins: int,
                    magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map magnitudes (M, N, F) to weights (M, N, F / shared, W'), without repetitions."""
    weights = learned(np.ascontiguousarray(magnitude.swapaxes(1, 2))[None])
    # Neighbouring bins share a weight, and the one left over shares that of the last ones.
    weights = weights[:, :, :magnitude.shape[2] // shared_bins * shared_bins:shared_bins]
    return np.ascontiguousarray(weights.transpose(0, 3, 2, 1))


@dataclass(frozen=True)
class _Spectra:
    """
    The same as networks.correlation.Spectra, of one scene.

    Attributes
    ----------
    cross : numpy.ndarray
        Shape (W, F, M, M), complex64.
    energy : numpy.ndarray
        Shape (W, M, bands), float32.
    whole : numpy.ndarray or None
        Shape (M, F'), complex64.

    """

    cross: NDArray[np.complex64]
    energy: NDArray[np.float32]
    whole: NDArray[np.complex64] | None


class NumpyCorrelator:
    """Correlations by whole arrays; arguments are those of `make_correlator`."""

    def __init__(self, config: BackprojectionConfig,
                 learned: LearnedWeights | None = None) -> None:
        self._config, self._learned = config, learned

    def prepare(self, signals: NDArray[np.float32], n_lags: int) -> Correlate:
        """Do what `CompiledCorrelator.prepare` does."""
        cfg = self._config
        check_lags(n_lags, cfg)
        padded = np.pad(signals, ((0, 0), (cfg.n_fft // 2, cfg.n_fft // 2)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, cfg.n_fft, axis=1)
        spectra = fft.rfft(frames[:, ::cfg.hop_length] * hann_window(cfg.n_fft))  # (M, N, F)
        spectra = np.ascontiguousarray(spectra.transpose(2, 0, 1))  # (F, M, N)
        magnitude = np.abs(spectra)
        loudness = np.sqrt(np.mean(np.square(magnitude), axis=(0, 2), keepdims=True))  # (1, M, 1)
        phase = spectra / (magnitude + (1e-6 * loudness + 1e-20))
        magnitude /= np.maximum(loudness, 1e-9)

        weights = [_WEIGHTINGS[weighting](magnitude) for weighting in cfg.weightings]
        if self._learned is not None:
            of_mics = np.ascontiguousarray(magnitude.transpose(1, 0, 2))  # (M, F, N)
            weights += list(self._learned(of_mics[None]).transpose(1, 2, 0, 3))
        cross = np.empty((len(weights), *phase.shape[:2], phase.shape[1]), np.complex64)
        energy = np.empty((len(weights), phase.shape[1], len(cfg.bands)), np.float32)
        filters = band_filters(cfg.bands, cfg.n_fft, cfg.sample_rate)
        for k, weight in enumerate(weights):
            cross[k] = cross_spectral_matrix(phase if weight is None else phase * weight)
            if weight is None:
                energy[k] = phase.shape[2] * filters.sum(axis=1)
            else:
                energy[k] = np.einsum('fmn,fmn->mf', weight, weight) @ filters.T
        whole = _whole_window(signals, n_lags, cfg) if cfg.whole_window else None
        return partial(self._correlate, _Spectra(cross, energy, whole))

    def _correlate(self, spectra: _Spectra, pairs: NDArray[np.int64], n_lags: int,
                   out: NDArray[np.float32]) -> None:
        """Correlate pairs; see `CompiledCorrelator.prepare`."""
        cfg, (first, second) = self._config, pairs.T
        filters = band_filters(cfg.bands, cfg.n_fft, cfg.sample_rate)
        n_weightings = len(spectra.cross)
        cross = spectra.cross[:, :, first, second].transpose(0, 2, 1)  # (W, P, F)
        energy = spectra.energy[:, first] * spectra.energy[:, second]  # (W, P, bands)
        # A sum over the bins of one side of a spectrum is half of one over both.
        scale = 0.5 / np.sqrt(np.maximum(energy, 1e-12))
        for band, passed in enumerate(filters):
            of_band = out[band * n_weightings:(band + 1) * n_weightings]
            _put_lags(_sums_of_both_sides(cross * passed, cfg.n_fft), n_lags, of_band)
            of_band *= scale[..., band, None]
        if spectra.whole is not None:
            _put_whole(spectra.whole, pairs, n_lags, out[-1])


def _sums_of_both_sides(cross: NDArray[np.complex64], n_fft: int) -> NDArray[np.float32]:
    """Transform cross-spectra (..., F) to lags (..., n_fft), undivided."""
    return np.asarray(fft.irfft(cross, n_fft, norm='forward'))


def _put_lags(full: NDArray[np.float32], n_lags: int, out: NDArray[np.float32]) -> None:
    """Put the lags from -n_lags to n_lags of circular correlations into an array (..., L)."""
    out[..., :n_lags] = full[..., -n_lags:]
    out[..., n_lags:] = full[..., :n_lags + 1]


def _put_whole(whole: NDArray[np.complex64], pairs: NDArray[np.int64], n_lags: int,
               out: NDArray[np.float32]) -> None:
    """Correlate whole windows (M, F') of pairs: into (P, L)."""
    cross = cross_spectrum(whole[pairs[:, 0]], whole[pairs[:, 1]])  # (P, F')
    _put_lags(_sums_of_both_sides(cross, 2 * (cross.shape[-1] - 1)), n_lags, out)


def _whole_window(signals: NDArray[np.float32], n_lags: int,
                  config: BackprojectionConfig) -> NDArray[np.complex64]:
    """Whiten whole windows, so that products of two, halved, are GCC-PHAT: (M, F')."""
    n_fft = -(-(signals.shape[-1] + n_lags) // 1024) * 1024
    spectra = fft.rfft(signals, n_fft)
    magnitude = np.abs(spectra)
    floor = 1e-6 * magnitude.max(axis=-1, keepdims=True) + 1e-20
    whole = (config.bands[0][0], config.bands[-1][1]),
    filters = band_filters(whole, n_fft, config.sample_rate)[0]  # (F',)
    return np.asarray(spectra * (np.sqrt(filters / (2 * filters.sum())) / (magnitude + floor)))


def _onset(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight onsets: see `networks.correlation`."""
    before, older = np.zeros_like(magnitude), np.zeros_like(magnitude)
    before[..., 1:], older[..., 2:] = magnitude[..., :-1], magnitude[..., :-2]
    return np.asarray(np.sqrt(np.maximum(magnitude - np.maximum(before, older), 0)))


_WEIGHTINGS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32] | None]] = {
    'plain': lambda magnitude: None,
    'loud': np.sqrt,
    'onset': _onset,
}
