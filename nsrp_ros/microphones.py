"""
Where the microphones were when the audio was heard: TF frames, or a topic of poses.

Both sources answer the same question, `positions(stamp_ns, n_channels, timeout)`, in the room's
frame_id; a microphone that is not known at that time is NaN, with the reason beside it.
"""

from collections import deque
from dataclasses import dataclass
import threading
import time

from geometry_msgs.msg import PoseArray
from nsrp_ros.core.window import NS
from nsrp_ros.messages import pose_array_positions
from nsrp_ros.messages import stamp_to_ns
from nsrp_ros.transforms import LookupFailure
from nsrp_ros.transforms import rotate
import numpy as np

POLL = 0.005
"""Seconds between two looks for a transform that is still under way."""


@dataclass(frozen=True)
class MicrophonePositions:
    """
    Positions at one moment.

    Attributes
    ----------
    positions : numpy.ndarray
        Shape (M, 3), metres in frame_id; NaN where a microphone is not known.
    missing : dict
        Why, for each microphone that is not known: name to sentence.

    """

    positions: np.ndarray
    missing: dict


class FrameMicrophones:
    """
    One TF frame a channel.

    Parameters
    ----------
    listener : Tf2Listener or WheelListener
        See transforms.py.
    frame_id : str
        The frame that positions are wanted in.
    frames : sequence of str
        A frame for each channel.

    """

    def __init__(self, listener, frame_id, frames):
        self._listener = listener
        self._frame_id = frame_id
        self._frames = frames
        self._missing_before = set()

    def positions(self, stamp_ns, n_channels, timeout, stopped=lambda: False):
        """
        Look every frame up at the audio's own time.

        Transforms and audio travel apart, so one may be a little late: it is waited for up to
        `timeout` seconds, unless it was already missing at the window before, since a microphone
        that has left must not slow down the others.

        Raises
        ------
        ValueError
            If the audio has another number of channels than there are frames.

        """
        if n_channels != len(self._frames):
            raise ValueError(f'the audio has {n_channels} channels, but {len(self._frames)} '
                             'microphone_frames are configured')
        deadline = time.monotonic() + timeout
        found = np.full((n_channels, 3), np.nan)
        missing = {}
        for k, frame in enumerate(self._frames):
            while True:
                try:
                    found[k] = self._listener.lookup(self._frame_id, frame, stamp_ns)[0]
                    break
                except LookupFailure as failure:
                    late = time.monotonic() >= deadline
                    if late or frame in self._missing_before or stopped():
                        missing[frame] = str(failure)
                        break
                    time.sleep(POLL)
        self._missing_before = set(missing)
        return MicrophonePositions(found, missing)


class PoseArrayMicrophones:
    """
    One pose a channel, from a geometry_msgs/PoseArray topic.

    A stamped array counts from its stamp until a newer one takes over; an array without a stamp
    counts at once and for all times. A pose that is not finite is a microphone that is missing.

    Parameters
    ----------
    node : rclpy.node.Node
        Subscribes to the topic `microphones`.
    listener : Tf2Listener or WheelListener
        Used where the array comes in another frame.
    frame_id : str
        The frame that positions are wanted in.
    pose_timeout : callable
        Returns the age in seconds from which on a stamped array is stale; 0 means never.

    """

    def __init__(self, node, listener, frame_id, pose_timeout):
        self._listener = listener
        self._frame_id = frame_id
        self._pose_timeout = pose_timeout
        self._lock = threading.Lock()
        self._history = deque(maxlen=1000)
        node.create_subscription(PoseArray, 'microphones', self._on_poses, 10)

    def _on_poses(self, message):
        with self._lock:
            stamp_ns = stamp_to_ns(message.header.stamp)
            if self._history and stamp_ns < stamp_to_ns(self._history[-1].header.stamp):
                self._history.clear()  # the clock was set back: the past is another one
            self._history.append(message)

    def _at(self, stamp_ns):
        with self._lock:
            for message in reversed(self._history):
                if stamp_to_ns(message.header.stamp) <= stamp_ns:
                    return message
        return None

    def positions(self, stamp_ns, n_channels, timeout, stopped=lambda: False):
        """
        Take the newest array that is not newer than the audio.

        Raises
        ------
        ValueError
            If the array has another number of poses than the audio has channels.

        """
        unknown = np.full((n_channels, 3), np.nan)
        deadline = time.monotonic() + timeout
        while (message := self._at(stamp_ns)) is None:
            if time.monotonic() >= deadline or stopped():
                return MicrophonePositions(unknown, {
                    'microphones': 'no PoseArray from before that time has arrived'})
            time.sleep(POLL)
        sent_ns = stamp_to_ns(message.header.stamp)
        age, limit = (stamp_ns - sent_ns) / NS, self._pose_timeout()
        if sent_ns and limit and age > limit:
            return MicrophonePositions(unknown, {
                'microphones': f'the newest PoseArray is {age:.2f} s old'})
        positions = pose_array_positions(message)
        if len(positions) != n_channels:
            raise ValueError(f'the audio has {n_channels} channels, but the PoseArray holds '
                             f'{len(positions)} poses')
        frame = message.header.frame_id or self._frame_id
        if frame != self._frame_id:
            try:
                translation, quaternion = self._listener.lookup(self._frame_id, frame, stamp_ns)
            except LookupFailure as failure:
                return MicrophonePositions(unknown, {frame: str(failure)})
            positions = rotate(quaternion, positions) + translation
        gone = np.flatnonzero(np.isnan(positions[:, 0]))
        return MicrophonePositions(positions, {
            f'microphone {k}': 'its pose is not finite' for k in gone})
