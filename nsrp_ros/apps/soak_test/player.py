"""
The player of a soak test: it publishes audio at any speed, with faults, and records the answers.

One node publishes and receives, so that the same clock times both. The stamps advance with the
audio: at ten times real time, ten times as fast as the wall clock.
"""

import array
import time
from typing import Any

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.apps.soak_test.ledger import FAULTS
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.simulated_room_node import frames_message
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
from nsrp_ros.simulation.live_scene import Scene
import numpy as np
from rclpy.clock import Clock
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

BURST = 16
"""Largest number of chunks that are published before messages are received again."""
FRAMES_EVERY = 0.1
"""Seconds of audio between two publications of the microphones' frames, at least a chunk."""


class Player(Node):
    """
    Plays to a localizer, and records its answers.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (T, M), full scale being 1; played in a loop.
    scene : nsrp_ros.simulation.live_scene.Scene
        Its microphones' positions are published.
    ledger : nsrp_ros.apps.soak_test.ledger.Ledger
        Gets every chunk and every answer.
    speed : float
        Multiple of real time.
    seconds : float
        Duration of the audio.
    fault_every : float
        Seconds of audio between two faults; 0 for none.
    chunk : int
        Samples of a message.

    """

    def __init__(self, signals: np.ndarray, scene: Scene, ledger: Ledger, speed: float,
                 seconds: float, fault_every: float, chunk: int, **kwargs: Any) -> None:
        super().__init__('player', **kwargs)
        self._signals, self._ledger, self._speed = signals, ledger, speed
        self._chunk = chunk
        self._n_chunks = int(seconds * SAMPLE_RATE) // chunk
        self._fault_every = round(fault_every * SAMPLE_RATE / chunk)
        self._frames_every = max(1, round(FRAMES_EVERY * SAMPLE_RATE / chunk))
        self._mics = {f'mic_{k}': p for k, p in enumerate(scene.mic_positions)}
        self._began: float | None = None  # when the first chunk was due, by the monotonic clock
        self._start_ns = 0
        self._n_played = 0  # chunks
        # By the node's name: the latest values of its diagnostics.
        self.diagnostics: dict[str, dict[str, int | str]] = {}
        self.first_pose_time: float | None = None
        self.n_tracks = 0
        self._audio = self.create_publisher(AudioDataStamped, 'audio', 500)
        self._info = self.create_publisher(AudioInfo, 'audio_info', LATCHED)
        self._tf = self.create_publisher(TFMessage, '/tf', 100)
        n_mics = signals.shape[1]
        self._info.publish(AudioInfo(
            channels=n_mics, sample_rate=SAMPLE_RATE, sample_format='S16LE',
            bitrate=SAMPLE_RATE * 16 * n_mics, coding_format='wave'))
        self.create_subscription(PoseStamped, 'source_pose', self._on_pose, 100)
        self.create_subscription(OccupancyGrid, 'likelihood', self._on_grid, 100)
        self.create_subscription(PointCloud2, 'talker_tracks', self._on_tracks, 100)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)
        self.create_timer(0.005, self._play, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def connected(self) -> bool:
        """Return whether a localizer is connected to the audio and by its outputs."""
        return bool(self._audio.get_subscription_count() and self._tf.get_subscription_count()
                    and self.count_publishers('source_pose')
                    and self.count_publishers('likelihood'))

    @property
    def seconds(self) -> float:
        """Return how many seconds of audio have been played."""
        return self._n_played * self._chunk / SAMPLE_RATE

    @property
    def finished(self) -> bool:
        """Return whether all audio has been played."""
        return self._n_played >= self._n_chunks

    def begin(self) -> None:
        """Start to play."""
        self._start_ns = self.get_clock().now().nanoseconds
        self._began = time.monotonic()

    def _play(self) -> None:
        """Publish every chunk whose last sample is in the past."""
        if self._began is None:
            return
        elapsed = (time.monotonic() - self._began) * self._speed * SAMPLE_RATE
        for _ in range(BURST):
            if self.finished or (self._n_played + 1) * self._chunk > elapsed:
                return
            self._play_chunk(self._n_played)
            self._n_played += 1

    def _play_chunk(self, k: int) -> None:
        size = self._chunk
        first = k * size
        stamp_ns = self._start_ns + first * NS // SAMPLE_RATE
        if k % self._frames_every == 0:
            # Stamped ahead, up to the next publication: transforms are not extrapolated.
            ahead = self._frames_every * size
            self._tf.publish(frames_message(
                self._mics, 'map', stamp_ns + ahead * NS // SAMPLE_RATE))
        fault = self._fault(k)
        chunk = np.take(self._signals, np.arange(first, first + size), axis=0, mode='wrap')
        message = AudioDataStamped()
        set_stamp(message.header.stamp, stamp_ns)
        message.audio.data = bytes_from_samples(chunk)
        ledger = self._ledger
        if fault in ('lost', 'truncated'):
            ledger.end_run()
        if fault == 'truncated':
            message.audio.data = array.array('B', message.audio.data[:-1])
        if fault != 'lost':
            published = time.monotonic()
            self._audio.publish(message)
            if fault != 'truncated':
                ledger.add_chunk(stamp_ns, first, size, published)
        if fault == 'repeated':
            ledger.end_run()
            published = time.monotonic()
            self._audio.publish(message)
            ledger.add_chunk(stamp_ns, first, size, published)
        if fault:
            ledger.faults[fault] += 1

    def _fault(self, k: int) -> str | None:
        """Return the fault of the k-th chunk, the kinds in turns; None for most chunks."""
        # The first and the last chunk have none: a gap there would not be a discontinuity.
        if not self._fault_every or k in (0, self._n_chunks - 1) or (
                k % self._fault_every != self._fault_every // 2):
            return None
        return list(FAULTS)[k // self._fault_every % len(FAULTS)]

    def _on_pose(self, message: PoseStamped) -> None:
        now, p = time.monotonic(), message.pose.position
        if self.first_pose_time is None:
            self.first_pose_time = now
        self._ledger.add_pose(stamp_to_ns(message.header.stamp), now, np.array([p.x, p.y]))

    def _on_grid(self, message: OccupancyGrid) -> None:
        self._ledger.add_map(stamp_to_ns(message.header.stamp), time.monotonic())

    def _on_tracks(self, message: PointCloud2) -> None:
        self.n_tracks += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node = status.name.split(':')[0]
            if not node.startswith(self.get_namespace()):
                continue
            self.diagnostics[node.rsplit('/', 1)[-1]] = {
                v.key: int(v.value) if v.value.isdigit() else v.value for v in status.values}

    def settled(self, name: str) -> bool:
        """Return whether a node's latest diagnostics account for every window."""
        windows, located, not_located = (
            int(self.diagnostics.get(name, {}).get(key, missing)) for key, missing in (
                ('windows', -1), ('located', 0), ('not located', 0)))
        return windows == located + not_located and windows >= len(self._ledger.windows)
