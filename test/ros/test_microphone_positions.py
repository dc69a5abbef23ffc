"""Positions at the audio's time, from frames, from poses, and fixed."""

from collections.abc import Iterator
from collections.abc import Sequence

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.ros.inputs.microphone_positions import FixedMicrophones
from nsrp_ros.ros.inputs.microphone_positions import FrameMicrophones
from nsrp_ros.ros.inputs.microphone_positions import PoseArrayMicrophones
from nsrp_ros.ros.inputs.transforms import LookupFailure
import numpy as np
from numpy.typing import NDArray
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from support.local_publisher import LocalPublisher

T0 = 1_790_000_000 * NS
HALF = np.sqrt(0.5)
Positions = Sequence[tuple[float, float, float]]
Transform = tuple[NDArray[np.float64], NDArray[np.float64]]


class Table:
    """A transform listener with constant transforms: frame to (translation, quaternion)."""

    def __init__(self, known: dict[str, Transform]) -> None:
        self.known = known

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Transform:
        """Look up in the table."""
        if source_frame not in self.known:
            raise LookupFailure(f'{source_frame} is not known')
        return self.known[source_frame]

    def close(self) -> None:
        """Do nothing."""


def at(x: float, y: float, z: float) -> Transform:
    """Make a translation without a rotation."""
    return np.array([x, y, z], dtype=float), np.array([0.0, 0.0, 0.0, 1.0])


def test_frames_in_the_channels_order() -> None:
    """Channel k is the k-th frame; one that is missing is NaN, with the reason."""
    table = Table({'a': at(1, 2, 3), 'c': at(7, 8, 9)})
    found = FrameMicrophones(table, 'map', ('c', 'b', 'a')).positions(T0, 3)
    np.testing.assert_array_equal(found.positions, [[7, 8, 9], [np.nan] * 3, [1, 2, 3]])
    assert list(found.missing) == ['b'] and 'b is not known' in found.missing['b']
    assert found.late == {'b'}


def test_frames_by_their_prefix() -> None:
    """As many as the audio has channels, counted from 0."""
    table = Table({'mic_0': at(1, 2, 3), 'mic_1': at(4, 5, 6)})
    found = FrameMicrophones(table, 'map', prefix='mic_').positions(T0, 3)
    np.testing.assert_array_equal(found.positions, [[1, 2, 3], [4, 5, 6], [np.nan] * 3])
    assert list(found.missing) == ['mic_2']


def test_fixed_positions() -> None:
    """In frame_id they are known at all times; on a robot they ride with its base."""
    turned = (np.array([1.0, 0, 0]), np.array([0, 0, HALF, HALF]))
    flat = [1.0, 0.0, 0.5, 0.0, 2.0, 0.5]
    found = FixedMicrophones(Table({}), 'map', flat, 'map').positions(T0, 2)
    np.testing.assert_array_equal(found.positions, np.reshape(flat, (2, 3)))
    found = FixedMicrophones(Table({'base': turned}), 'map', flat, 'base').positions(T0, 2)
    np.testing.assert_allclose(found.positions, [[1, 1, 0.5], [-1, 0, 0.5]], atol=1e-12)
    lost = FixedMicrophones(Table({}), 'map', flat, 'base').positions(T0, 2)
    assert np.isnan(lost.positions).all() and lost.late == {'base'}
    with pytest.raises(ValueError, match='3 channels, but 2'):
        FixedMicrophones(Table({}), 'map', flat, 'map').positions(T0, 3)


def test_another_number_of_channels_is_refused() -> None:
    """Frames and channels cannot be told apart then."""
    microphones = FrameMicrophones(Table({'a': at(0, 0, 0)}), 'map', ('a',))
    with pytest.raises(ValueError, match='2 channels, but 1'):
        microphones.positions(T0, 2)


class PublishedPoses:
    """A PoseArrayMicrophones, and its publisher."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=33)
        self._node = Node('test', context=self._context)
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        self.microphones = PoseArrayMicrophones(
            self._node, Table({'base': (np.array([1.0, 0, 0]), np.array([0, 0, HALF, HALF]))}),
            'map', lambda: 1.0)
        self._publisher = LocalPublisher(executor, self._node, PoseArray, 'microphones')

    def publish(self, positions: Positions, stamp_ns: int = 0, frame_id: str = 'map') -> None:
        """Publish positions, one (x, y, z) a channel."""
        message = PoseArray(poses=[Pose(position=Point(x=x, y=y, z=z)) for x, y, z in positions])
        message.header.frame_id = frame_id
        set_stamp(message.header.stamp, stamp_ns)
        self._publisher.publish(message)

    def close(self) -> None:
        """Free everything."""
        self._node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def poses() -> Iterator[PublishedPoses]:
    """Make a PoseArrayMicrophones and its publisher."""
    poses = PublishedPoses()
    yield poses
    poses.close()


def test_poses_without_a_stamp_count_for_all_times(poses: PublishedPoses) -> None:
    """They are read once, and NaN among them is a microphone that is missing."""
    microphones = poses.microphones
    assert 'no PoseArray' in microphones.positions(T0, 2).missing['microphones']
    poses.publish([(1.0, 2.0, 3.0), (float('nan'), 0.0, 0.0)])
    found = microphones.positions(T0, 2)
    np.testing.assert_array_equal(found.positions, [[1, 2, 3], [np.nan] * 3])
    assert list(found.missing) == ['microphone 1']
    with pytest.raises(ValueError, match='3 channels, but the PoseArray holds 2'):
        microphones.positions(T0, 3)


def test_stamped_poses_count_from_their_stamp_until_they_are_stale(poses: PublishedPoses) -> None:
    """The newest array that is not newer than the audio stands; too old is not known."""
    microphones = poses.microphones
    poses.publish([(1.0, 0.0, 0.0), (0.0, 0.0, 0.0)], T0)
    poses.publish([(2.0, 0.0, 0.0), (0.0, 0.0, 0.0)], T0 + NS // 2)
    assert microphones.positions(T0 + NS // 4, 2).positions[0, 0] == 1
    assert microphones.positions(T0 + NS // 2, 2).positions[0, 0] == 2
    assert microphones.positions(T0 + NS, 2).positions[0, 0] == 2
    stale = microphones.positions(T0 + 2 * NS, 2)
    assert np.isnan(stale.positions).all() and '1.50 s old' in stale.missing['microphones']
    assert np.isnan(microphones.positions(T0 - 1, 2).positions).all()


def test_poses_in_another_frame_are_transformed(poses: PublishedPoses) -> None:
    """A robot's own microphones ride in its base frame."""
    microphones = poses.microphones
    poses.publish([(1.0, 0.0, 0.5), (0.0, 2.0, 0.5)], frame_id='base')
    found = microphones.positions(T0, 2)
    np.testing.assert_allclose(found.positions, [[1, 1, 0.5], [-1, 0, 0.5]], atol=1e-12)
    poses.publish([(1.0, 0.0, 0.5), (0.0, 2.0, 0.5)], frame_id='nowhere')
    assert 'nowhere' in microphones.positions(T0, 2).missing
