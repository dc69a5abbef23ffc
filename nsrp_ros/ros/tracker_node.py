"""
The tracker node: from the localizer's maps to talkers with persistent numbers.

    likelihood + source_pose of the same stamp -> peaks -> TalkerTracker
    -> talkers, talker_tracks, talker_markers, /tf (voice_<id>), all with the map's stamp

It reads no clock: the same maps give the same talkers at any replay rate. A map without a pose is
one of low confidence, and is not used.
"""

from dataclasses import dataclass
from dataclasses import replace
from typing import Any

from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.pipeline.settings import setting
from nsrp_ros.pipeline.talkers import MapTracker
from nsrp_ros.ros.diagnostics import NodeDiagnostics
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
from nsrp_ros.ros.talker_conversions import likelihood_map
from nsrp_ros.ros.talker_conversions import MapError
from nsrp_ros.ros.talker_conversions import marker_messages
from nsrp_ros.ros.talker_conversions import talkers_message
from nsrp_ros.ros.talker_conversions import tracks_message
from nsrp_ros.ros.talker_conversions import voice_frames
from nsrp_ros.tracking.peaks import PeakConfig
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

WAITING = 20
"""Maps, or poses, that may wait for their counterpart of the same stamp."""
_PEAKS = PeakConfig()
_TRACKING = TrackingConfig()


@dataclass(frozen=True)
class TrackerSettings:
    """The parameters of the tracker node; the descriptions are their documentation."""

    wait_for_pose: bool = setting(
        True, 'use only maps with a source_pose, which the localizer does not publish below its '
        'min_confidence')
    frame_prefix: str = setting('voice_', 'a talker has the TF frame <prefix><id>')
    height: float = setting(
        0.0, "metres above the map's floor at which talkers are shown: maps have no height",
        0.0, 3.0, live=True)
    sharpness: float = setting(
        _PEAKS.sharpness, "exponent applied to maps: 1 for backprojection's posteriors, more "
        "for other methods' scores", 0.1, 100.0, live=True)
    min_mass: float = setting(
        _PEAKS.min_mass, "share of a map's mass below which a peak is ignored",
        0.0001, 1.0, live=True)
    birth_mass: float = setting(
        _TRACKING.birth_mass, "share of a map's mass that a peak needs to make a new talker",
        0.0, 1.0, live=True)
    radius: float = setting(
        _PEAKS.radius, 'metres around a peak whose mass is attributed to it',
        0.01, 10.0, live=True)
    separation: float = setting(
        _PEAKS.separation, 'metres between two peaks of a map', 0.01, 10.0, live=True)
    max_peaks: int = setting(_PEAKS.max_peaks, 'most peaks of a map', 1, 100, live=True)
    agility: float = setting(
        _TRACKING.agility, 'by how much the speed of a talker changes in a second, m/s',
        0.001, 10.0, live=True)
    blur: float = setting(
        _TRACKING.blur, 'metres, error of peaks beyond their own spread',
        0.001, 10.0, live=True)
    confirmations: int = setting(
        _TRACKING.confirmations, 'windows in which somebody must be detected to become a talker',
        1, 100, live=True)
    confirmation_time: float = setting(
        _TRACKING.confirmation_time, 'seconds without a detection after which somebody who is no '
        'talker yet is forgotten', 0.01, 100.0, live=True)
    patience: float = setting(
        _TRACKING.patience, 'seconds of silence after which a talker is forgotten',
        0.01, 3600.0, live=True)
    max_spread: float = setting(
        _TRACKING.max_spread, "metres, standard deviation, above which a talker's position is too "
        'uncertain and he is forgotten', 0.1, 100.0, live=True)
    voice_time: float = setting(
        _TRACKING.voice_time, 'seconds after a detection for which a talker counts as talking',
        0.01, 100.0, live=True)
    delay: float = setting(
        _TRACKING.delay, "seconds from the time of a map's positions to the map's stamp: "
        "half the localizer's window_length", 0.0, 10.0, live=True)

    def __post_init__(self) -> None:
        """Refuse values that no range excludes."""
        if not self.frame_prefix:
            raise ValueError('frame_prefix must not be empty')
        self.tracking  # raises ValueError where values contradict each other

    @property
    def tracking(self) -> TrackingConfig:
        """Return the parameters as a TrackingConfig."""
        peaks = PeakConfig(self.radius, self.separation, self.min_mass, self.max_peaks,
                           self.sharpness)
        return replace(_TRACKING, agility=self.agility, blur=self.blur,
                       confirmations=self.confirmations,
                       confirmation_time=self.confirmation_time, patience=self.patience,
                       voice_time=self.voice_time, birth_mass=self.birth_mass, delay=self.delay,
                       max_spread=self.max_spread, peaks=peaks)


