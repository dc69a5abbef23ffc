"""Late tails: their reverberation time, and the energy of the images that they replace."""

from dataclasses import replace
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.late_reverberation import CrossFade
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.propagation_paths import trace_paths
from nsrp_ros.simulation.acoustics.room_responses import room_spectra
from nsrp_ros.simulation.acoustics.wall_absorption import eyring_rt60
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
import numpy as np
import pytest
from scipy.signal import butter
from scipy.signal import sosfiltfilt
import torch

RATE, N_FFT = 16000, 16000
TAIL = Acoustics(tail=torch.ones(6, dtype=torch.bool))


def generator():
    return torch.Generator().manual_seed(3)


def even_rooms(n_rooms=6, n_mics=4):
    """Draw rooms with six equal walls and a reverberation time of 0.5 s in all bands."""
    rooms = draw_rooms(RoomConfig(min_dims=(4.0, 4.0, 2.5)), n_mics, n_rooms, generator())
    rt60_of_one = eyring_rt60(rooms.dims, torch.full((n_rooms, 3, 2, 6), 1 - math.exp(-1)))
    # Eyring: the time is proportional to -1 / ln(1 - a).
    absorption = 1 - (-rt60_of_one / 0.5).exp()
    return replace(rooms, absorption=absorption[:, None, None].expand(-1, 3, 2, -1))


def responses(rooms, order, acoustics):
    return torch.fft.irfft(room_spectra(rooms, order, N_FFT, RATE, acoustics, generator()),
                           N_FFT).numpy()


def energy(response, band, start, end):
    """Return the mean energy in an octave band between two times in seconds."""
    sos = butter(3, [band / np.sqrt(2), min(band * np.sqrt(2), 7000.0)], 'bandpass', fs=RATE,
                 output='sos')
    return (sosfiltfilt(sos, response)[..., int(start * RATE):int(end * RATE)] ** 2).mean()


@pytest.mark.parametrize('band', BANDS)
def test_tail_has_the_wanted_reverberation_time(band):
    found = responses(even_rooms(), 8, TAIL)
    early, late = energy(found, band, 0.15, 0.25), energy(found, band, 0.45, 0.55)
    assert 60 * 0.3 / (10 * np.log10(early / late)) == pytest.approx(0.5, rel=0.05)


def test_noise_replaces_images_with_their_energy():
    rooms = even_rooms(n_rooms=40)
    # Images of order 20 are complete during the cross-fade.
    distances, ideal, _ = trace_paths(rooms, Acoustics(), 20, None)
    tailed = Acoustics(tail=torch.ones(40, dtype=torch.bool))
    fading_distances, fading, tail = trace_paths(rooms, tailed, 8, None)

    def energy_of(distances, amplitudes):
        time = distances / SPEED_OF_SOUND
        inside = (time > tail.fade.start[:, None, None]) & (time < tail.fade.end[:, None, None])
        return (amplitudes(slice(0, 6)) ** 2 * inside[:, :, None]).sum(dim=-1).mean(dim=1)

    step = (tail.fade.end - tail.fade.start)[:, None] / 200
    time = tail.fade.start[:, None] + step * torch.arange(200)
    noise = (tail.power[:, 0, None] * (-6 * math.log(10) / tail.rt60[:, :1] * time).exp()
             * tail.fade.share(time) * step).sum(dim=1)
    images, mixed = energy_of(distances, ideal), energy_of(fading_distances, fading)
    ratio = (mixed[:, 0] + noise) / images[:, 0]
    assert ratio.mean() == pytest.approx(1.0, abs=0.05) and ratio.std() < 0.15
    assert (noise > 0.2 * images[:, 0]).all()


def test_response_is_unchanged_before_the_mixing_time():
    rooms = even_rooms()
    start = trace_paths(rooms, TAIL, 8, lambda *shape: torch.zeros(shape))[2].fade.start
    direct = torch.linalg.vector_norm(rooms.mic_positions - rooms.source_position[:, None],
                                      dim=-1) / SPEED_OF_SOUND
    assert (start > direct.amax(dim=1)).all()
    ideal, mixed = responses(rooms, 8, None), responses(rooms, 8, TAIL)
    for room in range(6):  # except for the filters' response of some milliseconds
        until = int((float(start[room]) - 0.004) * RATE)
        difference = (mixed - ideal)[room, :, :until]
        assert np.linalg.norm(difference) < 0.1 * np.linalg.norm(ideal[room, :, :until])


def test_tails_are_coherent_between_close_microphones_only():
    rooms = even_rooms()
    near = rooms.mic_positions[:, :1] + torch.tensor([0.04, 0.0, 0.0])
    rooms = replace(rooms, mic_positions=torch.cat([rooms.mic_positions[:, :2], near], dim=1))
    sos = butter(3, [180, 350], 'bandpass', fs=RATE, output='sos')
    late = sosfiltfilt(sos, responses(rooms, 8, TAIL))[..., int(0.15 * RATE):int(0.6 * RATE)]
    late /= np.linalg.norm(late, axis=-1, keepdims=True)
    assert (late[:, 0] * late[:, 2]).sum(axis=-1).min() > 0.95
    assert abs((late[:, 0] * late[:, 1]).sum(axis=-1).mean()) < 0.3


def test_tail_fades_in_between_its_times():
    fade = CrossFade(torch.tensor([0.01, 0.02]), torch.tensor([0.03, 0.04]))
    time = torch.tensor([[0.0, 0.02, 0.05], [0.02, 0.03, 0.04]])
    assert torch.allclose(fade.share(time), torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]))


def test_decay_follows_eyring_with_air_absorption():
    rooms = even_rooms()
    air = torch.full((6, 6), 5e-3)
    tail = trace_paths(rooms, Acoustics(tail=TAIL.tail, air=air), 8,
                       lambda *shape: torch.zeros(shape))[2]
    torch.testing.assert_close(tail.rt60, eyring_rt60(rooms.dims, rooms.absorption, air[0]))
    assert (tail.rt60 < 0.45).all()


def test_tail_of_no_length_is_refused():
    with pytest.raises(ValueError, match='above 0'):
        TailConfig(seconds=0.0)
