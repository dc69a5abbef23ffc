"""The tracker node over DDS: maps go in, talkers with numbers come out."""

from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.conversions import pose_message
from nsrp_ros.ros.talker_conversions import track_points
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from support.node_rig import Rig
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

HOP_NS = NS // 4
ORIGIN, DIMS = (10.0, -3.0, 0.5), (6.0, 5.0, 2.8)
X, Y = np.arange(0.12, 6, 0.24), np.arange(0.1, 5, 0.2)


class TrackerRig(Rig):
    """A rig that plays the localizer and listens to the tracker."""

    def __init__(self, domain, folder, **parameters):
        super().__init__(domain, folder)
        self.talkers, self.tracks, self.markers, self.frames = [], [], [], []
        for kind, topic, into in (
                (PoseArray, 'talkers', self.talkers), (PointCloud2, 'talker_tracks', self.tracks),
                (MarkerArray, 'talker_markers', self.markers), (TFMessage, '/tf', self.frames)):
            self.node.create_subscription(kind, topic, into.append, 100)
        self.grid = self.node.create_publisher(OccupancyGrid, 'likelihood', 50)
        self.pose = self.node.create_publisher(PoseStamped, 'source_pose', 50)
        self.process = self.start('tracker_node', **parameters)
        assert self.spin_until(lambda: (
            self.grid.get_subscription_count() and self.pose.get_subscription_count()
            and self.heard.status and self.node.count_publishers('talker_tracks')), 40), \
            self.process.log.read_text()
        self.spin(0.3)

    def see(self, *places, confident=True):
        """Publish a map with mass at places in the room, and a pose at the first of them."""
        xs, ys = np.meshgrid(X, Y)
        values = sum(share * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 0.05)
                     for x, y, share in places)
        best = np.array(places[0][:2], dtype=float)
        estimate = Estimate(best, values / values.sum(), X, Y, 0.9)
        where = (self.now_ns, 'map', ORIGIN)
        self.grid.publish(grid_message(estimate, *where, DIMS, 0.1))
        if confident:
            self.pose.publish(pose_message(estimate, *where))
        self.spin(0.03)
        self.now_ns += HOP_NS

    def wait_for_tracks(self, count):
        """Wait for as many track messages; return the points of the last."""
        assert self.spin_until(lambda: len(self.tracks) >= count, 10), len(self.tracks)
        return track_points(self.tracks[-1])


@pytest.fixture
def rig(tmp_path):
    """Start a tracker of two confirmations; end it with Ctrl-C."""
    rig = TrackerRig(81, tmp_path, confirmations=2)
    yield rig
    assert rig.close() == [0]


def test_two_talkers_keep_their_numbers(rig):
    """One stands, one walks, maps show them in turns: numbers, poses, frames, stamps."""
    start_ns = rig.now_ns
    for k in range(24):
        walker, other = (1 + 0.1 * k, 4.0, 1.0), (4.5, 1.0, 1.0)
        rig.see(*((walker, other) if k % 3 else (other,)))
    points = rig.wait_for_tracks(24)
    assert sorted(points['id']) == [1, 2]
    nearest = points[np.hypot(points['x'] - 14.5, points['y'] + 2.0).argmin()]
    assert np.hypot(nearest['x'] - 14.5, nearest['y'] + 2.0) < 0.05
    walker = points[points['id'] != nearest['id']][0]
    assert abs(walker['x'] - 13.3) < 0.35 and abs(walker['y'] - 1.0) < 0.1 and walker['vx'] > 0.2
    assert {int(i) for cloud in rig.tracks for i in track_points(cloud)['id']} == {1, 2}
    assert rig.spin_until(lambda: len(rig.talkers) == len(rig.markers) == 24, 5)
    assert len(rig.talkers[-1].poses) == 2
    assert {f.child_frame_id for m in rig.frames for f in m.transforms} == {'voice_1', 'voice_2'}
    # Nothing carries a time that the maps do not have.
    audio = {start_ns + k * HOP_NS for k in range(24)}
    headers = [m.header for m in (*rig.talkers, *rig.tracks)]
    headers += [t.header for m in (*rig.frames,) for t in m.transforms]
    headers += [m.header for array in rig.markers for m in array.markers]
    assert {stamp_to_ns(h.stamp) for h in headers} <= audio
    assert {h.frame_id for h in headers} == {'map'}