class TrackerNode(Node):
    """See the module's docstring; the parameters are those of TrackerSettings."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('tracker', **kwargs)
        self.config = declare_settings(self, TrackerSettings)
        self._tracker = MapTracker(self.config.tracking)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = NodeDiagnostics(self, 'tracking', 'likelihood')
        # Maps and poses that wait for their counterpart, by stamp.
        self._grids: dict[int, OccupancyGrid] = {}
        self._poses: dict[int, PoseStamped] = {}
        self._talkers = self.create_publisher(PoseArray, 'talkers', 10)
        self._tracks = self.create_publisher(PointCloud2, 'talker_tracks', 10)
        self._markers = self.create_publisher(MarkerArray, 'talker_markers', 10)
        self._frames = self.create_publisher(TFMessage, '/tf', 100)
        self.create_subscription(OccupancyGrid, 'likelihood', self._on_grid, 50)
        self.create_subscription(PoseStamped, 'source_pose', self._on_pose, 50)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Apply new parameters from the next map on; existing tracks stay."""
        self.config, result = updated_settings(self.config, changes)
        self._tracker.configure(self.config.tracking)
        return result

    def _on_grid(self, message: OccupancyGrid) -> None:
        if self.config.wait_for_pose:
            self._match(self._grids, message)
        else:
            self._track(message, None)

    def _on_pose(self, message: PoseStamped) -> None:
        if self.config.wait_for_pose:
            self._match(self._poses, message)

    def _match(self, waiting: dict[int, Any], message: OccupancyGrid | PoseStamped) -> None:
        """Keep a map or a pose until its counterpart of the same stamp has arrived."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        waiting[stamp_ns] = message
        if stamp_ns in self._grids and stamp_ns in self._poses:
            grid, pose = self._grids.pop(stamp_ns), self._poses.pop(stamp_ns)
            # Earlier ones are dropped, since tracks are updated in the order of time.
            for old_ns in [ns for ns in self._grids if ns < stamp_ns]:
                self._drop_grid(old_ns)
            for old_ns in [ns for ns in self._poses if ns < stamp_ns]:
                del self._poses[old_ns]
            self._track(grid, pose)
        elif len(waiting) > WAITING:
            oldest = next(iter(waiting))
            if waiting is self._grids:
                self._drop_grid(oldest)
            else:
                del waiting[oldest]

    def _drop_grid(self, stamp_ns: int) -> None:
        del self._grids[stamp_ns]
        self._diagnostics.skip(SkipReason.LOW_CONFIDENCE, 'a map came without its source_pose')

    def _track(self, grid: OccupancyGrid, pose: PoseStamped | None) -> None:
        """Update the tracks by a map, and publish them."""
        try:
            grid_map = likelihood_map(grid)
        except MapError as error:
            self._diagnostics.skip(SkipReason.BAD_MAP, str(error))
            return
        # The localizer's position is finer than its map's cells.
        refined = None if pose is None else np.array(
            [pose.pose.position.x, pose.pose.position.y])
        talkers = self._tracker.update(stamp_to_ns(grid.header.stamp), grid_map, refined)
        height = grid.info.origin.position.z + self.config.height
        content = (talkers, grid.header, height)
        self._talkers.publish(talkers_message(*content))
        self._tracks.publish(tracks_message(*content))
        self._markers.publish(marker_messages(*content))
        frames = voice_frames(*content, self.config.frame_prefix)
        if frames.transforms:
            self._frames.publish(frames)
        self._diagnostics.used(peaks=len(self._tracker.peaks), talkers=len(talkers),
                               talking=sum(t.talking for t in talkers))


def main(args: list[str] | None = None) -> None:
    """Run the tracker until it is interrupted; exit with 1 where it cannot start."""
    run_node('tracker', TrackerNode, (ValueError,), args=args)


if __name__ == '__main__':
    main()
