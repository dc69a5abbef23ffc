"""
What correlation.py computes, cross-correlations of pairs, without torch: in two ways.

`CompiledArrays` does it by compiled_correlation.py, whose loops need Numba, `PlainArrays` by NumPy
and SciPy; `array_correlator` takes the second where Numba is missing or cannot compile.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nsrp_ros.core.stft_bands import band_filters
from nsrp_ros.core.stft_bands import check_lags
from nsrp_ros.core.stft_bands import hann_window
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.compiled_correlation import CompiledSums
from nsrp_ros.localization.backprojection.compiled_correlation import Transforms
import numpy as np
from scipy import fft


def array_correlator(config, learned=None):
    """
    Make what correlates the pairs of a scene as fast as this machine can.

    Parameters
    ----------
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : callable, optional
        Maps magnitudes (1, M, F, N) to learnt weights (M, W', F, N).

    Returns
    -------
    CompiledArrays or PlainArrays
        What either gives differs by rounding alone.

    """
    kernels = compiled_kernels()
    return (PlainArrays(config, learned) if kernels is None
            else CompiledArrays(kernels, config, learned))


class CompiledArrays:
    """
    Correlations by compiled loops, for one scene.

    Parameters
    ----------
    kernels : module
        By `compiled_kernels`.
    config, learned
        As of `array_correlator`.

    """

    def __init__(self, kernels, config, learned=None):
        self._config, self._learned = config, learned
        self._sums = CompiledSums(kernels, config, Transforms(fft.rfft, _sums_of_both_sides),
                                  None if learned is None else self._trust)

    def listen(self, signals, n_lags):
        """
        Compute all that pairs are correlated from; the equations are those of correlation.py.

        Parameters
        ----------
        signals, n_lags
            As of `CompiledSums.listen`.

        Returns
        -------
        callable
            Of pairs (P, 2), their largest lag and an array (K, P, L), float32, that it writes
            their correlations to: K as of `pair_correlations`, but before pairs.

        Raises
        ------
        ValueError
            If a frame does not hold the lags.

        """
        spectra = self._sums.listen(signals, n_lags)
        whole = _whole_window(signals, n_lags, self._config) if self._config.whole_window else None
        return partial(self._correlate, spectra, whole)

    def _correlate(self, spectra, whole, pairs, n_lags, found):
        """Correlate pairs; see `listen`."""
        full = self._sums.correlate(spectra, pairs).swapaxes(0, 1)  # (K', P, n_fft)
        _put_lags(full, n_lags, found[:len(full)])
        if whole is not None:
            _put_whole(whole, pairs, n_lags, found[-1])

    def _trust(self, magnitude):
        """Map magnitudes (M, N, F) to weights (M, N, F / shared, W'), each said once."""
        shared = self._config.shared_bins
        weights = self._learned(np.ascontiguousarray(magnitude.swapaxes(1, 2))[None])
        # Neighbouring bins share a weight, and the one left over goes with those before it.
        weights = weights[:, :, :magnitude.shape[2] // shared * shared:shared]
        return np.ascontiguousarray(weights.transpose(0, 3, 2, 1))


@dataclass(frozen=True)
class _Spectra:
    """
    The same as correlation.Spectra, of one scene.

    Attributes
    ----------
    cross : numpy.ndarray
        Shape (W, F, M, M), complex64.
    energy : numpy.ndarray
        Shape (W, M, bands), float32.
    whole : numpy.ndarray or None
        Shape (M, F'), complex64.

    """

    cross: np.ndarray
    energy: np.ndarray
    whole: np.ndarray | None


class PlainArrays:
    """Correlations by whole arrays; arguments are those of `array_correlator`."""

    def __init__(self, config, learned=None):
        self._config, self._learned = config, learned

    def listen(self, signals, n_lags):
        """Do what `CompiledArrays.listen` does."""
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
            weighted = phase if weight is None else phase * weight
            np.matmul(weighted, weighted.conj().swapaxes(1, 2), out=cross[k])
            if weight is None:
                energy[k] = phase.shape[2] * filters.sum(axis=1)
            else:
                energy[k] = np.einsum('fmn,fmn->mf', weight, weight) @ filters.T
        whole = _whole_window(signals, n_lags, cfg) if cfg.whole_window else None
        return partial(self._correlate, _Spectra(cross, energy, whole))

    def _correlate(self, spectra, pairs, n_lags, found):
        """Correlate pairs; see `CompiledArrays.listen`."""
        cfg, (first, second) = self._config, pairs.T
        filters = band_filters(cfg.bands, cfg.n_fft, cfg.sample_rate)
        n_weightings = len(spectra.cross)
        cross = spectra.cross[:, :, first, second].transpose(0, 2, 1)  # (W, P, F)
        energy = spectra.energy[:, first] * spectra.energy[:, second]  # (W, P, bands)
        # A sum over the bins of one side of a spectrum is half of one over both.
        scale = 0.5 / np.sqrt(np.maximum(energy, 1e-12))
        for band, passed in enumerate(filters):
            of_band = found[band * n_weightings:(band + 1) * n_weightings]
            _put_lags(_sums_of_both_sides(cross * passed, cfg.n_fft), n_lags, of_band)
            of_band *= scale[..., band, None]
        if spectra.whole is not None:
            _put_whole(spectra.whole, pairs, n_lags, found[-1])


def _sums_of_both_sides(cross, n_fft):
    """Go from cross-spectra (..., F) to lags (..., n_fft), undivided."""
    return fft.irfft(cross, n_fft, norm='forward')


def _put_lags(full, n_lags, found):
    """Put the lags from -n_lags to n_lags of circular correlations into an array (..., L)."""
    found[..., :n_lags] = full[..., -n_lags:]
    found[..., n_lags:] = full[..., :n_lags + 1]


def _put_whole(whole, pairs, n_lags, found):
    """Correlate whole windows (M, F') of pairs: into (P, L)."""
    cross = whole[pairs[:, 0]] * whole[pairs[:, 1]].conj()  # (P, F')
    _put_lags(_sums_of_both_sides(cross, 2 * (cross.shape[-1] - 1)), n_lags, found)


def _whole_window(signals, n_lags, config):
    """Whiten whole windows, so that products of two, halved, are GCC-PHAT: (M, F')."""
    n_fft = -(-(signals.shape[-1] + n_lags) // 1024) * 1024
    spectra = fft.rfft(signals, n_fft)
    magnitude = np.abs(spectra)
    floor = 1e-6 * magnitude.max(axis=-1, keepdims=True) + 1e-20
    whole = (config.bands[0][0], config.bands[-1][1]),
    filters = band_filters(whole, n_fft, config.sample_rate)[0]  # (F',)
    return spectra * (np.sqrt(filters / (2 * filters.sum())) / (magnitude + floor))


def _onset(magnitude):
    """Weigh what rises: see `correlation._onset`."""
    before, older = np.zeros_like(magnitude), np.zeros_like(magnitude)
    before[..., 1:], older[..., 2:] = magnitude[..., :-1], magnitude[..., :-2]
    return np.sqrt(np.maximum(magnitude - np.maximum(before, older), 0))


_WEIGHTINGS: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    'plain': lambda magnitude: None,
    'loud': np.sqrt,
    'onset': _onset,
}
