"""The localizer's diagnostics: counts for /diagnostics, and warnings."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.ros.diagnostics import diagnostics_message
from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.ros.skip_counter import SkipCounter
from rclpy.node import Node

QUIET_AFTER = 2.0
"""Seconds without a chunk after which the audio is reported as stopped."""


class LocalizerDiagnostics:
    """
    Counts what happens in the pipeline; used by the audio callbacks and the window queue's thread.

    Parameters
    ----------
    node : rclpy.node.Node
        Gives name, clock and log.
    config : callable
        Returns the NodeConfig in force.

    """

    def __init__(self, node: Node, config: Callable[[], NodeConfig]) -> None:
        self._node = node
        self._config = config
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recent: Counter[str] = Counter()  # since the last diagnostics message
        self._skipped = SkipCounter(node)
        self._last_received: dict[str, float | None] = {}
        self._values: dict[str, str] = {}
        self._microphones = ''
        self._missing: Mapping[str, str] = {}
        self._faulty: dict[str, list[int]] = {}  # numbers of channels by kind of fault
        self._absent: Mapping[str, str] = {}
        self._clocks: Mapping[str, str] = {}

    def subscribed(self, topics: Iterable[str]) -> None:
        """Note which topics the node has subscribed to: none while it is not active."""
        with self._lock:
            self._last_received = dict.fromkeys(topics)
            self._missing, self._faulty, self._absent, self._clocks = {}, {}, {}, {}
            self._recent.clear()
        self._skipped.take_recent()

    def received(self, topic: str) -> None:
        """Note that a chunk of audio arrived."""
        self._last_received[topic] = time.monotonic()

    def microphones(self, n_usable: int, n_all: int, missing: Mapping[str, str]) -> None:
        """Note how many microphones a window could use, and why not the others."""
        with self._lock:
            self._microphones = f'{n_usable} of {n_all}'
            self._missing = missing

    def channels(self, faulty: Mapping[str, list[int]]) -> None:
        """Note the numbers of faulty channels by kind of fault ('dead', 'clipped')."""
        with self._lock:
            self._faulty = {fault: numbers for fault, numbers in faulty.items() if numbers}

    def devices(self, absent: Mapping[str, str], clocks: Mapping[str, str]) -> None:
        """Note which devices are absent from a window, and the state of their clocks."""
        with self._lock:
            self._absent, self._clocks = absent, clocks

    def located(self, estimate: Estimate, stamp_ns: int, seconds: float) -> None:
        """Count a window that was located, `seconds` after its last chunk arrived."""
        with self._lock:
            over_budget = seconds > self._config().latency_budget
            for counter in (self._counts, self._recent):
                counter.update(['located', *['over latency_budget'] * over_budget])
            latency = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
            self._values = {'confidence': f'{estimate.confidence:.3f}'}
            if estimate.presence is not None:
                self._values['presence'] = f'{estimate.presence:.3f}'
            self._values |= {'latency_ms': f'{1e3 * latency:.1f}',
                             'processing_ms': f'{1e3 * seconds:.1f}'}

    def cut(self) -> None:
        """Count a window that was cut from the audio."""
        with self._lock:
            self._counts['windows'] += 1

    def skip_window(self, reason: SkipReason, sentence: str) -> None:
        """Count a window that was cut and will not be located, as `skip` does."""
        with self._lock:
            self._counts['not located'] += 1
        self.skip(reason, sentence)

    def skip(self, reason: SkipReason, sentence: str) -> None:
        """Count something that was not used or not published, and log why at a limited rate."""
        self._skipped.count(reason, sentence)

    def message(self) -> DiagnosticArray:
        """Summarize the time since the last call as a diagnostic_msgs/DiagnosticArray."""
        config = self._config()
        with self._lock:
            skipped, worst = self._skipped.take_recent()
            level, text = self._summary(config, skipped, worst)
            values: dict[str, object] = {
                'method': config.method, 'audio': self._audio(config),
                # Windows that are neither are queued, or being processed.
                'windows': self._counts['windows'], 'located': self._counts['located'],
                'not located': self._counts['not located'], 'microphones': self._microphones,
                'over latency_budget': self._counts['over latency_budget']}
            values |= {f'missing {name}': why for name, why in self._missing.items()}
            values |= {f'{fault} channels': ', '.join(map(str, numbers))
                       for fault, numbers in self._faulty.items()}
            values |= {f'left out {topic}': why for topic, why in self._absent.items()}
            values |= {f'clock {topic}': report for topic, report in self._clocks.items()}
            values |= self._skipped.values()
            values |= self._values
            self._recent.clear()
        return diagnostics_message(self._node, 'localization', level, text, values)

    @staticmethod
    def _audio(config: NodeConfig) -> str:
        if config.stamps == 'arrival':
            return f'{config.audio_source}, timed by its arrival: it carries no time of its own'
        return f'{config.audio_source}, stamps mark the {config.stamps} of a chunk'

    def _summary(self, config: NodeConfig, skipped: Counter[SkipReason],
                 worst: str) -> tuple[bytes, str]:
        """Return the level, and a sentence about the most serious problem."""
        warn, error, ok = DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.OK
        if not self._last_received:
            return warn, 'not active'
        times = [t for t in self._last_received.values() if t is not None]
        if not times:
            return warn, 'no audio has arrived yet'
        quiet = time.monotonic() - max(times)
        if quiet > QUIET_AFTER:
            return error, f'no audio for {quiet:.0f} s'
        located = self._recent['located']
        if worst:
            return (warn if located else error), worst
        if self._absent:
            return warn, '; '.join(f'{topic} is left out: {why}'
                                   for topic, why in self._absent.items())
        if self._missing:
            return warn, f"missing: {', '.join(self._missing)}"
        if self._faulty:
            return warn, '; '.join(f'channels {", ".join(map(str, numbers))} are {fault}'
                                   for fault, numbers in self._faulty.items())
        if self._recent['over latency_budget']:
            return warn, (f"{self._recent['over latency_budget']} of {located} "
                          f'estimates took longer than {config.latency_budget:g} s')
        if skipped[SkipReason.LOW_CONFIDENCE]:
            return ok, (f'{skipped[SkipReason.LOW_CONFIDENCE]} of {located} estimates are below '
                        'min_confidence')
        return ok, 'locating' if located else 'nobody is talking'
