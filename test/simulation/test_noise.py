"""Noise: of the configured colour, level and correlation between microphones."""

from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.babble import babble_in_room
from nsrp_ros.simulation.babble import diffuse_babble
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.noise import scale_to_snr
from nsrp_ros.simulation.noise import sensor_noise
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
import torch

GENERATOR = torch.Generator()
MICS = torch.tensor([[[1.0, 1.0, 1.0], [1.05, 1.0, 1.0], [4.0, 3.0, 2.0]]])


@pytest.fixture(autouse=True)
def _seed():
    GENERATOR.manual_seed(0)


@pytest.fixture(scope='module')
def bank():
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=8)


def uniform(*shape):
    return torch.rand(shape, generator=GENERATOR)


def normal(*shape):
    return torch.randn(shape, generator=GENERATOR)


def slope_db(noise):
    """Return the slope of the power density between 125 Hz and 4 kHz, decibels per octave."""
    density = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    n = 2 * (len(density) - 1)
    octaves = [density[int(f * n / 16000):int(2 * f * n / 16000)].mean().log10() * 10
               for f in (125, 250, 500, 1000, 2000)]
    return -np.polyfit(range(5), octaves, 1)[0]


@pytest.mark.parametrize(('colour', 'slope'), [(0.0, 0.0), (1.0, 3.01)])
def test_sensor_noise_is_white_to_pink(colour, slope):
    config = NoiseConfig(sensor_colour=(colour, colour))
    noise = sensor_noise(config, (20, 4, 8000), uniform, normal, 16000)
    assert slope_db(noise) == pytest.approx(slope, abs=0.3)
    level_db = 10 * noise.square().mean(dim=-1).log10()
    assert level_db.abs().max() < 3.5 and level_db.std() > 1.0  # levels differ a little
    assert torch.corrcoef(noise[0]).triu(1).abs().max() < 0.1  # independent


def test_noise_is_scaled_to_the_snr_of_each_scene():
    talker, noise = 3 * normal(4, 3, 8000), normal(4, 3, 8000)
    wanted = torch.tensor([-5.0, 0.0, 10.0, 30.0])
    scaled = scale_to_snr(noise, mean_power(talker), wanted)
    found = 10 * (mean_power(talker) / mean_power(scaled)).log10()
    torch.testing.assert_close(found[:, 0, 0], wanted.double(), atol=1e-3, rtol=0)


def test_hum_is_low_frequency_and_correlated_at_close_microphones():
    noise = hum(MICS.expand(20, 3, 3), 8000, uniform, normal, 16000)
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    assert power[:250].sum() > 0.9 * power.sum()  # below 500 Hz

    def correlation(pair):
        return np.mean([float(torch.corrcoef(scene[pair])[0, 1]) for scene in noise])
    assert correlation([0, 1]) > 0.6 > 0.4 > abs(correlation([0, 2]))


def test_diffuse_babble_is_correlated_at_close_microphones(bank):
    babble = diffuse_babble(NoiseConfig(), MICS.expand(8, 3, 3), bank, 8000, GENERATOR)
    assert babble.shape == (8, 3, 8000) and babble.isfinite().all()
    correlation = np.mean([torch.corrcoef(scene).numpy() for scene in babble], axis=0)
    assert correlation[0, 1] > 0.7 > 0.3 > abs(correlation[0, 2])


def test_babble_in_the_room_has_a_direction(bank):
    rooms = draw_rooms(RoomConfig(max_order=0), 3, 4, GENERATOR)
    config = NoiseConfig(babble_talkers=1)
    babble = babble_in_room(config, RoomConfig(max_order=0), rooms, Acoustics(), bank, 9500,
                            GENERATOR, 2 ** 28)
    assert babble.shape == (4, 3, 8000)
    for scene in babble:  # one talker in free field: the signals are delayed copies
        spectra = torch.fft.rfft(scene, 16000)
        for k in (1, 2):
            cross = torch.fft.irfft(spectra[0] * spectra[k].conj())
            assert cross.abs().max() > 0.8 * scene[0].norm() * scene[k].norm()


def test_invalid_noise_is_refused():
    for wrong in ({'sensor_snr_db': (20.0, 10.0)}, {'babble': 2.0}, {'babble_talkers': 0}):
        with pytest.raises(ValueError, match='must'):
            NoiseConfig(**wrong)
