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
QUIET_REASONS = ('silence', 'low confidence', 'stopped')
"""Reasons that are no fault: logged for those who debug only."""


class Status:
    """
    Counters that the audio callbacks and the worker both write to.

    Parameters
    ----------
    node : rclpy.node.Node
        For its name, its clock and its log.
    config : callable
        Returns the NodeConfig in force.

    """

    def __init__(self, node, config):
        self._node = node
        self._config = config
        self._lock = threading.Lock()
        self._counts = Counter()
        self._skipped = Counter()
        self._recent = Counter()  # since the last diagnostics message
        self._sentences = {}
        self._last_logged = {}
        self._last_heard = {}
        self._values = {}
        self._microphones = ''
        self._missing = {}
        self._faulty = {}  # what is wrong with channels: their numbers
        self._absent = {}
        self._clocks = {}

    def listening(self, topics):
        """Note that the node has begun to listen to some topics, or with none that it does not."""
        with self._lock:
            self._last_heard = dict.fromkeys(topics)
            self._missing, self._faulty, self._absent, self._clocks = {}, {}, {}, {}
            self._recent.clear()

    def heard(self, topic):
        """Note that a chunk of audio arrived."""
        self._last_heard[topic] = time.monotonic()

    def microphones(self, n_usable, n_all, missing):
        """Note how many microphones a window could use, and why not the others."""
        with self._lock:
            self._microphones = f'{n_usable} of {n_all}'
            self._missing = missing

    def channels(self, faulty):
        """Note what is wrong with channels: a word ('dead', 'clipped') to their numbers."""
        with self._lock:
            self._faulty = {word: numbers for word, numbers in faulty.items() if numbers}

    def devices(self, absent, clocks):
        """Note which devices a window had to do without, and what is known of their clocks."""
        with self._lock:
            self._absent, self._clocks = absent, clocks

    def located(self, estimate, stamp_ns, seconds):
        """Count a window that was located, `seconds` after its last chunk arrived."""
        with self._lock:
            self._counts['located'] += 1
            self._recent['located'] += 1
            if seconds > self._config().latency_budget:
                self._counts['over latency_budget'] += 1
                self._recent['over latency_budget'] += 1
            latency = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
            self._values = {'confidence': f'{estimate.confidence:.3f}'}
            if estimate.presence is not None:
                self._values['presence'] = f'{estimate.presence:.3f}'
            self._values |= {'latency_ms': f'{1e3 * latency:.1f}',
                             'processing_ms': f'{1e3 * seconds:.1f}'}

    def cut(self):
        """Count a window that was cut from the audio."""
        with self._lock:
            self._counts['windows'] += 1

    def skip_window(self, reason, sentence):
        """Count a window that was cut and will not be located, as `skip` does."""
        with self._lock:
            self._counts['not located'] += 1
        self.skip(reason, sentence)

    def skip(self, reason, sentence):
        """Count something that was not used or not published, and log why, but not too often."""
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
        config = self._config()
        with self._lock:
            level, text = self._verdict(config)
            values = {
                'method': config.method, 'audio': self._audio(config),
                # Those that are neither yet wait, or are in hand.
                'windows': self._counts['windows'], 'located': self._counts['located'],
                'not located': self._counts['not located'], 'microphones': self._microphones,
                'over latency_budget': self._counts['over latency_budget']}
            values |= {f'missing {name}': why for name, why in self._missing.items()}
            values |= {f'{word} channels': ', '.join(map(str, numbers))
                       for word, numbers in self._faulty.items()}
            values |= {f'left out {topic}': why for topic, why in self._absent.items()}
            values |= {f'clock {topic}': words for topic, words in self._clocks.items()}
            values |= {f'skipped: {reason}': n for reason, n in sorted(self._skipped.items())}
            values |= self._values
            self._recent.clear()
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [DiagnosticStatus(
            level=level, name=f'{self._node.get_fully_qualified_name()}: localization',
            hardware_id='microphones', message=text,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])]
        return message

    @staticmethod
    def _audio(config):
        if config.stamps == 'arrival':
            return f'{config.audio_source}, timed by its arrival: it carries no time of its own'
        return f'{config.audio_source}, stamps mark the {config.stamps} of a chunk'

    def _verdict(self, config):
        """Return the level and a sentence: the worst that there is to say."""
        warn, error = DiagnosticStatus.WARN, DiagnosticStatus.ERROR
        if not self._last_heard:
            return warn, 'not active'
        times = [t for t in self._last_heard.values() if t is not None]
        if not times:
            return warn, 'no audio has arrived yet'
        quiet = time.monotonic() - max(times)
        if quiet > QUIET_AFTER:
            return error, f'no audio for {quiet:.0f} s'
        faults = {r: n for r, n in self._recent.items() if r in self._sentences
                  and r not in QUIET_REASONS}
        if faults:
            worst = max(faults, key=faults.get)
            return (warn if self._recent['located'] else error,
                    f'{worst}: {self._sentences[worst]}')
        if self._absent:
            return warn, '; '.join(f'{topic} is left out: {why}'
                                   for topic, why in self._absent.items())
        if self._missing:
            return warn, f"missing: {', '.join(self._missing)}"
        if self._faulty:
            return warn, '; '.join(f'channels {", ".join(map(str, numbers))} are {word}'
                                   for word, numbers in self._faulty.items())
        if self._recent['over latency_budget']:
            return warn, (f"{self._recent['over latency_budget']} of {self._recent['located']} "
                          f'estimates took longer than {config.latency_budget:g} s')
        if self._recent['low confidence']:
            return DiagnosticStatus.OK, (
                f"{self._recent['low confidence']} of {self._recent['located']} estimates are "
                'below min_confidence')
        if self._recent['located']:
            return DiagnosticStatus.OK, 'locating'
        return DiagnosticStatus.OK, 'nobody is talking'
