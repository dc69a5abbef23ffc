"""Both transform listeners follow the same rules, over real topics."""

import time

from geometry_msgs.msg import TransformStamped
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.ros.inputs import transforms
from nsrp_ros.ros.inputs.transforms import LookupFailure
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

NS = 1_000_000_000
T0 = 1_790_000_000 * NS
HALF = np.sqrt(0.5)
LISTENERS = ['Pytransform3dListener', pytest.param('Tf2Listener', marks=pytest.mark.skipif(
    transforms.tf2_ros is None, reason='tf2_ros is not installed here'))]


def transform(parent, child, time_ns, xyz, quaternion=(0.0, 0.0, 0.0, 1.0)):
    """Make a TransformStamped."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    set_stamp(message.header.stamp, time_ns)
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = (float(v) for v in xyz)
    r.x, r.y, r.z, r.w = (float(v) for v in quaternion)
    return message


class Rig:
    """A listener under test, and a node that publishes transforms to it."""

    def __init__(self, kind, domain):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.listening = Node('listening', context=self.context)
        self.talking = Node('talking', context=self.context)
        self.listener = getattr(transforms, kind)(self.listening)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.listening)
        self.executor.add_node(self.talking)
        self.moving = self.talking.create_publisher(TFMessage, '/tf', 100)
        self.static = self.talking.create_publisher(
            TFMessage, '/tf_static',
            QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def say(self, publisher, *messages):
        """Publish and let it arrive."""
        deadline = time.monotonic() + 5
        while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.05)
        publisher.publish(TFMessage(transforms=list(messages)))
        for _ in range(10):
            self.executor.spin_once(timeout_sec=0.02)

    def where(self, frame, time_ns, target='map'):
        """Return the translation of a frame in another."""
        return self.listener.lookup(target, frame, time_ns)[0]


@pytest.fixture(params=LISTENERS)
def rig(request):
    """Make a rig for each listener that this machine has."""
    rig = Rig(request.param, domain=32)
    yield rig
    rig.listening.destroy_node()
    rig.talking.destroy_node()
    rig.context.try_shutdown()


def test_static_transforms_hold_for_ever(rig):
    """A frame on /tf_static is known at any time, and chains through other frames."""
    rig.say(rig.static, transform('map', 'base', 0, (1, 2, 0), (0, 0, HALF, HALF)),
            transform('base', 'mic', 0, (1, 0, 0.5)))
    np.testing.assert_allclose(rig.where('mic', T0), [1, 3, 0.5], atol=1e-9)
    np.testing.assert_allclose(rig.where('mic', T0 + 9999 * NS), [1, 3, 0.5], atol=1e-9)
    np.testing.assert_allclose(rig.where('map', T0, target='mic'), [-3, 1, -0.5], atol=1e-9)
    np.testing.assert_allclose(rig.where('mic', T0, target='mic'), 0)


def test_moving_transforms_are_interpolated_and_never_extrapolated(rig):
    """A robot that turns carries its microphone along, at the time that was asked for."""
    rig.say(rig.static, transform('base', 'mic', 0, (1, 0, 0)))
    rig.say(rig.moving, transform('map', 'base', T0, (0, 0, 0)))
    rig.say(rig.moving, transform('map', 'base', T0 + NS, (2, 0, 0), (0, 0, HALF, HALF)))
    np.testing.assert_allclose(rig.where('mic', T0), [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rig.where('mic', T0 + NS), [2, 1, 0], atol=1e-9)
    half = rig.where('mic', T0 + NS // 2)
    np.testing.assert_allclose(half, [1 + HALF, HALF, 0], atol=1e-6)
    for late in (T0 + NS + 1000, T0 + 5 * NS, T0 - 1000):
        with pytest.raises(LookupFailure):
            rig.where('mic', late)


def test_unknown_frames_fail_with_a_sentence(rig):
    """Frames nobody published, and trees that do not touch."""
    rig.say(rig.static, transform('map', 'mic', 0, (1, 0, 0)),
            transform('elsewhere', 'lost', 0, (1, 0, 0)))
    for frame in ('never_heard_of', 'lost'):
        with pytest.raises(LookupFailure, match=frame):
            rig.where(frame, T0)


def test_what_is_no_rotation_is_ignored(rig):
    """Positions of NaN and quaternions of length zero do not move a microphone."""
    rig.say(rig.moving, transform('map', 'mic', T0, (1, 0, 0)))
    rig.say(rig.moving, transform('map', 'mic', T0 + NS, (float('nan'), 0, 0)))
    rig.say(rig.moving, transform('map', 'mic', T0 + NS, (5, 0, 0), (0, 0, 0, 0)))
    rig.say(rig.moving, transform('map', 'mic', T0 + 2 * NS, (1, 0, 0)))
    np.testing.assert_allclose(rig.where('mic', T0 + NS), [1, 0, 0], atol=1e-9)


def test_rotation_matches_the_quaternion():
    """A quarter turn about z takes x to y."""
    np.testing.assert_allclose(
        transforms.rotate((0, 0, HALF, HALF), [[1, 0, 0], [0, 2, 3]]),
        [[0, 1, 0], [-2, 0, 3]], atol=1e-12)


@pytest.mark.parametrize('kind', LISTENERS)
def test_who_is_closed_listens_no_more(kind):
    """A node that is deactivated leaves nothing of its listener behind."""
    rig = Rig(kind, 36)
    deadline = time.monotonic() + 5
    while not rig.talking.count_subscribers('/tf') and time.monotonic() < deadline:
        rig.executor.spin_once(timeout_sec=0.05)
    rig.listener.close()
    while rig.talking.count_subscribers('/tf') and time.monotonic() < deadline:
        rig.executor.spin_once(timeout_sec=0.05)
    left = rig.talking.count_subscribers('/tf'), rig.talking.count_subscribers('/tf_static')
    for node in (rig.listening, rig.talking):
        node.destroy_node()
    rig.context.try_shutdown()
    assert left == (0, 0)
