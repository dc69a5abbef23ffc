"""
What a pair's two signals have in common, lag by lag: several cross-correlations side by side.

All are sums over short frames of whitened cross-spectra, as GCC-PHAT is, but some frames and bins
are to be believed more than others: loud ones, and those at an onset, before the room's echoes of
the same sound arrive. Since each weight is a product of one factor for each microphone, everything
up to the product is computed once a microphone and not once a pair.
"""

from collections.abc import Callable
from functools import lru_cache
import math

import torch


def pair_correlations(signals, pairs, n_lags, config):
    """
    Correlate all pairs in several bands under several weightings.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (B, M, T), float32.
    pairs : torch.Tensor
        Shape (P, 2).
    n_lags : int
        Largest lag, samples; must leave half a frame.
    config : BackprojectionConfig
        Frames, bands and weightings.

    Returns
    -------
    torch.Tensor
        Shape (B, P, K, 2 n_lags + 1), K = bands times weightings; lag 0 in the middle, positive
        where the first microphone of the pair hears later. Two equal channels give 1 at lag 0.

    """
    cfg = config
    if n_lags >= cfg.n_fft // 2:
        raise ValueError('microphones this far apart need frames of more than '
                         f'{cfg.n_fft} samples')
    window = torch.hann_window(cfg.n_fft, device=signals.device)
    spectra = torch.stft(signals.flatten(0, 1), cfg.n_fft, cfg.hop_length, window=window,
                         center=True, pad_mode='constant', return_complex=True)
    spectra = spectra.unflatten(0, signals.shape[:2])  # (B, M, F, N)
    magnitude = spectra.abs()
    loudness = magnitude.square().mean(dim=(2, 3), keepdim=True).sqrt()
    magnitude = magnitude / loudness.clamp(min=1e-9)  # devices' gains do not count
    phase = spectra / (spectra.abs() + 1e-6 * loudness + 1e-20)

    filters = _band_filters(cfg.bands, cfg.n_fft, cfg.sample_rate, signals.device)  # (bands, F)
    correlations = []
    for weighting in cfg.weightings:
        weight = _WEIGHTINGS[weighting](magnitude)
        weighted = weight * phase
        first, second = weighted[:, pairs[:, 0]], weighted[:, pairs[:, 1]]  # (B, P, F, N)
        cross = (first * second.conj()).sum(dim=3)  # (B, P, F)
        # Each band is scaled to what two equal channels of these weights would give.
        energy = weight.square().sum(dim=3) @ filters.T  # (B, M, bands)
        scale = (energy[:, pairs[:, 0]] * energy[:, pairs[:, 1]]).sqrt().clamp(min=1e-12)
        banded = cross[:, :, None] * filters / scale[..., None]  # (B, P, bands, F)
        full = torch.fft.irfft(banded, cfg.n_fft) * (cfg.n_fft / 2)
        correlations.append(torch.cat([full[..., -n_lags:], full[..., :n_lags + 1]], dim=-1))
    return torch.stack(correlations, dim=3).flatten(2, 3)


def _onset(magnitude):
    """Weigh what rises: the share of a bin's magnitude that the frames before do not explain."""
    before = torch.nn.functional.pad(magnitude, (1, 0))[..., :-1]
    older = torch.nn.functional.pad(magnitude, (2, 0))[..., :-2]
    return (magnitude - torch.maximum(before, older)).clamp(min=0).sqrt()


_WEIGHTINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    'plain': torch.ones_like,
    'loud': torch.sqrt,
    'onset': _onset,
}
WEIGHTINGS = tuple(_WEIGHTINGS)


@lru_cache(maxsize=4)
def _band_filters(edges, n_fft, sample_rate, device):
    """Split the spectrum into bands with raised-cosine flanks: (bands, F), between 0 and 1."""
    octave = torch.log2(torch.fft.rfftfreq(n_fft, 1 / sample_rate).clamp(min=1.0))
    filters = []
    for low, high in edges:
        rise = ((octave - math.log2(low)) * 2 + 0.5).clamp(0, 1)
        fall = ((math.log2(high) - octave) * 2 + 0.5).clamp(0, 1)
        filters.append(torch.sin(math.pi / 2 * torch.minimum(rise, fall)) ** 2)
    return torch.stack(filters).to(device)
