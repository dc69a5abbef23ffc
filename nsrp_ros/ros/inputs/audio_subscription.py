"""The subscription to one device's audio topic, reliable or best effort as its publisher is."""

from collections.abc import Callable
import threading
from typing import Any

from nsrp_ros.audio.message_types import Chunk
from nsrp_ros.audio.message_types import Source
from nsrp_ros.audio.rate_check import RateCheck
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.ros.compat import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

DEPTH = 200
"""Chunks that may wait for this process, seconds of audio where it is delayed."""
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Quality of service of messages that late subscribers receive, too."""


class AudioSubscription:
    """
    Receives and decodes one device's audio.

    A reliable subscription receives from reliable publishers without a loss, and from best-effort
    ones nothing. It is therefore reliable at first, and replaced by a best-effort one when DDS
    reports an incompatible publisher. qos_overrides of the topic apply to the first one.

    Parameters
    ----------
    node : rclpy.node.Node
        Has the subscriptions.
    topic : str
        Topic of the audio; where its messages need an AudioInfo, that is on <topic>_info.
    source : nsrp_ros.audio.message_types.Source
        The kind of its messages.
    stamp_marks : str
        'start', 'end' or 'arrival'.
    n_channels : int
        Expected number of channels; 0 if any.
    on_chunk : callable
        Called with each Chunk.
    on_fault : callable
        Called with the AudioError of each message that cannot be decoded.

    """

    def __init__(self, node: Node, topic: str, source: Source, stamp_marks: str, n_channels: int,
                 on_chunk: Callable[[Chunk], None],
                 on_fault: Callable[[AudioError], None]) -> None:
        self.topic = topic
        self._node = node
        self._source = source
        self._stamp_marks = stamp_marks
        self._n_channels = n_channels
        self._on_chunk = on_chunk
        self._on_fault = on_fault
        self._type, info_type = source.types()
        self._info: Any = None  # the latest AudioInfo
        self._rate_check = RateCheck()
        self._incompatible = threading.Event()  # set by DDS
        self._info_subscriptions = subscribe_latched(
            node, info_type, f'{topic}_info', self._on_info) if info_type else []
        self._subscription = node.create_subscription(
            self._type, topic, self._on_audio, QoSProfile(depth=DEPTH),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda _: self._incompatible.set()),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _on_info(self, info: Any) -> None:
        if info != self._info:
            changed, self._info = self._info is not None, info
            self._rate_check = RateCheck()
            if changed:
                self._on_fault(AudioError(
                    SkipReason.FORMAT_CHANGE,
                    'the AudioInfo has changed; what was buffered is dropped'))

    def _on_audio(self, message: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            chunk = self._source.chunk(message, self._info, self._stamp_marks, now_ns,
                                       self._n_channels)
            self._rate_check.check(chunk)
        except AudioError as error:
            self._on_fault(error)
            return
        self._on_chunk(chunk)

    def adapt_reliability(self) -> None:
        """Change to a best-effort subscription if there is a best-effort publisher."""
        if self._incompatible.is_set():
            self._incompatible.clear()
            self._node.get_logger().info(
                f'{self.topic} is published with best effort: subscribing with it, too')
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._node.create_subscription(
                self._type, self.topic, self._on_audio,
                QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT))

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in (*self._info_subscriptions, self._subscription):
            self._node.destroy_subscription(subscription)


def subscribe_latched(node: Node, message_type: type, topic: str,
                      callback: Callable[[Any], None]) -> list[Subscription]:
    """
    Subscribe to a topic that some publishers latch and others do not.

    A transient-local subscription alone would not match the latter, a volatile one alone would
    miss earlier messages of the former. Messages of latching publishers arrive twice.

    Parameters
    ----------
    node : rclpy.node.Node
        Has the subscriptions.
    message_type : type
        Of the messages.
    topic : str
        Its name.
    callback : callable
        Called with each message.

    Returns
    -------
    list of rclpy.subscription.Subscription
        Both subscriptions.

    """
    return [
        node.create_subscription(message_type, topic, callback, 1),
        node.create_subscription(
            message_type, topic, callback, LATCHED,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda _: None))]
