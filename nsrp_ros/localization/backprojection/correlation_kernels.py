"""
Compiled loops, by Numba, from the windows' signals to the cross-spectra of pairs.

correlation.py needs some sixty operations on whole arrays, each of which goes through memory;
these are the same sums in a few loops whose working sets stay in a core's cache. Innermost loops
run along bins or samples, which are contiguous in memory, and are vectorised. Importing this needs
Numba; compiled_correlation.py does so where it is installed.

M microphones, P pairs, T samples, F bins, N frames, W weightings, K = bands times W, L lags.
"""

from nsrp_ros.localization.backprojection.kernel_compiler import compiled
from nsrp_ros.localization.backprojection.kernel_compiler import cross_spectrum
from nsrp_ros.localization.backprojection.kernel_compiler import Floats
from nsrp_ros.localization.backprojection.kernel_compiler import Integers
from numba import float32 as f4
from numba import int64 as i8
import numpy as np

PLAIN, LOUD, ONSET, LEARNED = range(4)
"""Kinds of weightings; LEARNED + k is the k-th learned one."""
_BINS_AT_ONCE = 256  # of all frames together: they stay in the nearest caches
_QUIETEST, _FLOOR, _NOTHING, _LEAST_ENERGY = map(np.float32, (1e-9, 1e-6, 1e-20, 1e-12))
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
# Numba's types of C-contiguous arrays of one to four dimensions, and of pairs and other indices.
_1, _2, _3, _4 = f4[::1], f4[:, ::1], f4[:, :, ::1], f4[:, :, :, ::1]
_INDEX, _INDICES = i8[::1], i8[:, ::1]


@compiled(_2, _1, i8, _3)
def cut_frames(signals: Floats, window: Floats, hop: int, frames: Floats) -> None:
    """Cut signals (M, T) into windowed frames (M, N, n_fft) that are centred on their time."""
    n_samples, n_fft = signals.shape[1], len(window)
    for m in range(len(signals)):
        for n in range(frames.shape[1]):
            start = n * hop - n_fft // 2
            low, high = max(0, -start), min(n_fft, n_samples - start)
            frame, samples = frames[m, n], signals[m, start + low:start + high]
            frame[:low] = 0
            frame[high:] = 0
            kept, weight = frame[low:high], window[low:high]
            for t in range(len(samples)):
                kept[t] = samples[t] * weight[t]


@compiled(_3, _3, _3, _3)
def whiten(spectra: Floats, real: Floats, imaginary: Floats, magnitude: Floats) -> None:
    """
    Split spectra into whitened ones and magnitudes, relative to each microphone's loudness.

    Parameters
    ----------
    spectra : numpy.ndarray
        Shape (M, N, 2 F): real and imaginary parts in turn.
    real, imaginary, magnitude : numpy.ndarray
        Shapes (M, N, F), written to.

    """
    n_frames, n_bins = magnitude.shape[1:]
    for m in range(len(spectra)):
        power = _ZERO
        for n in range(n_frames):
            spectrum, re, im, size = spectra[m, n], real[m, n], imaginary[m, n], magnitude[m, n]
            for f in range(n_bins):
                re[f] = spectrum[2 * f]
                im[f] = spectrum[2 * f + 1]
                size[f] = re[f] * re[f] + im[f] * im[f]
                power += size[f]
        loudness = np.sqrt(power / np.float32(n_frames * n_bins))
        floor = _FLOOR * loudness + _NOTHING
        gain = _ONE / max(loudness, _QUIETEST)
        for n in range(n_frames):
            re, im, size = real[m, n], imaginary[m, n], magnitude[m, n]
            for f in range(n_bins):
                root = np.sqrt(size[f])
                scale = _ONE / (root + floor)
                re[f] *= scale
                im[f] *= scale
                size[f] = root * gain


@compiled(_3, i8, _3)
def interleave_rises(level: Floats, margin: int, inputs: Floats) -> None:
    """
    Interleave levels and their rises since the frame before, the input of LearnedWeightings.

    Parameters
    ----------
    level : numpy.ndarray
        Shape (M, N, F).
    margin : int
        Bins to leave before the first.
    inputs : numpy.ndarray
        Shape (M, N, 2 (margin + F + ...)), written to: levels and rises in turn, zeros around.

    """
    n_mics, n_frames, n_bins = level.shape
    for m in range(n_mics):
        for n in range(n_frames):
            now, before, both = level[m, n], level[m, max(n - 1, 0)], inputs[m, n]
            kept = _ONE if n > 0 else _ZERO
            both[:2 * margin] = _ZERO
            both[2 * (margin + n_bins):] = _ZERO
            inside = both[2 * margin:2 * (margin + n_bins)]
            for f in range(n_bins):
                inside[2 * f] = now[f]
                inside[2 * f + 1] = now[f] - kept * before[f]


