"""
Where the microphones were when the audio was heard: TF frames, a topic of poses, or fixed.

All sources answer the same question, `positions(stamp_ns, n_channels)`, in the room's frame_id,
at once; a microphone that is not known at that time is NaN, with the reason beside it. What may
still be under way is said to be late: the window then waits in its queue, nobody in a call.
"""

from collections import deque
from dataclasses import dataclass
from dataclasses import field
import threading

from geometry_msgs.msg import PoseArray
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.conversions import pose_array_positions
from nsrp_ros.ros.inputs.transforms import LookupFailure
from nsrp_ros.ros.inputs.transforms import rotate
import numpy as np


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
    late : frozenset of str
        Names of those among them that may only not have arrived yet.

    """

    positions: np.ndarray
    missing: dict = field(default_factory=dict)
    late: frozenset = frozenset()


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
        A frame for each channel; empty where there is a prefix.
    prefix : str
        Channel k has the frame <prefix>k.

    """

    def __init__(self, listener, frame_id, frames=(), prefix=''):
        self._listener = listener
        self._frame_id = frame_id
        self._frames = frames
        self._prefix = prefix

    def positions(self, stamp_ns, n_channels):
        """
        Look every frame up at the audio's own time.

        Transforms and audio travel apart, so one that is missing may only be late.

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
        self.subscription = node.create_subscription(PoseArray, 'microphones', self._on_poses, 10)

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

    def positions(self, stamp_ns, n_channels):
        """
        Take the newest array that is not newer than the audio.

        Raises
        ------
        ValueError
            If the array has another number of poses than the audio has channels.

        """
        message = self._at(stamp_ns)
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
                positions = moved(self._listener, self._frame_id, frame, stamp_ns, positions)
            except LookupFailure as failure:
                return self._unknown(n_channels, frame, str(failure))
        gone = np.flatnonzero(np.isnan(positions[:, 0]))
        return MicrophonePositions(positions, {
            f'microphone {k}': 'its pose is not finite' for k in gone})

    def _unknown(self, n_channels, name, why):
        return MicrophonePositions(np.full((n_channels, 3), np.nan), {name: why},
                                   frozenset([name]))


class FixedMicrophones:
    """
    Positions that never change in some frame, which may itself move, as a robot's base does.

    Parameters
    ----------
    listener : Tf2Listener or WheelListener
        Used where that frame is another one than frame_id.
    frame_id : str
        The frame that positions are wanted in.
    positions : array_like
        Shape (M, 3), metres in `frame`.
    frame : str
        The frame that they are given in.

    """

    def __init__(self, listener, frame_id, positions, frame):
        self._listener = listener
        self._frame_id = frame_id
        self._positions = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
        self._frame = frame

    def positions(self, stamp_ns, n_channels):
        """
        Return the positions, moved to where their frame was at the audio's own time.

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
            return MicrophonePositions(moved(self._listener, self._frame_id, self._frame,
                                             stamp_ns, self._positions))
        except LookupFailure as failure:
            return MicrophonePositions(np.full((n_channels, 3), np.nan),
                                       {self._frame: str(failure)}, frozenset([self._frame]))


def moved(listener, frame_id, frame, stamp_ns, positions):
    """Return positions (M, 3) given in one frame in another, as the two were at a time."""
    translation, quaternion = listener.lookup(frame_id, frame, stamp_ns)
    return rotate(quaternion, positions) + translation
