"""The torch simulator against physics, and against pyroomacoustics as a second opinion."""

from dataclasses import replace

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import render_microphones_reference
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import room_responses
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import room_spectra
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import PRESETS
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.simulator import draw_scenes
from nsrp_ros.simulation.simulator import longest_response
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
from scipy.signal import butter
from scipy.signal import fftconvolve
from scipy.signal import sosfiltfilt
import torch

RATE = 16000
COMMON_BAND = 100.0, 7000.0
"""Hertz: below, the high-pass filters differ a little; above, the finite interpolation filter of
pyroomacoustics rolls off."""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def points(config):
    """Return a length of FFT that holds any response, and a window."""
    return -(-(longest_response(config, RATE) + window_length(RATE)) // 8) * 8


@pytest.fixture(scope='module')
def bank():
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=8)


@pytest.fixture(scope='module')
def both():
    """Return responses (B, M, R) of the same hard rooms of order 17 by both simulators."""
    config = PRESETS['reverb_sim']
    rooms = draw_rooms(config, 4, 5, generator(11))
    n_fft = points(config)
    ours = torch.fft.irfft(room_spectra(rooms, config.max_order, n_fft, RATE), n_fft).numpy()
    # What comes after the longest response precedes time zero: the filters have zero phase.
    length = n_fft - window_length(RATE)
    ours = ours[..., :length]
    theirs = np.zeros_like(ours)
    for b in range(len(rooms)):
        response = room_responses(
            rooms.dims[b].numpy(), rooms.absorption[b].numpy(), rooms.source_position[b].numpy(),
            rooms.mic_positions[b].numpy(), config.max_order, RATE)[:, :length]
        theirs[b, :, :response.shape[1]] = response
    return rooms, ours, theirs


def one_room(mics, absorption, source=(1.0, 2.0, 1.5), dims=(5.0, 4.0, 3.0)):
    def batch(values):
        return torch.tensor(values, dtype=torch.float32)[None]
    walls = torch.full((1, 3, 2, len(BANDS)), 1.0) * torch.as_tensor(absorption)
    return Rooms(batch(dims), batch(mics), batch(source), walls)


def delay_in_samples(spectrum, n_fft):
    """Measure a free-field delay by the slope of the phase between 0.5 and 7 kHz."""
    low, high = (int(f * n_fft / RATE) for f in (500, 7000))
    phase = np.unwrap(np.angle(spectrum[low:high]))
    return -np.polyfit(2 * np.pi * np.arange(low, high) / n_fft, phase, 1)[0]


def decay_time(response, band):
    """Measure the time for 20 dB of decay (from -5 to -25) in an octave band, in seconds."""
    sos = butter(3, [band / np.sqrt(2), min(band * np.sqrt(2), 7000.0)], 'bandpass', fs=RATE,
                 output='sos')
    energy = sosfiltfilt(sos, response) ** 2
    left = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-12)
    inside = np.flatnonzero((left < -5) & (left > -25))
    return -20 / np.polyfit(inside / RATE, left[inside], 1)[0]


def test_free_field_delays_and_gains_are_exact():
    mics = [(4.3, 0.7, 0.4), (1.6, 2.2, 1.5), (3.3, 3.9, 2.95)]
    spectra = room_spectra(one_room(mics, 1.0), 0, 8192, RATE)[0].numpy()
    distances = np.linalg.norm(np.array(mics) - (1.0, 2.0, 1.5), axis=1)
    for spectrum, distance in zip(spectra, distances, strict=True):
        assert delay_in_samples(spectrum, 8192) == pytest.approx(
            distance / SPEED_OF_SOUND * RATE, abs=0.005)
        gain = np.abs(spectrum[100:3700]) * distance  # 0.2 to 7.2 kHz
        np.testing.assert_allclose(gain, 1, atol=3e-3)


def test_delays_agree_with_pyroomacoustics(both):
    rooms, _, _ = both
    spectra = room_spectra(rooms, 0, 8192, RATE).numpy()
    for b in range(len(rooms)):
        reference = np.fft.rfft(room_responses(
            rooms.dims[b].numpy(), 0.5, rooms.source_position[b].numpy(),
            rooms.mic_positions[b].numpy(), 0, RATE), 8192)
        for ours, theirs in zip(spectra[b], reference, strict=True):
            assert delay_in_samples(ours, 8192) == pytest.approx(
                delay_in_samples(theirs, 8192), abs=0.1)


def test_reflection_gain_is_the_root_of_the_reflected_energy():
    absorption = torch.ones(1, 3, 2, len(BANDS))
    absorption[0, 1, 1] = 0.36  # the wall y = 4
    room = one_room([(3.0, 2.5, 1.5)], absorption)
    total = room_spectra(room, 1, 8192, RATE)[0, 0]
    direct = room_spectra(room, 0, 8192, RATE)[0, 0]
    reflection = (total - direct).numpy()
    path = np.hypot(2.0, 2.0 + 1.5)  # from the image at y = 8 - 2
    assert delay_in_samples(reflection, 8192) == pytest.approx(
        path / SPEED_OF_SOUND * RATE, abs=0.01)
    np.testing.assert_allclose(np.abs(reflection[100:3700]) * path, 0.8, atol=5e-3)


def test_each_band_has_its_own_absorption():
    absorption = torch.ones(1, 3, 2, len(BANDS))
    absorption[0, 0, 0] = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 0.9])
    room = one_room([(3.0, 2.5, 1.5)], absorption)
    reflection = (room_spectra(room, 1, 16000, RATE) - room_spectra(room, 0, 16000, RATE))[0, 0]
    path = np.hypot(4.0, 0.5)
    gains = np.abs(reflection.numpy())[list(BANDS)] * path
    np.testing.assert_allclose(gains, np.sqrt(1 - absorption[0, 0, 0].numpy()), atol=5e-3)


