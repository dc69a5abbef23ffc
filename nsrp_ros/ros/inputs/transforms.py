"""
Transforms at a moment of time: tf2_ros where it is installed, pytransform3d where it is not.

Both stand behind one small interface, which the node and the tests use alike:

    listener = make_listener(node)
    translation, quaternion = listener.lookup('map', 'mic_0', stamp_ns)

A quaternion is (x, y, z, w), as geometry_msgs/Quaternion is.
"""

from collections import deque
import threading

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile

try:
    import tf2_ros
except ImportError:  # a machine with the PyPI wheels only
    tf2_ros = None
try:
    from tf_transformations import quaternion_matrix
except ImportError:
    quaternion_matrix = None

CACHE_SECONDS = 10.0
"""How much of the past is kept, as in tf2."""


class LookupFailure(LookupError):
    """A transform is not there for that time; the text says which and why."""


def rotate(quaternion, points):
    """
    Turn points by a unit quaternion.

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
    return np.asarray(points) @ matrix.T


def make_listener(node):
    """Listen to /tf and /tf_static with tf2_ros if this machine has it."""
    return Tf2Listener(node) if tf2_ros is not None else WheelListener(node)


class Tf2Listener:
    """tf2_ros behind this module's interface."""

    def __init__(self, node):
        from rclpy.duration import Duration
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=CACHE_SECONDS))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def close(self):
        """Listen no more."""
        self._listener.unregister()

    def lookup(self, target_frame, source_frame, stamp_ns):
        """Return the source frame's translation and quaternion in the target frame."""
        from rclpy.time import Time
        try:
            found = self._buffer.lookup_transform(
                target_frame, source_frame, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise LookupFailure(str(error)) from error
        t, r = found.transform.translation, found.transform.rotation
        return np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w])


class WheelListener:
    """
    The equivalent of tf2_ros on pytransform3d, for machines without it.

    It follows tf2's rules: static transforms hold for ever; moving ones are interpolated
    between two stamps and never extrapolated, so a frame that is no longer published goes stale
    at once.
    """

    def __init__(self, node):
        from tf2_msgs.msg import TFMessage
        self._lock = threading.Lock()
        self._static = {}  # child: (parent, transform to it)
        self._moving = {}  # child: deque of (stamp_ns, parent, pq), ordered by stamp
        self._node = node
        self._subscriptions = [
            node.create_subscription(TFMessage, '/tf', self._on_moving, 100),
            node.create_subscription(
                TFMessage, '/tf_static', self._on_static,
                QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))]

    def close(self):
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_static(self, message):
        with self._lock:
            for child, parent, _, pq in _transforms(message):
                self._static[child] = (parent, _matrix(pq))

    def _on_moving(self, message):
        with self._lock:
            for child, parent, stamp_ns, pq in _transforms(message):
                history = self._moving.setdefault(child, deque())
                if history and stamp_ns < history[-1][0] - CACHE_SECONDS * NS:
                    history.clear()  # the clock was set back, or a bag started again
                if history and stamp_ns <= history[-1][0]:
                    continue  # late or repeated: what is known already stands
                history.append((stamp_ns, parent, pq))
                while history[0][0] < stamp_ns - CACHE_SECONDS * NS:
                    history.popleft()

    def lookup(self, target_frame, source_frame, stamp_ns):
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
        return transform[:3, 3], np.array([x, y, z, w])

    def _ancestors(self, frame, stamp_ns):
        """Return transforms (4, 4) from a frame to itself and to all above it, nearest first."""
        above, transform = {}, np.eye(4)
        while frame not in above:
            above[frame] = transform
            if frame in self._moving:
                parent, pq = _at(self._moving[frame], frame, stamp_ns)
                upwards = _matrix(pq)
            elif frame in self._static:
                parent, upwards = self._static[frame]
            else:
                break
            frame, transform = parent, upwards @ transform
        return above


def _transforms(message):
    """Iterate over a TFMessage: child, parent, stamp_ns and (x, y, z, qw, qx, qy, qz)."""
    for item in message.transforms:
        t, r = item.transform.translation, item.transform.rotation
        pq = np.array([t.x, t.y, t.z, r.w, r.x, r.y, r.z])
        # tf2 ignores such transforms too: what is not a rotation must not move a microphone.
        if np.isfinite(pq).all() and abs(np.linalg.norm(pq[3:]) - 1) < 1e-2:
            yield (item.child_frame_id, item.header.frame_id, stamp_to_ns(item.header.stamp), pq)


def _matrix(pq):
    from pytransform3d.transformations import transform_from_pq
    return transform_from_pq(pq)


def _at(history, frame, stamp_ns):
    """Interpolate a moving frame between the two transforms around a time."""
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
