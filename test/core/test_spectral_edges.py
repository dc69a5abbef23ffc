"""Edges of bands are found where there are any, and windows lose their offsets and cuts."""

from nsrp_ros.core.spectral_edges import faded
from nsrp_ros.core.spectral_edges import upper_edges
from nsrp_ros.core.spectral_edges import without_offset
import numpy as np
import pytest
from scipy.signal import resample_poly

RATE = 16000


def edges(signals):
    """Return the upper edges of channels (M, T), hertz."""
    magnitudes = np.abs(np.fft.rfft(faded(signals), 2 * signals.shape[1]))
    return upper_edges(magnitudes) / magnitudes.shape[1] * RATE / 2


def tilted(n_channels=2, n_samples=8000):
    """Return noise that falls as speech does, by 40 dB up to half the sample rate."""
    noise = np.random.default_rng(0).standard_normal((n_channels, n_samples))
    spectrum = np.fft.rfft(noise)
    fall = np.linspace(0, -40, spectrum.shape[1])
    return 0.01 * np.fft.irfft(spectrum * 10 ** (fall / 20), n_samples)


@pytest.mark.parametrize('n_samples', [1600, 8000, 32000])
@pytest.mark.parametrize('low', [4000, 8000, 12000])
def test_the_old_band_s_edge_is_found(low, n_samples):
    """Each channel by itself; the filter itself begins at 0.84 of it; windows of any length."""
    signals = tilted(2, n_samples)
    g = int(np.gcd(low, RATE))
    signals[1] = resample_poly(resample_poly(signals[1], low // g, RATE // g), RATE // g,
                               low // g)[:n_samples]
    whole, part = edges(signals)
    assert whole == RATE / 2
    assert 0.8 * low / 2 < part < 1.05 * low / 2


def test_neither_hum_nor_a_tone_is_mistaken_for_an_edge():
    """Loud hum hides no speech; a tone above an empty band does not fill it."""
    time = np.arange(8000) / RATE
    hum = np.sin(2 * np.pi * 50 * time)
    assert np.all(edges(tilted() + hum) == RATE / 2)
    low = resample_poly(resample_poly(tilted(), 1, 2, axis=-1), 2, 1, axis=-1)
    tone = 1e-4 * np.sin(2 * np.pi * 7000 * time)
    assert np.all(edges(low + tone) < 4200)


def test_silence_and_very_short_windows_have_no_edge():
    """Nothing is known of them, and nothing breaks."""
    assert np.all(edges(np.zeros((2, 8000))) == RATE / 2)
    assert np.all(upper_edges(np.ones((2, 65))) == 65)


def test_fading_removes_offsets_and_keeps_the_middle():
    """A window begins and ends at zero, whatever its offset was."""
    signals = tilted()
    window = faded(signals.astype(np.float32) + np.float32(0.9))
    assert window.dtype == np.float32
    assert np.abs(window[:, [0, -1]]).max() < 1e-5
    middle = signals - signals.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(window[:, 200:-200], middle[:, 200:-200], atol=1e-6)
    np.testing.assert_allclose(without_offset(signals + np.float32(0.9)), middle, atol=1e-6)
