"""
A sound card's clock, estimated from the stamps of its chunks.

Within a contiguous run of chunks time is counted in samples, which is exact but for the error of
the card's rate; stamps jitter but do not drift. A Kalman filter combines both. Its two states are
the lateness of the samples relative to their count and the skew of the card's sample period:
jitter is averaged out, and drift is tracked without a lag.
"""

from dataclasses import dataclass

from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
import numpy as np

JITTER, MIN_JITTER = 2e-3, 5e-5
"""Seconds, standard deviation of the stamps: initially assumed, and the lower limit."""
JITTER_WEIGHT = 0.05
"""Weight of a chunk in the running estimate of the jitter: that of some twenty chunks."""
SKEW = 1e-4
"""Initial standard deviation of the skew: 100 parts in a million."""
SKEW_WALK = 1e-7
"""Random walk of the skew per square root of a second, as a card warms up."""
CLOCK_JUMP = 1.0
"""Seconds above which a discontinuity counts as a jump of the clock."""


@dataclass(frozen=True)
class Discontinuity:
    """
    A discontinuity of the stream: what was buffered before it is dropped.

    Attributes
    ----------
    kind : SkipReason
        GAP, OVERLAP, CLOCK_JUMP or FORMAT_CHANGE.
    seconds : float
        How much later (positive) or earlier the chunk's stamp is than expected by the count.
    stamp_ns : int
        The stamp of the chunk that follows, nanoseconds.

    """

    kind: SkipReason
    seconds: float
    stamp_ns: int


class SampleClock:
    """
    The time of every sample of one stream.

    Parameters
    ----------
    tolerance : float
        Seconds by which a chunk's stamp may deviate from the count before it is a discontinuity.
    half_chunk_limit : bool
        Whether the tolerance is at most half a chunk, so that a lost chunk is always detected;
        False for times of arrival, which jitter by more than that.

    """

    def __init__(self, tolerance: float, half_chunk_limit: bool = True) -> None:
        self._tolerance = tolerance
        self._half_chunk_limit = half_chunk_limit
        self._format: tuple[int, int] | None = None  # channels and sample rate of the run
        self.n_received = 0
        self._origin_ns = 0  # kept apart: a float cannot hold nanoseconds since 1970
        self._newest = 0  # the first sample of the newest chunk, at which the state holds
        self._state = np.zeros(2)  # seconds that samples are later than counted, and the skew
        self._covariance = np.zeros((2, 2))
        self._jitter = JITTER ** 2  # seconds squared

    @property
    def running(self) -> bool:
        """Return whether a run has begun."""
        return self._format is not None

    @property
    def sample_rate(self) -> int:
        """Return the nominal rate of the stream, hertz; there must be a run."""
        assert self._format is not None
        return self._format[1]

    @property
    def skew(self) -> float:
        """Return by how much the card's sample period is too long, a ratio (80e-6 is 80 ppm)."""
        return float(self._state[1])

    def reset(self) -> None:
        """End the run."""
        self._format = None

    def time_ns(self, sample: int) -> int:
        """Return the time of a sample (a count since the run began), integer nanoseconds."""
        late, skew = self._state
        late += skew * (sample - self._newest) / self.sample_rate
        return self._origin_ns + round(float((late + sample / self.sample_rate) * NS))

    def sample_at(self, time_ns: int) -> float:
        """Return the sample at a time: a fractional count since the run began."""
        late, skew = self._state
        since = (time_ns - self._origin_ns) / NS - late - self._newest / self.sample_rate
        return float(self._newest + since / (1 + skew) * self.sample_rate)

    def advance(self, n_samples: int, n_channels: int, stamp_ns: int,
                sample_rate: int) -> Discontinuity | None:
        """
        Count a chunk.

        Parameters
        ----------
        n_samples, n_channels : int
            Of the chunk.
        stamp_ns : int
            Time of its first sample, nanoseconds.
        sample_rate : int
            Hertz.

        Returns
        -------
        Discontinuity or None
            If the chunk does not continue the run: it is then the first of a new one.

        """
        if not self.running:
            self._start(n_samples, n_channels, stamp_ns, sample_rate)
            return None
        if self._format != (n_channels, sample_rate):
            self._start(n_samples, n_channels, stamp_ns, sample_rate)
            return Discontinuity(SkipReason.FORMAT_CHANGE, 0.0, stamp_ns)
        error = (stamp_ns - self.time_ns(self.n_received)) / NS
        tolerance = self._tolerance
        if self._half_chunk_limit:
            tolerance = min(tolerance, 0.5 * n_samples / sample_rate)
        if abs(error) > tolerance:
            self._start(n_samples, n_channels, stamp_ns, sample_rate)
            return Discontinuity(_kind(error), error, stamp_ns)
        self._correct(error, (self.n_received - self._newest) / sample_rate)
        self._newest = self.n_received
        self.n_received += n_samples
        return None

    def _start(self, n_samples: int, n_channels: int, stamp_ns: int, sample_rate: int) -> None:
        self._format = (n_channels, sample_rate)
        self.n_received = n_samples
        self._origin_ns = stamp_ns
        self._newest = 0
        self._state = np.zeros(2)
        self._covariance = np.diag([JITTER ** 2, SKEW ** 2])
        self._jitter = JITTER ** 2

    def _correct(self, error: float, passed: float) -> None:
        """Update the filter by a stamp `error` seconds late, `passed` seconds after the last."""
        transition = np.array([[1.0, passed], [0.0, 1.0]])
        covariance = transition @ self._covariance @ transition.T
        covariance[1, 1] += SKEW_WALK ** 2 * passed
        # The measurement noise is estimated too: accurate stamps get a higher gain.
        variance = max(error ** 2, MIN_JITTER ** 2)
        self._jitter += JITTER_WEIGHT * (variance - self._jitter)
        gain = covariance[:, 0] / (covariance[0, 0] + self._jitter)
        self._state = transition @ self._state + gain * error
        self._covariance = covariance - np.outer(gain, covariance[0])


def _kind(seconds: float) -> SkipReason:
    if abs(seconds) > CLOCK_JUMP:
        return SkipReason.CLOCK_JUMP
    return SkipReason.GAP if seconds > 0 else SkipReason.OVERLAP
