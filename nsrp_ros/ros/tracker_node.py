"""
The tracker node: the localizer's maps in, talkers with lasting numbers out.

    likelihood + source_pose of the same stamp -> peaks -> TalkerTracker
    -> talkers, talker_tracks, talker_markers, /tf (voice_<id>), all with the map's stamp

It has no clock of its own: whatever the replay's speed, the same maps give the same talkers. A map
without a pose is one that the localizer had too little confidence in; it is not used.
"""

from dataclasses import dataclass
from dataclasses import replace

from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.diagnostics import Health
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import setting
from nsrp_ros.ros.parameter_declaration import updated_settings
from nsrp_ros.ros.talker_conversions import grid_values
from nsrp_ros.ros.talker_conversions import MapError
from nsrp_ros.ros.talker_conversions import marker_messages
from nsrp_ros.ros.talker_conversions import talkers_message
from nsrp_ros.ros.talker_conversions import tracks_message
from nsrp_ros.ros.talker_conversions import voice_frames
from nsrp_ros.tracking.peaks import find_peaks
from nsrp_ros.tracking.peaks import PeakConfig
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

WAITING = 20
"""Maps, or poses, that may wait for the other of the same stamp."""
_PEAKS = PeakConfig()
_TRACKING = TrackingConfig()


@dataclass(frozen=True)
class TrackerSettings:
    """What the tracker node can be told; the descriptions are its documentation."""

    wait_for_pose: bool = setting(
        True, 'use only maps whose source_pose has arrived, which the localizer holds back below '
        'its min_confidence')
    frame_prefix: str = setting('voice_', 'a talker has the TF frame <prefix><id>')
    height: float = setting(
        0.0, "metres above the map's floor at which talkers are shown: maps tell no height",
        0.0, 3.0, live=True)
    sharpness: float = setting(
        _PEAKS.sharpness, "power that maps are raised to: 1 for backprojection's posteriors, more "
        "for other methods' scores", 0.1, 100.0, live=True)
    min_mass: float = setting(
        _PEAKS.min_mass, "share of a map's mass below which a peak is nobody",
        0.0001, 1.0, live=True)
    birth_mass: float = setting(
        _TRACKING.birth_mass, "share of a map's mass that a peak needs to make a new talker",
        0.0, 1.0, live=True)
    radius: float = setting(
        _PEAKS.radius, 'metres within which the mass near a peak is its own',
        0.01, 10.0, live=True)
    separation: float = setting(
        _PEAKS.separation, 'metres between two peaks of a map', 0.01, 10.0, live=True)
    max_peaks: int = setting(_PEAKS.max_peaks, 'most peaks of a map', 1, 100, live=True)
    agility: float = setting(
        _TRACKING.agility, 'by how much the speed of a talker changes in a second, m/s',
        0.001, 10.0, live=True)
    blur: float = setting(
        _TRACKING.blur, 'metres by which peaks miss talkers beyond their own spread',
        0.001, 10.0, live=True)
    confirmations: int = setting(
        _TRACKING.confirmations, 'windows that somebody must be heard in to become a talker',
        1, 100, live=True)
    confirmation_time: float = setting(
        _TRACKING.confirmation_time, 'seconds without being heard after which somebody who is no '
        'talker yet is forgotten', 0.01, 100.0, live=True)
    patience: float = setting(
        _TRACKING.patience, 'seconds of silence after which a talker is forgotten',
        0.01, 3600.0, live=True)
    max_spread: float = setting(
        _TRACKING.max_spread, "metres, standard deviation, from which on a talker's place is not "
        'known any more and he is forgotten', 0.1, 100.0, live=True)
    voice_time: float = setting(
        _TRACKING.voice_time, 'seconds for which somebody who was heard is said to be talking',
        0.01, 100.0, live=True)
    delay: float = setting(
        _TRACKING.delay, "seconds from when a talker was where a map says to that map's stamp: "
        "half the localizer's window_length", 0.0, 10.0, live=True)

    def __post_init__(self):
        """Refuse what no single range can."""
        if not self.frame_prefix:
            raise ValueError('frame_prefix must not be empty')
        self.tracking  # refuses lengths that do not fit each other

    @property
    def tracking(self):
        """Return how talkers are tracked, as the core wants it."""
        peaks = PeakConfig(self.radius, self.separation, self.min_mass, self.max_peaks,
                           self.sharpness)
        return replace(_TRACKING, agility=self.agility, blur=self.blur,
                       confirmations=self.confirmations,
                       confirmation_time=self.confirmation_time, patience=self.patience,
                       voice_time=self.voice_time, birth_mass=self.birth_mass, delay=self.delay,
                       max_spread=self.max_spread, peaks=peaks)


