"""Rooms that are no boxes: the same devices in each, and corners that hide talkers."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.evaluation.scenarios.polygonal_rooms import floor_plans
from nsrp_ros.evaluation.scenarios.polygonal_rooms import inside
from nsrp_ros.evaluation.scenarios.polygonal_rooms import shaped
from nsrp_ros.evaluation.scenarios.polygonal_rooms import shaped_responses
from nsrp_ros.evaluation.scenarios.polygonal_rooms import SHAPES
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import room_responses
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np

ABSORPTION = np.full((3, 2, 6), 0.5)


def test_every_plan_touches_all_sides_of_its_box():
    rng = np.random.default_rng(0)
    for _ in range(20):
        plans = floor_plans(np.array([6.0, 4.0, 3.0]), rng.random)
        assert list(plans) == list(SHAPES)
        for corners in plans.values():
            np.testing.assert_allclose(corners.min(axis=0), 0)
            np.testing.assert_allclose(corners.max(axis=0), [6, 4])
            x, y = corners.T  # the shoelace formula: anticlockwise where it is positive
            area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2
            assert 0.5 * 24 < area <= 24


def test_what_is_inside_a_plan_is_inside():
    corners = np.array([(0, 0), (6, 0), (6, 2), (3, 2), (3, 4), (0, 4)])  # an L
    points = np.array([(1, 1), (5, 1), (1, 3.5), (5, 3), (7, 1), (-1, 1)])
    assert inside(points, corners).tolist() == [True, True, True, False, False, False]


def test_direct_sound_arrives_when_it_should_unless_a_corner_hides_the_talker():
    corners = np.array([(0.0, 0), (6, 0), (6, 2), (3, 2), (3, 5), (0, 5)])
    source = np.array([5.0, 0.7, 1.1])
    seen, hidden = np.array([1.3, 1.0, 1.6]), np.array([2.8, 4.5, 1.1])
    responses = shaped_responses(corners, 3.0, ABSORPTION, source, np.stack([seen, hidden]), 16000)
    arrival = [round(np.linalg.norm(mic - source) / SPEED_OF_SOUND * 16000)
               for mic in (seen, hidden)]
    assert abs(np.abs(responses[0]).argmax() - arrival[0]) <= 1
    around = slice(arrival[1] - 3, arrival[1] + 4)
    assert np.abs(responses[1][around]).max() < 0.05 * np.abs(responses[1]).max()


def test_early_reflections_of_a_box_are_the_reference_s():
    source, mics = np.array([4.6, 0.7, 1.1]), np.array([[1.3, 1.0, 1.6], [2.0, 3.5, 0.8]])
    plan = np.array([(0.0, 0), (6, 0), (6, 5), (0, 5)])
    ours = shaped_responses(plan, 3.0, ABSORPTION, source, mics, 16000)[:, :500]
    reference = room_responses((6, 5, 3), ABSORPTION, source, mics, 6)[:, :500]
    assert np.linalg.norm(ours - reference) < 0.1 * np.linalg.norm(reference)


def test_shapes_have_the_same_devices_and_come_out_the_same_again():
    bank = find_speech('synthetic')[0]
    box, bent, again = (shaped(shape, PRESETS['hard'], 3, 2, bank)
                        for shape in ('box', 'l_shape', 'l_shape'))
    for name in ('mic_positions', 'source_position', 'room_dims'):
        np.testing.assert_array_equal(getattr(box, name), getattr(bent, name))
    np.testing.assert_array_equal(bent.signals, again.signals)
    assert not np.allclose(box.signals, bent.signals)
