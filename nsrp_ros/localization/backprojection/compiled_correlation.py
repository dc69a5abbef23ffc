"""
From one scene's signals to circular correlations of its pairs by compiled loops, without torch.

The loops are in correlation_kernels.py and need Numba. torch_cpu/correlation.py calls them with
torch's Fourier transforms and networks, correlation.py with SciPy's and ONNX Runtime's.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, K = bands times W.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
import logging
from types import ModuleType

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.stft_bands import band_filters
from nsrp_ros.core.stft_bands import check_lags
from nsrp_ros.core.stft_bands import hann_window
import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger('nsrp_ros')


@lru_cache(maxsize=2)
def compiled_kernels(name: str = 'correlation_kernels') -> ModuleType | None:
    """
    Return a module of compiled loops, or None if they cannot be compiled here.

    Parameters
    ----------
    name : str
        'correlation_kernels' or 'gathering_kernels'; compiled at the first call.

    """
    try:
        from numba import config
        from numba.core.errors import NumbaError
    except ImportError as error:  # not installed, or not for this NumPy
        _LOG.info('Correlations take three times as long without Numba: %s', error)
        return None
    if vars(config)['DISABLE_JIT']:  # loops that nothing compiles would take minutes
        return None
    try:
        return import_module(f'{__package__}.{name}')
    except (NumbaError, ImportError, OSError, RuntimeError, ValueError) as error:
        _LOG.warning('Numba cannot compile %s, which takes three times as long: %s', name, error)
        return None


@dataclass(frozen=True)
class Transforms:
    """
    A library's Fourier transforms along the last axis.

    Attributes
    ----------
    forward : callable
        Of frames (M, N, n_fft), float32: spectra (M, N, F), complex64.
    inverse : callable
        Of spectra (P, K, F), complex64, and n_fft: (P, K, n_fft), float32, the sums over both
        sides of the spectra, not divided by their number.

    """

    forward: Callable[[NDArray[np.float32]], NDArray[np.complex64]]
    inverse: Callable[[NDArray[np.complex64], int], NDArray[np.float32]]


@dataclass(frozen=True)
class WhitenedSpectra:
    """
    What pairs are correlated from, computed once a microphone; see correlation_kernels.py.

    Attributes
    ----------
    real, imaginary : numpy.ndarray
        Shapes (M, N, F).
    weights : numpy.ndarray
        Shape (W, M, N, F).
    energy : numpy.ndarray
        Shape (W, M, bands).

    """

    real: NDArray[np.float32]
    imaginary: NDArray[np.float32]
    weights: NDArray[np.float32]
    energy: NDArray[np.float32]


class CompiledSums:
    """
    The sums of correlation.py in compiled loops, for one scene.

    Parameters
    ----------
    kernels : module
        By `compiled_kernels`.
    config : BackprojectionConfig
        Frames, bands and weightings.
    transforms : Transforms
        See there.
    learned : callable, optional
        Maps magnitudes (M, N, F) to learned weights (M, N, F', n), contiguous, of F // F'
        neighbouring bins each.

    """

    def __init__(self, kernels: ModuleType, config: BackprojectionConfig, transforms: Transforms,
                 learned: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
                 ) -> None:
        self._config, self._kernels, self._transforms = config, kernels, transforms
        self._learned = learned
        kinds = {'plain': kernels.PLAIN, 'loud': kernels.LOUD, 'onset': kernels.ONSET}
        n_learned = 0 if learned is None else config.learned_weightings
        self._kinds = np.array([kinds[weighting] for weighting in config.weightings]
                               + [kernels.LEARNED + k for k in range(n_learned)], np.int64)
        self._window = hann_window(config.n_fft)
        self._filters = band_filters(config.bands, config.n_fft, config.sample_rate)
        passed = [np.flatnonzero(of_band) for of_band in self._filters]
        self._edges = np.array([(bins[0], bins[-1] + 1) for bins in passed], np.int64)

    def spectra(self, signals: NDArray[np.float32], n_lags: int) -> WhitenedSpectra:
        """
        Compute what pairs are correlated from.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32.
        n_lags : int
            Largest lag that will be evaluated, samples; must be below half a frame.

        Returns
        -------
        WhitenedSpectra
            See there.

        Raises
        ------
        ValueError
            If a frame is too short for the lags.

        """
        cfg, kernels = self._config, self._kernels
        check_lags(n_lags, cfg)
        n_mics, n_frames = len(signals), 1 + signals.shape[1] // cfg.hop_length
        frames = np.empty((n_mics, n_frames, cfg.n_fft), np.float32)
        kernels.cut_frames(np.ascontiguousarray(signals), self._window, cfg.hop_length, frames)
        spectra = self._transforms.forward(frames).view(np.float32)  # (M, N, 2 F)
        shape = n_mics, n_frames, cfg.n_fft // 2 + 1
        real, imaginary, magnitude = (np.empty(shape, np.float32) for _ in range(3))
        kernels.whiten(spectra, real, imaginary, magnitude)
        learned = (np.empty((n_mics, n_frames, 1, 0), np.float32) if self._learned is None
                   else self._learned(magnitude))
        weights = np.empty((len(self._kinds), *shape), np.float32)
        energy = np.empty((len(self._kinds), n_mics, len(cfg.bands)), np.float32)
        kernels.weigh(magnitude, learned, self._kinds, self._filters, weights, energy)
        return WhitenedSpectra(real, imaginary, weights, energy)

    def correlate(self, spectra: WhitenedSpectra,
                  pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """
        Correlate pairs.

        Parameters
        ----------
        spectra : WhitenedSpectra
            By the method `spectra`.
        pairs : numpy.ndarray
            Shape (P, 2), int64.

        Returns
        -------
        numpy.ndarray
            Shape (P, K, n_fft), float32: circular, with lag 0 first and lag -1 last.

        """
        cfg = self._config
        cross = np.empty((len(pairs), len(self._filters) * len(self._kinds),
                          cfg.n_fft // 2 + 1), np.complex64)
        self._kernels.cross_spectra(
            np.ascontiguousarray(pairs), spectra.real, spectra.imaginary, self._kinds,
            spectra.weights, self._filters, self._edges, spectra.energy, cross.view(np.float32))
        return self._transforms.inverse(cross, cfg.n_fft)
