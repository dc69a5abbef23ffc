"""The frames of short-time Fourier transforms and their frequency bands, for torch and NumPy."""

from functools import lru_cache
import math

from nsrp_ros.core.config import BackprojectionConfig
import numpy as np
from numpy.typing import NDArray


def check_lags(n_lags: int, config: BackprojectionConfig) -> None:
    """Raise ValueError if a frame is too short for lags up to `n_lags` samples."""
    if n_lags >= config.n_fft // 2:
        raise ValueError('microphones this far apart need frames of more than '
                         f'{config.n_fft} samples')


@lru_cache(maxsize=4)
def hann_window(n_fft: int) -> NDArray[np.float32]:
    """Return the periodic Hann window (n_fft,)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return window.astype(np.float32)


@lru_cache(maxsize=16)
def band_filters(edges: tuple[tuple[float, float], ...], n_fft: int,
                 sample_rate: float) -> NDArray[np.float32]:
    """
    Divide a spectrum into bands with raised-cosine flanks.

    Parameters
    ----------
    edges : tuple of tuple of float
        The lower and upper edge of each band, hertz.
    n_fft : int
        Samples of a frame.
    sample_rate : float
        Hertz.

    Returns
    -------
    numpy.ndarray
        Shape (bands, F), F = n_fft // 2 + 1, float32, between 0 and 1.

    """
    octave = np.log2(np.maximum(np.fft.rfftfreq(n_fft, 1 / sample_rate), 1))
    filters = []
    for low, high in edges:
        rise = ((octave - math.log2(low)) * 2 + 0.5).clip(0, 1)
        fall = ((math.log2(high) - octave) * 2 + 0.5).clip(0, 1)
        filters.append(np.sin(np.pi / 2 * np.minimum(rise, fall)) ** 2)
    return np.stack(filters).astype(np.float32)
