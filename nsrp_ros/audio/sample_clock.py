"""
A sound card's clock, told from the stamps of its chunks.

Inside a contiguous run of chunks time is counted in samples, which is exact but for the card's
own rate; stamps jitter but do not drift. A Kalman filter of two states, how late the count is and
by how much the card's samples are longer than they claim, joins the two: jitter is averaged out,
and drift is followed without a lag.
"""

from dataclasses import dataclass

from nsrp_ros.core.stamps import NS
import numpy as np

JITTER, LEAST_JITTER = 2e-3, 5e-5
"""Seconds that stamps stray, one standard deviation: as supposed at first, and at least."""
GETTING_TO_KNOW = 0.05
"""Weight of a chunk in what is believed of the jitter: some twenty chunks tell it."""
SKEW = 1e-4
"""How wrong a card's rate may be, one standard deviation: 100 parts in a million."""
WANDER = 1e-7
"""By how much the skew changes in the square root of a second, as a card warms up."""
CLOCK_JUMP = 1.0
"""Seconds from which on a discontinuity is called a jump of the clock."""


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


class SampleClock:
    """
    The time of every sample of one stream.

    Parameters
    ----------
    tolerance : float
        Seconds that a chunk's stamp may stray from the count before it is a discontinuity.
    half_a_chunk : bool
        Whether half a chunk is tolerated at most, so that a chunk that is lost is always
        noticed; False for times of arrival, which jitter by more than that.

    """

    def __init__(self, tolerance, half_a_chunk=True):
        self._tolerance = tolerance
        self._half_a_chunk = half_a_chunk
        self._format: tuple[int, int] | None = None  # channels and sample rate of the run
        self.n_received = 0
        self._origin_ns = 0  # kept apart: a float cannot hold nanoseconds since 1970
        self._newest = 0  # the first sample of the newest chunk, at which the state holds
        self._state = np.zeros(2)  # seconds that samples are later than counted, and the skew
        self._covariance = np.zeros((2, 2))
        self._jitter = JITTER ** 2  # seconds squared

    @property
    def running(self):
        """Return whether a run has begun."""
        return self._format is not None

    @property
    def sample_rate(self):
        """Return the rate that the stream claims, hertz; there must be a run."""
        assert self._format is not None
        return self._format[1]

    @property
    def skew(self):
        """Return by how much the card's seconds are too long, a ratio (80e-6 is 80 ppm)."""
        return float(self._state[1])

    def reset(self):
        """Forget the run."""
        self._format = None

    def time_ns(self, sample):
        """Return the time of a sample (a count since the run began), integer nanoseconds."""
        late, skew = self._state
        late += skew * (sample - self._newest) / self.sample_rate
        return self._origin_ns + round((late + sample / self.sample_rate) * NS)

    def sample_at(self, time_ns):
        """Return which sample, a fractional count since the run began, a time falls on."""
        late, skew = self._state
        since = (time_ns - self._origin_ns) / NS - late - self._newest / self.sample_rate
        return self._newest + since / (1 + skew) * self.sample_rate

    def advance(self, n_samples, n_channels, stamp_ns, sample_rate):
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
            Where the chunk does not continue the run: it then is the first of another.

        """
        if not self.running:
            return self._start(n_samples, n_channels, stamp_ns, sample_rate)
        if self._format != (n_channels, sample_rate):
            self._start(n_samples, n_channels, stamp_ns, sample_rate)
            return Discontinuity('format change', 0.0, stamp_ns)
        error = (stamp_ns - self.time_ns(self.n_received)) / NS
        tolerance = self._tolerance
        if self._half_a_chunk:
            tolerance = min(tolerance, 0.5 * n_samples / sample_rate)
        if abs(error) > tolerance:
            self._start(n_samples, n_channels, stamp_ns, sample_rate)
            return Discontinuity(_kind(error), error, stamp_ns)
        self._believe(error, (self.n_received - self._newest) / sample_rate)
        self._newest = self.n_received
        self.n_received += n_samples
        return None

    def _start(self, n_samples, n_channels, stamp_ns, sample_rate):
        self._format = (n_channels, sample_rate)
        self.n_received = n_samples
        self._origin_ns = stamp_ns
        self._newest = 0
        self._state = np.zeros(2)
        self._covariance = np.diag([JITTER ** 2, SKEW ** 2])
        self._jitter = JITTER ** 2

    def _believe(self, error, passed):
        """Correct the state by a stamp `error` seconds late, `passed` seconds after the last."""
        step = np.array([[1.0, passed], [0.0, 1.0]])
        covariance = step @ self._covariance @ step.T
        covariance[1, 1] += WANDER ** 2 * passed
        # Stamps that are better than supposed are followed the more closely.
        strayed = max(error ** 2, LEAST_JITTER ** 2)
        self._jitter += GETTING_TO_KNOW * (strayed - self._jitter)
        gain = covariance[:, 0] / (covariance[0, 0] + self._jitter)
        self._state = step @ self._state + gain * error
        self._covariance = covariance - np.outer(gain, covariance[0])


def _kind(seconds):
    if abs(seconds) > CLOCK_JUMP:
        return 'clock jump'
    return 'gap' if seconds > 0 else 'overlap'
