"""From one sample rate to another."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly


def resample(signals: NDArray[np.float32], sample_rate: float,
             target_rate: float) -> NDArray[np.float32]:
    """
    Resample by a polyphase filter.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), float32.
    sample_rate, target_rate : float
        Hertz; their ratio is taken to the nearest fraction with a denominator up to 1000.

    Returns
    -------
    numpy.ndarray
        Shape (M, ceil(T * target_rate / sample_rate)), float32; the input itself where the
        rates agree.

    """
    ratio = Fraction(target_rate / sample_rate).limit_denominator(1000)
    if ratio == 1:
        return signals
    resampled = resample_poly(signals, ratio.numerator, ratio.denominator, axis=-1)
    return np.asarray(resampled).astype(np.float32)
