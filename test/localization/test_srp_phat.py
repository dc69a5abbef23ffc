"""The classical method finds what geometry says."""

from functools import lru_cache

from nsrp_ros.core.config import SrpConfig
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.methods.srp import SRP_CONFIGS
from nsrp_ros.localization.srp_phat import SrpPhat
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import room_responses
from nsrp_ros.simulation.speech.synthetic import synthetic_talker
import numpy as np
import pytest
from scipy.signal import oaconvolve
from scipy.signal import resample
from scipy.signal import resample_poly
from support.anechoic import Anechoic


def locate(config, scene, signals=None, mic_positions=None):
    """Return the position of the map's peak, and the map."""
    mics = scene.mic_positions if mic_positions is None else mic_positions
    signals = scene.signals() if signals is None else signals
    likelihood_map, x, y = SrpPhat(config).likelihood(signals, mics, scene.room_dims)
    row, column = np.unravel_index(likelihood_map.argmax(), likelihood_map.shape)
    return np.array([x[column], y[row]]), likelihood_map


def test_the_peak_lands_within_a_cell(anechoic):
    """In free air the peak is in the source's cell or beside it, whatever the source's height."""
    config = SRP_CONFIGS['srp_phat']
    position, _ = locate(config, anechoic)
    cell = anechoic.room_dims[:2] / [config.nx, config.ny]
    assert np.all(np.abs(position - anechoic.source_position[:2]) <= cell)


@pytest.mark.parametrize('nx, ny', [(25, 25), (60, 50), (31, 17)])
def test_any_grid(anechoic, nx, ny):
    """The map has the shape that was asked for, y first."""
    position, likelihood_map = locate(SrpConfig(nx=nx, ny=ny), anechoic)
    assert likelihood_map.shape == (ny, nx)
    assert np.linalg.norm(position - anechoic.source_position[:2]) < 0.5


def test_a_flat_world_needs_flat_heights(anechoic):
    """Heights that are ignored spoil the estimate; put everything at one height and it is fine."""
    scene = anechoic
    wrong = np.linalg.norm(locate(SRP_CONFIGS['srp_phat_2d'], scene)[0]
                           - scene.source_position[:2])
    scene.mic_positions = scene.mic_positions * [1, 1, 0] + [0, 0, 1]
    scene.source_position = scene.source_position * [1, 1, 0] + [0, 0, 1]
    right = np.linalg.norm(locate(SRP_CONFIGS['srp_phat_2d'], scene)[0]
                           - scene.source_position[:2])
    assert right < 0.3 and right < wrong


def test_the_order_of_microphones_does_not_matter(anechoic):
    """A map is a sum over pairs: shuffling the microphones leaves it."""
    signals = anechoic.signals()
    order = np.random.default_rng(3).permutation(6)
    config = SrpConfig(nx=30, ny=25, nz=4)
    _, one = locate(config, anechoic, signals)
    _, other = locate(config, anechoic, signals[order], anechoic.mic_positions[order])
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_mirrored_rooms_have_mirrored_maps(anechoic):
    """Reflect the microphones at the room's middle and the map is reflected too."""
    signals = anechoic.signals()
    mirrored = anechoic.mic_positions * [-1, 1, 1] + [anechoic.room_dims[0], 0, 0]
    config = SrpConfig(nx=30, ny=25, nz=4)
    _, one = locate(config, anechoic, signals)
    _, other = locate(config, anechoic, signals, mirrored)
    np.testing.assert_allclose(one, other[:, ::-1], atol=2e-4)


def test_the_soft_maximum_over_heights_lies_between_mean_and_maximum(anechoic):
    """It tends to the maximum as the sharpness grows, and never exceeds it."""
    maps = {sharpness: locate(SrpConfig(nx=20, ny=20, sharpness=sharpness), anechoic)[1]
            for sharpness in (0, 10, 1000)}
    assert np.all(maps[10] <= maps[1000] + 1e-6) and np.all(maps[1000] <= maps[0] + 1e-6)
    np.testing.assert_allclose(maps[1000], maps[0], atol=0.01)


ROOMS = 4
"""Reverberant rooms in which recordings with defects are located."""


@lru_cache(maxsize=None)
def reverberant(k):
    """Return half a second of speech in room k, with noise 20 dB below it, and the talker."""
    generator = np.random.default_rng(k)
    scene = Anechoic()
    talker = generator.uniform([1, 1, 1.2], [5, 4, 1.8])
    responses = room_responses(scene.room_dims, 0.45, talker, scene.mic_positions, 12)
    heard = oaconvolve(synthetic_talker(1.5, generator)[None], responses, axes=-1)[:, 8000:16000]
    heard += 0.1 * heard.std() * generator.standard_normal(heard.shape)
    return (0.05 * heard / np.abs(heard).max()).astype(np.float32), talker


def errors_and_confidences(change, rate=16000):
    """Locate all rooms' talkers from changed recordings."""
    scene, localizer = Anechoic(), Localizer.load('srp_phat')
    rows = []
    for k in range(ROOMS):
        signals, talker = reverberant(k)
        found = localizer.locate(change(signals), rate, scene.mic_positions, scene.room_dims)
        rows.append((np.linalg.norm(found.position - talker[:2]), found.confidence))
    return np.array(rows).T


@lru_cache(maxsize=None)
def clean():
    """Return errors and confidences of the recordings as they are."""
    return errors_and_confidences(lambda signals: signals)


def through(rate):
    """Return what recordings are after a while at another rate, by the usual filter."""
    def change(signals):
        g = int(np.gcd(rate, 16000))
        low = resample_poly(signals, rate // g, 16000 // g, axis=-1)
        return resample_poly(low, 16000 // g, rate // g, axis=-1)[:, :8000].astype(np.float32)
    return change


@pytest.mark.parametrize('rate, change', [
    (16000, through(8000)), (16000, through(11025)), (16000, through(12000)),
    (16000, lambda signals: resample(resample(signals, 4000, axis=-1), 8000, axis=-1)),
    (8000, lambda signals: resample_poly(signals, 1, 2, axis=-1)),
    (16000, lambda signals: signals + np.float32(0.9)),
    (16000, lambda signals: signals + np.linspace(-0.5, 0.9, 6, dtype=np.float32)[:, None]),
], ids=['8 kHz', '11 kHz', '12 kHz', 'an ideal low-pass', 'not resampled', 'offset', 'offsets'])
def test_defects_of_a_recording_do_not_make_up_places(rate, change):
    """Empty bands and offsets cost little, and never lead to confident errors."""
    errors, confidences = errors_and_confidences(change, rate)
    assert errors.mean() <= 1.3 * clean()[0].mean() + 0.1
    assert not np.any((errors > 0.5) & (confidences > 0.5))


def test_reverberant_rooms_are_located_at_all():
    """The recordings without defects are located, or the test above would say nothing."""
    errors, confidences = clean()
    assert errors.mean() < 0.3 and np.all(confidences > 0.5)
