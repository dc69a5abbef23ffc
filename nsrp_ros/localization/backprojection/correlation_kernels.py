"""
Compiled loops for what a processor does once a window before its networks: Numba's share.

correlation.py says it in some sixty operations on whole arrays, each of which walks through
memory; here are the same sums in a few loops that keep what they work on in a core's cache.
Importing this needs Numba: compiled_correlation.py does so, and calls it, where it is installed.
Innermost loops run along bins or samples, next to one another in memory, and are vectorised.

Shapes: M microphones, P pairs, T samples, F bins, N frames, W weightings, K = bands times W,
L = 2 n_lags + 1 lags; all floats are float32.
"""

from functools import partial
import logging

from numba import float32 as f4
from numba import int64 as i8
from numba import njit
from numba import void
import numpy as np

PLAIN, LOUD, ONSET, LEARNED = range(4)
"""What a weight is made of; LEARNED + k is the k-th that is learnt."""

_LOG = logging.getLogger('nsrp_ros')
_BINS_AT_ONCE = 256  # of all frames together: they stay in the nearest caches
_QUIETEST, _FLOOR, _NOTHING = np.float32(1e-9), np.float32(1e-6), np.float32(1e-20)
_LEAST_ENERGY = np.float32(1e-12)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)

# The types of C-contiguous arrays of one to four dimensions, and of pairs and other indices.
_1, _2, _3, _4 = f4[::1], f4[:, ::1], f4[:, :, ::1], f4[:, :, :, ::1]
_INDEX, _INDICES = i8[::1], i8[:, ::1]


def compiled(*arguments):
    """Compile a function for arguments of these types, or take what is remembered of that."""
    def compile_it(function):
        compiler = partial(njit, void(*arguments), fastmath=True, nogil=True,
                           error_model='numpy')
        try:
            return compiler(cache=True)(function)
        except Exception as error:  # noqa: B902, what was remembered may be damaged in any way
            # Or no folder can be written to, or the disk is full. If compiling fails, it does so
            # once more, and is no longer caught.
            _LOG.warning('Compiled %s cannot be kept, every start will compile it: %s: %s',
                         function.__name__, type(error).__name__, error)
            return compiler()(function)
    return compile_it


@compiled(_2, _1, i8, _3)
def cut_frames(signals, window, hop, frames):
    """Cut signals (M, T) into windowed frames (M, N, n_fft) that are centred on their time."""
    n_samples, n_fft = signals.shape[1], len(window)
    for m in range(len(signals)):
        for n in range(frames.shape[1]):
            start = n * hop - n_fft // 2
            low, high = max(0, -start), min(n_fft, n_samples - start)
            frame, heard = frames[m, n], signals[m, start + low:start + high]
            frame[:low] = 0
            frame[high:] = 0
            kept, weight = frame[low:high], window[low:high]
            for t in range(len(heard)):
                kept[t] = heard[t] * weight[t]


@compiled(_3, _3, _3, _3)
def whiten(spectra, real, imaginary, magnitude):
    """
    Split spectra into magnitudes and what is left of them when divided by these.

    Magnitudes are divided by each microphone's loudness: devices' gains do not count.

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
def interleave_rises(level, margin, seen):
    """
    Put how much levels rose since the frame before beside them, for LearnedWeightings.

    Parameters
    ----------
    level : numpy.ndarray
        Shape (M, N, F).
    margin : int
        Bins to leave before the first.
    seen : numpy.ndarray
        Shape (M, N, 2 (margin + F + ...)), written to: levels and rises in turn, zeros around.

    """
    n_mics, n_frames, n_bins = level.shape
    for m in range(n_mics):
        for n in range(n_frames):
            now, before, both = level[m, n], level[m, max(n - 1, 0)], seen[m, n]
            kept = _ONE if n > 0 else _ZERO
            both[:2 * margin] = _ZERO
            both[2 * (margin + n_bins):] = _ZERO
            inside = both[2 * margin:2 * (margin + n_bins)]
            for f in range(n_bins):
                inside[2 * f] = now[f]
                inside[2 * f + 1] = now[f] - kept * before[f]


@compiled(_3, _4, _INDEX, _2, _4, _3)
def weigh(magnitude, learned, kinds, filters, weights, energy):
    """
    Compute the weights of frames and bins, and the energy that they leave each microphone.

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
                    trust = learned[m, n, :, kinds[w] - LEARNED]
                    shared = n_bins // len(trust)
                    for b in range(len(trust)):
                        for c in range(shared):
                            weight[b * shared + c] = trust[b]
                    # The bin at half the sample rate goes with those before it.
                    weight[len(trust) * shared:] = trust[-1]
                for f in range(n_bins):
                    total[f] += weight[f] * weight[f]
            for band in range(len(filters)):
                passed = _ZERO
                for f in range(n_bins):
                    passed += filters[band, f] * total[f]
                energy[w, m, band] = passed


@compiled(_INDICES, _3, _3, _INDEX, _4, _2, _INDICES, _3, _3)
def cross_spectra(pairs, real, imaginary, kinds, weights, filters, edges, energy, cross):
    """
    Sum the weighted products of pairs' spectra over frames, band by band.

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
        # Indices without a sign spare loops the question whether they count from the end.
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
                    re_i, im_i = real[i, n, low + f], imaginary[i, n, low + f]
                    re_j, im_j = real[j, n, low + f], imaginary[j, n, low + f]
                    product_re[n, f] = re_i * re_j + im_i * im_j
                    product_im[n, f] = im_i * re_j - re_i * im_j
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
def lags_first(full, n_lags, known):
    """Put circular correlations (P, K, n_fft) into (P, L, K or more), lag 0 in the middle."""
    n_pairs, n_correlations, n_fft = full.shape
    for p in range(n_pairs):
        for source, target in ((full[p, :, n_fft - n_lags:], known[p, :n_lags]),
                               (full[p, :, :n_lags + 1], known[p, n_lags:])):
            for lag in range(source.shape[1]):
                for k in range(n_correlations):
                    target[lag, k] = source[k, lag]
