"""
Which part of a window may be whitened: a signal without cuts, in the band that holds sound.

Whitening gives every bin of a spectrum the same weight, and so lets bins vote that hold no sound:

* A window is cut out of a stream. The cut spreads a little of the loudest frequencies, and of an
  offset all of it, over the whole spectrum, with the phase of the cut, which all channels share: a
  vote for equal distances. Hence the mean is removed and the ends are faded.
* A recording that was made at a lower sample rate than it has now holds nothing above its old band
  but what the resampler left: rounding, or images of the band, with the phases of other
  frequencies. They agree from microphone to microphone, and vote for places where nobody is.
  Hence the band's upper edge is looked for in the spectrum itself, since nobody says how often a
  recording has been resampled.

Shapes: M microphones, T samples, F bins, N bands, E edges.
"""

import numpy as np
from numpy.typing import NDArray

FADED = 0.02
"""Share of a window at each end that is faded: 10 ms of half a second."""
STEP_DB = 28.0
"""Fall of the level at a frequency from which it is a band's edge: in simulated rooms, speech
falls by 24 dB at most, and what was resampled from 8 to 12 kHz by 34 dB at least."""
_BANDS = 128  # in which the level is measured: 62.5 Hz each of 8 kHz
_LOWEST = 8  # band of the lowest edge that is looked for: 500 Hz of 8 kHz
_ASIDE = 1 / 8  # of an edge's frequency: how far a resampler's filter reaches to either side
_MARGIN = 1 / 16  # of an edge's frequency: the steepest fall is above the old band's end


def without_offset(signals: NDArray[np.floating]) -> NDArray[np.float32]:
    """
    Remove each channel's mean.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T).

    Returns
    -------
    numpy.ndarray
        Shape (M, T), float32.

    """
    # In double precision: the mean of a large offset is then exact.
    mean = signals.mean(axis=-1, keepdims=True, dtype=np.float64)
    return (signals - mean).astype(np.float32)


def faded(signals: NDArray[np.floating]) -> NDArray[np.float32]:
    """
    Remove each channel's mean and fade its ends by a raised cosine.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T).

    Returns
    -------
    numpy.ndarray
        Shape (M, T), float32.

    """
    n_samples = signals.shape[-1]
    n = round(FADED * n_samples)
    envelope = np.ones(n_samples, np.float32)
    envelope[:n] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))
    envelope[n_samples - n:] = envelope[:n][::-1]
    return without_offset(signals) * envelope


def upper_edges(magnitudes: NDArray[np.floating]) -> NDArray[np.intp]:
    """
    Find up to which bin each channel holds sound.

    An edge is a frequency from just below which to everything above the level falls by `STEP_DB`.
    Levels are compared with those nearby, not with the loudest: hum may be far louder than speech.

    Parameters
    ----------
    magnitudes : numpy.ndarray
        Shape (M, F), of a spectrum from 0 to half the sample rate.

    Returns
    -------
    numpy.ndarray
        Shape (M,): the first bin that holds none; F where all do.

    """
    n_mics, n_bins = magnitudes.shape
    ends = np.full(n_mics, n_bins)
    width = n_bins // _BANDS
    if width == 0:  # too short a window to tell
        return ends
    squares = np.square(magnitudes[:, :width * _BANDS], dtype=np.float64)
    power = squares.reshape(n_mics, _BANDS, width).mean(axis=-1)
    level = 10 * np.log10(power + np.finfo(np.float64).tiny)  # (M, N)
    edges = np.arange(_LOWEST, int(_BANDS / (1 + _ASIDE)), 2)
    below = np.stack([level[:, int(n * (1 - _ASIDE)):n].mean(axis=1) for n in edges])
    # Not the maximum: a tone above the band, as of a switching supply, does not make it wider.
    above = np.stack([np.quantile(level[:, int(n * (1 + _ASIDE)):], 0.9, axis=1) for n in edges])
    fall = below - above  # (E, M)
    found = fall.max(axis=0) >= STEP_DB
    steepest = edges[fall.argmax(axis=0)]
    ends[found] = np.round(width * steepest * (1 - _MARGIN))[found]
    return ends
