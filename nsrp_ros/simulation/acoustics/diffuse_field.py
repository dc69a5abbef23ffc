"""
Diffuse sound: it comes from everywhere, and near microphones hear much the same of it.

    R. Cook et al., "Measurement of correlation coefficients in reverberant sound fields", 1955:
    two microphones d apart agree by sin(k d) / (k d), k = 2 pi f / c.

Shapes: B rooms, M microphones, K octave bands, T samples, F bins.
"""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.octave_bands import octave_filters
import torch

_JITTER = 1e-3  # share of a microphone's own, without which the factors of near ones break down


def coherence_factors(mic_positions):
    """
    Compute what turns independent signals into those of a diffuse field, band by band.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, K, M, M): lower triangles L, where L L^T is the coherence at a band's centre.

    """
    apart = torch.cdist(mic_positions, mic_positions,
                        compute_mode='donot_use_mm_for_euclid_dist')[:, None]
    centre = apart.new_tensor(BANDS)[:, None, None]
    coherence = torch.sinc(2 * centre * apart / SPEED_OF_SOUND)  # sin(pi x) / (pi x)
    own = _JITTER * torch.eye(mic_positions.shape[1], device=apart.device)
    return torch.linalg.cholesky((coherence + own) / (1 + _JITTER))


def diffuse_field(signals, mic_positions, sample_rate):
    """
    Let independent signals, one a microphone, become those of a diffuse field.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (B, M, T), of equal power.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), of the same spectra.

    """
    n_samples = signals.shape[-1]
    factors = coherence_factors(mic_positions)
    spectra = torch.fft.rfft(signals)
    frequency = torch.arange(spectra.shape[-1], dtype=torch.float64,
                             device=signals.device) * (sample_rate / n_samples)
    filters = octave_filters(frequency).float()
    mixed = torch.zeros_like(spectra)
    for band, factor in zip(filters, factors.unbind(dim=1), strict=True):
        inside = slice(*_ends(band))
        mixed[..., inside] += factor.to(spectra.dtype) @ (spectra[..., inside] * band[inside])
    return torch.fft.irfft(mixed, n_samples)


def _ends(band):
    """Return the first bin in which a filter (F,) is not zero, and the one after its last."""
    bins = (band > 0).nonzero()
    return int(bins.min()), int(bins.max()) + 1
