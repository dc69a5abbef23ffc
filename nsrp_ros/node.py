"""
The localizer node: audio and microphone positions in, a pose and a likelihood map out.

    audio callback  -> decode -> WindowBuffer -> bounded queue
    worker thread   -> positions at the audio's time -> Localizer.locate -> publish

A window that cannot be trusted is skipped, with its reason counted; no pose is ever made up.
"""

import threading

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros import parameters
from nsrp_ros.core.localizer import Localizer
from nsrp_ros.core.weights import WeightsError
from nsrp_ros.core.window import Discontinuity
from nsrp_ros.core.window import level_db
from nsrp_ros.core.window import WindowBuffer
from nsrp_ros.messages import AudioError
from nsrp_ros.messages import check_audio_info
from nsrp_ros.messages import grid_message
from nsrp_ros.messages import pose_message
from nsrp_ros.messages import samples_from_bytes
from nsrp_ros.messages import stamp_to_ns
from nsrp_ros.microphones import FrameMicrophones
from nsrp_ros.microphones import PoseArrayMicrophones
from nsrp_ros.process import run_node
from nsrp_ros.status import Status
from nsrp_ros.transforms import make_listener
from nsrp_ros.worker import Worker
import numpy as np
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Skip(Exception):
    """
    A window that must not be located.

    Parameters
    ----------
    reason : str
        A short name to count under.
    sentence : str
        What happened, for people.

    """

    def __init__(self, reason, sentence):
        super().__init__(sentence)
        self.reason = reason


