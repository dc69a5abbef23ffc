"""
ROS messages to and from NumPy and Estimate: pure functions, no node, no clock.

Audio has its own: sample_formats.py for the samples, message_types.py for the messages they come
in.
"""

import array
import math

from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.localization.occupancy_grid import UNKNOWN
import numpy as np


def pose_message(estimate, stamp_ns, frame_id, room_origin):
    """
    Say where the talker is.

    Parameters
    ----------
    estimate : nsrp_ros.core.estimate.Estimate
        In the room's frame.
    stamp_ns : int
        Time of the window's last sample, nanoseconds.
    frame_id : str
        The frame that `room_origin` is given in.
    room_origin : sequence of float
        Where the room's lower corner is, metres.

    Returns
    -------
    geometry_msgs.msg.PoseStamped
        At the height of the talker's mouth, or on the floor where the method tells no height.
        Without a direction: the orientation is the identity.

    """
    message = PoseStamped()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    position = message.pose.position
    position.x = float(estimate.position[0] + room_origin[0])
    position.y = float(estimate.position[1] + room_origin[1])
    position.z = float(room_origin[2] + (estimate.height or 0.0))
    message.pose.orientation.w = 1.0
    return message


def covariance_message(estimate, stamp_ns, frame_id, room_origin, room_height):
    """
    Say where the talker is, and how far from there the talker may be.

    Parameters
    ----------
    estimate, stamp_ns, frame_id, room_origin
        As in `pose_message`; the estimate must have a covariance.
    room_height : float
        Metres.

    Returns
    -------
    geometry_msgs.msg.PoseWithCovarianceStamped
        The covariance of x and y is the posterior's. Of the height no more is said than the
        room does: the spread of somebody who may be anywhere between floor and ceiling, and of
        the direction, which is unknown, that of all angles alike.

    """
    pose = pose_message(estimate, stamp_ns, frame_id, room_origin)
    message = PoseWithCovarianceStamped(header=pose.header)
    message.pose.pose = pose.pose
    covariance = np.diag([0.0] * 3 + [math.pi ** 2 / 3] * 3)
    covariance[:2, :2] = estimate.covariance
    # Anywhere in the room: about its middle where a height is told, else about the floor.
    covariance[2, 2] = room_height ** 2 / (3 if estimate.height is None else 12)
    message.pose.covariance = covariance.ravel()
    return message


def grid_message(estimate, stamp_ns, frame_id, room_origin, room_dims, resolution):
    """
    Draw the likelihood map as an occupancy grid that RViz and Nav2 accept.

    Parameters
    ----------
    estimate, stamp_ns, frame_id, room_origin
        As in `pose_message`.
    room_dims : sequence of float
        Metres.
    resolution : float
        Side of a cell, metres.

    Returns
    -------
    nav_msgs.msg.OccupancyGrid
        Row-major from the lower corner, 0 for the least likely cell, 98 for the likeliest, -1
        where a cell's centre is outside the room.

    """
    cells = occupancy(square_map(estimate, room_dims, resolution))
    message = OccupancyGrid()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    set_stamp(message.info.map_load_time, stamp_ns)
    message.info.resolution = float(resolution)
    message.info.height, message.info.width = (int(n) for n in cells.shape)
    origin = message.info.origin
    origin.position.x, origin.position.y, origin.position.z = (float(v) for v in room_origin)
    origin.orientation.w = 1.0
    message.data = array.array('b', cells.tobytes())
    return message


def pose_array_positions(message):
    """
    Read microphone positions from a geometry_msgs/PoseArray.

    Returns
    -------
    numpy.ndarray
        Shape (M, 3), metres in the message's frame; NaN for a microphone that is missing, which
        a pose with a position that is not finite says.

    """
    positions = np.array([(p.position.x, p.position.y, p.position.z) for p in message.poses],
                         dtype=np.float64).reshape(-1, 3)
    positions[~np.isfinite(positions).all(axis=1)] = np.nan
    return positions


def map_box(message, height):
    """
    Read a room's box off a map.

    Parameters
    ----------
    message : nav_msgs.msg.OccupancyGrid
        As a map server latches it.
    height : float
        The room's, which no map tells, metres.

    Returns
    -------
    origin, room_dims : tuple of float
        Three numbers each, metres in the map's frame: the box around all cells that are known.

    Raises
    ------
    ValueError
        If the map is turned against its frame, or nothing in it is known.

    """
    info = message.info
    turn = info.origin.orientation
    # An orientation that nobody filled in is no turn.
    if max(abs(turn.x), abs(turn.y), abs(turn.z)) > 1e-3:
        raise ValueError('the map is turned against its frame; the room must lie along its axes')
    cells = np.asarray(message.data, dtype=np.int8)
    if info.resolution <= 0 or len(cells) != info.width * info.height:
        raise ValueError(f'a map of {info.width} x {info.height} cells of {info.resolution:g} m '
                         f'cannot have {len(cells)} of them')
    rows, columns = np.nonzero(cells.reshape(info.height, info.width) != UNKNOWN)
    if not len(rows):
        raise ValueError('nothing in the map is known')
    low = np.array([columns.min(), rows.min()]) * info.resolution
    high = np.array([columns.max() + 1, rows.max() + 1]) * info.resolution
    corner = info.origin.position
    origin = (corner.x + low[0], corner.y + low[1], corner.z)
    return tuple(map(float, origin)), tuple(map(float, (*(high - low), height)))
