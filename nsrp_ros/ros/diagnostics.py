"""What a node behind the localizer says of itself on /diagnostics, and warnings now and then."""

from collections import Counter
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue

LOG_PERIOD = 5.0
"""Seconds between two warnings of the same reason."""


class Health:
    """
    Counts what a node did and could not do, and publishes it every second.

    Parameters
    ----------
    node : rclpy.node.Node
        Whose name, clock and log it is.
    task : str
        What the node does, in a word, such as 'tracking'.
    awaited : str
        What it waits for, such as 'likelihood'.
    quiet : sequence of str, optional
        Reasons that are no fault.

    """

    def __init__(self, node, task, awaited, quiet=()):
        self._node, self._task, self._awaited, self._quiet = node, task, awaited, quiet
        self._values = {}
        self._counts = Counter()
        self._recent = Counter()
        self._sentences = {}
        self._logged = {}
        self._ever = False
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(1.0, lambda: self._publisher.publish(self.message()))

    def did(self, **values):
        """Count a message that was used; the values are shown until the next."""
        self._counts['used'] += 1
        self._recent['used'] += 1
        self._values = values
        self._ever = True

    def skip(self, reason, sentence):
        """Count a message that was not used, and log why, but not too often."""
        self._counts[f'skipped: {reason}'] += 1
        self._ever = True
        if reason in self._quiet:
            return
        self._recent[reason] += 1
        self._sentences[reason] = sentence
        now = time.monotonic()
        if now - self._logged.get(reason, -LOG_PERIOD) >= LOG_PERIOD:
            self._logged[reason] = now
            self._node.get_logger().warning(f'skipped ({reason}): {sentence}')

    def message(self):
        """Sum up the time since the last call as a diagnostic_msgs/DiagnosticArray."""
        used = self._recent.pop('used', 0)
        if self._recent:
            worst = max(self._recent, key=self._recent.get)
            level = DiagnosticStatus.WARN if used else DiagnosticStatus.ERROR
            text = f'{worst}: {self._sentences[worst]}'
        elif not self._ever:
            level, text = DiagnosticStatus.WARN, f'nothing has arrived on {self._awaited} yet'
        else:
            level, text = DiagnosticStatus.OK, self._task if used else 'nobody is talking'
        self._recent.clear()
        values = {**self._values, **self._counts}
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [DiagnosticStatus(
            level=level, name=f'{self._node.get_fully_qualified_name()}: {self._task}',
            hardware_id='microphones', message=text,
            values=[KeyValue(key=k, value=str(v)) for k, v in sorted(values.items())])]
        return message
