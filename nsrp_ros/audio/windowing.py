"""
From a stream of stamped chunks to windows without a discontinuity.

Audio arrives in chunks whose stamps mark their first sample. Where a stamp deviates from the count
of samples (see sample_clock.py) by more than the tolerance, the run of chunks ends: a gap, an
overlap or a clock jump is reported, and no window spans it. Streams of several devices, each with
its own clock, are joined by multi_device.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.sample_clock import SampleClock
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
import numpy as np
from numpy.typing import ArrayLike

__all__ = ['Discontinuity', 'level_db', 'NS', 'Window', 'WindowBuffer']

ARRIVAL_TOLERANCE = 0.25
"""Seconds by which chunks may be early or late where their time is that of their arrival."""


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
    absent : dict
        Of several devices, the numbers of those without samples here, with the reason, a
        sentence. Their channels are zero.
    offsets : tuple of float
        Of several devices, the seconds by which the stamps of each were corrected.

    """

    signals: np.ndarray
    stamp_ns: int
    sample_rate: int
    absent: dict[int, str] = field(default_factory=dict)
    offsets: tuple[float, ...] = ()


class WindowBuffer:
    """
    A ring buffer of the latest samples that yields a window every hop.

    Parameters
    ----------
    config : WindowConfig
        Length, hop and tolerance.
    stamped : bool
        False where the chunks' times are those of their arrival: only a pause is then a
        discontinuity, since a lost chunk cannot be distinguished from a late one.

    """

    def __init__(self, config: WindowConfig = WindowConfig(), stamped: bool = True) -> None:
        self.config = config
        self._clock = SampleClock(config.stamp_tolerance if stamped else ARRIVAL_TOLERANCE,
                                  half_chunk_limit=stamped)
        self._ring: np.ndarray = np.empty((0, 0), dtype=np.float32)
        self._n_received = 0  # samples since the run began
        self._next_window_end = 0  # the sample count at which the next window is complete

    def reset(self) -> None:
        """End the current run, as after a chunk that could not be decoded."""
        self._clock.reset()

    def push(self, samples: np.ndarray, stamp_ns: int,
             sample_rate: int) -> Iterator[Window | Discontinuity]:
        """
        Add a chunk; iterate over what it completes.

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
        fresh = not self._clock.running
        discontinuity = self._clock.advance(n_samples, n_channels, stamp_ns, sample_rate)
        if fresh or discontinuity:
            self._start(n_channels, sample_rate)
        if discontinuity:
            yield discontinuity
        # A chunk may be longer than the ring: it is added in pieces that end where windows end.
        while len(samples):
            piece = samples[:self._next_window_end - self._n_received]
            self._append(piece)
            samples = samples[len(piece):]
            if self._n_received == self._next_window_end:
                yield self._window()
                self._next_window_end += max(1, round(self.config.hop * sample_rate))

    def _start(self, n_channels: int, sample_rate: int) -> None:
        length = max(1, round(self.config.length * sample_rate))
        if self._ring.shape != (length, n_channels):
            self._ring = np.empty((length, n_channels), dtype=np.float32)
        self._n_received = 0
        self._next_window_end = length

    def _append(self, samples: np.ndarray) -> None:
        length = len(self._ring)
        start = self._n_received % length
        head = min(len(samples), length - start)
        self._ring[start:start + head] = samples[:head]
        self._ring[:len(samples) - head] = samples[head:]
        self._n_received += len(samples)

    def _window(self) -> Window:
        oldest = self._n_received % len(self._ring)
        signals = np.concatenate([self._ring[oldest:], self._ring[:oldest]]).T
        return Window(np.ascontiguousarray(signals), self._clock.time_ns(self._n_received - 1),
                      self._clock.sample_rate)


def level_db(signals: ArrayLike) -> np.ndarray:
    """
    Root-mean-square level of each channel about its mean.

    Parameters
    ----------
    signals : array_like
        Shape (M, T), full scale being 1.

    Returns
    -------
    numpy.ndarray
        Shape (M,), decibels relative to full scale; minus infinity where a channel is constant.

    """
    spread = np.asarray(signals, dtype=np.float64).std(axis=1)
    with np.errstate(divide='ignore'):
        level: np.ndarray = 20 * np.log10(spread)
    return level
