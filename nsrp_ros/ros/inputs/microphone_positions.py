"""
Microphone positions at the time of the audio: from TF frames, a topic of poses, or fixed.

All sources have `positions(stamp_ns, n_channels)`, which returns positions in frame_id without
waiting. A microphone whose position is not known at that time is NaN, with a reason. Those whose
position may still arrive are listed as late: the window then waits in the queue.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
import threading

from geometry_msgs.msg import PoseArray
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.pipeline.screening import MicrophonePositions
from nsrp_ros.ros.conversions import pose_array_positions
from nsrp_ros.ros.inputs.transforms import LookupFailure
from nsrp_ros.ros.inputs.transforms import rotate
from nsrp_ros.ros.inputs.transforms import TransformListener
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
from rclpy.node import Node


class FrameMicrophones:
    """
    A TF frame for each channel.

    Parameters
    ----------
    listener : TransformListener
        See transforms.py.
    frame_id : str
        The frame that positions are returned in.
    frames : sequence of str
        A frame for each channel; empty where there is a prefix.
    prefix : str
        Channel k has the frame <prefix>k.

    """

    def __init__(self, listener: TransformListener, frame_id: str, frames: Sequence[str] = (),
                 prefix: str = '') -> None:
        self._listener = listener
        self._frame_id = frame_id
        self._frames = frames
        self._prefix = prefix

    def positions(self, stamp_ns: int, n_channels: int) -> MicrophonePositions:
        """
        Look up every frame at the time of the audio.

        Transforms and audio arrive independently, so a missing frame may only be late.

        Raises
        ------
        ValueError
            If the audio has another number of channels than there are frames.

        """
        frames = self._frames or [f'{self._prefix}{k}' for k in range(n_channels)]
        if n_channels != len(frames):
            raise ValueError(f'the audio has {n_channels} channels, but {len(frames)} '
                             'microphone_frames are configured')
        found = np.full((n_channels, 3), np.nan)
        missing = {}
        for k, frame in enumerate(frames):
            try:
                found[k] = self._listener.lookup(self._frame_id, frame, stamp_ns)[0]
            except LookupFailure as failure:
                missing[frame] = str(failure)
        return MicrophonePositions(found, missing, frozenset(missing))


class PoseArrayMicrophones:
    """
    A pose for each channel, from a geometry_msgs/PoseArray topic.

    A stamped array is valid from its stamp until that of the next one; an array without a stamp is
    valid at all times. A pose that is not finite is that of a missing microphone.

    Parameters
    ----------
    node : rclpy.node.Node
        Has the subscription to the topic `microphones`.
    listener : TransformListener
        Used where the array is in another frame.
    frame_id : str
        The frame that positions are returned in.
    pose_timeout : callable
        Returns the age in seconds above which a stamped array is stale; 0 means never.

    """

    def __init__(self, node: Node, listener: TransformListener, frame_id: str,
                 pose_timeout: Callable[[], float]) -> None:
        self._listener = listener
        self._frame_id = frame_id
        self._pose_timeout = pose_timeout
        self._lock = threading.Lock()
        self._history: deque[PoseArray] = deque(maxlen=1000)
        self.subscription = node.create_subscription(PoseArray, 'microphones', self._on_poses, 10)

    def _on_poses(self, message: PoseArray) -> None:
        with self._lock:
            stamp_ns = stamp_to_ns(message.header.stamp)
            if self._history and stamp_ns < stamp_to_ns(self._history[-1].header.stamp):
                self._history.clear()  # the clock was set back
            self._history.append(message)

    def _array_at(self, stamp_ns: int) -> PoseArray | None:
        with self._lock:
            for message in reversed(self._history):
                if stamp_to_ns(message.header.stamp) <= stamp_ns:
                    return message
        return None

    def positions(self, stamp_ns: int, n_channels: int) -> MicrophonePositions:
        """
        Return the positions of the newest array that is not newer than the audio.

        Raises
        ------
        ValueError
            If the array has another number of poses than the audio has channels.

        """
        message = self._array_at(stamp_ns)
        if message is None:
            return self._unknown(n_channels, 'microphones',
                                 'no PoseArray from before that time has arrived')
        sent_ns = stamp_to_ns(message.header.stamp)
        age, limit = (stamp_ns - sent_ns) / NS, self._pose_timeout()
        if sent_ns and limit and age > limit:
            return self._unknown(n_channels, 'microphones',
                                 f'the newest PoseArray is {age:.2f} s old')
        positions = pose_array_positions(message)
        if len(positions) != n_channels:
            raise ValueError(f'the audio has {n_channels} channels, but the PoseArray holds '
                             f'{len(positions)} poses')
        frame = message.header.frame_id or self._frame_id
        if frame != self._frame_id:
            try:
                positions = transformed(self._listener, self._frame_id, frame, stamp_ns,
                                        positions)
            except LookupFailure as failure:
                return self._unknown(n_channels, frame, str(failure))
        absent = np.flatnonzero(np.isnan(positions[:, 0]))
        return MicrophonePositions(positions, {
            f'microphone {k}': 'its pose is not finite' for k in absent})

    @staticmethod
    def _unknown(n_channels: int, name: str, why: str) -> MicrophonePositions:
        return MicrophonePositions(np.full((n_channels, 3), np.nan), {name: why},
                                   frozenset([name]))


class FixedMicrophones:
    """
    Constant positions in a frame that may itself move, such as a robot's base.

    Parameters
    ----------
    listener : TransformListener
        Used where that frame is not frame_id.
    frame_id : str
        The frame that positions are returned in.
    positions : array_like
        Shape (M, 3), metres in `frame`.
    frame : str
        The frame that they are given in.

    """

    def __init__(self, listener: TransformListener, frame_id: str, positions: ArrayLike,
                 frame: str) -> None:
        self._listener = listener
        self._frame_id = frame_id
        self._positions = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
        self._frame = frame

    def positions(self, stamp_ns: int, n_channels: int) -> MicrophonePositions:
        """
        Return the positions, transformed by their frame's pose at the time of the audio.

        Raises
        ------
        ValueError
            If the audio has another number of channels than there are positions.

        """
        if n_channels != len(self._positions):
            raise ValueError(f'the audio has {n_channels} channels, but {len(self._positions)} '
                             'microphone_positions are configured')
        if self._frame == self._frame_id:
            return MicrophonePositions(self._positions)
        try:
            return MicrophonePositions(transformed(
                self._listener, self._frame_id, self._frame, stamp_ns, self._positions))
        except LookupFailure as failure:
            return MicrophonePositions(np.full((n_channels, 3), np.nan),
                                       {self._frame: str(failure)}, frozenset([self._frame]))


def transformed(listener: TransformListener, frame_id: str, frame: str, stamp_ns: int,
                positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transform positions (M, 3) from a frame to frame_id, as the two were at a time."""
    translation, quaternion = listener.lookup(frame_id, frame, stamp_ns)
    return rotate(quaternion, positions) + translation