@compiled(_3, _4, _INDEX, _2, _4, _3)
def weigh(magnitude: Floats, learned: Floats, kinds: Integers, filters: Floats, weights: Floats,
          energy: Floats) -> None:
    """
    Compute the weights of frames and bins, and each microphone's weighted energy.

    Parameters
    ----------
    magnitude : numpy.ndarray
        Shape (M, N, F), by `whiten`.
    learned : numpy.ndarray
        Shape (M, N, F', n): weights between 0 and 1 of F / F' neighbouring bins each.
    kinds : numpy.ndarray
        Shape (W,), integer: PLAIN, LOUD, ONSET, or LEARNED and above.
    filters : numpy.ndarray
        Shape (bands, F).
    weights : numpy.ndarray
        Shape (W, M, N, F), written to, except where a weighting is PLAIN: those are ones.
    energy : numpy.ndarray
        Shape (W, M, bands), written to: the sums over frames and bins of weights' squares.

    """
    n_mics, n_frames, n_bins = magnitude.shape
    total = np.empty(n_bins, np.float32)
    for w in range(len(kinds)):
        for m in range(n_mics):
            total[:] = _ZERO
            for n in range(n_frames):
                size, weight = magnitude[m, n], weights[w, m, n]
                if kinds[w] == PLAIN:
                    for f in range(n_bins):
                        total[f] += _ONE
                    continue
                if kinds[w] == LOUD:
                    for f in range(n_bins):
                        weight[f] = np.sqrt(size[f])
                elif kinds[w] == ONSET:
                    before, older = magnitude[m, max(n - 1, 0)], magnitude[m, max(n - 2, 0)]
                    kept = _ONE if n > 0 else _ZERO
                    for f in range(n_bins):
                        rise = size[f] - kept * max(before[f], older[f])
                        weight[f] = np.sqrt(max(rise, _ZERO))
                else:
                    groups = learned[m, n, :, kinds[w] - LEARNED]
                    shared = n_bins // len(groups)
                    for b in range(len(groups)):
                        for c in range(shared):
                            weight[b * shared + c] = groups[b]
                    # The bin at half the sample rate shares the weight of the last ones.
                    weight[len(groups) * shared:] = groups[-1]
                for f in range(n_bins):
                    total[f] += weight[f] * weight[f]
            for band in range(len(filters)):
                passed = _ZERO
                for f in range(n_bins):
                    passed += filters[band, f] * total[f]
                energy[w, m, band] = passed


@compiled(_INDICES, _3, _3, _INDEX, _4, _2, _INDICES, _3, _3)
def cross_spectra(pairs: Integers, real: Floats, imaginary: Floats, kinds: Integers,
                  weights: Floats, filters: Floats, edges: Integers, energy: Floats,
                  cross: Floats) -> None:
    """
    Sum the weighted cross-spectra of pairs over frames, band by band.

    Parameters
    ----------
    pairs : numpy.ndarray
        Shape (P, 2), integer.
    real, imaginary : numpy.ndarray
        Shapes (M, N, F), by `whiten`.
    kinds, weights, filters, energy : numpy.ndarray
        As of `weigh`.
    edges : numpy.ndarray
        Shape (bands, 2), integer: outside of these bins a band's filter is zero.
    cross : numpy.ndarray
        Shape (P, K, 2 F), written to: real and imaginary parts in turn of cross-spectra that are
        halved, as sums over both sides of a spectrum want it, and scaled to what two equal
        channels would give.

    """
    n_frames, n_bands = np.uintp(real.shape[1]), np.uintp(len(filters))
    n_weightings = np.uintp(len(kinds))
    product_re = np.empty((n_frames, _BINS_AT_ONCE), np.float32)
    product_im = np.empty((n_frames, _BINS_AT_ONCE), np.float32)
    sum_re = np.empty(_BINS_AT_ONCE, np.float32)
    sum_im = np.empty(_BINS_AT_ONCE, np.float32)
    lowest, highest = edges[:, 0].min(), edges[:, 1].max()
    for p in range(len(pairs)):
        # Unsigned indices need no check for counting from the end.
        i, j = np.uintp(pairs[p, 0]), np.uintp(pairs[p, 1])
        for band in range(n_bands):
            for w in range(n_weightings):
                cross[p, band * n_weightings + w, :2 * edges[band, 0]] = _ZERO
                cross[p, band * n_weightings + w, 2 * edges[band, 1]:] = _ZERO
        for start in range(lowest, highest, _BINS_AT_ONCE):
            stop = min(start + _BINS_AT_ONCE, highest)
            low, width = np.uintp(start), np.uintp(stop - start)
            for n in range(n_frames):
                for f in range(width):
                    product = cross_spectrum(
                        complex(real[i, n, low + f], imaginary[i, n, low + f]),
                        complex(real[j, n, low + f], imaginary[j, n, low + f]))
                    product_re[n, f] = product.real
                    product_im[n, f] = product.imag
            for w in range(n_weightings):
                sum_re[:] = _ZERO
                sum_im[:] = _ZERO
                for n in range(n_frames):
                    if kinds[w] == PLAIN:
                        for f in range(width):
                            sum_re[f] += product_re[n, f]
                            sum_im[f] += product_im[n, f]
                    else:
                        for f in range(width):
                            weight = weights[w, i, n, low + f] * weights[w, j, n, low + f]
                            sum_re[f] += weight * product_re[n, f]
                            sum_im[f] += weight * product_im[n, f]
                for band in range(n_bands):
                    both = max(energy[w, i, band] * energy[w, j, band], _LEAST_ENERGY)
                    scale = _HALF / np.sqrt(both)
                    banded = cross[p, band * n_weightings + w]
                    first, last = max(start, edges[band, 0]), min(stop, edges[band, 1])
                    for f in range(first, last):
                        passed = filters[band, f] * scale
                        banded[2 * f] = sum_re[f - start] * passed
                        banded[2 * f + 1] = sum_im[f - start] * passed


@compiled(_3, i8, _3)
def lags_first(full: Floats, n_lags: int, out: Floats) -> None:
    """Put circular correlations (P, K, n_fft) into (P, L, K or more), lag 0 in the middle."""
    n_pairs, n_correlations, n_fft = full.shape
    for p in range(n_pairs):
        for source, target in ((full[p, :, n_fft - n_lags:], out[p, :n_lags]),
                               (full[p, :, :n_lags + 1], out[p, n_lags:])):
            for lag in range(source.shape[1]):
                for k in range(n_correlations):
                    target[lag, k] = source[k, lag]
