"""
ROS messages to and from NumPy and Estimate: pure functions without a node or a clock.

Those of audio are in audio/: sample_formats.py for samples, message_types.py for messages.
"""

import array
from collections.abc import Sequence
import math

from geometry_msgs.msg import PoseArray
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.localization.occupancy_grid import UNKNOWN
import numpy as np
from numpy.typing import NDArray


def pose_message(estimate: Estimate, stamp_ns: int, frame_id: str,
                 room_origin: Sequence[float]) -> PoseStamped:
    """
    Convert an estimate to a pose.

    Parameters
    ----------
    estimate : nsrp_ros.core.estimate.Estimate
        In the room's frame.
    stamp_ns : int
        Time of the window's last sample, nanoseconds.
    frame_id : str
        The frame that `room_origin` is given in.
    room_origin : sequence of float
        The room's lower corner (x, y, z), metres.

    Returns
    -------
    geometry_msgs.msg.PoseStamped
        At the height of the talker's mouth, or on the floor where the method estimates no
        height. The orientation is the identity, as no direction is estimated.

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


def covariance_message(estimate: Estimate, stamp_ns: int, frame_id: str,
                       room_origin: Sequence[float],
                       room_height: float) -> PoseWithCovarianceStamped:
    """
    Convert an estimate to a pose with its covariance.

    Parameters
    ----------
    estimate, stamp_ns, frame_id, room_origin
        As in `pose_message`; the estimate must have a covariance.
    room_height : float
        Metres.

    Returns
    -------
    geometry_msgs.msg.PoseWithCovarianceStamped
        The covariance of x and y is the posterior's. The variance of the height is that of a
        uniform distribution between floor and ceiling, and that of the angles that of a uniform
        distribution over all directions, as neither is estimated.

    """
    pose = pose_message(estimate, stamp_ns, frame_id, room_origin)
    message = PoseWithCovarianceStamped(header=pose.header)
    message.pose.pose = pose.pose
    covariance = np.diag([0.0] * 3 + [math.pi ** 2 / 3] * 3)
    covariance[:2, :2] = estimate.covariance
    # Uniform in the room's height: about its middle, or about the floor without an estimate.
    covariance[2, 2] = room_height ** 2 / (3 if estimate.height is None else 12)
    message.pose.covariance = covariance.ravel()
    return message


def grid_message(estimate: Estimate, stamp_ns: int, frame_id: str, room_origin: Sequence[float],
                 room_dims: Sequence[float], resolution: float) -> OccupancyGrid:
    """
    Convert the likelihood map to an occupancy grid that RViz and Nav2 accept.

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


def pose_array_positions(message: PoseArray) -> NDArray[np.float64]:
    """
    Read microphone positions from a geometry_msgs/PoseArray.

    Parameters
    ----------
    message : geometry_msgs.msg.PoseArray
        A pose for each microphone.

    Returns
    -------
    numpy.ndarray
        Shape (M, 3), metres in the message's frame; NaN for a microphone that is missing,
        that is, whose pose has a position that is not finite.

    """
    positions = np.array([(p.position.x, p.position.y, p.position.z) for p in message.poses],
                         dtype=np.float64).reshape(-1, 3)
    positions[~np.isfinite(positions).all(axis=1)] = np.nan
    return positions


def map_box(message: OccupancyGrid,
            height: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """
    Determine the box of a room from a map.

    Parameters
    ----------
    message : nav_msgs.msg.OccupancyGrid
        Of a map server.
    height : float
        The room's height, which no map has, metres.

    Returns
    -------
    origin, room_dims : tuple of float
        Three numbers each, metres in the map's frame: the box around all cells that are known.

    Raises
    ------
    ValueError
        If the map is rotated against its frame, its size is wrong, or no cell is known.

    """
    info = message.info
    rotation = info.origin.orientation
    # An orientation of zeros, which was never set, is no rotation.
    if max(abs(rotation.x), abs(rotation.y), abs(rotation.z)) > 1e-3:
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
