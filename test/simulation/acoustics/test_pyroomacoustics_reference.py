"""The reference: pyroomacoustics, with time zero when the talker emits the sound."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import room_responses
import numpy as np


def test_direct_sound_arrives_after_its_propagation_time():
    distance = 480 * SPEED_OF_SOUND / 16000  # 480 samples, 10.29 m
    [response] = room_responses((12.0, 4.0, 3.0), 0.2, (0.5, 2.0, 1.5),
                                [(0.5 + distance, 2.0, 1.5)], 0)
    assert np.abs(response).argmax() == 480
    np.testing.assert_allclose(response[480] * distance, 1, atol=0.02)


def test_reflective_walls_reverberate_longer():
    soft, hard = (room_responses((5, 4, 3), a, (1, 1, 1), [(4, 3, 2)], 10) for a in (0.8, 0.1))
    late = [np.sum(r[:, 800:] ** 2) / np.sum(r ** 2) for r in (soft, hard)]
    assert late[1] > 10 * late[0]


def test_one_coefficient_for_all_walls_equals_one_per_wall():
    even = room_responses((5, 4, 3), 0.3, (1, 1, 1), [(4, 3, 2), (2, 3, 1)], 4)
    walls = room_responses((5, 4, 3), np.full((3, 2, 6), 0.3), (1, 1, 1),
                           [(4, 3, 2), (2, 3, 1)], 4)
    assert even.dtype == np.float32 and even.shape[0] == 2
    # The octave filters add up to one.
    n = min(even.shape[1], walls.shape[1])
    np.testing.assert_allclose(even[:, :n], walls[:, :n], atol=2e-3 * np.abs(even).max())
