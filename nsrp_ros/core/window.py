"""
From a stream of stamped chunks to windows that hold no seam.

Audio arrives in chunks whose stamps mark their first sample. Inside a contiguous run of chunks
time is counted in samples, which is exact; the stamps only steer that count slowly, so that a
sound card's drift does not add up. Where stamp and count disagree by more than the tolerance
the run ends: a gap, an overlap or a clock jump is reported, and no window ever spans it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nsrp_ros.core.config import WindowConfig
import numpy as np

NS = 1_000_000_000
"""Nanoseconds in a second: stamps are integers, since a float cannot hold them exactly."""
STEERING = 0.05
"""Share of a chunk's stamp error that is believed: averages jitter over some twenty chunks."""
CLOCK_JUMP = 1.0
"""Seconds from which on a discontinuity is called a jump of the clock."""


@dataclass(frozen=True)
class Window:
    """
    A contiguous piece of the stream.

    Attributes
    ----------
    signals : numpy.ndarray
        Shape (M, T), float32.
    stamp_ns : int
        Time of the last sample, nanoseconds.
    sample_rate : int
        Hertz.

    """

    signals: np.ndarray
    stamp_ns: int
    sample_rate: int


@dataclass(frozen=True)
class Discontinuity:
    """
    A seam in the stream: what was buffered before it has been dropped.

    Attributes
    ----------
    kind : str
        'gap', 'overlap', 'clock jump' or 'format change'.
    seconds : float
        How much later (positive) or earlier the chunk's stamp is than the sample count said.
    stamp_ns : int
        The stamp of the chunk that follows the seam, nanoseconds.

    """

    kind: str
    seconds: float
    stamp_ns: int


class WindowBuffer:
    """
    A ring of the latest samples that yields a window every hop.

    Parameters
    ----------
    config : WindowConfig
        Length, hop and tolerance.

    """

    def __init__(self, config=WindowConfig()):
        self.config = config
        self._format = None  # (channels, sample_rate) of the current run
        self._ring = np.empty((0, 0), dtype=np.float32)
        self._n_received = 0  # samples since the run began
        self._next_window_end = 0  # the sample count at which the next window is complete
        self._anchor_ns = 0.0  # steered time of the run's sample 0, relative to _origin_ns
        self._origin_ns = 0

    def reset(self):
        """Forget the current run, as after a chunk that could not be decoded."""
        self._format = None

    def push(self, samples, stamp_ns, sample_rate) -> Iterator[Window | Discontinuity]:
        """
        Take one chunk in; iterate over what it completes.

        Parameters
        ----------
        samples : numpy.ndarray
            Shape (n, M), interleaved as it arrives, floating point in [-1, 1].
        stamp_ns : int
            Time of the chunk's first sample, nanoseconds.
        sample_rate : int
            Hertz.

        Yields
        ------
        Window or Discontinuity
            A discontinuity before the windows that follow it.

        """
        n_samples, n_channels = samples.shape
        if n_samples == 0:
            return
        if self._format is None:
            self._start(n_channels, stamp_ns, sample_rate)
        elif self._format != (n_channels, sample_rate):
            self._start(n_channels, stamp_ns, sample_rate)
            yield Discontinuity('format change', 0.0, stamp_ns)
        else:
            error_ns = (stamp_ns - self._origin_ns) - (
                self._anchor_ns + self._n_received * NS / sample_rate)
            tolerance = min(self.config.stamp_tolerance, 0.5 * n_samples / sample_rate)
            if abs(error_ns) > tolerance * NS:
                self._start(n_channels, stamp_ns, sample_rate)
                yield Discontinuity(_kind(error_ns / NS), error_ns / NS, stamp_ns)
            else:
                self._anchor_ns += STEERING * error_ns
        # A chunk may be longer than the ring: it is taken in pieces that end where windows end.
        while len(samples):
            piece = samples[:self._next_window_end - self._n_received]
            self._append(piece)
            samples = samples[len(piece):]
            if self._n_received == self._next_window_end:
                yield self._window()
                self._next_window_end += max(1, round(self.config.hop * sample_rate))

    def _start(self, n_channels, stamp_ns, sample_rate):
        length = max(1, round(self.config.length * sample_rate))
        if self._ring.shape != (length, n_channels):
            self._ring = np.empty((length, n_channels), dtype=np.float32)
        self._format = (n_channels, sample_rate)
        self._n_received = 0
        self._next_window_end = length
        self._origin_ns = stamp_ns  # kept apart: a float cannot hold nanoseconds since 1970
        self._anchor_ns = 0.0

    def _append(self, samples):
        length = len(self._ring)
        start = self._n_received % length
        head = min(len(samples), length - start)
        self._ring[start:start + head] = samples[:head]
        self._ring[:len(samples) - head] = samples[head:]
        self._n_received += len(samples)

    def _window(self):
        assert self._format is not None
        _, sample_rate = self._format
        oldest = self._n_received % len(self._ring)
        signals = np.concatenate([self._ring[oldest:], self._ring[:oldest]]).T
        last_ns = self._anchor_ns + (self._n_received - 1) * NS / sample_rate
        return Window(np.ascontiguousarray(signals), self._origin_ns + round(last_ns), sample_rate)


def _kind(seconds):
    if abs(seconds) > CLOCK_JUMP:
        return 'clock jump'
    return 'gap' if seconds > 0 else 'overlap'


def level_db(signals):
    """
    Root-mean-square level of each channel above its mean.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), full scale being 1.

    Returns
    -------
    numpy.ndarray
        Shape (M,), decibels relative to full scale; minus infinity where a channel is constant.

    """
    spread = np.asarray(signals, dtype=np.float64).std(axis=1)
    with np.errstate(divide='ignore'):
        return 20 * np.log10(spread)
