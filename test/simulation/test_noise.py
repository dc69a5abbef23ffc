"""Noise: of the configured colour, loudness and likeness between microphones."""

from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.babble import babble_around
from nsrp_ros.simulation.babble import babble_in_room
from nsrp_ros.simulation.noise import at_ratio
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.noise import NoiseConfig
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
    """Return by how many decibels the density falls an octave, between 125 Hz and 4 kHz."""
    density = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    n = 2 * (len(density) - 1)
    octaves = [density[int(f * n / 16000):int(2 * f * n / 16000)].mean().log10() * 10
               for f in (125, 250, 500, 1000, 2000)]
    return -np.polyfit(range(5), octaves, 1)[0]


@pytest.mark.parametrize(('colour', 'slope'), [(0.0, 0.0), (1.0, 3.01)])
def test_sensors_hiss_white_to_pink(colour, slope):
    config = NoiseConfig(sensor_colour=(colour, colour))
    noise = sensor_noise(config, (20, 4, 8000), uniform, normal, 16000)
    assert slope_db(noise) == pytest.approx(slope, abs=0.3)
    level_db = 10 * noise.square().mean(dim=-1).log10()
    assert level_db.abs().max() < 3.5 and level_db.std() > 1.0  # unequal, but not by much
    assert torch.corrcoef(noise[0]).triu(1).abs().max() < 0.1  # each for itself


def test_ratios_are_of_the_scene():
    talker, noise = 3 * normal(4, 3, 8000), normal(4, 3, 8000)
    wanted = torch.tensor([-5.0, 0.0, 10.0, 30.0])
    scaled = at_ratio(noise, mean_power(talker), wanted)
    found = 10 * (mean_power(talker) / mean_power(scaled)).log10()
    torch.testing.assert_close(found[:, 0, 0], wanted.double(), atol=1e-3, rtol=0)


def test_hum_is_low_and_alike_at_near_microphones():
    noise = hum(MICS.expand(20, 3, 3), 8000, uniform, normal, 16000)
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    assert power[:250].sum() > 0.9 * power.sum()  # below 500 Hz

    def likeness(pair):
        return np.mean([float(torch.corrcoef(scene[pair])[0, 1]) for scene in noise])
    assert likeness([0, 1]) > 0.6 > 0.4 > abs(likeness([0, 2]))


def test_babble_around_is_diffuse(bank):
    said = babble_around(NoiseConfig(), MICS.expand(8, 3, 3), bank, 8000, GENERATOR)
    assert said.shape == (8, 3, 8000) and said.isfinite().all()
    likeness = np.mean([torch.corrcoef(scene).numpy() for scene in said], axis=0)
    assert likeness[0, 1] > 0.7 > 0.3 > abs(likeness[0, 2])


def test_babble_in_the_room_comes_from_somewhere(bank):
    rooms = draw_rooms(RoomConfig(max_order=0), 3, 4, GENERATOR)
    config = NoiseConfig(babble_talkers=1)
    said = babble_in_room(config, RoomConfig(max_order=0), rooms, Acoustics(), bank, 9500,
                          GENERATOR, 2 ** 28)
    assert said.shape == (4, 3, 8000)
    for scene in said:  # one talker in free field: what one hears, the others hear later
        spectra = torch.fft.rfft(scene, 16000)
        for k in (1, 2):
            cross = torch.fft.irfft(spectra[0] * spectra[k].conj())
            assert cross.abs().max() > 0.8 * scene[0].norm() * scene[k].norm()


def test_impossible_noise_is_refused():
    for wrong in ({'sensor_snr_db': (20.0, 10.0)}, {'babble': 2.0}, {'babble_talkers': 0}):
        with pytest.raises(ValueError, match='must'):
            NoiseConfig(**wrong)
