"""How spectra of frames are taken and divided into bands: the same for torch and for NumPy."""

from functools import lru_cache
import math

import numpy as np


def check_lags(n_lags, config):
    """Raise ValueError if a frame does not hold lags up to `n_lags`."""
    if n_lags >= config.n_fft // 2:
        raise ValueError('microphones this far apart need frames of more than '
                         f'{config.n_fft} samples')


@lru_cache(maxsize=4)
def hann_window(n_fft):
    """Return the periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


@lru_cache(maxsize=16)
def band_filters(edges, n_fft, sample_rate):
    """Split the spectrum into bands with raised-cosine flanks: (bands, F), between 0 and 1."""
    octave = np.log2(np.maximum(np.fft.rfftfreq(n_fft, 1 / sample_rate), 1))
    filters = []
    for low, high in edges:
        rise = ((octave - math.log2(low)) * 2 + 0.5).clip(0, 1)
        fall = ((math.log2(high) - octave) * 2 + 0.5).clip(0, 1)
        filters.append(np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2)
    return np.stack(filters).astype(np.float32)
