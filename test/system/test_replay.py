"""A bag played over DDS at any rate gives what the same bag gives offline."""

import csv
from importlib import import_module
import time

from nsrp_ros.bags.localize_bag import main
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from support.bag_recorder import record
from support.bag_recorder import START_NS
from support.node_rig import ROOM

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


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Record microphones that creep, and localize them offline: (bag, table of stamp, x, y)."""
    from support.anechoic import Anechoic
    folder = tmp_path_factory.mktemp('replay')
    path = record(folder / 'bag', Anechoic(), tf='/tf', seconds=3.0, info_at=0.0)
    arguments = ['--room-dims', '6', '5', '3', '--method', 'srp_phat', '--min-confidence', '0',
                 '--microphone-frames', *(f'mic_{k}' for k in range(6))]
    assert main([str(path), *arguments, '--out', str(folder / 'out')]) == 0
    with (folder / 'out/localized.csv').open() as file:
        table = [(int(row['stamp_ns']), float(row['x']), float(row['y']))
                 for row in csv.DictReader(file)]
    assert len(table) == 10 and START_NS < table[0][0] < START_NS + NS
    return path, table


@pytest.mark.parametrize('domain, rate', [(95, 1.0), (96, 3.0)])
def test_a_bag_gives_the_same_at_any_rate(bag, own, domain, rate):
    """Played with /clock and use_sim_time: the same windows, times and places as offline."""
    path, table = bag
    rig = own(domain)
    process = rig.start('localizer_node', **ROOM, use_sim_time='true', min_confidence=0.0,
                        queue_size=100)
    player = BagPlayer(rig, path)
    assert rig.spin_until(player.heard, 60), process.log.read_text()
    rig.spin(0.3)
    player.play(rate)
    rig.spin_until(lambda: len(rig.heard.poses) >= len(table), 20)
    rig.spin(0.2)
    assert [stamp_to_ns(pose.header.stamp) for pose in rig.heard.poses] == [
        row[0] for row in table], process.log.read_text()
    places = [(pose.pose.position.x, pose.pose.position.y) for pose in rig.heard.poses]
    # The table is rounded to a tenth of a millimetre.
    np.testing.assert_allclose(places, [row[1:] for row in table], atol=1.1e-4)
