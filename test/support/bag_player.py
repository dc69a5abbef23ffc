"""Plays bags over DDS, with their clock."""

from importlib import import_module
import time

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock

TICK = 0.005
"""Seconds between two publications of /clock."""
LISTENERS = {'/audio': 1, '/audio_info': 1, '/tf': 1}
"""How many subscriptions of the localizer a bag's topics find at least."""


class BagPlayer:
    """Plays a bag as `ros2 bag play --clock` does: bytes as they were recorded, at a rate."""

    def __init__(self, rig, bag):
        self._rig = rig
        self._clock = rig.node.create_publisher(Clock, '/clock', 10)
        self._publishers, self._messages = {}, []
        with AnyReader([bag]) as reader:
            for connection in reader.connections:
                package, _, name = connection.msgtype.split('/')
                self._publishers[connection.topic] = rig.node.create_publisher(
                    getattr(import_module(f'{package}.msg'), name), connection.topic,
                    QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL
                               if 'static' in connection.topic else DurabilityPolicy.VOLATILE))
            for connection, time_ns, data in reader.messages():
                self._messages.append((time_ns, connection.topic, data))

    def heard(self):
        """Return whether the localizer listens to the clock and to every topic."""
        return self._clock.get_subscription_count() > 0 and all(
            publisher.get_subscription_count() >= LISTENERS.get(topic, 0)
            for topic, publisher in self._publishers.items())

    def play(self, rate):
        """Play all of it."""
        self._tell(self._messages[0][0])
        begin, begin_ns = time.monotonic(), self._messages[0][0]
        for time_ns, topic, data in self._messages:
            due = begin + (time_ns - begin_ns) / NS / rate
            while (left := due - time.monotonic()) > 0:
                self._rig.spin(min(TICK, left))
                self._tell(begin_ns + round((time.monotonic() - begin) * rate * NS))
            self._publishers[topic].publish(data)

    def _tell(self, now_ns):
        message = Clock()
        set_stamp(message.clock, now_ns)
        self._clock.publish(message)
