"""
Two ways from one scene's signals to the correlations of its pairs on a processor.

`Compiled` computes what correlation.py does, in a third of the time: its loops are in kernels.py,
which needs Numba. `Plain` calls correlation.py and needs torch alone; `correlator` takes it where
Numba is missing, cannot compile or is switched off by NUMBA_DISABLE_JIT.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, L = 2 n_lags + 1 lags.
"""

from dataclasses import dataclass
from functools import lru_cache
from functools import partial
import logging

from nsrp_ros.core.correlation import band_filters
from nsrp_ros.core.correlation import check_lags
from nsrp_ros.core.correlation import correlate
from nsrp_ros.core.correlation import correlate_whole
from nsrp_ros.core.correlation import microphone_spectra
from nsrp_ros.core.correlation import whole_window
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

_MARGIN = 2  # bins that LearnedWeightings' first layer sees before the first
_LOG = logging.getLogger('nsrp_ros')


def correlator(config, learned=None):
    """
    Make what correlates the pairs of a scene as fast as this machine can.

    Parameters
    ----------
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : LearnedWeightings, optional
        More weightings, on the CPU, of as many bits as wanted.

    Returns
    -------
    Compiled or Plain
        What either gives differs by rounding alone.

    """
    kernels = compiled_kernels()
    return Plain(config, learned) if kernels is None else Compiled(kernels, config, learned)


@lru_cache(maxsize=1)
def compiled_kernels():
    """Return kernels.py, compiled when it is first asked for, or None if it cannot be."""
    try:
        from numba import config
        from numba.core.errors import NumbaError
    except ImportError as error:  # not installed, or not for this NumPy
        _LOG.info('Correlations take three times as long without Numba: %s', error)
        return None
    if vars(config)['DISABLE_JIT']:  # loops that nothing compiles would take minutes
        return None
    try:
        from nsrp_ros.core import kernels
    except (NumbaError, ImportError, OSError, RuntimeError, ValueError) as error:
        _LOG.warning('Numba cannot compile, correlations take three times as long: %s', error)
        return None
    return kernels


class Plain:
    """What correlation.py computes, asked in the same way as `Compiled`."""

    def __init__(self, config, learned=None):
        self.config, self._learned = config, learned

    def listen(self, signals, n_lags):
        """Do what `Compiled.listen` does."""
        spectra = microphone_spectra(signals[None], n_lags, self.config, self._learned)
        return lambda pairs, n_lags: correlate(spectra, pairs, n_lags, self.config)[0]


@dataclass(frozen=True)
class _Spectra:
    """What kernels correlate pairs from; see there."""

    real: np.ndarray
    imaginary: np.ndarray
    weights: np.ndarray
    energy: np.ndarray
    whole: torch.Tensor | None