def test_maps_without_confidence_make_nobody(rig):
    """A map whose pose was held back is not used, and says so; the next with a pose is."""
    for _ in range(6):
        rig.see((2.0, 2.0, 1.0), confident=False)
    rig.see((2.0, 2.0, 1.0))
    assert len(rig.wait_for_tracks(1)) == 0
    assert len(rig.tracks) == 1 and not rig.frames
    assert rig.settled()['skipped: low confidence'] == 6


def test_silence_and_a_clock_set_back(rig):
    """Who is silent is forgotten; after a jump back everything begins anew, nothing crashes."""
    for _ in range(4):
        rig.see((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(4)['id'].tolist() == [1]
    rig.pause(30)
    rig.see((4.0, 4.0, 1.0))
    assert len(rig.wait_for_tracks(5)) == 0
    rig.pause(-1000)
    for _ in range(3):
        rig.see((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(8)['id'].tolist() == [2]


def test_maps_that_cannot_be_read_are_named(rig):
    """A turned map is skipped with its reason, the next one is used."""
    grid, pose = OccupancyGrid(), PoseStamped()
    grid.info.resolution, grid.info.width, grid.info.height = 0.1, 3, 3
    rig.grid.publish(grid)
    rig.pose.publish(pose)
    rig.spin(0.2)
    rig.see((2.0, 2.0, 1.0))
    rig.wait_for_tracks(1)
    assert rig.settled()['skipped: bad map'] == 1


def test_parameters_change_while_it_runs(rig):
    """They count from the next map on, and nobody is forgotten; what makes no sense is refused."""
    for _ in range(4):
        rig.see((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(4)['id'].tolist() == [1]
    assert rig.set_parameters('tracker', patience=100.0, max_spread=50.0, height=1.5).successful
    rig.pause(30)
    rig.see((4.0, 4.0, 1.0))
    points = rig.wait_for_tracks(5)
    assert points['id'].tolist() == [1] and points['z'].tolist() == [ORIGIN[2] + 1.5]
    # As a whole: a radius fits a separation or does not, whatever they were before.
    refused = rig.set_parameters('tracker', patience=1.0, radius=2.0)
    assert not refused.successful and 'at most separation' in refused.reason
    assert rig.set_parameters('tracker', radius=2.0, separation=2.5).successful
    rig.pause(5)
    rig.see((4.0, 4.0, 1.0))
    assert rig.wait_for_tracks(6)['id'].tolist() == [1]
    assert rig.set_parameters('tracker', patience=1.0).successful
    rig.pause(5)
    rig.see((4.0, 4.0, 1.0))
    assert rig.wait_for_tracks(7)['id'].tolist() == []
    refused = rig.set_parameters('tracker', frame_prefix='talker_')
    assert not refused.successful and 'read-only' in refused.reason


def test_nobody_walks_out_of_the_map(rig):
    """Who was walking towards a wall when he fell silent is said to be in the room, or nowhere."""
    for k in range(12):
        rig.see((4.2 + 0.15 * k, 2.5, 1.0))
    assert rig.wait_for_tracks(12)['id'].tolist() == [1]
    for _ in range(8):
        rig.pause(0.25)
        rig.see((0.5, 0.5, 1.0))
    rig.wait_for_tracks(20)
    x = [track_points(cloud)['x'] for cloud in rig.tracks]
    assert max(max(xs) for xs in x if len(xs)) <= ORIGIN[0] + DIMS[0] + 1e-3
    assert 1 not in rig.wait_for_tracks(20)['id']


def test_parameters_that_cannot_be(tmp_path):
    """The node says why and exits with 1."""
    rig = Rig(82, tmp_path)
    process = rig.start('tracker_node', radius=2.0, separation=1.0)
    assert process.wait(timeout=40) == 1
    assert 'radius must be above 0 and at most separation' in process.log.read_text()
    process = rig.start('tracker_node', patience=-1.0)
    assert process.wait(timeout=40) == 1
    assert 'patience' in process.log.read_text()
    assert rig.close() == [1, 1]
