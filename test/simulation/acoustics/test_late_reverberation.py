"""Late tails: they ring for the wanted time, with the energy of the images that they replace."""

from dataclasses import replace
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.late_reverberation import Tail
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.propagation_paths import real_paths
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
    """Draw rooms with six equal walls that make all bands ring for half a second."""
    rooms = draw_rooms(RoomConfig(min_dims=(4.0, 4.0, 2.5)), n_mics, n_rooms, generator())
    once = eyring_rt60(rooms.dims, torch.full((n_rooms, 3, 2, 6), 1 - math.exp(-1)))
    absorption = 1 - (-once / 0.5).exp()  # Eyring: the time is as -1 / ln(1 - a)
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
def test_the_tail_rings_for_the_wanted_time(band):
    found = responses(even_rooms(), 8, TAIL)
    early, late = energy(found, band, 0.15, 0.25), energy(found, band, 0.45, 0.55)
    assert 60 * 0.3 / (10 * np.log10(early / late)) == pytest.approx(0.5, rel=0.05)


def test_noise_takes_over_with_the_energy_of_the_images():
    rooms = even_rooms(n_rooms=40)
    # Images of order 20 are complete for as long as it takes here.
    distances, ideal, _ = real_paths(rooms, Acoustics(), 20, None)
    tailed = Acoustics(tail=torch.ones(40, dtype=torch.bool))
    fading_distances, fading, tail = real_paths(rooms, tailed, 8, None)

    def energy_of(way, amplitudes):
        time = way / SPEED_OF_SOUND
        inside = (time > tail.start[:, None, None]) & (time < tail.end[:, None, None])
        return (amplitudes(slice(0, 6)) ** 2 * inside[:, :, None]).sum(dim=-1).mean(dim=1)

    step = (tail.end - tail.start)[:, None] / 200
    time = tail.start[:, None] + step * torch.arange(200)
    noise = (tail.power[:, 0, None] * (-6 * math.log(10) / tail.rt60[:, :1] * time).exp()
             * tail.share(time) * step).sum(dim=1)
    images, mixed = energy_of(distances, ideal), energy_of(fading_distances, fading)
    ratio = (mixed[:, 0] + noise) / images[:, 0]
    assert ratio.mean() == pytest.approx(1.0, abs=0.05) and ratio.std() < 0.15
    assert (noise > 0.2 * images[:, 0]).all()


def test_nothing_changes_before_the_mixing_time():
    rooms = even_rooms()
    start = real_paths(rooms, TAIL, 8, lambda *shape: torch.zeros(shape))[2].start
    direct = torch.linalg.vector_norm(rooms.mic_positions - rooms.source_position[:, None],
                                      dim=-1) / SPEED_OF_SOUND
    assert (start > direct.amax(dim=1)).all()
    ideal, mixed = responses(rooms, 8, None), responses(rooms, 8, TAIL)
    for room in range(6):  # but for the filters' ringing of some milliseconds
        until = int((float(start[room]) - 0.004) * RATE)
        difference = (mixed - ideal)[room, :, :until]
        assert np.linalg.norm(difference) < 0.1 * np.linalg.norm(ideal[room, :, :until])


def test_near_microphones_hear_one_tail_and_far_ones_others():
    rooms = even_rooms()
    near = rooms.mic_positions[:, :1] + torch.tensor([0.04, 0.0, 0.0])
    rooms = replace(rooms, mic_positions=torch.cat([rooms.mic_positions[:, :2], near], dim=1))
    sos = butter(3, [180, 350], 'bandpass', fs=RATE, output='sos')
    late = sosfiltfilt(sos, responses(rooms, 8, TAIL))[..., int(0.15 * RATE):int(0.6 * RATE)]
    late /= np.linalg.norm(late, axis=-1, keepdims=True)
    assert (late[:, 0] * late[:, 2]).sum(axis=-1).min() > 0.95
    assert abs((late[:, 0] * late[:, 1]).sum(axis=-1).mean()) < 0.3


def test_a_tail_fades_in_between_its_times():
    tail = Tail(torch.tensor([0.01, 0.02]), torch.tensor([0.03, 0.04]), *[None] * 4)
    time = torch.tensor([[0.0, 0.02, 0.05], [0.02, 0.03, 0.04]])
    assert torch.allclose(tail.share(time), torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]))


def test_air_and_eyring_set_the_decay():
    rooms = even_rooms()
    air = torch.full((6, 6), 5e-3)
    tail = real_paths(rooms, Acoustics(tail=TAIL.tail, air=air), 8,
                      lambda *shape: torch.zeros(shape))[2]
    torch.testing.assert_close(tail.rt60, eyring_rt60(rooms.dims, rooms.absorption, air[0]))
    assert (tail.rt60 < 0.45).all()


def test_a_tail_needs_time():
    with pytest.raises(ValueError, match='above 0'):
        TailConfig(seconds=0.0)