class Compiled:
    """
    The sums of correlation.py in compiled loops, for one scene.

    Parameters
    ----------
    kernels : module
        By `compiled_kernels`.
    config, learned
        As of `correlator`.

    """

    def __init__(self, kernels, config, learned=None):
        self.config, self._kernels = config, kernels
        self._learned = None if learned is None else _FoldedWeightings(learned, config)
        kinds = {'plain': kernels.PLAIN, 'loud': kernels.LOUD, 'onset': kernels.ONSET}
        n_learned = 0 if learned is None else config.learned_weightings
        self._kinds = np.array([kinds[weighting] for weighting in config.weightings]
                               + [kernels.LEARNED + k for k in range(n_learned)], np.int64)
        self._window = torch.hann_window(config.n_fft).numpy()
        self._filters = band_filters(config.bands, config.n_fft, config.sample_rate,
                                     torch.device('cpu')).numpy()  # (bands, F)
        passed = [np.flatnonzero(of_band) for of_band in self._filters]
        self._edges = np.array([(bins[0], bins[-1] + 1) for bins in passed], np.int64)

    def listen(self, signals, n_lags):
        """
        Compute all that pairs are correlated from, once a microphone.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (M, T), float32.
        n_lags : int
            Largest lag that will be asked for, samples; must leave half a frame.

        Returns
        -------
        callable
            Of pairs (P, 2) and their largest lag: correlations (P, K, L), as of
            `pair_correlations`. In memory each lag's correlations lie side by side.

        Raises
        ------
        ValueError
            If a frame does not hold the lags.

        """
        cfg, kernels = self.config, self._kernels
        check_lags(n_lags, cfg)
        frames = torch.empty(len(signals), 1 + signals.shape[1] // cfg.hop_length, cfg.n_fft)
        kernels.cut_frames(signals.contiguous().numpy(), self._window, cfg.hop_length,
                           frames.numpy())
        spectra = torch.view_as_real(torch.fft.rfft(frames)).flatten(2)  # (M, N, 2 F)
        shape = *frames.shape[:2], cfg.n_fft // 2 + 1
        real, imaginary, magnitude = (np.empty(shape, np.float32) for _ in range(3))
        kernels.whiten(spectra.numpy(), real, imaginary, magnitude)
        learned = (np.empty((*shape[:2], 1, 0), np.float32) if self._learned is None
                   else self._learned(magnitude, kernels.interleave_rises))
        weights = np.empty((len(self._kinds), *shape), np.float32)
        energy = np.empty((len(self._kinds), len(signals), len(cfg.bands)), np.float32)
        kernels.weigh(magnitude, learned, self._kinds, self._filters, weights, energy)
        whole = whole_window(signals[None], n_lags, cfg) if cfg.whole_window else None
        return partial(self._correlate, _Spectra(real, imaginary, weights, energy, whole))

    def _correlate(self, spectra, pairs, n_lags):
        """Correlate pairs; see `listen`."""
        cfg, n_kinds = self.config, len(self._kinds) * len(self.config.bands)
        cross = torch.empty(len(pairs), n_kinds, cfg.n_fft // 2 + 1, 2)
        self._kernels.cross_spectra(
            pairs.contiguous().numpy(), spectra.real, spectra.imaginary, self._kinds,
            spectra.weights, self._filters, self._edges, spectra.energy, cross.flatten(2).numpy())
        full = torch.fft.irfft(torch.view_as_complex(cross), cfg.n_fft, norm='forward')
        known = torch.empty(len(pairs), 2 * n_lags + 1, n_kinds + cfg.whole_window)
        self._kernels.lags_first(full.numpy(), n_lags, known.numpy())
        if spectra.whole is not None:
            known[:, :, -1] = correlate_whole(spectra.whole, pairs, n_lags)[0]
        return known.transpose(1, 2)


class _FoldedWeightings:
    """
    LearnedWeightings for spectrograms whose bins lie side by side, frame after frame.

    The first layer steps over as many bins as share a weight. With these side by side as
    channels it is a convolution without steps, whose inner products are long enough to be fast.
    """

    def __init__(self, learned, config):
        first, self._activation, second, _, last = learned.layers
        n_shared = config.shared_bins
        weight = first.weight.detach()  # (C, 2, taps over bins, taps over frames)
        n_blocks = -(-weight.shape[2] // n_shared)
        weight = F.pad(weight, (0, 0, 0, n_blocks * n_shared - weight.shape[2]))
        weight = weight.unflatten(2, (n_blocks, n_shared)).permute(0, 3, 1, 4, 2).flatten(1, 2)
        self._n_shared, self._n_blocks = n_shared, n_blocks
        self._first = weight.contiguous(memory_format=torch.channels_last), first.bias.detach()
        weight = second.weight.detach().transpose(2, 3)
        self._second = weight.contiguous(memory_format=torch.channels_last), second.bias.detach()
        self._last = last.weight.detach()[:, :, 0, 0], last.bias.detach()

    def __call__(self, magnitude, interleave_rises):
        """Map magnitudes (M, N, F) to weights (M, N, F / shared, n) between 0 and 1."""
        level = magnitude + np.float32(1e-2)
        np.log(level, out=level)
        n_mics, n_frames, n_bins = level.shape
        seen = torch.empty(n_mics, n_frames, n_bins // self._n_shared + self._n_blocks - 1,
                           2 * self._n_shared)  # channels last in memory
        interleave_rises(level, _MARGIN, seen.flatten(2).numpy())
        features = seen.to(self._first[0].dtype).permute(0, 3, 1, 2)
        features = self._activated(F.conv2d(features, *self._first, padding=(1, 0)))
        span = self._second[0].shape[3]
        features = F.conv2d(features, *self._second, padding=(1, span // 2))
        features = self._activated(features).permute(0, 2, 3, 1)  # (M, N, F / shared, C)
        weight, bias = self._last
        weights = torch.addmm(bias, features.flatten(0, 2), weight.T).float().sigmoid_()
        return weights.unflatten(0, features.shape[:3]).numpy()

    def _activated(self, features):
        """Apply the activation, in place where there is such a thing."""
        return features.relu_() if isinstance(self._activation, nn.ReLU) else self._activation(
            features)
