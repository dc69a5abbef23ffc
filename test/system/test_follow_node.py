"""The follow node over DDS: goals only while somebody talks, masks only when they change."""

from collections.abc import Iterator
import itertools
import math
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.talker_conversions import tracks_message
from nsrp_ros.tracking.tracker import Talker
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from support.node_rig import LATCHED
from support.node_rig import Rig
from support.transforms import transform
from tf2_msgs.msg import TFMessage

DEFAULTS: dict[str, Any] = {'distance': 1.2, 'slow_radius': 1.5, 'forget_after': 600.0}
"""Parameters at the beginning of each test: a busy machine forgets nobody by itself."""


class FollowRig(Rig):
    """A rig that plays tracker, localizer and robot."""

    def __init__(self, domain: int, folder: Path) -> None:
        super().__init__(domain, folder)
        self.goals: list[PoseStamped] = []
        self.masks: list[OccupancyGrid] = []
        self.node.create_subscription(PoseStamped, 'goal_update', self.goals.append, 10)
        self.node.create_subscription(OccupancyGrid, 'talker_mask', self.masks.append, 10)
        self.tracks = self.node.create_publisher(PointCloud2, 'talker_tracks', 50)
        self.grid = self.node.create_publisher(OccupancyGrid, 'likelihood', LATCHED)
        self.numbers = itertools.count(1)
        self.start('follower_node', **DEFAULTS)
        self.connect('follow', inputs=('talker_tracks', '/tf_static', 'likelihood'),
                     outputs=('goal_update', 'talker_mask'))

    def place_robot(self, x: float, y: float) -> None:
        """Publish where the robot is, and how large the room is."""
        self.deliver(self.static, TFMessage(transforms=[transform('base_link', (x, y, 0.0))]))
        grid = OccupancyGrid()
        grid.header.frame_id = 'map'
        grid.info.resolution, grid.info.width, grid.info.height = 0.1, 60, 50
        self.deliver(self.grid, grid)

    def track(self, *talkers: Talker) -> None:
        """Publish tracks, a quarter of a second after those before."""
        header = Header(frame_id='map')
        set_stamp(header.stamp, self.now_ns)
        self.deliver(self.tracks, tracks_message(list(talkers), header, 0.0))
        self.now_ns += NS // 4

    def clear(self) -> None:
        """Let the node forget everybody."""
        assert self.set_parameters('follow', **DEFAULTS).successful
        self.pause(100)
        self.track()
        self.pause(100)
        self.goals.clear()
        self.masks.clear()


def talker(number: int, x: float, y: float, talking: bool = True) -> Talker:
    """Return a talker."""
    return Talker(number, np.array([x, y]), np.zeros(2), 0.01 * np.eye(2), talking, 0.0)


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    """Start a follow node for several tests; end it with Ctrl-C."""
    rig = FollowRig(85, tmp_path_factory.mktemp('follow'))
    rig.place_robot(1.0, 1.0)
    yield rig
    assert rig.close() == [0], rig.logs()


@pytest.fixture
def rig(shared: FollowRig) -> FollowRig:
    """Give a test a node that follows nobody and has no mask."""
    shared.clear()
    return shared


@pytest.fixture
def number(rig: FollowRig) -> int:
    """Return a talker's number that was not used before."""
    return next(rig.numbers)


