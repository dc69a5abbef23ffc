"""The follow node over DDS: goals only while somebody talks, masks only when they change."""

import math

from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.talker_conversions import tracks_message
from nsrp_ros.tracking.tracker import Talker
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from support.node_rig import Rig
from tf2_msgs.msg import TFMessage


class FollowRig(Rig):
    """A rig that plays tracker, localizer and robot."""

    def __init__(self, domain, folder, **parameters):
        super().__init__(domain, folder)
        self.goals, self.masks = [], []
        self.node.create_subscription(PoseStamped, 'goal_update', self.goals.append, 10)
        self.node.create_subscription(OccupancyGrid, 'talker_mask', self.masks.append, 10)
        self.tracks = self.node.create_publisher(PointCloud2, 'talker_tracks', 50)
        self.grid = self.node.create_publisher(OccupancyGrid, 'likelihood', LATCHED)
        self.process = self.start('follower_node', **parameters)
        assert self.spin_until(lambda: (
            self.tracks.get_subscription_count() and self.static.get_subscription_count()
            and self.grid.get_subscription_count() and self.heard.status
            and self.node.count_publishers('goal_update')), 40), self.process.log.read_text()

    def place_robot(self, x, y):
        """Say where the robot is, for ever."""
        frame = TransformStamped(child_frame_id='base_link')
        frame.header.frame_id = 'map'
        frame.transform.translation.x, frame.transform.translation.y = x, y
        frame.transform.rotation.w = 1.0
        self.static.publish(TFMessage(transforms=[frame]))
        grid = OccupancyGrid()
        grid.header.frame_id = 'map'
        grid.info.resolution, grid.info.width, grid.info.height = 0.1, 60, 50
        self.grid.publish(grid)
        self.spin(0.5)

    def say(self, *talkers):
        """Publish tracks, a quarter of a second after those before."""
        header = Header(frame_id='map')
        set_stamp(header.stamp, self.now_ns)
        self.tracks.publish(tracks_message(list(talkers), header, 0.0))
        self.spin(0.1)
        self.now_ns += NS // 4


def talker(number, x, y, talking=True):
    """Return a talker."""
    return Talker(number, np.array([x, y]), np.zeros(2), 0.01 * np.eye(2), talking, 0.0)


@pytest.fixture
def rig(tmp_path):
    """Start a follow node that forgets quickly; end it with Ctrl-C."""
    rig = FollowRig(85, tmp_path, forget_after=1.5)
    yield rig
    assert rig.close() == [0]


def test_a_talker_is_followed(rig):
    """One goal in front of him, none while he stands still, another when he has moved."""
    rig.place_robot(1.0, 1.0)
    begin_ns = rig.now_ns
    for _ in range(8):
        rig.say(talker(1, 4.0, 1.0))
    for _ in range(8):
        rig.say(talker(1, 4.0, 3.0))
    assert rig.spin_until(lambda: len(rig.goals) == 2, 5)
    rig.spin(0.3)
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


def test_nobody_talks_and_nobody_is_followed(rig):
    """Those who are only remembered, and a robot that is nowhere, make no goals."""
    rig.say(talker(1, 4.0, 1.0))
    values = rig.settled()
    assert values['skipped: no robot'] == 1 and values['skipped: no room'] == 1
    rig.place_robot(1.0, 1.0)
    for _ in range(8):
        rig.say(talker(1, 4.0, 1.0, talking=False))
    rig.spin(0.5)
    assert rig.goals == []


def test_masks_follow_talkers_and_silence_empties_them(rig):
    """A disc around each talker; nothing while nothing changes; nothing left in the end."""
    rig.place_robot(1.0, 1.0)
    for k in range(10):
        rig.say(talker(1, 2.0 + 0.01 * k, 2.0))
    assert rig.spin_until(lambda: len(rig.masks) == 1, 5)
    cells = np.array(rig.masks[0].data).reshape(50, 60)
    assert cells[20, 20] == 70 and cells[20, 20 + 14] == 70 and cells[20, 20 + 16] == 0
    assert abs((cells > 0).sum() - math.pi * 15 ** 2) < 40
    for _ in range(5):
        rig.say(talker(1, 2.0, 2.0), talker(2, 5.0, 4.0, talking=False))
    assert rig.spin_until(lambda: len(rig.masks) == 2, 5)
    assert np.array(rig.masks[1].data).reshape(50, 60)[40, 50] == 70
    last_ns = rig.now_ns - NS // 4
    assert rig.spin_until(lambda: len(rig.masks) == 3, 5)
    assert not any(rig.masks[2].data)
    assert stamp_to_ns(rig.masks[2].header.stamp) == last_ns


def test_parameters_change_while_it_runs(rig):
    """A new distance is a new goal, a new radius a new mask, and none empties it."""
    rig.place_robot(1.0, 1.0)
    for _ in range(4):
        rig.say(talker(1, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.goals) == len(rig.masks) == 1, 5)
    assert rig.set_parameters(
        'follow', distance=2.0, slow_radius=0.5, forget_after=60.0).successful
    for _ in range(4):
        rig.say(talker(1, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.goals) == len(rig.masks) == 2, 5)
    assert rig.goals[1].pose.position.x == pytest.approx(2.0, abs=1e-3)
    assert 0 < np.count_nonzero(rig.masks[1].data) < np.count_nonzero(rig.masks[0].data) / 4
    assert rig.set_parameters('follow', slow_radius=0.0).successful
    for _ in range(4):
        rig.say(talker(1, 4.0, 1.0))
    assert rig.spin_until(lambda: len(rig.masks) == 3, 5)
    assert not any(rig.masks[2].data)
    refused = rig.set_parameters('follow', distance=3.0, hysteresis=math.nan)
    assert not refused.successful and 'hysteresis' in refused.reason
    refused = rig.set_parameters('follow', robot_frame='base')
    assert not refused.successful and 'read-only' in refused.reason
    rig.say(talker(1, 4.0, 1.0))
    rig.spin(0.3)
    assert len(rig.goals) == 2 and len(rig.masks) == 3


def test_other_clouds_are_named(rig):
    """A laser's points are skipped with their reason."""
    rig.tracks.publish(PointCloud2(point_step=16))
    assert rig.settled()['skipped: bad tracks'] == 1
