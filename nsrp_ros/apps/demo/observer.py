"""The demo's observer: it records ground truth and every method's estimates, and compares."""

from bisect import bisect_right
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import time
from typing import Any
from typing import TypeAlias

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.simulation.live_scene import CHUNK
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
import numpy as np
from rclpy.node import Node

LINE_TIMEOUT = 1.5
"""Seconds after a window's first answer until its line is printed without the others."""


@dataclass
class Answer:
    """The outputs of one method for one window; the map is an occupancy grid (ny, nx)."""

    position: np.ndarray | None = None
    grid: np.ndarray | None = None
    latency: float = float('nan')


ObservedWindow: TypeAlias = tuple[int, np.ndarray | None, dict[str, Answer]]
"""Stamp (ns), true position (2,) if one talker talked all through it, answers by method."""


class Observer(Node):
    """
    Record poses and maps by the stamp of their window.

    Parameters
    ----------
    methods : list of str
        Each has a localizer in its own namespace.

    """

    def __init__(self, methods: Sequence[str], **kwargs: Any) -> None:
        super().__init__('demo_observer', **kwargs)
        self.methods = list(methods)
        self.room_dims = DEFAULT_SCENE.room_dims
        self.mic_positions = DEFAULT_SCENE.mic_positions
        self._answers: dict[int, dict[str, Answer]] = {}  # by stamp (ns) and method
        self._first_answer: dict[int, float] = {}  # when it arrived, by stamp
        # (stamp_ns, x, y), one for each chunk in which somebody talks.
        self._truth: list[tuple[int, float, float]] = []
        self._due: list[int] = []  # stamps whose line has not been printed
        self._diagnostics: dict[str, dict[str, str]] = {}
        for method in methods:
            space = f'/{self.namespace(method)}'
            self.create_subscription(PoseStamped, f'{space}/source_pose',
                                     lambda m, k=method: self.add_pose(k, m), 50)
            self.create_subscription(OccupancyGrid, f'{space}/likelihood',
                                     lambda m, k=method: self.add_map(k, m), 50)
        self.create_subscription(PoseStamped, '/true_source', self.add_truth, 500)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)

    @staticmethod
    def namespace(method: str) -> str:
        """Return a ROS name for a method, which may be the path of a weights file."""
        stem = method.rsplit('/', 1)[-1].removesuffix('.safetensors')
        return ''.join(c if c.isalnum() else '_' for c in stem)

    def _answer(self, method: str, message: PoseStamped | OccupancyGrid) -> Answer:
        stamp_ns = self._window(stamp_to_ns(message.header.stamp))
        if stamp_ns not in self._answers:
            self._first_answer[stamp_ns] = time.monotonic()
            self._due.append(stamp_ns)
        return self._answers.setdefault(stamp_ns, {}).setdefault(method, Answer())

    def _window(self, stamp_ns: int) -> int:
        """
        Return the stamp of the first answer to the window that a stamp belongs to.

        A localizer that received its first chunk later than another cuts its windows later.
        """
        near = [known for known in self._answers
                if abs(known - stamp_ns) < WindowConfig().hop / 2 * NS]
        return min(near, key=lambda known: abs(known - stamp_ns), default=stamp_ns)

    def add_pose(self, method: str, message: PoseStamped) -> None:
        """Record a method's pose."""
        answer = self._answer(method, message)
        answer.position = np.array([message.pose.position.x, message.pose.position.y])
        now_ns = self.get_clock().now().nanoseconds
        answer.latency = (now_ns - stamp_to_ns(message.header.stamp)) / NS

    def add_map(self, method: str, message: OccupancyGrid) -> None:
        """Record a method's likelihood map."""
        shape = message.info.height, message.info.width
        self._answer(method, message).grid = np.asarray(message.data, np.int8).reshape(shape)

    def add_truth(self, message: PoseStamped) -> None:
        """Record the true position of the talker in one chunk."""
        p = message.pose.position
        self._truth.append((stamp_to_ns(message.header.stamp), p.x, p.y))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._diagnostics[status.name] = {v.key: v.value for v in status.values}

    def truth(self, stamp_ns: int) -> np.ndarray | None:
        """Return (x, y) of the talker if one alone talked all through a window, else None."""
        stamps = [t[0] for t in self._truth]
        first = bisect_right(stamps, stamp_ns - WindowConfig().length * NS)
        inside = self._truth[first:bisect_right(stamps, stamp_ns)]
        talkers = {t[1:] for t in inside}
        enough = len(inside) >= int(WindowConfig().length * SAMPLE_RATE / CHUNK)
        return np.array(talkers.pop()) if enough and len(talkers) == 1 else None

    def windows(self) -> list[ObservedWindow]:
        """Return (stamp_ns, truth, answers) of every window in the order of time."""
        return [(stamp, self.truth(stamp), answers)
                for stamp, answers in sorted(self._answers.items())]

    @staticmethod
    def heading() -> str:
        """Return the heading of `new_lines`."""
        return '\n  time   true x, y      method: estimated x, y, error, latency'

    def new_lines(self, everything: bool = False) -> Iterator[str]:
        """Yield a line for each window that all methods have answered, or that timed out."""
        now = time.monotonic()
        for stamp in sorted(self._due):
            answers = self._answers[stamp]
            complete = all(m in answers and answers[m].position is not None
                           for m in self.methods)
            late = now - self._first_answer[stamp] > LINE_TIMEOUT
            if not (complete or late or everything):
                break  # lines stay in order
            self._due.remove(stamp)
            truth = self.truth(stamp)
            seconds = (stamp - min(self._answers)) / NS
            where = '(turn change) ' if truth is None else f'{truth[0]:5.2f}, {truth[1]:5.2f}  '
            yield f'{seconds:6.2f}  {where}' + ''.join(
                f'  {method}: {_describe(answers.get(method), truth)}' for method in self.methods)

    def summary(self) -> dict[str, Any]:
        """Summarize each method's errors in metres and its latency in milliseconds."""
        windows = self.windows()
        centre = np.asarray(self.room_dims[:2]) / 2
        rows: dict[str, dict[str, Any]] = {}
        for method in self.methods:
            answers = [(truth, a[method]) for _, truth, a in windows
                       if method in a and a[method].position is not None]
            errors = np.array([np.linalg.norm(a.position - t) for t, a in answers
                               if t is not None])
            skipped = self._skipped(method)
            row: dict[str, Any] = {
                'windows': len(answers), 'skipped': sum(skipped.values()),
                'skipped_because': skipped, 'scored': len(errors)}
            if len(errors):
                latency = 1e3 * np.array([a.latency for _, a in answers])
                row |= {'mean_error_m': float(errors.mean()),
                        'median_error_m': float(np.median(errors)),
                        'share_below_0.5_m': float((errors < 0.5).mean()),
                        'latency_ms_p50': float(np.percentile(latency, 50)),
                        'latency_ms_p95': float(np.percentile(latency, 95))}
            rows[method] = row
        truths = [truth for _, truth, _ in windows if truth is not None]
        distances = [np.linalg.norm(t - centre) for t in truths]
        return {'methods': rows,
                'centre_mean_error_m': float(np.mean(distances)) if distances else None}

    def _skipped(self, method: str) -> dict[str, int]:
        name = f'/{self.namespace(method)}/localizer: localization'
        prefix = 'skipped: '
        return {key.removeprefix(prefix): int(n)
                for key, n in self._diagnostics.get(name, {}).items() if key.startswith(prefix)}


def _describe(answer: Answer | None, truth: np.ndarray | None) -> str:
    if answer is None or answer.position is None:
        return 'no estimate'.ljust(30)
    x, y = answer.position
    error = '   -  ' if truth is None else f'{np.linalg.norm(answer.position - truth):4.2f} m'
    return f'{x:5.2f}, {y:5.2f}  {error}  {1e3 * answer.latency:4.0f} ms'
