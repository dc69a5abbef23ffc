"""
Talkers to and from ROS messages: pure functions, no node, no clock.

Tracked talkers are a sensor_msgs/PointCloud2 with one point each (see `TRACK`): no common message
for tracked things is in every installation, and this one RViz draws and everybody can read.
"""

import array
import math

from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import TransformStamped
import numpy as np
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

TRACK = np.dtype([
    ('x', '<f4'), ('y', '<f4'), ('z', '<f4'),  # metres, in the cloud's frame
    ('id', '<u4'),  # from 1 on, never used twice
    ('vx', '<f4'), ('vy', '<f4'),  # metres a second
    ('cov_xx', '<f4'), ('cov_xy', '<f4'), ('cov_yy', '<f4'),  # square metres
    ('silent_for', '<f4'),  # seconds since the talker was last heard
    ('talking', 'u1')])  # whether he is said to be talking
"""A point of the cloud of tracked talkers."""
_FIELD_TYPES = {'<f4': PointField.FLOAT32, '<u4': PointField.UINT32, '|u1': PointField.UINT8}
_HEAD = 0.3  # metres, diameter of a talker's marker


class MapError(ValueError):
    """A map or cloud that cannot be read; the text says why."""


def grid_values(message):
    """
    Read a likelihood map from a nav_msgs/OccupancyGrid.

    Parameters
    ----------
    message : nav_msgs.msg.OccupancyGrid
        As `messages.grid_message` makes them: proportional to a posterior, -1 outside the room.

    Returns
    -------
    tuple of numpy.ndarray
        Values (height, width), NaN outside the room; the cells' centres x (width,) and y
        (height,), metres in the message's frame.

    Raises
    ------
    MapError
        If the map is empty, turned, or does not fit its own size.

    """
    info, origin = message.info, message.info.origin
    turned = max(abs(origin.orientation.x), abs(origin.orientation.y), abs(origin.orientation.z))
    if turned > 1e-3:
        raise MapError('the map is turned against its own frame')
    if not (math.isfinite(info.resolution) and info.resolution > 0):
        raise MapError(f'the map has a resolution of {info.resolution} m')
    cells = np.asarray(message.data, dtype=np.int8)
    if not cells.size or cells.size != info.width * info.height:
        raise MapError(f'the map holds {cells.size} cells, not {info.width} x {info.height}')
    values = cells.reshape(info.height, info.width).astype(np.float64)
    values[values < 0] = np.nan
    return (values, origin.position.x + (np.arange(info.width) + 0.5) * info.resolution,
            origin.position.y + (np.arange(info.height) + 0.5) * info.resolution)


def talkers_message(talkers, header, height):
    """Return the positions of those who are talking as a PoseArray, `height` being their z."""
    message = PoseArray(header=header)
    for talker in talkers:
        if talker.talking:
            message.poses.append(_pose(talker, height))
    return message


def tracks_message(talkers, header, height):
    """Return all who are remembered as a PointCloud2 of TRACK points."""
    points = np.array([
        (*t.position, height, t.number, *t.velocity, t.covariance[0, 0], t.covariance[0, 1],
         t.covariance[1, 1], t.silent_for, t.talking) for t in talkers], TRACK)
    fields = [PointField(name=name, offset=TRACK.fields[name][1], count=1,
                         datatype=_FIELD_TYPES[TRACK.fields[name][0].str]) for name in TRACK.names]
    return PointCloud2(
        header=header, height=1, width=len(points), fields=fields, is_bigendian=False,
        point_step=TRACK.itemsize, row_step=points.nbytes, is_dense=True,
        data=array.array('B', points.tobytes()))


def track_points(message):
    """
    Read tracked talkers.

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
            or offsets != {name: TRACK.fields[name][1] for name in TRACK.names}
            or len(message.data) % TRACK.itemsize):
        raise MapError(f'a cloud with the fields {", ".join(offsets)} holds no talkers')
    return np.frombuffer(bytes(message.data), TRACK)


def voice_frames(talkers, header, height, prefix):
    """Return the frames of those who are talking, `<prefix><id>`, as a TFMessage."""
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


def marker_messages(talkers, header, height):
    """
    Draw talkers for RViz.

    Returns
    -------
    visualization_msgs.msg.MarkerArray
        A sphere and a number each, faint where the talker is silent; all others are deleted.

    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for talker in talkers:
        red, green, blue = _colour(talker.number)
        for kind, name in ((Marker.SPHERE, 'talkers'), (Marker.TEXT_VIEW_FACING, 'numbers')):
            marker = Marker(header=header, ns=name, id=talker.number, type=kind,
                            action=Marker.ADD, pose=_pose(talker, height))
            marker.scale.x = marker.scale.y = marker.scale.z = _HEAD
            marker.color.r, marker.color.g, marker.color.b = red, green, blue
            marker.color.a = 1.0 if talker.talking else 0.3
            if kind == Marker.TEXT_VIEW_FACING:
                marker.text = str(talker.number)
                marker.pose.position.z += 1.5 * _HEAD
            markers.append(marker)
    return MarkerArray(markers=markers)


def _pose(talker, height):
    pose = Pose()
    pose.position.x, pose.position.y = (float(v) for v in talker.position)
    pose.position.z = float(height)
    pose.orientation.w = 1.0
    return pose


def _colour(number):
    """Return a colour that neighbouring numbers do not share."""
    hue = 6 * (number * 0.618034 % 1)
    return tuple(float(min(max(abs((hue + shift) % 6 - 3) - 1, 0), 1)) for shift in (0, 4, 2))
