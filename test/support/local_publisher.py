"""Publishes to subscriptions of the same process, for tests of what subscribes."""

from typing import Any

from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from support.patience import wait_until


class LocalPublisher:
    """
    Publishes to a node of this process, and waits until its callbacks have been called.

    Parameters
    ----------
    executor : rclpy.executors.Executor
        Has the node.
    node : rclpy.node.Node
        It must have its own subscriptions to the topic already.
    message_type : type
        Of the messages.
    topic : str
        Their topic.
    qos : rclpy.qos.QoSProfile, optional
        Theirs.

    """

    def __init__(self, executor: Executor, node: Node, message_type: Any, topic: str,
                 qos: QoSProfile = QoSProfile(depth=10)) -> None:
        self._executor = executor
        self._n_received = 0
        # Later than the node's own, and so called after them.
        node.create_subscription(message_type, topic, self._count, qos)
        self._publisher = node.create_publisher(message_type, topic, qos)

    def _count(self, _: Any) -> None:
        self._n_received += 1

    def publish(self, message: Any) -> None:
        """Publish and wait."""
        # The node's own, and the one of this publisher.
        assert wait_until(lambda: self._publisher.get_subscription_count() >= 2)
        n_received = self._n_received
        self._publisher.publish(message)
        assert wait_until(lambda: self._n_received > n_received, meanwhile=self._spin)
        for _ in range(3):  # the message may be handed out to this subscription first
            self._executor.spin_once(timeout_sec=0.01)

    def _spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.05)
