"""
Generalized cross-correlation with phase transform (GCC-PHAT).

Shapes: M microphones, P pairs, T samples, L lags.
"""

from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.spectral_edges import faded
from nsrp_ros.core.spectral_edges import upper_edges
import numpy as np
from numpy.typing import NDArray
from scipy import fft


def gcc_phat(signals: NDArray[np.floating], pairs: NDArray[np.integer],
             interpolation: int = 1) -> NDArray[np.float32]:
    """
    Generalized cross-correlation with phase transform of each pair (the paper's eq. 4).

    The spectra are zero-padded to twice the length, so that the correlation is linear and not
    circular; padding the whitened cross-spectrum then interpolates the lags. Offsets, the ends of
    the window and bins without sound have no vote; see spectral_edges.py.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T).
    pairs : numpy.ndarray
        Shape (P, 2).
    interpolation : int
        Lags per sample.

    Returns
    -------
    numpy.ndarray
        Shape (P, L), L = interpolation * n_fft, float32. Lag l stands at index l mod L, in
        units of 1 / (interpolation * sample_rate) seconds; two equal channels give 1 at lag 0,
        or, where they hold sound up to some frequency only, the share of the bins below it.

    """
    n_fft = fft.next_fast_len(2 * signals.shape[-1], real=True)
    n_fft += n_fft % 2
    spectra = fft.rfft(faded(signals), n_fft, axis=-1)  # (M, n_fft // 2 + 1)
    # Each microphone is whitened once, which whitens every pair's cross-spectrum too. The floor
    # keeps bins that hold nothing but rounding from being amplified to full weight.
    magnitude = np.abs(spectra)
    floor = 1e-6 * magnitude.max(axis=-1, keepdims=True) + np.finfo(np.float32).tiny
    whitened = spectra / np.maximum(magnitude, floor)
    for row, end in zip(whitened, upper_edges(magnitude), strict=True):
        row[end:] = 0
    cross = cross_spectrum(whitened[pairs[:, 0]], whitened[pairs[:, 1]])  # (P, n_fft // 2 + 1)
    correlation = fft.irfft(cross, n_fft * interpolation, axis=-1) * interpolation
    return correlation.astype(np.float32)
