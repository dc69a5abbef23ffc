"""Correlations in bands, under weightings: they peak at the delay."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import pair_correlations
from nsrp_ros.networks.correlation import WEIGHTINGS
import numpy as np
import pytest
import torch

CONFIG = BackprojectionConfig(weightings=WEIGHTINGS, whole_window=True)
K = len(CONFIG.bands) * len(CONFIG.weightings) + CONFIG.whole_window


def correlate(signals, pairs, n_lags=400):
    """Correlate one scene's signals (M, T): (P, K, L)."""
    return pair_correlations(torch.as_tensor(signals)[None], torch.tensor(pairs), n_lags,
                             CONFIG)[0].numpy()


def test_every_band_and_weighting_peaks_at_the_delay(anechoic):
    """All correlations of a pair agree in free field; swapping the pair mirrors the lags."""
    distance = np.linalg.norm(anechoic.mic_positions - anechoic.source_position, axis=1)
    lag = (distance[0] - distance[1]) / 343.0 * anechoic.sample_rate
    correlation = correlate(anechoic.signals(), [[0, 1], [1, 0]])
    assert correlation.shape == (2, K, 801)
    assert np.all(np.abs(correlation[0].argmax(axis=1) - 400 - lag) <= 1.0)
    np.testing.assert_allclose(correlation[0], correlation[1, :, ::-1], atol=1e-5)


def test_equal_channels_give_one(anechoic):
    """Two equal signals have correlation 1 at lag 0, whatever the gains."""
    signals = anechoic.signals()[[0, 0]] * np.float32([[1], [0.01]])
    correlation = correlate(signals, [[0, 1]])
    np.testing.assert_allclose(correlation[0, :, 400], 1, atol=2e-3)
    assert correlation.max() <= 1.01


def test_silence_gives_nothing():
    """A silent channel has correlation zero, and nothing is NaN."""
    signals = np.zeros((2, 8000), np.float32)
    signals[1] = np.random.default_rng(0).standard_normal(8000)
    correlation = correlate(signals, [[0, 1]])
    assert np.isfinite(correlation).all() and np.abs(correlation).max() < 1e-3


def test_bands_are_separate():
    """A delay of high frequencies only shows in the highest band and not in the lowest."""
    rng = np.random.default_rng(0)
    low, high = (_band(rng.standard_normal(8100), *edges)
                 for edges in ((50, 500), (4000, 7000)))
    signals = np.stack([low[:8000] + high[:8000], low[:8000] + high[50:8050]])
    signals += 0.01 * rng.standard_normal(signals.shape)  # each microphone's own noise
    correlation = correlate(signals.astype(np.float32), [[0, 1]])[0]
    assert correlation[0].argmax() == 400
    assert correlation[-1].argmax() == 450  # bands come before weightings


def test_frames_must_hold_the_delay():
    """Lags beyond half a frame would wrap around."""
    with pytest.raises(ValueError, match='frames of more than 2048'):
        correlate(np.zeros((2, 8000), np.float32), [[0, 1]], n_lags=1024)


def _band(noise, low, high):
    """Keep a band of a signal."""
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / 16000)
    return np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), len(noise))


@pytest.mark.parametrize('shared_bins', (1, 4))
def test_learned_weightings_are_added_to_the_others(shared_bins):
    """They add a correlation for each band, and gradients reach them through the correlations."""
    torch.manual_seed(0)
    learned = LearnedWeightings(replace(CONFIG, shared_bins=shared_bins))
    signals = torch.randn(1, 3, 8000)
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2]])
    more = pair_correlations(signals, pairs, 100, CONFIG, learned)
    plain = pair_correlations(signals, pairs, 100, CONFIG)
    n_fixed, n_learned = K - CONFIG.whole_window, 2 * len(CONFIG.bands)
    assert more.shape == (1, 3, K + n_learned, 201)
    more.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in learned.parameters())
    # The new ones follow the fixed ones in every band.
    by_band = more.detach()[:, :, :-1].unflatten(2, (len(CONFIG.bands), -1))
    fixed = by_band[:, :, :, :len(CONFIG.weightings)].flatten(2, 3)
    torch.testing.assert_close(fixed, plain[:, :, :n_fixed])
