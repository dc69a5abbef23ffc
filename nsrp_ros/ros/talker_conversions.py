"""
Talkers to and from ROS messages: pure functions without a node or a clock.

Tracked talkers are a sensor_msgs/PointCloud2 with one point each (see `TRACK`): no message type
for tracked objects is part of every installation, while this one is, and RViz shows it.
"""

import array
from collections.abc import Sequence
import math

from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.pipeline.talkers import LikelihoodMap
from nsrp_ros.tracking.tracker import Talker
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

TRACK = np.dtype([
    ('x', '<f4'), ('y', '<f4'), ('z', '<f4'),  # metres, in the cloud's frame
    ('id', '<u4'),  # from 1 on, never reused
    ('vx', '<f4'), ('vy', '<f4'),  # metres a second
    ('cov_xx', '<f4'), ('cov_xy', '<f4'), ('cov_yy', '<f4'),  # square metres
    ('silent_for', '<f4'),  # seconds since the talker was last detected
    ('talking', 'u1')])  # 1 where the talker counts as talking
"""A point of the cloud of tracked talkers."""
_OFFSETS = {name: offset for name, (_, offset, *_) in (TRACK.fields or {}).items()}
_FIELD_TYPES = {'<f4': PointField.FLOAT32, '<u4': PointField.UINT32, '|u1': PointField.UINT8}
_DIAMETER = 0.3  # metres, of a talker's marker


class MapError(ValueError):
    """A map or cloud that cannot be read; the text says why."""


def likelihood_map(message: OccupancyGrid) -> LikelihoodMap:
    """
    Read a likelihood map from a nav_msgs/OccupancyGrid.

    Parameters
    ----------
    message : nav_msgs.msg.OccupancyGrid
        As `conversions.grid_message` makes them: proportional to a posterior, -1 outside the room.

    Returns
    -------
    LikelihoodMap
        In the message's frame.

    Raises
    ------
    MapError
        If the map is empty, rotated, or does not match its own size.

    """
    info, origin = message.info, message.info.origin
    rotation = max(abs(origin.orientation.x), abs(origin.orientation.y), abs(origin.orientation.z))
    if rotation > 1e-3:
        raise MapError('the map is turned against its own frame')
    if not (math.isfinite(info.resolution) and info.resolution > 0):
        raise MapError(f'the map has a resolution of {info.resolution} m')
    cells = np.asarray(message.data, dtype=np.int8)
    if not cells.size or cells.size != info.width * info.height:
        raise MapError(f'the map holds {cells.size} cells, not {info.width} x {info.height}')
    return LikelihoodMap(cells.reshape(info.height, info.width),
                         (origin.position.x, origin.position.y), info.resolution)


def talkers_message(talkers: Sequence[Talker], header: Header, height: float) -> PoseArray:
    """Return the positions of the talkers who are talking as a PoseArray, with z = `height`."""
    message = PoseArray(header=header)
    for talker in talkers:
        if talker.talking:
            message.poses.append(_pose(talker, height))
    return message


def tracks_message(talkers: Sequence[Talker], header: Header, height: float) -> PointCloud2:
    """Return all tracked talkers as a PointCloud2 of TRACK points."""
    points = np.array([
        (*t.position, height, t.number, *t.velocity, t.covariance[0, 0], t.covariance[0, 1],
         t.covariance[1, 1], t.silent_for, t.talking) for t in talkers], TRACK)
    fields = [PointField(name=name, offset=offset, datatype=_FIELD_TYPES[TRACK[name].str], count=1)
              for name, offset in _OFFSETS.items()]
    return PointCloud2(
        header=header, height=1, width=len(points), fields=fields, is_bigendian=False,
        point_step=TRACK.itemsize, row_step=points.nbytes, is_dense=True,
        data=array.array('B', points.tobytes()))


def track_points(message: PointCloud2) -> NDArray[np.void]:
    """
    Read the tracked talkers of a cloud.

    Parameters
    ----------
    message : sensor_msgs.msg.PointCloud2
        As `tracks_message` makes them.

    Returns
    -------
    numpy.ndarray
        Of dtype TRACK.

    Raises
    ------
    MapError
        If it is another kind of cloud.

    """
    offsets = {f.name: f.offset for f in message.fields}
    if (message.point_step != TRACK.itemsize or message.is_bigendian
            or offsets != _OFFSETS
            or len(message.data) % TRACK.itemsize):
        raise MapError(f'a cloud with the fields {", ".join(offsets)} holds no talkers')
    return np.frombuffer(bytes(message.data), TRACK)


def voice_frames(talkers: Sequence[Talker], header: Header, height: float,
                 prefix: str) -> TFMessage:
    """Return the frames `<prefix><id>` of the talkers who are talking as a TFMessage."""
    message = TFMessage()
    for talker in talkers:
        if talker.talking:
            frame = TransformStamped(header=header, child_frame_id=f'{prefix}{talker.number}')
            pose = _pose(talker, height)
            translation = frame.transform.translation
            translation.x, translation.y = pose.position.x, pose.position.y
            translation.z = pose.position.z
            frame.transform.rotation = pose.orientation
            message.transforms.append(frame)
    return message


def marker_messages(talkers: Sequence[Talker], header: Header, height: float) -> MarkerArray:
    """
    Convert talkers to markers for RViz.

    Returns
    -------
    visualization_msgs.msg.MarkerArray
        A sphere and a number each, transparent where the talker is silent; all earlier markers
        are deleted.

    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for talker in talkers:
        red, green, blue = _colour(talker.number)
        for kind, name in ((Marker.SPHERE, 'talkers'), (Marker.TEXT_VIEW_FACING, 'numbers')):
            marker = Marker(header=header, ns=name, id=talker.number, type=kind,
                            action=Marker.ADD, pose=_pose(talker, height))
            marker.scale.x = marker.scale.y = marker.scale.z = _DIAMETER
            marker.color.r, marker.color.g, marker.color.b = red, green, blue
            marker.color.a = 1.0 if talker.talking else 0.3
            if kind == Marker.TEXT_VIEW_FACING:
                marker.text = str(talker.number)
                marker.pose.position.z += 1.5 * _DIAMETER
            markers.append(marker)
    return MarkerArray(markers=markers)


def _pose(talker: Talker, height: float) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y = (float(v) for v in talker.position)
    pose.position.z = float(height)
    pose.orientation.w = 1.0
    return pose


def _colour(number: int) -> tuple[float, ...]:
    """Return a colour that differs between consecutive numbers."""
    hue = 6 * (number * 0.618034 % 1)
    return tuple(float(min(max(abs((hue + shift) % 6 - 3) - 1, 0), 1)) for shift in (0, 4, 2))
