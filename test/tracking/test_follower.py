"""Following a talker: the goal pose, the choice of the talker, and the rate of new goals."""

import math

from nsrp_ros.core.stamps import NS
from nsrp_ros.tracking.follower import FollowConfig
from nsrp_ros.tracking.follower import Follower
from nsrp_ros.tracking.follower import stand_off
from nsrp_ros.tracking.tracker import Talker
import numpy as np
import pytest


def talker(number, x, y, talking=True, spread=0.1):
    """Return a talker."""
    return Talker(number, np.array([x, y]), np.zeros(2), spread ** 2 * np.eye(2), talking, 0.0)


def test_the_robot_stops_before_the_talker_and_faces_him():
    """The goal is on the line between them, at the distance; a near talker is only faced."""
    place, yaw = stand_off((0, 0), (3, 4), 1.0)
    np.testing.assert_allclose(place, (2.4, 3.2))
    assert yaw == pytest.approx(math.atan2(4, 3))
    place, yaw = stand_off((0, 0), (0, -0.5), 1.0)
    np.testing.assert_allclose(place, (0, 0))
    assert yaw == pytest.approx(-math.pi / 2)


def test_hysteresis_and_rate_limit():
    """Small moves give no new goal, nor do moves too soon after one, in the audio's time."""
    follower = Follower(FollowConfig(hysteresis=0.5, interval=1.0))
    goals = []
    for k, x in enumerate((3.0, 3.1, 3.9, 3.9, 3.9, 4.0, 4.1, 4.2, 4.3, 4.5)):
        stamp_ns = k * NS // 4
        chosen = follower.choose(stamp_ns, [talker(1, x, 0)])
        if follower.target(stamp_ns, chosen, (0, 0)) is not None:
            goals.append((k, x))
    assert goals == [(0, 3.0), (4, 3.9), (9, 4.5)]


def test_silent_or_uncertain_talkers_are_not_followed():
    """Nor is there anybody to follow without talkers."""
    follower = Follower()
    assert follower.choose(0, []) is None
    assert follower.choose(1, [talker(1, 1, 1, talking=False)]) is None
    assert follower.choose(2, [talker(1, 1, 1, spread=2.0)]) is None


def test_the_robot_does_not_alternate_between_two_talkers():
    """It stays with one through short pauses and changes to the other after a long one."""
    follower = Follower(FollowConfig(loyalty=3.0))
    assert follower.choose(0, [talker(1, 1, 1), talker(2, 4, 4)]).number == 1
    assert follower.choose(NS, [talker(2, 4, 4)]) is None
    assert follower.choose(2 * NS, [talker(1, 1, 1), talker(2, 4, 4)]).number == 1
    assert follower.choose(6 * NS, [talker(2, 4, 4)]).number == 2


def test_a_clock_that_is_set_back_resets_the_rate_limit():
    """There is a new goal at once."""
    follower = Follower()
    assert follower.target(100 * NS, follower.choose(100 * NS, [talker(1, 3, 0)]), (0, 0))
    assert follower.target(NS, follower.choose(NS, [talker(2, 3, 0)]), (0, 0)).number == 2


def test_another_distance_gives_a_new_goal():
    """Although nobody has moved; another hysteresis gives none."""
    follower = Follower(FollowConfig(distance=1.0))
    assert follower.target(0, talker(1, 3, 0), (0, 0)).position[0] == pytest.approx(2)
    follower.configure(FollowConfig(distance=1.0, hysteresis=2.0))
    assert follower.target(2 * NS, talker(1, 4, 0), (0, 0)) is None
    follower.configure(FollowConfig(distance=2.0, hysteresis=2.0))
    assert follower.target(3 * NS, talker(1, 4, 0), (0, 0)).position[0] == pytest.approx(2)


@pytest.mark.parametrize('change', [{'distance': 0.0}, {'max_spread': -1.0}, {'interval': -1.0},
                                    {'hysteresis': float('nan')}])
def test_invalid_configurations_are_refused(change):
    """When they are made."""
    with pytest.raises(ValueError):
        FollowConfig(**change)
