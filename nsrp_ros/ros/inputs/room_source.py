"""The room: a box in frame_id, from the parameters or from a map that somebody latches."""

from dataclasses import dataclass

from nav_msgs.msg import OccupancyGrid
from nsrp_ros.ros.conversions import map_box
from nsrp_ros.ros.inputs.audio_subscription import subscribe_latched


@dataclass(frozen=True)
class Room:
    """
    A box along the axes of frame_id.

    Attributes
    ----------
    origin, dims : tuple of float
        The lowest corner, and length, width and height, metres.

    """

    origin: tuple
    dims: tuple


class FixedRoom:
    """
    A room that the parameters tell.

    Parameters
    ----------
    room : Room
        The room.

    """

    def __init__(self, room):
        self.room = room
        self.problem = ''

    def close(self):
        """Do nothing: there is nothing to free."""


class MapRoom:
    """
    A room as large as what is known of the map on the topic `map`.

    Parameters
    ----------
    node : rclpy.node.Node
        Subscribes.
    frame_id : str
        The frame that the map must be in.
    height : float
        The room's, which no map tells, metres.

    Attributes
    ----------
    room : Room or None
        None until a map has arrived that can be used.
    problem : str
        Why there is none.

    """

    def __init__(self, node, frame_id, height):
        self._node = node
        self._frame_id = frame_id
        self._height = height
        self.room = None
        self.problem = 'no map has arrived (topic map)'
        self._subscriptions = subscribe_latched(node, OccupancyGrid, 'map', self._on_map)

    def _on_map(self, message):
        try:
            if message.header.frame_id != self._frame_id:
                raise ValueError(f'the map is in the frame {message.header.frame_id!r}, the '
                                 f'room in {self._frame_id!r}')
            room = Room(*map_box(message, self._height))
        except ValueError as error:
            self.room, self.problem = None, str(error)
            return
        if room != self.room:
            self._node.get_logger().info(
                f'the room is {" x ".join(f"{d:.2f}" for d in room.dims)} m by the map')
        self.room, self.problem = room, ''

    def close(self):
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
