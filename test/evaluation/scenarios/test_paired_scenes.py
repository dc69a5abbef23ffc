"""Paired scenes: the frozen rooms, of which a condition changes one thing only."""

from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets import generate
from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.paired_scenes import draw_scene
from nsrp_ros.evaluation.scenarios.paired_scenes import simulate_scenes
from nsrp_ros.evaluation.scenarios.paired_scenes import simulate_walking
from nsrp_ros.evaluation.scenarios.paired_scenes import with_faulty_microphone
from nsrp_ros.evaluation.scenarios.paired_scenes import without_last_microphone
from nsrp_ros.evaluation.scenarios.paired_scenes import wrong_room_dims
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
    return simulate_scenes(BASES['hard'], 3, 4, bank)


def test_the_scenes_are_those_of_the_frozen_set(scenes, tmp_path):
    made = generate.load(generate.make('hard', 3, 'test', tmp_path, 4, simulator='torch',
                                       speech='synthetic'))
    np.testing.assert_array_equal(made.mic_positions, scenes.mic_positions)
    np.testing.assert_array_equal(made.source_position, scenes.source_position)
    np.testing.assert_allclose(made.signals[:], scenes.signals,
                               atol=1e-4 * np.abs(scenes.signals).max())


def test_a_walk_at_no_speed_equals_standing(scenes, bank):
    standing = simulate_walking(BASES['hard'], 0.0, 3, 4, bank)
    np.testing.assert_array_equal(standing.source_position, scenes.source_position)
    # A heading has been drawn before the noise: only the noise, at 30 dB, differs.
    speech = draw_scene(BASES['hard'], 3, bank, generate.scene_generator(0, 'test', 0))[2]
    assert speech.shape[1] > 8000
    difference = standing.signals[0] - scenes.signals[0]
    assert np.linalg.norm(difference) < 0.06 * np.linalg.norm(scenes.signals[0])


def test_delays_of_a_walk_change_by_its_length(bank):
    """Without reflections, the delay between early and late samples gives the distance."""
    slow, fast = (simulate_walking(FREE, speed, 2, 6, bank) for speed in (0.0, 2.0))
    np.testing.assert_array_equal(slow.source_position, fast.source_position)
    distances = []
    for one, other in zip(slow.signals, fast.signals, strict=True):
        shifts = [[_lag(moved[part], stood[part]) for part in (slice(0, 2000), slice(-2000, None))]
                  for stood, moved in zip(one, other, strict=True)]
        distances += [abs(late - early) * SPEED_OF_SOUND / 16000 for early, late in shifts]
    # 0.75 m from the middle of the first eighth to that of the last, less where it passes by.
    assert max(distances) < 0.95 and np.mean(distances) > 0.15


def _lag(signal, reference):
    """Return the lag of a signal behind a reference in samples, to an eighth of one."""
    n_fft, finer = 2 * len(signal), 8
    spectra = cross_spectrum(np.fft.rfft(signal, n_fft), np.fft.rfft(reference, n_fft))
    correlation = np.roll(np.fft.irfft(spectra, finer * n_fft), 100 * finer)[:200 * finer]
    return correlation.argmax() / finer - 100


def test_a_broken_microphone_leaves_the_others_alone(scenes):
    power = np.mean(scenes.signals ** 2, axis=(1, 2))
    for gain, noisy, left in ((0.0, False, 0.0), (0.0, True, 1e-3), (0.0316, True, None)):
        broken = with_faulty_microphone(scenes, gain, noisy)
        np.testing.assert_array_equal(broken.signals[:, :-1], scenes.signals[:, :-1])
        own = np.mean(broken.signals[:, -1] ** 2, axis=1)
        if left is not None:
            np.testing.assert_allclose(own, left * power, rtol=0.1)
        else:
            assert np.all(own > 1e-3 * power)
    fewer = without_last_microphone(scenes)
    assert fewer.signals.shape[1] == fewer.mic_positions.shape[1] == 2


def test_wrong_room_dims_have_the_error_and_contain_the_microphones(scenes):
    wrong = wrong_room_dims(scenes, 0.1)
    error = wrong.room_dims / scenes.room_dims - 1
    assert np.all(np.abs(error) < 0.1001) and error.min() < -0.05 < 0.05 < error.max()
    assert np.all(wrong.mic_positions <= wrong.room_dims[:, None])
    np.testing.assert_array_equal(wrong_room_dims(scenes, 0.0).room_dims, scenes.room_dims)
