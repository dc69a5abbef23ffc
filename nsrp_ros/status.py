"""What the localizer tells about itself: counts for /diagnostics, and warnings now and then."""

from collections import Counter
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue

LOG_PERIOD = 5.0
"""Seconds between two warnings of the same reason."""
QUIET_AFTER = 2.0
"""Seconds without a chunk from which on the audio is said to have stopped."""
QUIET_REASONS = ('silence',)
"""Reasons that are no fault: logged for those who debug only."""


class Status:
    """
    Counters that the audio callback and the worker both write to.

    Parameters
    ----------
    node : rclpy.node.Node
        For its name, its clock and its log.
    method : str
        What localizes.

    """

    def __init__(self, node, method):
        self._node = node
        self._method = method
        self._lock = threading.Lock()
        self._located = 0
        self._skipped = Counter()
        self._recent = Counter()  # since the last diagnostics message
        self._sentences = {}
        self._last_logged = {}
        self._last_heard = None
        self._confidence = None
        self._latency = None
        self._microphones = ''
        self._missing = {}

    def heard(self):
        """Note that a chunk of audio arrived."""
        self._last_heard = time.monotonic()

    def microphones(self, n_usable, n_all, missing):
        """Note how many microphones a window could use, and why not the others."""
        with self._lock:
            self._microphones = f'{n_usable} of {n_all}'
            self._missing = missing

    def located(self, confidence, latency):
        """Count a window that was located; the latency is from its last sample, in seconds."""
        with self._lock:
            self._located += 1
            self._recent['located'] += 1
            self._confidence, self._latency = confidence, latency

    def skip(self, reason, sentence):
        """Count a window or chunk that was skipped, and log the reason, but not too often."""
        now = time.monotonic()
        with self._lock:
            self._skipped[reason] += 1
            self._recent[reason] += 1
            self._sentences[reason] = sentence
            due = now - self._last_logged.get(reason, -LOG_PERIOD) >= LOG_PERIOD
            if due:
                self._last_logged[reason] = now
        if not due:
            return
        if reason in QUIET_REASONS:
            self._node.get_logger().debug(f'skipped ({reason}): {sentence}')
        else:
            self._node.get_logger().warning(f'skipped ({reason}): {sentence}')

    def message(self):
        """Sum up the time since the last call as a diagnostic_msgs/DiagnosticArray."""
        with self._lock:
            level, text = self._verdict()
            values = {
                'method': self._method, 'located': self._located,
                'microphones': self._microphones}
            values.update({f'missing {name}': why for name, why in self._missing.items()})
            values.update({f'skipped: {reason}': n
                           for reason, n in sorted(self._skipped.items())})
            if self._latency is not None:
                values['confidence'] = f'{self._confidence:.3f}'
                values['latency_ms'] = f'{1e3 * self._latency:.1f}'
            self._recent.clear()
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [DiagnosticStatus(
            level=level, name=f'{self._node.get_fully_qualified_name()}: localization',
            hardware_id='microphones', message=text,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])]
        return message

    def _verdict(self):
        if self._last_heard is None:
            return DiagnosticStatus.WARN, 'no audio has arrived yet'
        quiet = time.monotonic() - self._last_heard
        if quiet > QUIET_AFTER:
            return DiagnosticStatus.ERROR, f'no audio for {quiet:.0f} s'
        faults = {r: n for r, n in self._recent.items()
                  if r != 'located' and r not in QUIET_REASONS}
        if faults:
            worst = max(faults, key=faults.get)
            level = DiagnosticStatus.WARN if self._recent['located'] else DiagnosticStatus.ERROR
            return level, f'{worst}: {self._sentences[worst]}'
        if self._missing:
            return DiagnosticStatus.WARN, f"missing: {', '.join(self._missing)}"
        if self._recent['located']:
            return DiagnosticStatus.OK, 'locating'
        return DiagnosticStatus.OK, 'nobody is talking'
