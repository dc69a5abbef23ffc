"""
What correlation.py computes, by NumPy and SciPy: cross-correlations of pairs, without torch.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
import math

import numpy as np
from scipy import fft


@dataclass(frozen=True)
class ArraySpectra:
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


def array_spectra(signals, n_lags, config, learned=None):
    """
    Compute all that pairs are correlated from; the equations are those of `microphone_spectra`.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), float32.
    n_lags : int
        Largest lag, samples.
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : callable, optional
        Maps magnitudes (1, M, F, N) to learnt weights (M, W', F, N).

    Returns
    -------
    ArraySpectra
        See there.

    """
    cfg = config
    if n_lags >= cfg.n_fft // 2:
        raise ValueError('microphones this far apart need frames of more than '
                         f'{cfg.n_fft} samples')
    padded = np.pad(signals, ((0, 0), (cfg.n_fft // 2, cfg.n_fft // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, cfg.n_fft, axis=1)
    spectra = fft.rfft(frames[:, ::cfg.hop_length] * _hann(cfg.n_fft))  # (M, N, F)
    spectra = np.ascontiguousarray(spectra.transpose(2, 0, 1))  # (F, M, N)
    magnitude = np.abs(spectra)
    loudness = np.sqrt(np.mean(np.square(magnitude), axis=(0, 2), keepdims=True))  # (1, M, 1)
    phase = spectra / (magnitude + (1e-6 * loudness + 1e-20))
    magnitude /= np.maximum(loudness, 1e-9)

    weights = [_WEIGHTINGS[weighting](magnitude) for weighting in cfg.weightings]
    if learned is not None:
        of_mics = np.ascontiguousarray(magnitude.transpose(1, 0, 2))  # (M, F, N)
        weights += list(learned(of_mics[None]).transpose(1, 2, 0, 3))
    cross = np.empty((len(weights), *phase.shape[:2], phase.shape[1]), np.complex64)
    energy = np.empty((len(weights), phase.shape[1], len(cfg.bands)), np.float32)
    filters = _band_filters(cfg.bands, cfg.n_fft, cfg.sample_rate)
    for k, weight in enumerate(weights):
        weighted = phase if weight is None else phase * weight
        np.matmul(weighted, weighted.conj().swapaxes(1, 2), out=cross[k])
        if weight is None:
            energy[k] = phase.shape[2] * filters.sum(axis=1)
        else:
            energy[k] = np.einsum('fmn,fmn->mf', weight, weight) @ filters.T
    whole = _whole_window(signals, n_lags, cfg) if cfg.whole_window else None
    return ArraySpectra(cross, energy, whole)


def array_correlations(spectra, pairs, n_lags, config):
    """
    Correlate pairs; the equations are those of `correlate`.

    Parameters
    ----------
    spectra : ArraySpectra
        Made for lags up to `n_lags` or more.
    pairs : numpy.ndarray
        Shape (P, 2).
    n_lags : int
        Largest lag, samples.
    config : BackprojectionConfig
        Bands.

    Returns
    -------
    numpy.ndarray
        Shape (K, P, L), float32: K as of `pair_correlations`, but before pairs.

    """
    first, second = pairs.T
    filters = _band_filters(config.bands, config.n_fft, config.sample_rate)
    n_weightings, n_bands = len(spectra.cross), len(filters)
    n_correlations = n_bands * n_weightings + (spectra.whole is not None)
    found = np.empty((n_correlations, len(pairs), 2 * n_lags + 1), np.float32)
    cross = spectra.cross[:, :, first, second].transpose(0, 2, 1)  # (W, P, F)
    energy = spectra.energy[:, first] * spectra.energy[:, second]  # (W, P, bands)
    scale = 1 / np.sqrt(np.maximum(energy, 1e-12))
    for band, passed in enumerate(filters):
        lags = _lags(cross * passed, config.n_fft, n_lags)
        lags *= scale[..., band, None]
        found[band * n_weightings:(band + 1) * n_weightings] = lags
    if spectra.whole is not None:
        whole = spectra.whole[first] * spectra.whole[second].conj()  # (P, F')
        found[-1] = _lags(whole, 2 * (whole.shape[-1] - 1), n_lags)
    return found


def _lags(cross, n_fft, n_lags):
    """Go from cross-spectra (..., F) to the lags from -n_lags to n_lags."""
    full = fft.irfft(cross, n_fft) * np.float32(n_fft / 2)
    return np.concatenate([full[..., -n_lags:], full[..., :n_lags + 1]], axis=-1)


def _whole_window(signals, n_lags, config):
    """Whiten whole windows in the whole band, so that products of two are GCC-PHAT: (M, F')."""
    n_fft = -(-(signals.shape[-1] + n_lags) // 1024) * 1024
    spectra = fft.rfft(signals, n_fft)
    magnitude = np.abs(spectra)
    floor = 1e-6 * magnitude.max(axis=-1, keepdims=True) + 1e-20
    whole = (config.bands[0][0], config.bands[-1][1]),
    filters = _band_filters(whole, n_fft, config.sample_rate)[0]  # (F',)
    return spectra * (np.sqrt(filters / filters.sum()) / (magnitude + floor))


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


@lru_cache(maxsize=4)
def _hann(n_fft):
    """Return the periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


@lru_cache(maxsize=16)
def _band_filters(edges, n_fft, sample_rate):
    """Split the spectrum into bands with raised-cosine flanks: (bands, F), between 0 and 1."""
    octave = np.log2(np.maximum(np.fft.rfftfreq(n_fft, 1 / sample_rate), 1))
    filters = []
    for low, high in edges:
        rise = ((octave - math.log2(low)) * 2 + 0.5).clip(0, 1)
        fall = ((math.log2(high) - octave) * 2 + 0.5).clip(0, 1)
        filters.append(np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2)
    return np.stack(filters).astype(np.float32)
