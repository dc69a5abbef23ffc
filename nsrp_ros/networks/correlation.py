"""
What a pair's two signals have in common, lag by lag: several cross-correlations side by side.

All are sums over short frames of whitened cross-spectra, as GCC-PHAT is, but some frames and bins
are to be believed more than others: loud ones, those at an onset, before the room's echoes of the
same sound arrive, and those that a small network has learnt to trust. Since each weight is a
product of one factor for each microphone, everything up to the product is computed once a
microphone and not once a pair. One more correlation takes the whole window at once: it is the
finest, and knows no frames that a long delay could fall out of.

Shapes: B scenes, M microphones, P pairs, T samples, F bins, N frames, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.core.stft_bands import band_filters
from nsrp_ros.core.stft_bands import check_lags
import torch
from torch import nn


def activation(config):
    """Make what stands between a network's layers: nn.GELU or nn.ReLU."""
    return {'gelu': nn.GELU, 'relu': nn.ReLU}[config.activation]()


class LearnedWeightings(nn.Module):
    """
    Weights of frames and bins that are learnt: convolutions over one microphone's spectrogram.

    Parameters
    ----------
    config : BackprojectionConfig
        How many to learn, and how many neighbouring bins share a weight. Where they share, each
        sees as many Hertz with fewer taps.

    """

    def __init__(self, config):
        super().__init__()
        self.shared_bins, channels = config.shared_bins, config.weighting_channels
        span = 3 if config.shared_bins > 1 else 5
        self.layers = nn.Sequential(
            nn.Conv2d(2, channels, (4 + self.shared_bins, 3), stride=(self.shared_bins, 1),
                      padding=(2, 1)), activation(config),
            nn.Conv2d(channels, channels, (span, 3), padding=(span // 2, 1)),
            activation(config), nn.Conv2d(channels, config.learned_weightings, 1))

    def forward(self, magnitude):
        """Map magnitudes (B, M, F, N) to as many weights between 0 and 1 for each weighting."""
        level = torch.log(magnitude + 1e-2).flatten(0, 1)  # (B M, F, N)
        rise = level - torch.nn.functional.pad(level, (1, 0))[..., :-1]
        # The layers may have been given fewer bits than what they look at.
        seen = torch.stack([level, rise], dim=1).to(next(self.layers.parameters()).dtype)
        weights = self.layers(seen).float().sigmoid()  # (B M, W, F / shared, N)
        if self.shared_bins > 1:
            shared = weights[:, :, :, None].expand(-1, -1, -1, self.shared_bins, -1).flatten(2, 3)
            # The bin at half the sample rate is left over: it goes with those before it.
            weights = torch.cat([shared, shared[:, :, -1:]], dim=2)
        return [w.unflatten(0, magnitude.shape[:2]) for w in weights.unbind(dim=1)]


@dataclass(frozen=True)
class Spectra:
    """
    All that pairs are correlated from, computed once a microphone.

    Attributes
    ----------
    cross : torch.Tensor
        Shape (B, W, F, M, M), complex: the sums over frames of the products of every two
        microphones' whitened spectra under W weightings.
    energy : torch.Tensor
        Shape (B, W, M, bands): what `cross` would be at most.
    whole : torch.Tensor or None
        Shape (B, M, F'), complex: the whitened spectrum of the whole window, if that is wanted.

    """

    cross: torch.Tensor
    energy: torch.Tensor
    whole: torch.Tensor | None


def pair_correlations(signals, pairs, n_lags, config, learned=None):
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
    learned : LearnedWeightings, optional
        More weightings, after those of the configuration.

    Returns
    -------
    torch.Tensor
        Shape (B, P, K, L), K = bands times weightings, and one more of the whole window if the
        configuration asks for it; lag 0 in the middle, positive where the first microphone of
        the pair hears later. Two equal channels give 1 at lag 0.

    """
    return correlate(microphone_spectra(signals, n_lags, config, learned), pairs, n_lags, config)


def microphone_spectra(signals, n_lags, config, learned=None):
    """Compute what `correlate` needs, for lags up to `n_lags`; see `pair_correlations`."""
    cfg = config
    check_lags(n_lags, cfg)
    window = torch.hann_window(cfg.n_fft, device=signals.device)
    spectra = torch.stft(signals.flatten(0, 1), cfg.n_fft, cfg.hop_length, window=window,
                         center=True, pad_mode='constant', return_complex=True)
    # Bins before microphones: what follows multiplies a small matrix for each bin.
    spectra = spectra.unflatten(0, signals.shape[:2]).transpose(1, 2).contiguous()  # (B, F, M, N)
    magnitude = spectra.abs()
    loudness = magnitude.square().mean(dim=(1, 3), keepdim=True).sqrt()
    floor = 1e-6 * loudness + 1e-20
    phase = torch.view_as_real(spectra) / (magnitude + floor)[..., None]  # (B, F, M, N, 2)
    magnitude = magnitude / loudness.clamp(min=1e-9)  # devices' gains do not count

    weights = [_WEIGHTINGS[weighting](magnitude) for weighting in cfg.weightings]
    if learned is not None:
        weights += [w.transpose(1, 2) for w in learned(magnitude.transpose(1, 2))]
    # Eight bits, as networks may be trained with, are too few for what follows.
    with torch.autocast(signals.device.type, enabled=False):
        weight = torch.stack(weights, dim=1)  # (B, W, F, M, N)
        weighted = torch.view_as_complex(weight[..., None] * phase[:, None])
        filters = _filters(cfg.bands, cfg, signals.device)
        energy = weight.square().sum(dim=-1).transpose(2, 3) @ filters.T  # (B, W, M, bands)
        whole = whole_window(signals, n_lags, cfg) if cfg.whole_window else None
        return Spectra(weighted @ weighted.mH, energy, whole)


def correlate(spectra, pairs, n_lags, config):
    """
    Correlate some pairs, up to some lag: the second half of `pair_correlations`.

    Parameters
    ----------
    spectra : Spectra
        Made for lags up to `n_lags` or more.
    pairs, n_lags, config
        As of `pair_correlations`.

    Returns
    -------
    torch.Tensor
        As of `pair_correlations`.

    """
    first, second = pairs.unbind(dim=1)
    index = first * spectra.cross.shape[-1] + second
    cross = spectra.cross.flatten(-2).index_select(-1, index)  # (B, W, F, P)
    cross = cross.permute(0, 3, 1, 2).contiguous()  # (B, P, W, F)
    # A sum over the bins of one side of a spectrum is half of one over both.
    filters = _filters(config.bands, config, cross.device) / 2
    banded = torch.view_as_real(cross)[:, :, None] * filters[:, None, :, None]
    lags = _lags(torch.view_as_complex(banded), config.n_fft, n_lags)  # (B, P, bands, W, L)
    # Each band is scaled to what two equal channels of these weights would give.
    energy = spectra.energy[:, :, first] * spectra.energy[:, :, second]  # (B, W, P, bands)
    scale = energy.clamp(min=1e-12).rsqrt().permute(0, 2, 3, 1)  # (B, P, bands, W)
    stacked = (lags * scale[..., None]).flatten(2, 3)
    if spectra.whole is None:
        return stacked
    whole = correlate_whole(spectra.whole, pairs, n_lags)
    return torch.cat([stacked, whole[:, :, None]], dim=2)


def correlate_whole(whole, pairs, n_lags):
    """Correlate pairs from `whole_window`: (B, M, F') to (B, P, L)."""
    first, second = pairs.unbind(dim=1)
    cross = whole[:, first] * whole[:, second].conj()  # (B, P, F'), halved
    return _lags(cross, 2 * (cross.shape[-1] - 1), n_lags)


def _lags(cross, n_fft, n_lags):
    """Sum halved cross-spectra (..., F) at the lags from -n_lags to n_lags."""
    full = torch.fft.irfft(cross, n_fft, norm='forward')
    return torch.cat([full[..., -n_lags:], full[..., :n_lags + 1]], dim=-1)


def whole_window(signals, n_lags, config):
    """Whiten whole windows, so that products of two, halved, are GCC-PHAT: (B, M, F')."""
    # Padded as far as lags reach, so that the correlation is linear where it is looked at.
    n_fft = -(-(signals.shape[-1] + n_lags) // 1024) * 1024
    spectra = torch.fft.rfft(signals, n_fft)
    magnitude = spectra.abs()
    floor = 1e-6 * magnitude.amax(dim=-1, keepdim=True) + 1e-20
    whole = (config.bands[0][0], config.bands[-1][1]),
    filters = _filters(whole, config, signals.device, n_fft)[0]  # (F',)
    return spectra * ((filters / (2 * filters.sum())).sqrt() / (magnitude + floor))


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


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what inference computes first must not be barred from training
def _filters(edges, config, device, n_fft=None):
    """Return `band_filters` of frames, or of other lengths, as a tensor."""
    filters = band_filters(edges, n_fft or config.n_fft, config.sample_rate)
    return torch.tensor(filters, device=device)
