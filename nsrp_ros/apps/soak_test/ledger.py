"""
The ledger of a soak test: the windows that the audio contains, and the outcome of each.

It derives the windows from the published chunks independently of the localizer, so that the
localizer's own counts can be checked against it. Imports no ROS.
"""

from bisect import bisect_left
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TYPE_CHECKING

from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
import numpy as np

if TYPE_CHECKING:
    from nsrp_ros.simulation.live_scene import Turn

STAMP_TOLERANCE_NS = NS // 1000
"""Largest difference between the stamps of a window and its answer: less than any hop."""
FAULTS = {'lost': SkipReason.GAP, 'repeated': SkipReason.OVERLAP,
          'truncated': SkipReason.TRUNCATED}
"""Injected faults of chunks, and the reason under which the localizer counts each."""
_WINDOW_REASONS = {reason.value for reason in SkipReason if reason.of_window}


@dataclass
class PlayedWindow:
    """
    A window of the audio, with the times, by the monotonic clock, of what happened to it.

    Attributes
    ----------
    stamp_ns : int
        Of its last sample.
    last : int
        The index of that sample since the start of playing.
    published : float
        When the chunk with that sample was published, seconds.
    map_time, pose_time : float or None
        When its map and its pose arrived, seconds.
    position : numpy.ndarray or None
        Shape (2,), metres: that of the pose.

    """

    stamp_ns: int
    last: int
    published: float
    map_time: float | None = None
    pose_time: float | None = None
    position: np.ndarray | None = None


@dataclass
class Ledger:
    """
    Windows in the order of their stamps.

    Attributes
    ----------
    length, hop : int
        Samples in a window, and between the starts of two.
    sample_rate : int
        Hertz.
    windows : list of PlayedWindow
        All windows that the audio contains.
    unexpected : list of int
        Stamps of answers without a window, or to one that was answered before.
    faults : dict
        The number of injected faults by their kind.

    """

    length: int
    hop: int
    sample_rate: int
    windows: list[PlayedWindow] = field(default_factory=list)
    unexpected: list[int] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    _start_ns: int | None = None  # the run's first stamp; None before a run
    _count: int = 0  # samples of the run
    _next_end: int = 0  # the count at which its next window is complete

    def end_run(self) -> None:
        """End the contiguous run of chunks: no window spans what follows."""
        self._start_ns = None

    def add_chunk(self, stamp_ns: int, first: int, n_samples: int, published: float) -> None:
        """
        Add a chunk that was published unaltered.

        Parameters
        ----------
        stamp_ns : int
            Of its first sample.
        first, n_samples : int
            The index of that sample since the start of playing, and the number of samples.
        published : float
            When it was published, seconds.

        """
        if self._start_ns is None:
            self._start_ns, self._count, self._next_end = stamp_ns, 0, self.length
        self._count += n_samples
        while self._next_end <= self._count:
            index = self._next_end - 1 - (self._count - n_samples)  # within this chunk
            self.windows.append(PlayedWindow(
                self._start_ns + (self._next_end - 1) * NS // self.sample_rate, first + index,
                published))
            self._next_end += self.hop

    def add_map(self, stamp_ns: int, arrived: float) -> None:
        """Record the arrival (seconds) of a map by its stamp."""
        window = self._find(stamp_ns)
        if window is None or window.map_time is not None:
            self.unexpected.append(stamp_ns)
        else:
            window.map_time = arrived

    def add_pose(self, stamp_ns: int, arrived: float, position: np.ndarray) -> None:
        """Record the arrival (seconds) and the position (2,) of a pose by its stamp."""
        window = self._find(stamp_ns)
        if window is None or window.pose_time is not None:
            self.unexpected.append(stamp_ns)
        else:
            window.pose_time, window.position = arrived, position

    def _find(self, stamp_ns: int) -> PlayedWindow | None:
        k = bisect_left(self.windows, stamp_ns - STAMP_TOLERANCE_NS, key=lambda w: w.stamp_ns)
        if k == len(self.windows) or self.windows[k].stamp_ns > stamp_ns + STAMP_TOLERANCE_NS:
            return None
        return self.windows[k]

    def outcomes(self, counted: Mapping[str, Any]) -> dict[str, int]:
        """
        Count the outcomes of the windows.

        Parameters
        ----------
        counted : dict
            The localizer's latest values in /diagnostics, counts as integers.

        Returns
        -------
        dict
            The number of windows of each outcome: 'poses', 'maps without a pose', and the reasons
            for which the localizer reports to have skipped others.

        """
        skipped = {key.removeprefix('skipped: '): n for key, n in counted.items()
                   if key.startswith('skipped: ')}
        return {'poses': sum(w.pose_time is not None for w in self.windows),
                'maps without a pose': sum(w.map_time is not None and w.pose_time is None
                                           for w in self.windows),
                **{reason: n for reason, n in skipped.items() if reason in _WINDOW_REASONS}}

    def discrepancies(self, counted: Mapping[str, Any]) -> list[str]:
        """
        Compare what was published, what arrived and what the localizer has counted.

        Parameters
        ----------
        counted : dict
            As for `outcomes`.

        Returns
        -------
        list of str
            A sentence for each disagreement; empty if every window is accounted for.

        """
        outcomes = self.outcomes(counted)
        answered = outcomes['poses'] + outcomes['maps without a pose']
        pairs = [
            ('windows that the audio held', len(self.windows), 'cut', counted.get('windows', 0)),
            ('windows that the audio held', len(self.windows), 'have an outcome',
             sum(outcomes.values())),
            ('windows answered', answered, 'counted as located', counted.get('located', 0)),
            ('maps without a pose', outcomes['maps without a pose'], 'counted as low confidence',
             counted.get('skipped: low confidence', 0)),
            ('windows not answered', len(self.windows) - answered, 'counted as not located',
             counted.get('not located', 0))]
        pairs += [(f'chunks {fault}', n, f'counted as {FAULTS[fault]}',
                   counted.get(f'skipped: {FAULTS[fault]}', 0))
                  for fault, n in self.faults.items()]
        found = [f'{n} {what}, but {other} {counted_as}'
                 for what, n, counted_as, other in pairs if n != other]
        without_map = sum(w.pose_time is not None and w.map_time is None for w in self.windows)
        if without_map:
            found.append(f'{without_map} poses came without their map')
        if self.unexpected:
            found.append(f'{len(self.unexpected)} answers are to windows that the audio does not '
                         'hold, or that were answered before')
        return found

    def latencies(self, windows: Sequence[PlayedWindow]) -> np.ndarray:
        """Return the seconds (n,) from a window's last sample to its pose, or else its map."""
        arrived = [(w.pose_time if w.pose_time is not None else w.map_time, w.published)
                   for w in windows]
        return np.array([time - published for time, published in arrived if time is not None])

    def errors(self, windows: Sequence[PlayedWindow], turns: Sequence['Turn'],
               scene_length: int) -> np.ndarray:
        """
        Return the errors of poses whose window lies within the turn of one talker.

        Parameters
        ----------
        windows : list of PlayedWindow
            Those to evaluate.
        turns : list of nsrp_ros.simulation.live_scene.Turn
            Ground truth.
        scene_length : int
            Samples after which the live scene repeats.

        Returns
        -------
        numpy.ndarray
            Shape (n,), metres.

        """
        found = []
        for window in windows:
            last = window.last % scene_length
            for turn in turns:
                if window.position is not None and turn.start + self.length <= last + 1 \
                        <= turn.stop:
                    found.append(np.linalg.norm(window.position - turn.position[:2]))
        return np.array(found)
