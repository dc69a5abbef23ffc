"""The messages of nodes on /diagnostics."""

from collections import Counter
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.ros.skip_counter import SkipCounter
from rclpy.node import Node


def diagnostics_message(node: Node, task: str, level: bytes, text: str,
                        values: Mapping[str, object]) -> DiagnosticArray:
    """
    Make a diagnostic_msgs/DiagnosticArray of one status.

    Parameters
    ----------
    node : rclpy.node.Node
        The node whose status it is; its clock stamps the message.
    task : str
        What the node does, such as 'localization'.
    level : bytes
        One of DiagnosticStatus' levels.
    text : str
        A sentence about the most important thing.
    values : mapping
        The key-value pairs, in this order.

    Returns
    -------
    diagnostic_msgs.msg.DiagnosticArray
        Of one status.

    """
    message = DiagnosticArray()
    message.header.stamp = node.get_clock().now().to_msg()
    message.status = [DiagnosticStatus(
        level=level, name=f'{node.get_fully_qualified_name()}: {task}',
        hardware_id='microphones', message=text,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])]
    return message


class NodeDiagnostics:
    """
    Counts the messages that a node used and skipped, and publishes the counts every second.

    Parameters
    ----------
    node : rclpy.node.Node
        Gives name, clock and log.
    task : str
        What the node does, in a word, such as 'tracking'.
    awaited : str
        The topic that it waits for, such as 'likelihood'.

    """

    def __init__(self, node: Node, task: str, awaited: str) -> None:
        self._node, self._task, self._awaited = node, task, awaited
        self._values: dict[str, object] = {}
        self._used: Counter[str] = Counter()
        self._skipped = SkipCounter(node)
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(1.0, lambda: self._publisher.publish(self.message()))

    def used(self, **values: object) -> None:
        """Count a message that was used; the values are published until the next."""
        self._used.update(('total', 'recent'))
        self._values = values

    def skip(self, reason: SkipReason, sentence: str) -> None:
        """Count a message that was not used."""
        self._skipped.count(reason, sentence)

    def message(self) -> DiagnosticArray:
        """Summarize the time since the last call as a diagnostic_msgs/DiagnosticArray."""
        used = self._used.pop('recent', 0)
        _, worst = self._skipped.take_recent()
        if worst:
            level, text = DiagnosticStatus.WARN if used else DiagnosticStatus.ERROR, worst
        elif not self._used['total'] and not self._skipped.total:
            level, text = DiagnosticStatus.WARN, f'nothing has arrived on {self._awaited} yet'
        else:
            level, text = DiagnosticStatus.OK, self._task if used else 'nobody is talking'
        values: dict[str, object] = {**self._values, **self._skipped.values()}
        if self._used['total']:
            values['used'] = self._used['total']
        return diagnostics_message(self._node, self._task, level, text,
                                   dict(sorted(values.items())))
