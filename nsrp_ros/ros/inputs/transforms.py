"""
Transforms at a time: by tf2_ros where it is installed, otherwise by pytransform3d.

Both have the same interface, `TransformListener`:

    listener = make_listener(node)
    translation, quaternion = listener.lookup('map', 'mic_0', stamp_ns)

A quaternion is (x, y, z, w), as geometry_msgs/Quaternion is.
"""

from collections import deque
from collections.abc import Iterator
import threading
from typing import Protocol
from typing import TypeAlias

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

try:
    import tf2_ros
except ImportError:  # a machine with the PyPI wheels only
    tf2_ros = None
try:
    from tf_transformations import quaternion_matrix
except ImportError:
    quaternion_matrix = None

History: TypeAlias = deque[tuple[int, str, NDArray[np.float64]]]
CACHE_SECONDS = 10.0
"""Seconds of transforms that are kept, as in tf2."""


class LookupFailure(LookupError):
    """A transform is not known at that time; the text says which and why."""


class TransformListener(Protocol):
    """Receives transforms, and looks them up at a time."""

    def lookup(self, target_frame: str, source_frame: str,
               stamp_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the source frame's translation and quaternion; raises LookupFailure."""

    def close(self) -> None:
        """Destroy the subscriptions."""


def rotate(quaternion: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """
    Rotate points by a unit quaternion.

    Parameters
    ----------
    quaternion : array_like
        Shape (4,), x, y, z, w.
    points : array_like
        Shape (..., 3), metres.

    Returns
    -------
    numpy.ndarray
        Shape (..., 3).

    """
    if quaternion_matrix is not None:
        matrix = quaternion_matrix(quaternion)[:3, :3]
    else:
        from transforms3d.quaternions import quat2mat
        matrix = quat2mat(np.roll(quaternion, 1))  # transforms3d puts w first
    rotated: NDArray[np.float64] = np.asarray(points) @ matrix.T
    return rotated


def make_listener(node: Node) -> TransformListener:
    """Subscribe to /tf and /tf_static, with tf2_ros if it is installed."""
    return Tf2Listener(node) if tf2_ros is not None else Pytransform3dListener(node)


class Tf2Listener:
    """A TransformListener that uses tf2_ros."""

    def __init__(self, node: Node) -> None:
        from rclpy.duration import Duration
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=CACHE_SECONDS))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        """Destroy the subscriptions."""
        self._listener.unregister()

    def lookup(self, target_frame: str, source_frame: str,
               stamp_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the source frame's translation and quaternion in the target frame."""
        from rclpy.time import Time
        try:
            found = self._buffer.lookup_transform(
                target_frame, source_frame, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise LookupFailure(str(error)) from error
        t, r = found.transform.translation, found.transform.rotation
        return np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w])


class Pytransform3dListener:
    """
    A TransformListener that uses pytransform3d, for machines without tf2_ros.

    It follows the rules of tf2: static transforms are valid at all times; dynamic ones are
    interpolated between two stamps and never extrapolated, so a frame that is no longer published
    is unknown at once.
    """

    def __init__(self, node: Node) -> None:
        self._lock = threading.Lock()
        # By child: the parent, and the transform to it.
        self._static: dict[str, tuple[str, NDArray[np.float64]]] = {}
        # By child: stamps, in order, with the parent, and position and quaternion in it.
        self._dynamic: dict[str, History] = {}
        self._node = node
        self._subscriptions = [
            node.create_subscription(TFMessage, '/tf', self._on_dynamic, 100),
            node.create_subscription(
                TFMessage, '/tf_static', self._on_static,
                QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))]

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_static(self, message: TFMessage) -> None:
        with self._lock:
            for child, parent, _, pq in _transforms(message):
                self._static[child] = (parent, _matrix(pq))

    def _on_dynamic(self, message: TFMessage) -> None:
        with self._lock:
            for child, parent, stamp_ns, pq in _transforms(message):
                history = self._dynamic.setdefault(child, deque())
                if history and stamp_ns < history[-1][0] - CACHE_SECONDS * NS:
                    history.clear()  # the clock was set back, or a bag restarted
                if history and stamp_ns <= history[-1][0]:
                    continue  # late or repeated
                history.append((stamp_ns, parent, pq))
                while history[0][0] < stamp_ns - CACHE_SECONDS * NS:
                    history.popleft()

    def lookup(self, target_frame: str, source_frame: str,
               stamp_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the source frame's translation and quaternion in the target frame."""
        from pytransform3d.rotations import quaternion_from_matrix
        with self._lock:
            source, target = (self._ancestors(frame, stamp_ns)
                              for frame in (source_frame, target_frame))
        shared = next((frame for frame in source if frame in target), None)
        if shared is None:
            raise LookupFailure(f'no transform connects {source_frame!r} with {target_frame!r}')
        transform = np.linalg.solve(target[shared], source[shared])
        w, x, y, z = quaternion_from_matrix(transform[:3, :3], strict_check=False)
        return np.asarray(transform[:3, 3], dtype=np.float64), np.array([x, y, z, w])

    def _ancestors(self, frame: str, stamp_ns: int) -> dict[str, NDArray[np.float64]]:
        """Return transforms (4, 4) from a frame to itself and to its ancestors, nearest first."""
        above: dict[str, NDArray[np.float64]] = {}
        transform = np.eye(4)
        while frame not in above:
            above[frame] = transform
            if frame in self._dynamic:
                parent, pq = _interpolated(self._dynamic[frame], frame, stamp_ns)
                upwards = _matrix(pq)
            elif frame in self._static:
                parent, upwards = self._static[frame]
            else:
                break
            frame, transform = parent, upwards @ transform
        return above


def _transforms(message: TFMessage) -> Iterator[tuple[str, str, int, NDArray[np.float64]]]:
    """Iterate over a TFMessage: child, parent, stamp_ns and (x, y, z, qw, qx, qy, qz)."""
    for item in message.transforms:
        t, r = item.transform.translation, item.transform.rotation
        pq = np.array([t.x, t.y, t.z, r.w, r.x, r.y, r.z])
        # tf2 ignores invalid transforms, too.
        if np.isfinite(pq).all() and abs(np.linalg.norm(pq[3:]) - 1) < 1e-2:
            yield (item.child_frame_id, item.header.frame_id, stamp_to_ns(item.header.stamp), pq)


def _matrix(pq: NDArray[np.float64]) -> NDArray[np.float64]:
    from pytransform3d.transformations import transform_from_pq
    return np.asarray(transform_from_pq(pq))


def _interpolated(history: History, frame: str,
                  stamp_ns: int) -> tuple[str, NDArray[np.float64]]:
    """Return a dynamic frame's parent, and its position and quaternion in it at a time."""
    from pytransform3d.transformations import pq_slerp
    if stamp_ns > history[-1][0]:
        late = (stamp_ns - history[-1][0]) / NS
        raise LookupFailure(f'the newest transform of {frame!r} is {late:.3f} s too old')
    if stamp_ns < history[0][0]:
        early = (history[0][0] - stamp_ns) / NS
        raise LookupFailure(f'the oldest transform of {frame!r} is {early:.3f} s too new')
    after = next(k for k, item in enumerate(history) if item[0] >= stamp_ns)
    new_ns, parent, new = history[after]
    old_ns, _, old = history[after - 1] if after else history[after]
    if new_ns == stamp_ns or new_ns == old_ns:
        return parent, new
    return parent, pq_slerp(old, new, (stamp_ns - old_ns) / (new_ns - old_ns))