def test_responses_are_reciprocal(both):
    rooms, _, _ = both
    swapped = replace(rooms, mic_positions=rooms.source_position[:, None],
                      source_position=rooms.mic_positions[:, 0])
    forth = room_spectra(rooms, 6, 8192, RATE)[:, 0]
    back = room_spectra(swapped, 6, 8192, RATE)[:, 0]
    assert (forth - back).abs().max() < 1e-3 * forth.abs().max()


def test_responses_correlate_with_pyroomacoustics(both):
    _, ours, theirs = both
    sos = butter(4, COMMON_BAND, 'bandpass', fs=RATE, output='sos')
    a, b = sosfiltfilt(sos, ours), sosfiltfilt(sos, theirs)
    correlation = (a * b).sum(-1) / np.sqrt((a ** 2).sum(-1) * (b ** 2).sum(-1))
    assert correlation.min() > 0.995
    assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)  # the same gain, too


@pytest.mark.parametrize('band', BANDS)
def test_bands_decay_as_in_pyroomacoustics(both, band):
    _, ours, theirs = both
    for a, b in zip(ours.reshape(-1, ours.shape[-1]), theirs.reshape(-1, ours.shape[-1]),
                    strict=True):
        assert decay_time(a, band) == pytest.approx(decay_time(b, band), rel=0.05)


def test_libri_adhoc_room_has_its_measured_reverberation_time():
    config = PRESETS['libri_adhoc']
    rooms = draw_rooms(config, 2, 6, generator(13))
    responses = torch.fft.irfft(room_spectra(rooms, config.max_order, 28800, RATE), 28800)
    rt60 = [3 * decay_time(response, band) for band in BANDS
            for response in responses[..., :24000].flatten(0, 1).numpy()]
    assert 0.75 < np.mean(rt60) < 0.95


def test_windows_agree_with_pyroomacoustics(bank):
    config = PRESETS['hard']
    rooms, speech = draw_scenes(config, 4, 3, bank, generator(4))
    ours = render_microphones(config, rooms, speech, RATE)
    theirs = render_microphones_reference(config, rooms, speech, RATE)
    assert ours.shape == theirs.shape == (3, 4, 8000)
    sos = butter(4, COMMON_BAND, 'bandpass', fs=RATE, output='sos')
    a, b = sosfiltfilt(sos, ours), sosfiltfilt(sos, theirs)
    assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)


def test_window_is_a_linear_convolution(bank):
    config = PRESETS['easy']
    rooms, speech = draw_scenes(config, 2, 2, bank, generator(5))
    window = render_microphones(config, rooms, speech, RATE).numpy()
    n_fft = points(config)
    spectra = room_spectra(rooms, config.max_order, n_fft, RATE)
    # Zero-phase filters precede time zero: a twentieth of a second is kept before it.
    ahead = RATE // 20
    responses = torch.fft.irfft(spectra, n_fft).roll(ahead, dims=-1)[..., :n_fft - 8000].numpy()
    whole = fftconvolve(speech[:, None].numpy(), responses, axes=-1)
    end = speech.shape[1]
    whole = whole[..., end - 8000 + ahead:end]
    error = window[..., :-ahead] - whole
    assert np.linalg.norm(error) < 5e-3 * np.linalg.norm(whole)


def test_chunks_do_not_change_the_signals(bank):
    config = replace(PRESETS['easy'], max_order=5)
    rooms, speech = draw_scenes(config, 3, 7, bank, generator(7))
    together = render_microphones(config, rooms, speech, RATE)
    apart = render_microphones(config, rooms, speech, RATE, max_bytes=1)
    assert torch.allclose(together, apart, atol=1e-5 * float(together.abs().max()))


def test_same_seed_makes_the_same_scenes(bank):
    config = replace(PRESETS['hard'], max_order=3)
    first, again, other = (simulate(config, 4, 3, bank, generator(seed)) for seed in (8, 8, 9))
    assert torch.allclose(first.signals, again.signals, atol=1e-6)
    assert torch.equal(first.mic_positions, again.mic_positions)
    assert not torch.equal(first.signals, other.signals)
    assert first.signals.dtype == torch.float32 and first.sample_rate == RATE


def test_sensor_noise_has_the_configured_level(bank):
    config = replace(PRESETS['anechoic_sim'], snr_db=10.0)
    noisy = simulate(config, 4, 16, bank, generator(10)).signals
    rooms, speech = draw_scenes(config, 4, 16, bank, generator(10))
    clean = render_microphones(config, rooms, speech, RATE)
    noise = noisy - clean
    snr_db = 10 * torch.log10(clean.square().mean(dim=(1, 2)) / noise.square().mean(dim=(1, 2)))
    assert torch.allclose(snr_db, torch.tensor(10.0), atol=0.2)
    # Equal sensors: the noise level is the same at distant and close microphones.
    assert (noise.std(dim=2) / noise.std(dim=(1, 2))[:, None] - 1).abs().max() < 0.05


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU here')
def test_gpu_and_cpu_render_the_same_signals(bank):
    config = PRESETS['hard']
    rooms, speech = draw_scenes(config, 4, 4, bank, generator(12))
    here = render_microphones(config, rooms, speech, RATE)
    there = render_microphones(config, rooms.to('cuda'), speech.cuda(), RATE).cpu()
    assert (here - there).norm() < 1e-3 * here.norm()
