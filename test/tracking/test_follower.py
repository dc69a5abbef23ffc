"""Following a talker: where to stand, whom to follow, and when to say so."""

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
    """The place is on the line between them, at the distance; near talkers are only faced."""
    place, yaw = stand_off((0, 0), (3, 4), 1.0)
    np.testing.assert_allclose(place, (2.4, 3.2))
    assert yaw == pytest.approx(math.atan2(4, 3))
    place, yaw = stand_off((0, 0), (0, -0.5), 1.0)
    np.testing.assert_allclose(place, (0, 0))
    assert yaw == pytest.approx(-math.pi / 2)


def test_small_moves_and_quick_ones_are_not_worth_a_target():
    """Hysteresis and rate limit, in the audio's time."""
    follower = Follower(FollowConfig(hysteresis=0.5, interval=1.0))
    given = []
    for k, x in enumerate((3.0, 3.1, 3.9, 3.9, 3.9, 4.0, 4.1, 4.2, 4.3, 4.5)):
        stamp_ns = k * NS // 4
        chosen = follower.choose(stamp_ns, [talker(1, x, 0)])
        if follower.target(stamp_ns, chosen, (0, 0)) is not None:
            given.append((k, x))
    assert given == [(0, 3.0), (4, 3.9), (9, 4.5)]


def test_nobody_who_is_silent_or_vague_is_followed():
    """There is no choice then."""
    follower = Follower()
    assert follower.choose(0, []) is None
    assert follower.choose(1, [talker(1, 1, 1, talking=False)]) is None
    assert follower.choose(2, [talker(1, 1, 1, spread=2.0)]) is None


def test_the_robot_does_not_run_between_two_talkers():
    """It stays with one through short pauses, and goes to the other after a long one."""
    follower = Follower(FollowConfig(loyalty=3.0))
    assert follower.choose(0, [talker(1, 1, 1), talker(2, 4, 4)]).number == 1
    assert follower.choose(NS, [talker(2, 4, 4)]) is None
    assert follower.choose(2 * NS, [talker(1, 1, 1), talker(2, 4, 4)]).number == 1
    assert follower.choose(6 * NS, [talker(2, 4, 4)]).number == 2


def test_a_clock_that_is_set_back_is_no_reason_to_wait():
    """The rate limit does not reach into the future."""
    follower = Follower()
    assert follower.target(100 * NS, follower.choose(100 * NS, [talker(1, 3, 0)]), (0, 0))
    assert follower.target(NS, follower.choose(NS, [talker(2, 3, 0)]), (0, 0)).number == 2


def test_another_distance_is_another_target():
    """Though nobody has moved; another hysteresis is not."""
    follower = Follower(FollowConfig(distance=1.0))
    assert follower.target(0, talker(1, 3, 0), (0, 0)).position[0] == pytest.approx(2)
    follower.configure(FollowConfig(distance=1.0, hysteresis=2.0))
    assert follower.target(2 * NS, talker(1, 4, 0), (0, 0)) is None
    follower.configure(FollowConfig(distance=2.0, hysteresis=2.0))
    assert follower.target(3 * NS, talker(1, 4, 0), (0, 0)).position[0] == pytest.approx(2)


@pytest.mark.parametrize('change', [{'distance': 0.0}, {'max_spread': -1.0}, {'interval': -1.0},
                                    {'hysteresis': float('nan')}])
def test_configurations_that_cannot_be(change):
    """They are refused when made."""
    with pytest.raises(ValueError):
        FollowConfig(**change)
