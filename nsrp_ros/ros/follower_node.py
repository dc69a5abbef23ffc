"""
The follow node: from tracked talkers to goals and speed limits for Nav2.

    talker_tracks + /tf -> goal_update: a pose in front of the talker, facing him
    talker_tracks + likelihood (the room's extent) -> talker_mask: where to slow down

`goal_update` is published only while a talker talks, with the stamp of the audio; see
docs/navigation.md for the configuration of Nav2. `talker_mask` is published when it changes, and
once more, empty, when no tracks have arrived for a while.
"""

import array
from dataclasses import dataclass
import math
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import MapMetaData
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.pipeline.settings import setting
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.diagnostics import NodeDiagnostics
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.inputs.transforms import LookupFailure
from nsrp_ros.ros.inputs.transforms import make_listener
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
from nsrp_ros.ros.talker_conversions import MapError
from nsrp_ros.ros.talker_conversions import track_points
from nsrp_ros.tracking.follower import FollowConfig
from nsrp_ros.tracking.follower import Follower
from nsrp_ros.tracking.tracker import Talker
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

_FOLLOW = FollowConfig()


@dataclass(frozen=True)
class FollowSettings:
    """The parameters of the follow node; the descriptions are their documentation."""

    robot_frame: str = setting('base_link', "the robot's frame")
    distance: float = setting(
        _FOLLOW.distance, 'metres to keep from the talker', 0.01, 20.0, live=True)
    hysteresis: float = setting(
        _FOLLOW.hysteresis, 'metres that a talker must have moved before there is a new goal or '
        'mask', 0.0, 20.0, live=True)
    interval: float = setting(
        _FOLLOW.interval, 'shortest time between two goals, and two masks, seconds of audio',
        0.0, 60.0, live=True)
    loyalty: float = setting(
        _FOLLOW.loyalty, 'seconds of silence after which another talker is followed instead',
        0.0, 600.0, live=True)
    max_spread: float = setting(
        _FOLLOW.max_spread, "metres, standard deviation, above which a talker's position is too "
        'uncertain for a goal', 0.01, 20.0, live=True)
    slow_radius: float = setting(
        1.5, 'metres around talkers within which the robot slows down; 0 publishes no mask',
        0.0, 20.0, live=True)
    slow_value: int = setting(
        70, 'value of the mask there: 100 minus the percentage of the full speed '
        '(with base 100 and multiplier -1)', 1, 100, live=True)
    forget_after: float = setting(
        10.0, 'seconds without any talker_tracks after which the mask is emptied',
        0.1, 3600.0, live=True)

    def __post_init__(self) -> None:
        """Refuse values that no range excludes."""
        if not self.robot_frame:
            raise ValueError('robot_frame must not be empty')
        self.follow  # raises ValueError where a value is invalid

    @property
    def follow(self) -> FollowConfig:
        """Return the parameters as a FollowConfig."""
        return FollowConfig(self.distance, self.hysteresis, self.interval, self.loyalty,
                            self.max_spread)


