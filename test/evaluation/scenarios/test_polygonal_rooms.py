"""Polygonal rooms: the same devices in each, and corners that occlude the direct path."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.evaluation.scenarios.polygonal_rooms import floor_plans
from nsrp_ros.evaluation.scenarios.polygonal_rooms import points_in_polygon
from nsrp_ros.evaluation.scenarios.polygonal_rooms import polygon_responses
from nsrp_ros.evaluation.scenarios.polygonal_rooms import SHAPES
from nsrp_ros.evaluation.scenarios.polygonal_rooms import simulate_polygonal
from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import room_responses
from nsrp_ros.simulation.shoebox_rooms import PRESETS
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


def test_points_in_a_polygon():
    corners = np.array([(0, 0), (6, 0), (6, 2), (3, 2), (3, 4), (0, 4)])  # an L
    points = np.array([(1, 1), (5, 1), (1, 3.5), (5, 3), (7, 1), (-1, 1)])
    assert points_in_polygon(points, corners).tolist() == [True, True, True, False, False, False]


def test_direct_sound_arrives_on_time_unless_a_corner_occludes_it():
    corners = np.array([(0.0, 0), (6, 0), (6, 2), (3, 2), (3, 5), (0, 5)])
    source = np.array([5.0, 0.7, 1.1])
    visible, hidden = np.array([1.3, 1.0, 1.6]), np.array([2.8, 4.5, 1.1])
    responses = polygon_responses(corners, 3.0, ABSORPTION, source, np.stack([visible, hidden]),
                                  16000)
    arrival = [round(np.linalg.norm(mic - source) / SPEED_OF_SOUND * 16000)
               for mic in (visible, hidden)]
    assert abs(np.abs(responses[0]).argmax() - arrival[0]) <= 1
    around = slice(arrival[1] - 3, arrival[1] + 4)
    assert np.abs(responses[1][around]).max() < 0.05 * np.abs(responses[1]).max()


def test_early_reflections_of_a_box_are_the_reference_s():
    source, mics = np.array([4.6, 0.7, 1.1]), np.array([[1.3, 1.0, 1.6], [2.0, 3.5, 0.8]])
    plan = np.array([(0.0, 0), (6, 0), (6, 5), (0, 5)])
    responses = polygon_responses(plan, 3.0, ABSORPTION, source, mics, 16000)[:, :500]
    reference = room_responses((6, 5, 3), ABSORPTION, source, mics, 6)[:, :500]
    assert np.linalg.norm(responses - reference) < 0.1 * np.linalg.norm(reference)


def test_shapes_have_the_same_devices_and_are_reproducible():
    bank = find_speech('synthetic')[0]
    box, l_shape, again = (simulate_polygonal(shape, PRESETS['hard'], 3, 2, bank)
                           for shape in ('box', 'l_shape', 'l_shape'))
    for name in ('mic_positions', 'source_position', 'room_dims'):
        np.testing.assert_array_equal(getattr(box, name), getattr(l_shape, name))
    np.testing.assert_array_equal(l_shape.signals, again.signals)
    assert not np.allclose(box.signals, l_shape.signals)
