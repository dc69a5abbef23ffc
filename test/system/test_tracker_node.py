"""The tracker node over DDS: maps go in, talkers with numbers come out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.conversions import pose_message
from nsrp_ros.ros.talker_conversions import track_points
from nsrp_ros.ros.tracker_node import TrackerSettings
import numpy as np
from numpy.typing import NDArray
import pytest
from sensor_msgs.msg import PointCloud2
from support.node_process import NodeProcess
from support.node_rig import Rig
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

HOP_NS = NS // 4
ORIGIN, DIMS = (10.0, -3.0, 0.5), (6.0, 5.0, 2.8)
X, Y = np.arange(0.12, 6, 0.24), np.arange(0.1, 5, 0.2)
DEFAULTS: dict[str, Any] = {
    name: getattr(TrackerSettings(), name)
    for name in ('patience', 'max_spread', 'height', 'radius', 'separation')}
"""What tests change."""


class TrackerRig(Rig):
    """A rig that plays the localizer and receives what the tracker publishes."""

    def __init__(self, domain: int, folder: Path, **parameters: Any) -> None:
        super().__init__(domain, folder)
        self.talkers: list[PoseArray] = []
        self.tracks: list[PointCloud2] = []
        self.markers: list[MarkerArray] = []
        self.frames: list[TFMessage] = []
        for kind, topic, into in (
                (PoseArray, 'talkers', self.talkers), (PointCloud2, 'talker_tracks', self.tracks),
                (MarkerArray, 'talker_markers', self.markers), (TFMessage, '/tf', self.frames)):
            self.node.create_subscription(kind, topic, into.append, 100)
        self.grid = self.node.create_publisher(OccupancyGrid, 'likelihood', 50)
        self.pose = self.node.create_publisher(PoseStamped, 'source_pose', 50)
        self.start('tracker_node', **parameters)
        self.connect('tracker', inputs=('likelihood', 'source_pose'), outputs=(
            'talkers', 'talker_tracks', 'talker_markers', '/tf'))
        self._used = 0  # the highest number that earlier tests have seen

    def publish_map(self, *peaks: tuple[float, float, float], confident: bool = True) -> None:
        """Publish a map with peaks (x, y, mass) in the room, and a pose at the first of them."""
        xs, ys = np.meshgrid(X, Y)
        values = sum(mass * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 0.05)
                     for x, y, mass in peaks)
        best = np.array(peaks[0][:2], dtype=float)
        estimate = Estimate(best, values / values.sum(), X, Y, 0.9)
        where = (self.now_ns, 'map', ORIGIN)
        self.grid.publish(grid_message(estimate, *where, DIMS, 0.1))
        if confident:
            self.pose.publish(pose_message(estimate, *where))
        self.exchange()
        self.now_ns += HOP_NS

    def points(self, cloud: PointCloud2) -> NDArray[np.void]:
        """Return the talkers of a cloud, numbered from 1 on in each test."""
        points = track_points(cloud).copy()
        points['id'] -= self._used
        return points

    def wait_for_tracks(self, count: int) -> NDArray[np.void]:
        """Wait for so many messages of tracks; return the talkers of the last."""
        assert self.spin_until(lambda: len(self.tracks) >= count), len(self.tracks)
        return self.points(self.tracks[-1])

    def forget(self) -> None:
        """Let the tracker begin anew, by a clock that is set back."""
        self._used = max([self._used, *(int(i) for cloud in self.tracks
                                        for i in track_points(cloud)['id'])])
        for received in (self.talkers, self.tracks, self.markers, self.frames):
            received.clear()
        self.pause(-10_000)


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerRig]:
    """Start a tracker of two confirmations for all tests; end it with Ctrl-C."""
    rig = TrackerRig(81, tmp_path_factory.mktemp('tracker'), confirmations=2)
    yield rig
    assert rig.close() == [0], rig.logs()


@pytest.fixture
def rig(shared: TrackerRig) -> TrackerRig:
    """Give a test a tracker that knows no talker."""
    assert shared.set_parameters('tracker', **DEFAULTS).successful
    shared.forget()
    return shared


def test_two_talkers_keep_their_numbers(rig: TrackerRig) -> None:
    """One stands, one walks, maps show them in turns: numbers, poses, frames, stamps."""
    start_ns = rig.now_ns
    for k in range(24):
        walker, other = (1 + 0.1 * k, 4.0, 1.0), (4.5, 1.0, 1.0)
        rig.publish_map(*((walker, other) if k % 3 else (other,)))
    points = rig.wait_for_tracks(24)
    assert sorted(points['id']) == [1, 2]
    nearest = points[np.hypot(points['x'] - 14.5, points['y'] + 2.0).argmin()]
    assert np.hypot(nearest['x'] - 14.5, nearest['y'] + 2.0) < 0.05
    walking = points[points['id'] != nearest['id']][0]
    assert abs(walking['x'] - 13.3) < 0.35 and abs(walking['y'] - 1.0) < 0.1
    assert walking['vx'] > 0.2
    assert {int(i) for cloud in rig.tracks for i in rig.points(cloud)['id']} == {1, 2}
    assert rig.spin_until(lambda: len(rig.talkers) == len(rig.markers) == 24)
    assert len(rig.talkers[-1].poses) == 2
    names = {f'voice_{i}' for i in track_points(rig.tracks[-1])['id']}
    assert {f.child_frame_id for m in rig.frames for f in m.transforms} == names
    # Nothing carries a time that the maps do not have.
    audio = {start_ns + k * HOP_NS for k in range(24)}
    headers = [m.header for m in (*rig.talkers, *rig.tracks)]
    headers += [t.header for m in rig.frames for t in m.transforms]
    headers += [m.header for array in rig.markers for m in array.markers]
    assert {stamp_to_ns(h.stamp) for h in headers} <= audio
    assert {h.frame_id for h in headers} == {'map'}


def test_maps_without_confidence_make_no_talker(rig: TrackerRig) -> None:
    """A map whose pose was held back is not used, and says so; the next with a pose is."""
    before = rig.settled().get('skipped: low confidence', 0)
    for _ in range(6):
        rig.publish_map((2.0, 2.0, 1.0), confident=False)
    rig.publish_map((2.0, 2.0, 1.0))
    assert len(rig.wait_for_tracks(1)) == 0
    assert len(rig.tracks) == 1 and not rig.frames
    assert rig.settled()['skipped: low confidence'] == before + 6


def test_silence_and_a_clock_set_back(rig: TrackerRig) -> None:
    """Who is silent is forgotten; after a jump back everything begins anew, nothing crashes."""
    for _ in range(4):
        rig.publish_map((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(4)['id'].tolist() == [1]
    rig.pause(30)
    rig.publish_map((4.0, 4.0, 1.0))
    assert len(rig.wait_for_tracks(5)) == 0
    rig.pause(-1000)
    for _ in range(3):
        rig.publish_map((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(8)['id'].tolist() == [2]


def test_maps_that_cannot_be_read_are_reported(rig: TrackerRig) -> None:
    """A map without its cells is skipped with its reason, the next one is used."""
    before = rig.settled().get('skipped: bad map', 0)
    grid, pose = OccupancyGrid(), PoseStamped()
    grid.info.resolution, grid.info.width, grid.info.height = 0.1, 3, 3
    rig.grid.publish(grid)
    rig.deliver(rig.pose, pose)
    rig.publish_map((2.0, 2.0, 1.0))
    rig.wait_for_tracks(1)
    assert rig.settled()['skipped: bad map'] == before + 1


def test_parameters_change_while_it_runs(rig: TrackerRig) -> None:
    """They count from the next map on, and no talker is lost; what makes no sense is refused."""
    for _ in range(4):
        rig.publish_map((2.0, 2.0, 1.0))
    assert rig.wait_for_tracks(4)['id'].tolist() == [1]
    assert rig.set_parameters('tracker', patience=100.0, max_spread=50.0, height=1.5).successful
    rig.pause(30)
    rig.publish_map((4.0, 4.0, 1.0))
    points = rig.wait_for_tracks(5)
    assert points['id'].tolist() == [1] and points['z'].tolist() == [ORIGIN[2] + 1.5]
    # As a whole: a radius fits a separation or does not, whatever they were before.
    refused = rig.set_parameters('tracker', patience=1.0, radius=2.0)
    assert not refused.successful and 'at most separation' in refused.reason
    assert rig.set_parameters('tracker', radius=2.0, separation=2.5).successful
    rig.pause(5)
    rig.publish_map((4.0, 4.0, 1.0))
    assert rig.wait_for_tracks(6)['id'].tolist() == [1]
    assert rig.set_parameters('tracker', patience=1.0).successful
    rig.pause(5)
    rig.publish_map((4.0, 4.0, 1.0))
    assert rig.wait_for_tracks(7)['id'].tolist() == []
    refused = rig.set_parameters('tracker', frame_prefix='talker_')
    assert not refused.successful and 'read-only' in refused.reason


def test_no_talker_is_outside_the_map(rig: TrackerRig) -> None:
    """Who was walking towards a wall when he fell silent is said to be in the room, or nowhere."""
    for k in range(12):
        rig.publish_map((4.2 + 0.15 * k, 2.5, 1.0))
    assert rig.wait_for_tracks(12)['id'].tolist() == [1]
    for _ in range(8):
        rig.pause(0.25)
        rig.publish_map((0.5, 0.5, 1.0))
    rig.wait_for_tracks(20)
    x = [track_points(cloud)['x'] for cloud in rig.tracks]
    assert max(max(xs) for xs in x if len(xs)) <= ORIGIN[0] + DIMS[0] + 1e-3
    assert 1 not in rig.wait_for_tracks(20)['id']


@pytest.mark.parametrize('parameters, sentence', [
    ({'radius': 2.0, 'separation': 1.0}, 'radius must be above 0 and at most separation'),
    ({'patience': -1.0}, 'patience')])
def test_invalid_parameters(tmp_path: Path, parameters: dict[str, float], sentence: str) -> None:
    """The node says why and exits with 1."""
    process = NodeProcess('tracker_node', 82, tmp_path / 'log', parameters)
    assert process.exit_code() == 1
    assert sentence in process.log.read_text()