def test_a_talker_is_followed(rig: FollowRig, number: int) -> None:
    """One goal in front of him, none while he stands still, another when he has moved."""
    begin_ns = rig.now_ns
    for _ in range(8):
        rig.track(talker(number, 4.0, 1.0))
    for _ in range(8):
        rig.track(talker(number, 4.0, 3.0))
    assert rig.spin_until(lambda: len(rig.goals) == 2)
    rig.settled()
    assert len(rig.goals) == 2
    first, second = (goal.pose for goal in rig.goals)
    assert (first.position.x, first.position.y) == pytest.approx((2.8, 1.0), abs=1e-3)
    assert first.orientation.w == pytest.approx(1.0)
    yaw = 2 * math.atan2(second.orientation.z, second.orientation.w)
    assert yaw == pytest.approx(math.atan2(2, 3), abs=1e-3)
    assert math.dist((second.position.x, second.position.y), (4, 3)) == pytest.approx(1.2, abs=.01)
    stamps = [stamp_to_ns(goal.header.stamp) for goal in rig.goals]
    assert all((ns - begin_ns) % (NS // 4) == 0 for ns in stamps)
    assert {goal.header.frame_id for goal in rig.goals} == {'map'}


def test_masks_follow_talkers_and_silence_empties_them(rig: FollowRig, number: int) -> None:
    """A disc around each talker; nothing while nothing changes; nothing left in the end."""
    for k in range(10):
        rig.track(talker(number, 2.0 + 0.01 * k, 2.0))
    rig.settled()
    assert len(rig.masks) == 1
    cells = np.array(rig.masks[0].data).reshape(50, 60)
    assert cells[20, 20] == 70 and cells[20, 20 + 14] == 70 and cells[20, 20 + 16] == 0
    assert abs((cells > 0).sum() - math.pi * 15 ** 2) < 40
    for _ in range(5):
        rig.track(talker(number, 2.0, 2.0), talker(next(rig.numbers), 5.0, 4.0, talking=False))
    assert rig.spin_until(lambda: len(rig.masks) == 2)
    assert np.array(rig.masks[1].data).reshape(50, 60)[40, 50] == 70
    last_ns = rig.now_ns - NS // 4
    assert rig.set_parameters('follow', forget_after=0.5).successful
    assert rig.spin_until(lambda: len(rig.masks) == 3)
    assert not any(rig.masks[2].data)
    assert stamp_to_ns(rig.masks[2].header.stamp) == last_ns


def test_parameters_change_while_it_runs(rig: FollowRig, number: int) -> None:
    """A new distance is a new goal, a new radius a new mask, and none empties it."""
    for _ in range(4):
        rig.track(talker(number, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.goals) == len(rig.masks) == 1)
    assert rig.set_parameters('follow', distance=2.0, slow_radius=0.5).successful
    for _ in range(4):
        rig.track(talker(number, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.goals) == len(rig.masks) == 2)
    assert rig.goals[1].pose.position.x == pytest.approx(2.0, abs=1e-3)
    assert 0 < np.count_nonzero(rig.masks[1].data) < np.count_nonzero(rig.masks[0].data) / 4
    assert rig.set_parameters('follow', slow_radius=0.0).successful
    for _ in range(4):
        rig.track(talker(number, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.masks) == 3)
    assert not any(rig.masks[2].data)
    refused = rig.set_parameters('follow', distance=3.0, hysteresis=math.nan)
    assert not refused.successful and 'hysteresis' in refused.reason
    refused = rig.set_parameters('follow', robot_frame='base')
    assert not refused.successful and 'read-only' in refused.reason
    rig.track(talker(number, 4.0, 1.0))
    rig.settled()
    assert len(rig.goals) == 2 and len(rig.masks) == 3


def test_other_clouds_are_reported(rig: FollowRig) -> None:
    """A laser's points are skipped with their reason."""
    rig.deliver(rig.tracks, PointCloud2(point_step=16))
    assert rig.settled()['skipped: bad tracks'] == 1


def test_silent_talkers_and_an_unknown_robot_make_no_goals(tmp_path: Path) -> None:
    """Neither those who are only remembered, nor any while the robot's place is not known."""
    rig = FollowRig(86, tmp_path)
    rig.track(talker(1, 4.0, 1.0))
    values = rig.settled()
    assert values['skipped: no robot'] == 1 and values['skipped: no room'] == 1
    rig.place_robot(1.0, 1.0)
    for _ in range(8):
        rig.track(talker(1, 4.0, 1.0, talking=False))
    rig.settled()
    assert rig.goals == []
    assert rig.close() == [0], rig.logs()
