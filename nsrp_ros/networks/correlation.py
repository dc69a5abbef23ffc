"""
Cross-correlations of the pairs' signals, in several bands and under several weightings.

All are sums over short frames of whitened cross-spectra, as GCC-PHAT is, but frames and bins are
weighted by their reliability: loud ones, those at an onset, before the room's reflections of the
same sound arrive, and those that a small network has learned to weight. Each weight is a product
of one factor for each microphone, so everything up to the product is computed once a microphone
and not once a pair. One more correlation takes the whole window as a single frame: it has the
finest resolution, and its length does not limit the delay.

Shapes: B scenes, M microphones, P pairs, T samples, F bins, N frames, L = 2 n_lags + 1 lags.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import cross_spectral_matrix
from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.stft_bands import band_filters
from nsrp_ros.core.stft_bands import check_lags
import torch
from torch import nn


def activation(config: BackprojectionConfig) -> nn.Module:
    """Make the activation between a network's layers: nn.GELU or nn.ReLU."""
    kinds: dict[str, type[nn.Module]] = {'gelu': nn.GELU, 'relu': nn.ReLU}
    return kinds[config.activation]()


class LearnedWeightings(nn.Module):
    """
    Learned weights of frames and bins: convolutions over one microphone's spectrogram.

    Parameters
    ----------
    config : BackprojectionConfig
        How many to learn, and how many neighbouring bins share a weight. Where bins share
        weights, fewer taps cover as many Hertz.

    """

    def __init__(self, config: BackprojectionConfig) -> None:
        super().__init__()
        self.shared_bins, channels = config.shared_bins, config.weighting_channels
        span = 3 if config.shared_bins > 1 else 5
        self.layers = nn.Sequential(
            nn.Conv2d(2, channels, (4 + self.shared_bins, 3), stride=(self.shared_bins, 1),
                      padding=(2, 1)), activation(config),
            nn.Conv2d(channels, channels, (span, 3), padding=(span // 2, 1)),
            activation(config), nn.Conv2d(channels, config.learned_weightings, 1))

    def forward(self, magnitude: torch.Tensor) -> list[torch.Tensor]:
        """Map magnitudes (B, M, F, N) to as many weights between 0 and 1 for each weighting."""
        level = torch.log(magnitude + 1e-2).flatten(0, 1)  # (B M, F, N)
        rise = level - torch.nn.functional.pad(level, (1, 0))[..., :-1]
        # The layers may be of fewer bits than their input.
        inputs = torch.stack([level, rise], dim=1).to(next(self.layers.parameters()).dtype)
        weights = self.layers(inputs).float().sigmoid()  # (B M, W, F / shared, N)
        if self.shared_bins > 1:
            shared = weights[:, :, :, None].expand(-1, -1, -1, self.shared_bins, -1).flatten(2, 3)
            # The bin at half the sample rate is left over: it shares the weight of the last ones.
            weights = torch.cat([shared, shared[:, :, -1:]], dim=2)
        return [w.unflatten(0, magnitude.shape[:2]) for w in weights.unbind(dim=1)]


@dataclass(frozen=True)
class Spectra:
    """
    What pairs are correlated from, computed once a microphone.

    Attributes
    ----------
    cross : torch.Tensor
        Shape (B, W, F, M, M), complex: `cross_spectral_matrix` of the whitened spectra under W
        weightings.
    energy : torch.Tensor
        Shape (B, W, M, bands): the largest possible value of `cross`, summed over each band.
    whole : torch.Tensor or None
        Shape (B, M, F'), complex: the whitened spectrum of the whole window, if configured.

    """

    cross: torch.Tensor
    energy: torch.Tensor
    whole: torch.Tensor | None


def pair_correlations(signals: torch.Tensor, pairs: torch.Tensor, n_lags: int,
                      config: BackprojectionConfig,
                      learned: LearnedWeightings | None = None) -> torch.Tensor:
    """
    Correlate all pairs in several bands under several weightings.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (B, M, T), float32.
    pairs : torch.Tensor
        Shape (P, 2).
    n_lags : int
        Largest lag, samples; must be below half a frame.
    config : BackprojectionConfig
        Frames, bands and weightings.
    learned : LearnedWeightings, optional
        More weightings, after those of the configuration.

    Returns
    -------
    torch.Tensor
        Shape (B, P, K, L), K = bands times weightings, and one more of the whole window if the
        configuration asks for it; lag 0 in the middle, positive where the first microphone of
        the pair receives the sound later. Two equal channels give 1 at lag 0.

    Raises
    ------
    ValueError
        If a frame is too short for the lags.

    """
    return correlate(microphone_spectra(signals, n_lags, config, learned), pairs, n_lags, config)


def microphone_spectra(signals: torch.Tensor, n_lags: int, config: BackprojectionConfig,
                       learned: LearnedWeightings | None = None) -> Spectra:
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
    magnitude = magnitude / loudness.clamp(min=1e-9)  # independent of the devices' gains

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
        return Spectra(cross_spectral_matrix(weighted), energy, whole)


def correlate(spectra: Spectra, pairs: torch.Tensor, n_lags: int,
              config: BackprojectionConfig) -> torch.Tensor:
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


def correlate_whole(whole: torch.Tensor, pairs: torch.Tensor, n_lags: int) -> torch.Tensor:
    """Correlate pairs from `whole_window`: (B, M, F') to (B, P, L)."""
    first, second = pairs.unbind(dim=1)
    cross = cross_spectrum(whole[:, first], whole[:, second])  # (B, P, F'), halved
    return _lags(cross, 2 * (cross.shape[-1] - 1), n_lags)


def _lags(cross: torch.Tensor, n_fft: int, n_lags: int) -> torch.Tensor:
    """Sum halved cross-spectra (..., F) at the lags from -n_lags to n_lags."""
    full = torch.fft.irfft(cross, n_fft, norm='forward')
    return torch.cat([full[..., -n_lags:], full[..., :n_lags + 1]], dim=-1)


def whole_window(signals: torch.Tensor, n_lags: int,
                 config: BackprojectionConfig) -> torch.Tensor:
    """Whiten whole windows, so that products of two, halved, are GCC-PHAT: (B, M, F')."""
    # Padded by the largest lag, so that the correlation is linear up to there.
    n_fft = -(-(signals.shape[-1] + n_lags) // 1024) * 1024
    spectra = torch.fft.rfft(signals, n_fft)
    magnitude = spectra.abs()
    floor = 1e-6 * magnitude.amax(dim=-1, keepdim=True) + 1e-20
    whole = (config.bands[0][0], config.bands[-1][1]),
    filters = _filters(whole, config, signals.device, n_fft)[0]  # (F',)
    return spectra * ((filters / (2 * filters.sum())).sqrt() / (magnitude + floor))


def _onset(magnitude: torch.Tensor) -> torch.Tensor:
    """Weight onsets: by the part of a bin's magnitude above that of the two frames before."""
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
@torch.inference_mode(False)  # filters cached during inference must stay usable in training
def _filters(edges: tuple[tuple[float, float], ...], config: BackprojectionConfig,
             device: torch.device, n_fft: int | None = None) -> torch.Tensor:
    """Return `band_filters` of frames, or of other lengths, as a tensor."""
    filters = band_filters(edges, n_fft or config.n_fft, config.sample_rate)
    return torch.tensor(filters, device=device)
