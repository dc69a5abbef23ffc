"""
The book of a long run: which windows the audio held, and what became of every one of them.

It does its own arithmetic on the chunks that were played, so that what the localizer counts is
held against something else than itself. Imports no ROS.
"""

from bisect import bisect_left
from dataclasses import dataclass
from dataclasses import field

from nsrp_ros.core.stamps import NS
import numpy as np

STRAY_NS = NS // 1000
"""How far an answer's stamp may be from its window's: a millisecond, less than any hop."""
FAULTS = {'lost': 'gap', 'repeated': 'overlap', 'truncated': 'truncated'}
"""What a chunk can suffer, and what the localizer calls it."""
NOT_OF_WINDOWS = (*FAULTS.values(), 'clock jump', 'format change', 'low confidence')
"""Reasons that do not count windows which were cut and not located."""


@dataclass
class Played:
    """
    A window of the audio, and when (seconds by a clock that nobody sets) what happened to it.

    Attributes
    ----------
    stamp_ns : int
        Of its last sample.
    last : int
        The number of that sample in the performance.
    at : float
        When the chunk with that sample was published.
    mapped, posed : float or None
        When its map and its pose arrived.
    position : numpy.ndarray or None
        Shape (2,), metres: what the pose says.

    """

    stamp_ns: int
    last: int
    at: float
    mapped: float | None = None
    posed: float | None = None
    position: np.ndarray | None = None


@dataclass
class Ledger:
    """
    Windows in the order of their stamps.

    Attributes
    ----------
    length, hop : int
        Samples in a window, and between two.
    sample_rate : int
        Hertz.
    windows : list of Played
        All that the audio held.
    strangers : list of int
        Stamps of answers to windows that there are not, or that were answered already.
    faults : dict
        How many chunks have suffered what.

    """

    length: int
    hop: int
    sample_rate: int
    windows: list = field(default_factory=list)
    strangers: list = field(default_factory=list)
    faults: dict = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    _begun_ns: int | None = None  # the run's first stamp; None where a run is to begin
    _count: int = 0  # samples of the run
    _due: int = 0  # the count at which its next window is complete

    def end_run(self):
        """Note that what follows does not belong together with what was before."""
        self._begun_ns = None

    def play(self, stamp_ns, first, n_samples, at):
        """
        Note a chunk that was published whole.

        Parameters
        ----------
        stamp_ns : int
            Of its first sample.
        first, n_samples : int
            The number of that sample in the performance, and how many there are.
        at : float
            When it was published, seconds.

        """
        if self._begun_ns is None:
            self._begun_ns, self._count, self._due = stamp_ns, 0, self.length
        self._count += n_samples
        while self._due <= self._count:
            after = self._due - 1 - (self._count - n_samples)  # samples into this chunk
            self.windows.append(Played(
                self._begun_ns + (self._due - 1) * NS // self.sample_rate, first + after, at))
            self._due += self.hop

    def answer(self, kind, stamp_ns, at, position=None):
        """
        Note an answer.

        Parameters
        ----------
        kind : str
            'mapped' or 'posed'.
        stamp_ns : int
            The answer's.
        at : float
            When it arrived, seconds.
        position : numpy.ndarray, optional
            Shape (2,), metres, of a pose.

        """
        k = bisect_left(self.windows, stamp_ns - STRAY_NS, key=lambda w: w.stamp_ns)
        if k == len(self.windows) or self.windows[k].stamp_ns > stamp_ns + STRAY_NS or (
                getattr(self.windows[k], kind) is not None):
            self.strangers.append(stamp_ns)
            return
        setattr(self.windows[k], kind, at)
        if position is not None:
            self.windows[k].position = position

    def fates(self, counted):
        """
        Say what became of the windows.

        Parameters
        ----------
        counted : dict
            What the localizer said last in /diagnostics, counts as integers.

        Returns
        -------
        dict
            How many windows had each fate: 'poses', 'maps without a pose', and the reasons for
            which the localizer says that it skipped others.

        """
        skipped = {key.removeprefix('skipped: '): n for key, n in counted.items()
                   if key.startswith('skipped: ')}
        return {'poses': sum(w.posed is not None for w in self.windows),
                'maps without a pose': sum(w.mapped is not None and w.posed is None
                                           for w in self.windows),
                **{reason: n for reason, n in skipped.items() if reason not in NOT_OF_WINDOWS}}

    def discrepancies(self, counted):
        """
        Hold what was played against what arrived and what the localizer has counted.

        Parameters
        ----------
        counted : dict
            As for `fates`.

        Returns
        -------
        list of str
            A sentence for everything that does not close; empty where every window is accounted
            for.

        """
        fates = self.fates(counted)
        answered = fates['poses'] + fates['maps without a pose']
        pairs = [
            ('windows that the audio held', len(self.windows), 'cut', counted.get('windows', 0)),
            ('windows that the audio held', len(self.windows), 'have a fate',
             sum(fates.values())),
            ('windows answered', answered, 'counted as located', counted.get('located', 0)),
            ('maps without a pose', fates['maps without a pose'], 'counted as low confidence',
             counted.get('skipped: low confidence', 0)),
            ('windows not answered', len(self.windows) - answered, 'counted as not located',
             counted.get('not located', 0))]
        pairs += [(f'chunks {fault}', n, f'counted as {FAULTS[fault]}',
                   counted.get(f'skipped: {FAULTS[fault]}', 0))
                  for fault, n in self.faults.items()]
        found = [f'{n} {what}, but {other} {counted_as}'
                 for what, n, counted_as, other in pairs if n != other]
        blind = sum(w.posed is not None and w.mapped is None for w in self.windows)
        if blind:
            found.append(f'{blind} poses came without their map')
        if self.strangers:
            found.append(f'{len(self.strangers)} answers are to windows that the audio does not '
                         'hold, or that were answered before')
        return found

    def latencies(self, windows):
        """Return the seconds (n,) from a window's last sample to its pose, or else its map."""
        arrived = [(w.posed if w.posed is not None else w.mapped, w.at) for w in windows]
        return np.array([there - at for there, at in arrived if there is not None])

    def errors(self, windows, turns, n_performance):
        """
        Return how far poses are off, where one talker talked all through the window.

        Parameters
        ----------
        windows : list of Played
            Which.
        turns : list of performance.Turn
            The truth.
        n_performance : int
            Samples after which the performance begins again.

        Returns
        -------
        numpy.ndarray
            Shape (n,), metres.

        """
        found = []
        for window in windows:
            last = window.last % n_performance
            for turn in turns:
                if window.position is not None and turn.start + self.length <= last + 1 \
                        <= turn.stop:
                    found.append(np.linalg.norm(window.position - turn.position[:2]))
        return np.array(found)
