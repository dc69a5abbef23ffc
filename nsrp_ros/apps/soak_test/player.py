"""
The stage of a long run: a performance played at any speed, spoilt now and then, and watched.

One node plays and hears, so that one clock times both. The stamps advance with the audio: at ten
times real time they do so ten times as fast as the clock on the wall.
"""

import array
import time

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.apps.soak_test.ledger import FAULTS
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
from nsrp_ros.ros.simulated_room_node import frames_message
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
import numpy as np
from rclpy.clock import Clock
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

BURST = 16
"""Chunks that are published before what has arrived meanwhile is taken."""
FRAMES_EVERY = 0.1
"""Seconds of audio between two publications of the microphones' frames, at least a chunk."""


class Stage(Node):
    """
    Play to a localizer, and take down what it says.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (T, M), full scale being 1; played again and again.
    scene : nsrp_ros.simulation.live_scene.Scene
        Where its microphones are.
    ledger : nsrp_ros.apps.soak_test.ledger.Ledger
        Told of everything.
    speed : float
        How much faster than real time it is played.
    seconds : float
        How much of it.
    fault_every : float
        Seconds of audio between two chunks that suffer; 0 for none.
    chunk : int
        Samples that are published together.

    """

    def __init__(self, signals, scene, ledger, speed, seconds, fault_every, chunk, **kwargs):
        super().__init__('stage', **kwargs)
        self._signals, self._ledger, self._speed = signals, ledger, speed
        self._chunk = chunk
        self._n_chunks = int(seconds * SAMPLE_RATE) // chunk
        self._fault_every = round(fault_every * SAMPLE_RATE / chunk)
        self._frames_every = max(1, round(FRAMES_EVERY * SAMPLE_RATE / chunk))
        self._mics = {f'mic_{k}': p for k, p in enumerate(scene.mic_positions)}
        self._began = None  # when the first chunk was due, by a clock that nobody sets
        self._start_ns = 0
        self._n_played = 0  # chunks
        self.diagnostics = {}  # node's name: (how many there were, the last one's values)
        self.first_pose = None  # when it arrived
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
    def connected(self):
        """Return whether a localizer hears the audio and can be heard."""
        return bool(self._audio.get_subscription_count() and self._tf.get_subscription_count()
                    and self.count_publishers('source_pose')
                    and self.count_publishers('likelihood'))

    @property
    def seconds(self):
        """Return how many seconds of audio have been played."""
        return self._n_played * self._chunk / SAMPLE_RATE

    @property
    def finished(self):
        """Return whether all has been played."""
        return self._n_played >= self._n_chunks

    def begin(self):
        """Play from now on."""
        self._start_ns = self.get_clock().now().nanoseconds
        self._began = time.monotonic()

    def _play(self):
        """Publish every chunk whose last sample has been heard by now."""
        if self._began is None:
            return
        heard = (time.monotonic() - self._began) * self._speed * SAMPLE_RATE
        for _ in range(BURST):
            if self.finished or (self._n_played + 1) * self._chunk > heard:
                return
            self._play_chunk(self._n_played)
            self._n_played += 1

    def _play_chunk(self, k):
        size = self._chunk
        first = k * size
        stamp_ns = self._start_ns + first * NS // SAMPLE_RATE
        if k % self._frames_every == 0:
            # They say where microphones are until the next are said; nothing is extrapolated.
            ahead = self._frames_every * size
            self._tf.publish(frames_message(
                self._mics, 'map', stamp_ns + ahead * NS // SAMPLE_RATE))
        suffers = self._fault(k)
        chunk = np.take(self._signals, np.arange(first, first + size), axis=0, mode='wrap')
        message = AudioDataStamped()
        set_stamp(message.header.stamp, stamp_ns)
        message.audio.data = bytes_from_samples(chunk)
        ledger = self._ledger
        if suffers in ('lost', 'truncated'):
            ledger.end_run()
        if suffers == 'truncated':
            message.audio.data = array.array('B', message.audio.data[:-1])
        if suffers != 'lost':
            at = time.monotonic()
            self._audio.publish(message)
            if suffers != 'truncated':
                ledger.play(stamp_ns, first, size, at)
        if suffers == 'repeated':
            ledger.end_run()
            at = time.monotonic()
            self._audio.publish(message)
            ledger.play(stamp_ns, first, size, at)
        if suffers:
            ledger.faults[suffers] += 1

    def _fault(self, k):
        """Return what the k-th chunk suffers, each kind in its turn; None for most."""
        # Nothing at the very ends: there is no seam where nothing was before, or comes after.
        if not self._fault_every or k in (0, self._n_chunks - 1) or (
                k % self._fault_every != self._fault_every // 2):
            return None
        return list(FAULTS)[k // self._fault_every % len(FAULTS)]

    def _on_pose(self, message):
        now, p = time.monotonic(), message.pose.position
        if self.first_pose is None:
            self.first_pose = now
        self._ledger.answer('posed', stamp_to_ns(message.header.stamp), now,
                            np.array([p.x, p.y]))

    def _on_grid(self, message):
        self._ledger.answer('mapped', stamp_to_ns(message.header.stamp), time.monotonic())

    def _on_tracks(self, message):
        self.n_tracks += 1

    def _on_diagnostics(self, message):
        for status in message.status:
            node = status.name.split(':')[0]
            if not node.startswith(self.get_namespace()):
                continue
            n, _ = self.diagnostics.get(node.rsplit('/', 1)[-1], (0, {}))
            self.diagnostics[node.rsplit('/', 1)[-1]] = n + 1, {
                v.key: int(v.value) if v.value.isdigit() else v.value for v in status.values}

    def settled(self, name):
        """Return whether a node's last diagnostics leave no window open."""
        _, values = self.diagnostics.get(name, (0, {}))
        return values.get('windows', -1) == values.get('located', 0) + values.get(
            'not located', 0) and values['windows'] >= len(self._ledger.windows)
