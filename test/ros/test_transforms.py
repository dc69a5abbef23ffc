"""Both transform listeners follow the same rules, over real topics."""

from collections.abc import Iterator

from geometry_msgs.msg import TransformStamped
from nsrp_ros.core.stamps import NS
from nsrp_ros.ros.inputs import transforms
from nsrp_ros.ros.inputs.transforms import LookupFailure
from nsrp_ros.ros.inputs.transforms import TransformListener
import numpy as np
from numpy.typing import NDArray
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from support.local_publisher import LocalPublisher
from support.patience import wait_until
from support.transforms import transform
from tf2_msgs.msg import TFMessage

T0 = 1_790_000_000 * NS
HALF = np.sqrt(0.5)
LISTENERS = ['Pytransform3dListener', pytest.param('Tf2Listener', marks=pytest.mark.skipif(
    transforms.tf2_ros is None, reason='tf2_ros is not installed here'))]


class Rig:
    """A listener under test, and publishers of transforms to it."""

    def __init__(self, kind: str, domain: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node('test', context=self.context)
        self.listener: TransformListener = getattr(transforms, kind)(self.node)
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(self.node)
        self._moving = LocalPublisher(executor, self.node, TFMessage, '/tf', QoSProfile(depth=100))
        self._static = LocalPublisher(
            executor, self.node, TFMessage, '/tf_static',
            QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def publish_static(self, *messages: TransformStamped) -> None:
        """Publish transforms that hold for ever."""
        self._static.publish(TFMessage(transforms=list(messages)))

    def publish_moving(self, *messages: TransformStamped) -> None:
        """Publish transforms that hold at their stamps."""
        self._moving.publish(TFMessage(transforms=list(messages)))

    def translation(self, frame: str, time_ns: int, target: str = 'map') -> NDArray[np.float64]:
        """Return the translation of a frame in another."""
        return self.listener.lookup(target, frame, time_ns)[0]

    def close(self) -> None:
        """Free everything."""
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture(params=LISTENERS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Make a rig for each listener that this machine has."""
    rig = Rig(request.param, domain=32)
    yield rig
    rig.close()


def test_static_transforms_hold_for_ever(rig: Rig) -> None:
    """A frame on /tf_static is known at any time, and chains through other frames."""
    rig.publish_static(transform('base', (1, 2, 0), 0, 'map', (0, 0, HALF, HALF)),
                       transform('mic', (1, 0, 0.5), 0, 'base'))
    np.testing.assert_allclose(rig.translation('mic', T0), [1, 3, 0.5], atol=1e-9)
    np.testing.assert_allclose(rig.translation('mic', T0 + 9999 * NS), [1, 3, 0.5], atol=1e-9)
    np.testing.assert_allclose(rig.translation('map', T0, target='mic'), [-3, 1, -0.5], atol=1e-9)
    np.testing.assert_allclose(rig.translation('mic', T0, target='mic'), 0)


def test_moving_transforms_are_interpolated_and_never_extrapolated(rig: Rig) -> None:
    """A robot that turns carries its microphone along, at the time that was asked for."""
    rig.publish_static(transform('mic', (1, 0, 0), 0, 'base'))
    rig.publish_moving(transform('base', (0, 0, 0), T0, 'map'))
    rig.publish_moving(transform('base', (2, 0, 0), T0 + NS, 'map', (0, 0, HALF, HALF)))
    np.testing.assert_allclose(rig.translation('mic', T0), [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(rig.translation('mic', T0 + NS), [2, 1, 0], atol=1e-9)
    half = rig.translation('mic', T0 + NS // 2)
    np.testing.assert_allclose(half, [1 + HALF, HALF, 0], atol=1e-6)
    for late in (T0 + NS + 1000, T0 + 5 * NS, T0 - 1000):
        with pytest.raises(LookupFailure):
            rig.translation('mic', late)


def test_unknown_frames_fail_with_a_sentence(rig: Rig) -> None:
    """Frames nobody published, and trees that do not touch."""
    rig.publish_static(transform('mic', (1, 0, 0), 0, 'map'),
                       transform('lost', (1, 0, 0), 0, 'elsewhere'))
    for frame in ('never_published', 'lost'):
        with pytest.raises(LookupFailure, match=frame):
            rig.translation(frame, T0)


def test_invalid_transforms_are_ignored(rig: Rig) -> None:
    """Positions of NaN and quaternions of length zero do not move a microphone."""
    rig.publish_moving(transform('mic', (1, 0, 0), T0, 'map'))
    rig.publish_moving(transform('mic', (float('nan'), 0, 0), T0 + NS, 'map'))
    rig.publish_moving(transform('mic', (5, 0, 0), T0 + NS, 'map', (0, 0, 0, 0)))
    rig.publish_moving(transform('mic', (1, 0, 0), T0 + 2 * NS, 'map'))
    np.testing.assert_allclose(rig.translation('mic', T0 + NS), [1, 0, 0], atol=1e-9)


def test_rotation_matches_the_quaternion() -> None:
    """A quarter turn about z takes x to y."""
    np.testing.assert_allclose(
        transforms.rotate((0, 0, HALF, HALF), [[1, 0, 0], [0, 2, 3]]),
        [[0, 1, 0], [-2, 0, 3]], atol=1e-12)


@pytest.mark.parametrize('kind', LISTENERS)
def test_a_closed_listener_has_no_subscriptions(kind: str) -> None:
    """A node that is deactivated leaves nothing of its listener behind."""
    context = Context()
    rclpy.init(context=context, domain_id=36)
    node = Node('test', context=context)

    def counts() -> list[int]:
        return [node.count_subscribers(topic) for topic in ('/tf', '/tf_static')]
    listener: TransformListener = getattr(transforms, kind)(node)
    found = wait_until(lambda: counts() == [1, 1])
    listener.close()
    left = not wait_until(lambda: counts() == [0, 0])
    node.destroy_node()
    context.try_shutdown()
    assert found and not left