class FollowNode(Node):
    """See the module's docstring; the parameters are those of FollowSettings."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('follow', **kwargs)
        self.config = declare_settings(self, FollowSettings)
        self._follower = Follower(self.config.follow)
        self._mask_outdated = False  # whether parameters of the mask have changed
        self.add_on_set_parameters_callback(self._on_parameters)
        self._listener = make_listener(self)
        self._diagnostics = NodeDiagnostics(self, 'following', 'talker_tracks')
        self._map: tuple[str, MapMetaData] | None = None  # frame and extent of the room
        self._masked: NDArray[np.float32] | None = None  # positions (n, 2) in the last mask
        self._masked_ns = 0
        # Header of the last tracks, and the time of their arrival by the steady clock.
        self._last_tracks: tuple[Header, int] | None = None
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._goals = self.create_publisher(PoseStamped, 'goal_update', 10)
        self._masks = self.create_publisher(OccupancyGrid, 'talker_mask', LATCHED)
        self.create_subscription(OccupancyGrid, 'likelihood', self._on_grid, LATCHED)
        self.create_subscription(PointCloud2, 'talker_tracks', self._on_tracks, 50)
        self.create_timer(0.25, self._expire_mask, clock=self._steady)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Apply new parameters from the next talker_tracks on."""
        before = self.config
        self.config, result = updated_settings(before, changes)
        self._follower.configure(self.config.follow)
        self._mask_outdated |= (before.slow_radius, before.slow_value) != (
            self.config.slow_radius, self.config.slow_value)
        return result

    def _on_grid(self, message: OccupancyGrid) -> None:
        self._map = message.header.frame_id, message.info

    def _on_tracks(self, message: PointCloud2) -> None:
        try:
            points = track_points(message)
        except MapError as error:
            self._diagnostics.skip(SkipReason.BAD_TRACKS, str(error))
            return
        self._last_tracks = message.header, self._steady.now().nanoseconds
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._update_mask(message.header, np.stack([points['x'], points['y']], axis=1))
        talker = self._follower.choose(stamp_ns, [_talker(point) for point in points])
        if talker is None:
            self._diagnostics.used(following='nobody')
            return
        try:
            robot, _ = self._listener.lookup(
                message.header.frame_id, self.config.robot_frame, stamp_ns)
        except LookupFailure as failure:
            self._diagnostics.skip(SkipReason.NO_ROBOT, str(failure))
            return
        target = self._follower.target(stamp_ns, talker, robot[:2])
        if target is not None:
            goal = PoseStamped(header=message.header)
            goal.pose.position.x, goal.pose.position.y = (float(v) for v in target.position)
            goal.pose.position.z = float(robot[2])
            goal.pose.orientation.z = math.sin(target.yaw / 2)
            goal.pose.orientation.w = math.cos(target.yaw / 2)
            self._goals.publish(goal)
        self._diagnostics.used(following=talker.number)

    def _expire_mask(self) -> None:
        """Publish an empty mask when no tracks have arrived for `forget_after` seconds."""
        if self._last_tracks is None or self._masked is None or not len(self._masked):
            return
        header, arrival_ns = self._last_tracks
        if self._steady.now().nanoseconds - arrival_ns > self.config.forget_after * NS:
            self._publish_mask(header, self._masked[:0])

    def _update_mask(self, header: Header, positions: NDArray[np.float32]) -> None:
        """Publish a mask if talkers have appeared, disappeared or moved."""
        if not self.config.slow_radius:
            if self._masked is None or not len(self._masked):
                return
            positions = positions[:0]  # masks are latched: the last one must not stay
        stamp_ns = stamp_to_ns(header.stamp)
        if self._masked is not None and stamp_ns >= self._masked_ns and not self._mask_outdated:
            if stamp_ns - self._masked_ns < self.config.interval * NS:
                return
            if len(positions) == len(self._masked) and (
                    np.linalg.norm(positions - self._masked, axis=1)
                    <= self.config.hysteresis).all():
                return
        if self._map is None:
            self._diagnostics.skip(
                SkipReason.NO_ROOM, 'no likelihood map has said how large the room is')
        elif self._map[0] != header.frame_id:
            self._diagnostics.skip(
                SkipReason.FRAMES, f'the map is in {self._map[0]!r}, the talkers are in '
                f'{header.frame_id!r}')
        else:
            self._publish_mask(header, positions)

    def _publish_mask(self, header: Header, positions: NDArray[np.float32]) -> None:
        assert self._map is not None
        _, info = self._map
        x = info.origin.position.x + (np.arange(info.width) + 0.5) * info.resolution
        y = info.origin.position.y + (np.arange(info.height) + 0.5) * info.resolution
        near = np.zeros((info.height, info.width), dtype=bool)
        for position in positions:
            near |= (x - position[0]) ** 2 + (y[:, None] - position[1]) ** 2 \
                <= self.config.slow_radius ** 2
        cells = np.where(near, self.config.slow_value, 0).astype(np.int8)
        self._masks.publish(OccupancyGrid(
            header=header, info=info, data=array.array('b', cells.tobytes())))
        self._masked, self._masked_ns = positions, stamp_to_ns(header.stamp)
        self._mask_outdated = False


def _talker(point: np.void) -> Talker:
    """Convert a point of the cloud to a Talker."""
    covariance = np.array([[point['cov_xx'], point['cov_xy']],
                           [point['cov_xy'], point['cov_yy']]], dtype=np.float64)
    return Talker(int(point['id']), np.array([point['x'], point['y']], dtype=np.float64),
                  np.array([point['vx'], point['vy']], dtype=np.float64), covariance,
                  bool(point['talking']), float(point['silent_for']))


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted; exit with 1 where it cannot start."""
    run_node('follow', FollowNode, (ValueError,), args=args)


if __name__ == '__main__':
    main()