class LocalizerNode(Node):
    """See the module's docstring; the parameters are described in parameters.py."""

    def __init__(self, **kwargs):
        # Before all else: a node that cannot be made is destroyed, too.
        self._stopping = threading.Event()
        self._worker = None
        super().__init__('localizer', **kwargs)
        self.config = parameters.declare(self)
        config = self.config
        self._localizer = self._load(config)
        self._status = Status(self, config.method)
        self._buffer = WindowBuffer(config.window)
        self._info = None

        listener = make_listener(self)
        if config.microphone_source == 'tf':
            self._microphones = FrameMicrophones(
                listener, config.frame_id, config.microphone_frames)
        else:
            self._microphones = PoseArrayMicrophones(
                self, listener, config.frame_id, lambda: self.config.pose_timeout)

        self._pose_publisher = self.create_publisher(PoseStamped, 'source_pose', 10)
        self._grid_publisher = self.create_publisher(OccupancyGrid, 'likelihood', LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._worker = Worker(self._process, config.queue_size)

        # Some drivers latch AudioInfo and some do not: a latched subscription alone would not
        # match the second kind, a plain one alone would miss what the first kind said before.
        self.create_subscription(AudioInfo, 'audio_info', self._on_info, 1)
        self.create_subscription(
            AudioInfo, 'audio_info', self._on_info, LATCHED,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None))
        self.create_subscription(
            AudioDataStamped, 'audio', self._on_audio, 200,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self.create_timer(1.0, lambda: self._diagnostics.publish(self._status.message()))
        self.add_on_set_parameters_callback(self._on_parameters)
        self.get_logger().info(
            f'locating with {config.method} in a room of '
            f'{" x ".join(f"{d:g}" for d in config.room_dims)} m in frame {config.frame_id!r}')

    @staticmethod
    def _load(config):
        if config.threads:
            import torch
            torch.set_num_threads(config.threads)
        localizer = Localizer.load(config.method, config.device)
        # The first call pays for what libraries set up lazily: let no talker wait for it.
        still = np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
        try:
            localizer.locate(still, 16000, [[1, 1, 1], [2, 2, 1]], (5, 5, 3))
        except ValueError:
            pass  # a network for a fixed number of microphones
        return localizer

    def _on_parameters(self, changes):
        self.config, result = parameters.updated(self.config, changes)
        return result

    def _on_info(self, info):
        if info != self._info:
            self._info = info
            self._buffer.reset()  # what was buffered was understood differently

    def _on_audio(self, message):
        """Decode a chunk and queue the windows that it completes; nothing slow happens here."""
        self._status.heard()
        try:
            if self._info is None:
                raise AudioError('no audio_info', 'audio arrives, but no AudioInfo says what it '
                                 'is (topic audio_info)')
            config = self.config
            check_audio_info(self._info, len(config.microphone_frames)
                             if config.microphone_source == 'tf' else 0)
            samples = samples_from_bytes(
                message.audio.data, self._info.sample_format, self._info.channels)
        except AudioError as error:
            self._buffer.reset()  # the samples around a lost chunk do not belong together
            self._status.skip(error.reason, str(error))
            return
        stamp_ns = stamp_to_ns(message.header.stamp)
        for item in self._buffer.push(samples, stamp_ns, self._info.sample_rate):
            if isinstance(item, Discontinuity):
                self._status.skip(item.kind, f'{item.kind} of {item.seconds:+.3f} s in the audio; '
                                  'what was buffered before it is dropped')
            elif self._worker.put(item) is not None:
                self._status.skip('queue full', 'the localizer is slower than the audio; the '
                                  'oldest window is dropped')

    def _process(self, window):
        """Locate one window and publish, or count why not; runs in the worker's thread."""
        try:
            estimate = self._locate(window)
        except Skip as skip:
            self._status.skip(skip.reason, str(skip))
            return
        except Exception as error:  # noqa: B902  whatever it is, the next window may be well
            self._status.skip('error', f'{type(error).__name__}: {error}')
            return
        if self._stopping.is_set():
            return
        config = self.config
        where = (window.stamp_ns, config.frame_id, config.room_origin)
        self._grid_publisher.publish(
            grid_message(estimate, *where, config.room_dims, config.map_resolution))
        if estimate.confidence >= config.min_confidence:
            self._pose_publisher.publish(pose_message(estimate, *where))
        else:
            self._status.skip('low confidence', f'a confidence of {estimate.confidence:.2f} is '
                              'below min_confidence: the map is published without a pose')
        latency = (self.get_clock().now().nanoseconds - window.stamp_ns) * 1e-9
        self._status.located(estimate.confidence, latency)

    def _locate(self, window):
        config = self.config
        signals = window.signals
        finite = np.isfinite(signals).all(axis=1)
        if not finite.all():
            raise Skip('NaN', 'NaN or infinity in channels '
                       f'{np.flatnonzero(~finite).tolist()}')
        level = level_db(signals)
        if level.max() < config.silence_threshold_db:
            raise Skip('silence', f'the loudest channel is at {level.max():.0f} dB full scale')
        try:
            found = self._microphones.positions(
                window.stamp_ns, len(signals), config.transform_timeout, self._stopping.is_set)
        except ValueError as error:
            raise Skip('channel count', str(error)) from error
        positions = found.positions - np.asarray(config.room_origin)
        # A channel that is constant to the last bit is a dead microphone, not a quiet one.
        usable = np.isfinite(positions).all(axis=1) & np.isfinite(level)
        self._status.microphones(int(usable.sum()), len(usable), found.missing)
        if usable.sum() < config.min_microphones:
            why = '; '.join(found.missing.values()) or 'channels are constant'
            raise Skip('too few microphones', f'{usable.sum()} of {len(usable)} microphones are '
                       f'usable, {config.min_microphones} are needed: {why}')
        try:
            return self._localizer.locate(
                signals[usable], window.sample_rate, positions[usable], config.room_dims)
        except ValueError as error:
            raise Skip('scene', str(error)) from error

    def destroy_node(self):
        """Stop the worker before what it publishes to goes away."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()
        super().destroy_node()


def main(args=None):
    """Run the localizer until it is interrupted; exit with 1 where it cannot start."""
    run_node('localizer', LocalizerNode, (ValueError, WeightsError), args=args)


if __name__ == '__main__':
    main()
