"""
The correlations of one scene's pairs on a processor, in two ways.

`CompiledCorrelator` computes what networks/correlation.py does, in a third of the time, by
compiled_correlation.py, whose loops need Numba. `TorchCorrelator` calls networks/correlation.py
and needs torch alone; `make_correlator` takes it where Numba is missing, cannot compile or is
switched off by NUMBA_DISABLE_JIT.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.compiled_correlation import CompiledSums
from nsrp_ros.localization.backprojection.compiled_correlation import Transforms
from nsrp_ros.localization.backprojection.compiled_correlation import WhitenedSpectra
from nsrp_ros.networks.correlation import correlate
from nsrp_ros.networks.correlation import correlate_whole
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import microphone_spectra
from nsrp_ros.networks.correlation import whole_window
import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn
from torch.nn import functional as F

Correlate = Callable[[torch.Tensor, int], torch.Tensor]
"""Takes pairs (P, 2) and their largest lag, returns correlations (P, K, L), as of
`pair_correlations`."""

_MARGIN = 2  # bins before the first, which LearnedWeightings' first layer covers


def make_correlator(config: BackprojectionConfig, learned: LearnedWeightings | None = None
                    ) -> 'CompiledCorrelator | TorchCorrelator':
    """
    Make the faster correlator that works on this machine.

    Parameters
    ----------
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : LearnedWeightings, optional
        More weightings, on the CPU, of as many bits as wanted.

    Returns
    -------
    CompiledCorrelator or TorchCorrelator
        Their results differ by rounding alone.

    """
    kernels = compiled_kernels()
    return (TorchCorrelator(config, learned) if kernels is None
            else CompiledCorrelator(kernels, config, learned))


class TorchCorrelator:
    """What networks/correlation.py computes, with the methods of `CompiledCorrelator`."""

    def __init__(self, config: BackprojectionConfig,
                 learned: LearnedWeightings | None = None) -> None:
        self.config, self._learned = config, learned

    def prepare(self, signals: torch.Tensor, n_lags: int) -> Correlate:
        """Do what `CompiledCorrelator.prepare` does."""
        spectra = microphone_spectra(signals[None], n_lags, self.config, self._learned)
        return lambda pairs, n_lags: correlate(spectra, pairs, n_lags, self.config)[0]


class CompiledCorrelator:
    """
    The sums of networks/correlation.py in compiled loops, for one scene.

    Parameters
    ----------
    kernels : module
        By `compiled_kernels`.
    config, learned
        As of `make_correlator`.

    """

    def __init__(self, kernels: ModuleType, config: BackprojectionConfig,
                 learned: LearnedWeightings | None = None) -> None:
        self.config, self._lags_first = config, kernels.lags_first
        self._sums = CompiledSums(
            kernels, config, Transforms(_rfft, _irfft),
            None if learned is None
            else _FoldedWeightings(learned, config, kernels.interleave_rises))

    def prepare(self, signals: torch.Tensor, n_lags: int) -> Correlate:
        """
        Compute what pairs are correlated from, once a microphone.

        Parameters
        ----------
        signals, n_lags
            As of `CompiledSums.spectra`, but a tensor.

        Returns
        -------
        callable
            A `Correlate`. In memory each lag's correlations lie side by side.

        Raises
        ------
        ValueError
            If a frame is too short for the lags.

        """
        cfg = self.config
        spectra = self._sums.spectra(signals.numpy(), n_lags)
        whole = whole_window(signals[None], n_lags, cfg) if cfg.whole_window else None
        return partial(self._correlate, spectra, whole)

    def _correlate(self, spectra: WhitenedSpectra, whole: torch.Tensor | None,
                   pairs: torch.Tensor, n_lags: int) -> torch.Tensor:
        """Correlate pairs; see `prepare`."""
        full = self._sums.correlate(spectra, pairs.numpy())  # (P, K', n_fft)
        lags = torch.empty(len(pairs), 2 * n_lags + 1, full.shape[1] + self.config.whole_window)
        self._lags_first(full, n_lags, lags.numpy())
        if whole is not None:
            lags[:, :, -1] = correlate_whole(whole, pairs, n_lags)[0]
        return lags.transpose(1, 2)


def _rfft(frames: NDArray[np.float32]) -> NDArray[np.complex64]:
    return torch.fft.rfft(torch.from_numpy(frames)).numpy()


def _irfft(cross: NDArray[np.complex64], n_fft: int) -> NDArray[np.float32]:
    return torch.fft.irfft(torch.from_numpy(cross), n_fft, norm='forward').numpy()


class _FoldedWeightings:
    """
    LearnedWeightings for spectrograms whose bins lie side by side, frame after frame.

    The first layer steps over as many bins as share a weight. With these side by side as
    channels it is a convolution without steps, whose inner products are long enough to be fast.
    """

    def __init__(self, learned: LearnedWeightings, config: BackprojectionConfig,
                 interleave_rises: Callable[..., None]) -> None:
        self._interleave_rises = interleave_rises
        layers: list[Any] = list(learned.layers)
        first, self._activation, second, _, last = layers
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

    def __call__(self, magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map magnitudes (M, N, F) to weights (M, N, F / shared, n) between 0 and 1."""
        level = magnitude + np.float32(1e-2)
        np.log(level, out=level)
        n_mics, n_frames, n_bins = level.shape
        inputs = torch.empty(n_mics, n_frames, n_bins // self._n_shared + self._n_blocks - 1,
                             2 * self._n_shared)  # channels last in memory
        self._interleave_rises(level, _MARGIN, inputs.flatten(2).numpy())
        features = inputs.to(self._first[0].dtype).permute(0, 3, 1, 2)
        features = self._activated(F.conv2d(features, *self._first, padding=(1, 0)))
        span = self._second[0].shape[3]
        features = F.conv2d(features, *self._second, padding=(1, span // 2))
        features = self._activated(features).permute(0, 2, 3, 1)  # (M, N, F / shared, C)
        weight, bias = self._last
        weights = torch.addmm(bias, features.flatten(0, 2), weight.T).float().sigmoid_()
        return weights.unflatten(0, features.shape[:3]).numpy()

    def _activated(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the activation, in place where there is such a thing."""
        if isinstance(self._activation, nn.ReLU):
            return features.relu_()
        activated: torch.Tensor = self._activation(features)
        return activated
