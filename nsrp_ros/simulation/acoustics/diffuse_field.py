"""
Diffuse sound fields: sound from all directions, coherent between close microphones.

    R. Cook et al., "Measurement of correlation coefficients in reverberant sound fields", 1955:
    the coherence of two microphones d apart is sin(k d) / (k d), k = 2 pi f / c.

Shapes: B rooms, M microphones, K octave bands, T samples, F bins.
"""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.octave_bands import octave_filters
import torch

# Relative power that is added to the diagonal: without it the Cholesky factorisation of close
# microphones breaks down.
_DIAGONAL_LOADING = 1e-3


def coherence_factors(mic_positions: torch.Tensor) -> torch.Tensor:
    """
    Compute the matrices that turn independent signals into a diffuse field, by octave band.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, K, M, M): lower triangles L, where L L^T is the coherence at a band's centre.

    """
    distances = torch.cdist(mic_positions, mic_positions,
                            compute_mode='donot_use_mm_for_euclid_dist')[:, None]
    centre = distances.new_tensor(BANDS)[:, None, None]
    coherence = torch.sinc(2 * centre * distances / SPEED_OF_SOUND)  # sin(pi x) / (pi x)
    loading = _DIAGONAL_LOADING * torch.eye(mic_positions.shape[1], device=distances.device)
    return torch.linalg.cholesky((coherence + loading) / (1 + _DIAGONAL_LOADING))


def diffuse_field(signals: torch.Tensor, mic_positions: torch.Tensor,
                  sample_rate: int) -> torch.Tensor:
    """
    Mix independent signals, one per microphone, into those of a diffuse field.

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
        inside = slice(*_support(band))
        mixed[..., inside] += factor.to(spectra.dtype) @ (spectra[..., inside] * band[inside])
    return torch.fft.irfft(mixed, n_samples)


def _support(band: torch.Tensor) -> tuple[int, int]:
    """Return the first bin in which a filter (F,) is not zero, and the one after its last."""
    bins = (band > 0).nonzero()
    return int(bins.min()), int(bins.max()) + 1