class TrackerNode(Node):
    """See the module's docstring; the parameters are those of TrackerSettings."""

    def __init__(self, **kwargs):
        super().__init__('tracker', **kwargs)
        self.config = declare_settings(self, TrackerSettings)
        self._tracker = TalkerTracker(self.config.tracking)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._health = Health(self, 'tracking', 'likelihood', quiet=('low confidence',))
        self._grids, self._poses = {}, {}  # what waits for the other, by stamp
        self._talkers = self.create_publisher(PoseArray, 'talkers', 10)
        self._tracks = self.create_publisher(PointCloud2, 'talker_tracks', 10)
        self._markers = self.create_publisher(MarkerArray, 'talker_markers', 10)
        self._frames = self.create_publisher(TFMessage, '/tf', 100)
        self.create_subscription(OccupancyGrid, 'likelihood', self._on_grid, 50)
        self.create_subscription(PoseStamped, 'source_pose', self._on_pose, 50)

    def _on_parameters(self, changes):
        """Take new parameters from the next map on; who is known stays so."""
        self.config, result = updated_settings(self.config, changes)
        self._tracker.configure(self.config.tracking)
        return result

    def _on_grid(self, message):
        if self.config.wait_for_pose:
            self._wait(self._grids, message)
        else:
            self._track(message, None)

    def _on_pose(self, message):
        if self.config.wait_for_pose:
            self._wait(self._poses, message)

    def _wait(self, waiting, message):
        """Keep a map or a pose until the other of the same stamp is there, too."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        waiting[stamp_ns] = message
        if stamp_ns in self._grids and stamp_ns in self._poses:
            grid, pose = self._grids.pop(stamp_ns), self._poses.pop(stamp_ns)
            # What was before has missed its chance: talkers are tracked forwards in time.
            for old_ns in [ns for ns in self._grids if ns < stamp_ns]:
                self._without_pose(old_ns)
            for old_ns in [ns for ns in self._poses if ns < stamp_ns]:
                del self._poses[old_ns]
            self._track(grid, pose)
        elif len(waiting) > WAITING:
            oldest = next(iter(waiting))
            if waiting is self._grids:
                self._without_pose(oldest)
            else:
                del waiting[oldest]

    def _without_pose(self, stamp_ns):
        del self._grids[stamp_ns]
        self._health.skip('low confidence', 'a map came without its source_pose')

    def _track(self, grid, pose):
        """Find the talkers of a map, and publish whom the tracker knows."""
        try:
            values, x, y = grid_values(grid)
        except MapError as error:
            self._health.skip('bad map', str(error))
            return
        peaks = find_peaks(values, x, y, self.config.tracking.peaks)
        if pose is not None and peaks:
            # The localizer looks closer than its map's cells are.
            closer = np.array([pose.pose.position.x, pose.pose.position.y])
            if np.linalg.norm(closer - peaks[0].position) <= self.config.radius:
                peaks[0] = replace(peaks[0], position=closer)
        talkers = self._tracker.update(stamp_to_ns(grid.header.stamp), peaks,
                                       _box(x, y, grid.info.resolution))
        height = grid.info.origin.position.z + self.config.height
        about = (talkers, grid.header, height)
        self._talkers.publish(talkers_message(*about))
        self._tracks.publish(tracks_message(*about))
        self._markers.publish(marker_messages(*about))
        frames = voice_frames(*about, self.config.frame_prefix)
        if frames.transforms:
            self._frames.publish(frames)
        self._health.did(peaks=len(peaks), talkers=len(talkers),
                         talking=sum(t.talking for t in talkers))


def _box(x, y, resolution):
    """Return the corners (2, 2) of a map whose cells have their centres there."""
    return np.array([[x[0], y[0]], [x[-1], y[-1]]]) + resolution * np.array([[-0.5], [0.5]])


def main(args=None):
    """Run the tracker until it is interrupted; exit with 1 where it cannot start."""
    run_node('tracker', TrackerNode, (ValueError,), args=args)


if __name__ == '__main__':
    main()
