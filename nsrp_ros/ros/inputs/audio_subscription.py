"""One device's audio topic: subscribed to so that every publisher is heard, and decoded."""

import threading

from nsrp_ros.audio.rate_check import Pace
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.ros.compat import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

DEPTH = 200
"""Chunks that may wait for this process: seconds of audio, should it be held up."""
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class AudioInput:
    """
    Listen to one topic.

    A reliable subscription hears reliable publishers without a loss and best-effort ones not at
    all. So it begins reliable, and is changed for a best-effort one as soon as DDS tells of a
    publisher that it cannot hear. Who sets qos_overrides for the topic decides for the beginning.

    Parameters
    ----------
    node : rclpy.node.Node
        Subscribes.
    topic : str
        Of the audio; where its messages need an AudioInfo that is on <topic>_info.
    source : sources.Source
        The kind of its messages.
    stamp_marks : str
        'start', 'end' or 'arrival'.
    n_channels : int
        How many channels there should be; 0 if nobody said.
    on_chunk : callable
        Called with each sources.Chunk.
    on_fault : callable
        Called with each samples.AudioError instead.

    """

    def __init__(self, node, topic, source, stamp_marks, n_channels, on_chunk, on_fault):
        self.topic = topic
        self._node = node
        self._source = source
        self._stamp_marks = stamp_marks
        self._n_channels = n_channels
        self._on_chunk = on_chunk
        self._on_fault = on_fault
        self._type, info_type = source.types()
        self._info = None
        self._pace = Pace()
        self._unheard = threading.Event()
        self._infos = subscribe_latched(
            node, info_type, f'{topic}_info', self._on_info) if info_type else []
        self._subscription = node.create_subscription(
            self._type, topic, self._on_audio, QoSProfile(depth=DEPTH),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda _: self._unheard.set()),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _on_info(self, info):
        if info != self._info:
            changed, self._info = self._info is not None, info
            self._pace = Pace()
            if changed:
                self._on_fault(AudioError(
                    'format change', 'the AudioInfo has changed; what was buffered is dropped'))

    def _on_audio(self, message):
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            chunk = self._source.chunk(message, self._info, self._stamp_marks, now_ns,
                                       self._n_channels)
            self._pace.check(chunk)
        except AudioError as error:
            self._on_fault(error)
            return
        self._on_chunk(chunk)

    def attend(self):
        """Change to a best-effort subscription if there is a publisher that takes one."""
        if self._unheard.is_set():
            self._unheard.clear()
            self._node.get_logger().info(
                f'{self.topic} is published with best effort: listening so from now on')
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._node.create_subscription(
                self._type, self.topic, self._on_audio,
                QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT))

    def close(self):
        """Listen no more."""
        for subscription in (*self._infos, self._subscription):
            self._node.destroy_subscription(subscription)


def subscribe_latched(node, message_type, topic, callback):
    """
    Subscribe to something that some publishers latch and others do not.

    A latched subscription alone would not match the second kind, a plain one alone would miss
    what the first kind said before; who latches is heard twice.

    Returns
    -------
    list
        Both subscriptions.

    """
    return [
        node.create_subscription(message_type, topic, callback, 1),
        node.create_subscription(
            message_type, topic, callback, LATCHED,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None))]
