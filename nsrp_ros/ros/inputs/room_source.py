"""The room: a box in frame_id, from the parameters or from the map on a topic."""

from nav_msgs.msg import OccupancyGrid
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.ros.conversions import map_box
from nsrp_ros.ros.inputs.audio_subscription import subscribe_latched
from rclpy.node import Node


class FixedRoom:
    """
    The room of the parameters.

    Parameters
    ----------
    room : Room
        The room.

    """

    def __init__(self, room: Room) -> None:
        self.room: Room | None = room
        self.problem = ''

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


class MapRoom:
    """
    The box around the known cells of the map on the topic `map`.

    Parameters
    ----------
    node : rclpy.node.Node
        Has the subscriptions.
    frame_id : str
        The frame that the map must be in.
    height : float
        The room's height, which no map has, metres.

    Attributes
    ----------
    room : Room or None
        None until a valid map has arrived.
    problem : str
        Why there is no room.

    """

    def __init__(self, node: Node, frame_id: str, height: float) -> None:
        self._node = node
        self._frame_id = frame_id
        self._height = height
        self.room: Room | None = None
        self.problem = 'no map has arrived (topic map)'
        self._subscriptions = subscribe_latched(node, OccupancyGrid, 'map', self._on_map)

    def _on_map(self, message: OccupancyGrid) -> None:
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

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
