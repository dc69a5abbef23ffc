"""Counts of what was skipped, by reason, with warnings: part of every node's diagnostics."""

from collections import Counter
import threading
import time

from nsrp_ros.core.skip_reasons import SkipReason
from rclpy.node import Node

LOG_PERIOD = 5.0
"""Seconds between two warnings of the same reason."""


class SkipCounter:
    """
    Counts by reason, in total and since the last diagnostics; thread-safe.

    Parameters
    ----------
    node : rclpy.node.Node
        Its log receives the warnings.

    Attributes
    ----------
    total : collections.Counter
        By reason, since the node was made.

    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self.total: Counter[SkipReason] = Counter()
        self._recent: Counter[SkipReason] = Counter()
        self._sentences: dict[SkipReason, str] = {}
        self._last_logged: dict[SkipReason, float] = {}

    def count(self, reason: SkipReason, sentence: str) -> None:
        """Count something that was skipped, and log the sentence, at most once a LOG_PERIOD."""
        now = time.monotonic()
        with self._lock:
            self.total[reason] += 1
            self._recent[reason] += 1
            self._sentences[reason] = sentence
            due = now - self._last_logged.get(reason, -LOG_PERIOD) >= LOG_PERIOD
            if due:
                self._last_logged[reason] = now
        if due:
            log = self._node.get_logger()
            (log.warning if reason.is_fault else log.debug)(f'skipped ({reason}): {sentence}')

    def take_recent(self) -> tuple[Counter[SkipReason], str]:
        """
        Return the counts since the last call, and reset them.

        Returns
        -------
        tuple of collections.Counter and str
            The counts, and the most frequent fault among them with its latest sentence; empty
            where there was no fault.

        """
        with self._lock:
            recent, self._recent = self._recent, Counter()
            faults = {reason: n for reason, n in recent.items() if reason.is_fault}
            if not faults:
                return recent, ''
            worst = max(faults, key=lambda reason: faults[reason])
            return recent, f'{worst}: {self._sentences[worst]}'

    def values(self) -> dict[str, int]:
        """Return all counts as diagnostics show them, 'skipped: <reason>', sorted."""
        with self._lock:
            return {f'skipped: {reason}': n for reason, n in sorted(self.total.items())}
