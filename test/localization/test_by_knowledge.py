"""The default method asks the network that knows most of the scene."""

from nsrp_ros import Localizer
from nsrp_ros import Surroundings
from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.localization.by_knowledge import ByKnowledge
from nsrp_ros.localization.methods import BatchMethod
from nsrp_ros.localization.methods import TalkersMethod
import numpy as np
import pytest

BOX = (6.0, 5.0, 3.0)
EXACT = (Surroundings.box(BOX), Surroundings.box(BOX, (1, 2, 0.5), 0.4))
"""Boxes that are known exactly, one of them turned and elsewhere."""
OTHERS = (
    Surroundings.box(BOX, std=0.05), Surroundings.box(BOX, std=[0, 0, 0, 0, 0, np.inf]),
    Surroundings.open((0, 0, 0), BOX), Surroundings.box(BOX).search((1, 1, 0), (5, 4, 2)),
    Surroundings.prism([(0, 0), (6, 0), (6, 2), (3, 2), (3, 5), (0, 5)], (0, 3)),
    Surroundings.box(BOX).with_planes(Surroundings.box(BOX).planes[:5]))
"""Walls that are vague, missing or not there; an area that is not the room; an outline."""


class Fake:
    """A method that says its number, which counts its calls, in place of a confidence."""

    config = BackprojectionConfig()

    def __init__(self, sign):
        self.sign, self.told = sign, []

    def estimate(self, signals, mic_positions, room, area=None, shape=None, search=None):
        """Answer, and write down what was asked."""
        self.told.append((signals, area, shape))
        return Estimate(np.array([1.0, 2.0]), np.ones((1, 1)), np.ones(1), np.ones(1),
                        self.sign * float(signals[0, 0]), np.eye(2))

    def estimate_all(self, scenes):
        """Answer many at once."""
        return [self.estimate(*scene) for scene in scenes]


class FakeOfTalkers(Fake):
    """One that knows all surroundings, and several talkers."""

    takes_surroundings = True

    def estimate_talkers(self, signals, mic_positions, surroundings, most):
        """Answer with as many as asked for."""
        return [self.estimate(signals, mic_positions, surroundings)] * most


@pytest.fixture
def networks():
    """Return the method, the fakes that it asks, and how often the second one was loaded."""
    boxes, other, loaded = Fake(1), FakeOfTalkers(-1), []
    return ByKnowledge(boxes, lambda: loaded.append(1) or other), boxes, other, loaded


def scene(surroundings, number=1.0, spread=1.0):
    """Return the arguments of `estimate` for microphones spread in that part of a room."""
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 1)]) * spread
    return (np.full((4, 100), number, np.float32),
            (surroundings.lower + surroundings.upper) / 2 + corners, surroundings)


@pytest.mark.parametrize('surroundings', EXACT)
def test_an_exact_box_is_for_the_network_of_boxes(networks, surroundings):
    """The other one is not even loaded, unless all microphones are one small array."""
    method, boxes, other, loaded = networks
    assert method.estimate(*scene(surroundings)).confidence == 1
    assert not loaded and not other.told
    assert method.estimate(*scene(surroundings, spread=0.1)).confidence == -1
    assert len(loaded) == len(boxes.told) == 1


@pytest.mark.parametrize('surroundings', OTHERS)
def test_everything_else_is_for_the_network_that_knows_walls_by_degrees(networks, surroundings):
    """It is loaded once, and told area and shape as they are."""
    method, boxes, other, loaded = networks
    for _ in range(2):
        estimate = method.estimate(*scene(surroundings), [[1, 1], [2, 2]], (3, 4))
        assert estimate.confidence == -1
    assert loaded == [1] and not boxes.told
    assert other.told[0][1:] == ([[1, 1], [2, 2]], (3, 4))


def test_a_microphone_outside_the_box_makes_it_no_box(networks):
    """The room that was told cannot be the one that it is in."""
    signals, mics, surroundings = scene(EXACT[0])
    mics[0, 0] = -1.0
    assert networks[0].estimate(signals, mics, surroundings).confidence == -1


def test_many_windows_keep_their_order(networks):
    """Those of each network are asked together, and put back among the others."""
    method, boxes, other, _ = networks
    rooms = [EXACT[0], OTHERS[0], OTHERS[2], EXACT[1], OTHERS[4], EXACT[0]]
    found = method.estimate_all([scene(room, k + 1) for k, room in enumerate(rooms)])
    assert [one.confidence for one in found] == [1, -2, -3, 4, -5, 6]
    assert len(boxes.told) == len(other.told) == 3
    assert method.estimate_all([]) == []


def test_several_talkers_are_for_the_second_network(networks):
    """Also in a box that is known exactly."""
    method, boxes, _, loaded = networks
    assert isinstance(method, TalkersMethod) and isinstance(method, BatchMethod)
    assert len(method.estimate_talkers(*scene(EXACT[0]), 2)) == 2
    assert loaded == [1] and not boxes.told


def test_the_default_method_is_both(anechoic):
    """The answer of either, bit for bit; a turned room is the room that it is."""
    default, scene_ = Localizer.load(), (anechoic.signals(), 16000, anechoic.mic_positions)
    one = default.locate(*scene_, anechoic.room_dims)
    np.testing.assert_array_equal(
        one.likelihood_map,
        default.locate(*scene_, Surroundings.box(anechoic.room_dims)).likelihood_map)
    vague = Surroundings.box(anechoic.room_dims, std=0.05)
    np.testing.assert_array_equal(
        default.locate(*scene_, vague).likelihood_map,
        Localizer.load('surroundings').locate(*scene_, vague).likelihood_map)
    yaw, origin = 0.6, np.array([3.0, -2.0, 0.5])
    turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    turned = default.locate(*scene_[:2], anechoic.mic_positions @ turn + origin,
                            Surroundings.box(anechoic.room_dims, origin, yaw))
    place = np.array([*one.position, one.height]) @ turn + origin
    np.testing.assert_allclose(turned.position, place[:2], atol=1e-3)
    assert turned.height == pytest.approx(place[2], abs=1e-3)
