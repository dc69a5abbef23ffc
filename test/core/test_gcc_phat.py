"""Cross-correlation, cross-spectra, phases and resampling."""

from nsrp_ros.core.gcc_phat import gcc_phat
from nsrp_ros.core.geometry import cross_spectral_matrix
from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.resampling import resample
from nsrp_ros.networks.crnn import stft_phase
import numpy as np
import pytest
import torch


@pytest.mark.parametrize('delay', [0, 1, 37, -120])
def test_gcc_peaks_at_the_delay(delay):
    """Channel i is a copy of j, `delay` samples later: the peak stands there, close to 1."""
    noise = np.random.default_rng(0).standard_normal(9000)
    signals = np.stack([noise[500 - delay:8500 - delay], noise[500:8500]])
    correlation = gcc_phat(signals, np.array([[0, 1]]))[0]
    peak = int(correlation.argmax())
    assert (peak + len(correlation) // 2) % len(correlation) - len(correlation) // 2 == delay
    assert correlation.max() > 0.9


def test_interpolated_lags_resolve_a_quarter_of_a_sample(anechoic):
    """Four lags a sample put the peak within an eighth of a sample of the true delay."""
    signals = anechoic.signals()
    distance = np.linalg.norm(anechoic.mic_positions - anechoic.source_position, axis=1)
    lag = (distance[0] - distance[1]) / 343.0 * anechoic.sample_rate
    correlation = gcc_phat(signals, np.array([[0, 1]]), interpolation=4)[0]
    peak = int(correlation.argmax())
    peak = peak - len(correlation) if peak > len(correlation) // 2 else peak
    assert abs(peak / 4 - lag) <= 0.13


def test_gains_do_not_matter():
    """Whitening removes each microphone's gain."""
    signals = np.random.default_rng(0).standard_normal((3, 4000))
    pairs = np.array([[0, 1], [1, 2]])
    np.testing.assert_allclose(gcc_phat(signals, pairs),
                               gcc_phat(signals * [[0.01], [1], [30]], pairs), atol=1e-5)


def test_a_silent_channel_correlates_with_nothing():
    """Digital silence gives zeros, not NaN."""
    signals = np.stack([np.zeros(1000), np.random.default_rng(0).standard_normal(1000)])
    correlation = gcc_phat(signals, np.array([[0, 1]]))
    np.testing.assert_array_equal(correlation, 0)


def test_offsets_do_not_matter():
    """They are no sound, and the window's ends have no vote."""
    signals = 0.01 * np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    offsets = np.array([[0.9], [-0.3]], np.float32)
    pairs = np.array([[0, 1]])
    np.testing.assert_allclose(gcc_phat(signals + offsets, pairs), gcc_phat(signals, pairs),
                               atol=2e-3)


def test_empty_bins_have_no_vote():
    """Of two copies of what was sampled at half the rate, half of the bins agree; none invent."""
    noise = np.random.default_rng(0).standard_normal((1, 4000)).astype(np.float32)
    copies = np.repeat(resample(noise, 8000, 16000), 2, axis=0)
    correlation = gcc_phat(copies, np.array([[0, 1]]))[0]
    assert correlation.argmax() == 0
    assert correlation[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_the_cross_spectral_matrix_holds_every_cross_spectrum(kind):
    """Its element (i, j) is the sum over frames of i's and j's, also of i with itself."""
    rng = np.random.default_rng(0)
    spectra = kind(rng.standard_normal((5, 3, 7)) + 1j * rng.standard_normal((5, 3, 7)))
    matrix = cross_spectral_matrix(spectra)
    assert matrix.shape == (5, 3, 3)
    for i in range(3):
        for j in range(3):
            expected = cross_spectrum(spectra[:, i], spectra[:, j]).sum(-1)
            np.testing.assert_allclose(matrix[:, i, j], expected, atol=1e-12)


def test_phase_of_a_tone():
    """A tone's phase advances by its frequency times the hop; DC is dropped."""
    n_fft, hop = 1024, 512
    time = torch.arange(8000, dtype=torch.float64) / 16000
    tone = torch.cos(2 * torch.pi * 1000 * time).float()  # bin 64
    phase = stft_phase(tone, n_fft, hop, centred=False)
    assert phase.shape == (14, 512)
    np.testing.assert_allclose(phase[:, 63], 0, atol=1e-3)  # 1 kHz turns 32 times a hop
    assert stft_phase(tone, n_fft, hop, centred=True).shape == (16, 512)


def test_resampling_keeps_a_tone():
    """A tone of 440 Hz is the same tone at another rate."""
    time = np.arange(48000) / 48000
    tone = np.sin(2 * np.pi * 440 * time)[None].astype(np.float32)
    low = resample(tone, 48000, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert low.shape == (1, 16000)
    np.testing.assert_allclose(low[0, 200:-200], expected[200:-200], atol=2e-3)
    assert resample(tone, 48000, 48000) is tone
    assert resample(tone, 44100, 16000).shape[1] == pytest.approx(48000 * 160 / 441, abs=1)
