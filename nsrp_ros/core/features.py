"""
From waveforms to what the methods look at: phases, cross-correlations, and the right rate.

Shapes use B batch, M microphones, P pairs, T samples, N frames, F bins, L lags.
"""

from fractions import Fraction

import numpy as np
from scipy import fft
from scipy.signal import resample_poly


def resample(signals, sample_rate, target_rate):
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
    return resample_poly(signals, ratio.numerator, ratio.denominator, axis=-1).astype(np.float32)


def gcc_phat(signals, pairs, interpolation=1):
    """
    Generalized cross-correlation with phase transform of each pair (the paper's eq. 4).

    The spectra are zero-padded to twice the length, so that the correlation is linear and not
    circular; padding the whitened cross-spectrum then interpolates the lags.

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
        units of 1 / (interpolation * sample_rate) seconds; two equal channels give 1 at lag 0.

    """
    n_fft = fft.next_fast_len(2 * signals.shape[-1], real=True)
    n_fft += n_fft % 2
    spectra = fft.rfft(signals, n_fft, axis=-1)  # (M, n_fft // 2 + 1)
    # Each microphone is whitened once, which whitens every pair's cross-spectrum too. The floor
    # keeps bins that hold nothing but rounding from being amplified to full weight.
    magnitude = np.abs(spectra)
    floor = 1e-6 * magnitude.max(axis=-1, keepdims=True) + np.finfo(np.float32).tiny
    whitened = spectra / np.maximum(magnitude, floor)
    cross = whitened[pairs[:, 0]] * whitened[pairs[:, 1]].conj()  # (P, n_fft // 2 + 1)
    correlation = fft.irfft(cross, n_fft * interpolation, axis=-1) * interpolation
    return correlation.astype(np.float32)


def stft_phase(signals, n_fft, hop_length, centred):
    """
    Phases of the short-time Fourier transform with a Hann window, without the DC bin.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (..., T).
    n_fft, hop_length : int
        Samples.
    centred : bool
        Whether frames are centred on their time, and so look n_fft / 2 samples ahead.

    Returns
    -------
    torch.Tensor
        Shape (..., N, F), F = n_fft / 2, radians.

    """
    import torch  # not above: others resample where there is no torch
    flat = signals.reshape(-1, signals.shape[-1])
    window = torch.hann_window(n_fft, device=signals.device, dtype=signals.dtype)
    spectrum = torch.stft(flat, n_fft, hop_length, window=window, center=centred,
                          pad_mode='constant', return_complex=True)  # (..., F + 1, N)
    phase = spectrum[:, 1:].angle().transpose(1, 2)
    return phase.reshape(*signals.shape[:-1], *phase.shape[1:])


def batch_of_one(array, device):
    """Make a float32 tensor (1, ...) of one scene's array, on a device."""
    import torch
    return torch.as_tensor(array, dtype=torch.float32, device=device)[None]
