"""Trials: the frozen rooms, of which a condition changes nothing but what it says."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets import generate
from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.paired_scenes import draw_talk
from nsrp_ros.evaluation.scenarios.paired_scenes import misjudged
from nsrp_ros.evaluation.scenarios.paired_scenes import simulated
from nsrp_ros.evaluation.scenarios.paired_scenes import walking
from nsrp_ros.evaluation.scenarios.paired_scenes import with_last
from nsrp_ros.evaluation.scenarios.paired_scenes import without_last
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import pytest

FREE = RealConfig(room=RoomConfig(max_order=0, snr_db=100.0))


@pytest.fixture(scope='module')
def bank():
    return find_speech('synthetic')[0]


@pytest.fixture(scope='module')
def scenes(bank):
    return simulated(BASES['hard'], 3, 4, bank)


def test_the_scenes_are_those_of_the_frozen_set(scenes, tmp_path):
    made = generate.load(generate.make('hard', 3, 'test', tmp_path, 4, simulator='torch',
                                       speech='synthetic'))
    np.testing.assert_array_equal(made.mic_positions, scenes.mic_positions)
    np.testing.assert_array_equal(made.source_position, scenes.source_position)
    np.testing.assert_allclose(made.signals[:], scenes.signals,
                               atol=1e-4 * np.abs(scenes.signals).max())


def test_who_does_not_walk_is_heard_as_if_he_stood(scenes, bank):
    standing = walking(BASES['hard'], 0.0, 3, 4, bank)
    np.testing.assert_array_equal(standing.source_position, scenes.source_position)
    # A heading has been drawn before the speech's noise: only the noise, at 30 dB, is another.
    speech = draw_talk(BASES['hard'], 3, bank, generate.scene_generator(0, 'test', 0))[2]
    assert speech.shape[1] > 8000
    difference = standing.signals[0] - scenes.signals[0]
    assert np.linalg.norm(difference) < 0.06 * np.linalg.norm(scenes.signals[0])


def test_who_walks_goes_as_far_as_his_speed_says(bank):
    """In free air the delays between early and late tell the way that was gone."""
    slow, fast = (walking(FREE, speed, 2, 6, bank) for speed in (0.0, 2.0))
    np.testing.assert_array_equal(slow.source_position, fast.source_position)
    way = []
    for one, other in zip(slow.signals, fast.signals, strict=True):
        shifts = [[_lag(moved[part], stood[part]) for part in (slice(0, 2000), slice(-2000, None))]
                  for stood, moved in zip(one, other, strict=True)]
        way += [abs(late - early) * SPEED_OF_SOUND / 16000 for early, late in shifts]
    # 0.75 m from the middle of the first eighth to that of the last, less where it leads past.
    assert max(way) < 0.95 and np.mean(way) > 0.15


def _lag(signal, reference):
    """Return by how many samples a signal comes later, to an eighth of one."""
    n_fft, finer = 2 * len(signal), 8
    spectra = np.fft.rfft(signal, n_fft) * np.fft.rfft(reference, n_fft).conj()
    correlation = np.roll(np.fft.irfft(spectra, finer * n_fft), 100 * finer)[:200 * finer]
    return correlation.argmax() / finer - 100


def test_a_broken_microphone_leaves_the_others_alone(scenes):
    power = np.mean(scenes.signals ** 2, axis=(1, 2))
    for sound, hiss, left in ((0.0, False, 0.0), (0.0, True, 1e-3), (0.0316, True, None)):
        broken = with_last(scenes, sound, hiss)
        np.testing.assert_array_equal(broken.signals[:, :-1], scenes.signals[:, :-1])
        own = np.mean(broken.signals[:, -1] ** 2, axis=1)
        if left is not None:
            np.testing.assert_allclose(own, left * power, rtol=0.1)
        else:
            assert np.all(own > 1e-3 * power)
    fewer = without_last(scenes)
    assert fewer.signals.shape[1] == fewer.mic_positions.shape[1] == 2


def test_misjudged_rooms_are_off_by_as_much_and_hold_their_microphones(scenes):
    told = misjudged(scenes, 0.1)
    off = told.room_dims / scenes.room_dims - 1
    assert np.all(np.abs(off) < 0.1001) and off.min() < -0.05 < 0.05 < off.max()
    assert np.all(told.mic_positions <= told.room_dims[:, None])
    np.testing.assert_array_equal(misjudged(scenes, 0.0).room_dims, scenes.room_dims)
