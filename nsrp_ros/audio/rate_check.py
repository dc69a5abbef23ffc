"""Whether audio arrives at the rate that it claims."""

from collections import deque
from typing import TYPE_CHECKING

from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import NS
import numpy as np

if TYPE_CHECKING:
    from nsrp_ros.audio.message_types import Chunk

STEPS = 16
"""Intervals between chunks that are judged together, so that a lost chunk does not matter."""
STEP_TOLERANCE = 0.25
"""Share of the median interval by which an interval may differ from it, ..."""
MIN_CONSISTENT = 0.75
"""... and the share of intervals that must be within that for a rate to be judged at all."""
MAX_RATIO = 1.4
"""Ratio of intervals to durations, or its inverse, above which a claim is wrong; the error of a
clock is thousands of times smaller."""
BURST_RATIO = 0.1
"""Ratio below which chunks are a burst that was queued somewhere."""


class RateCheck:
    """
    Compares the intervals between chunks with the durations of their samples.

    Where an AudioInfo has a wrong rate, format or number of channels, every chunk holds more or
    less audio than its interval; likewise where a driver casts 16-bit samples to bytes.
    """

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None  # the last chunk's start (ns), duration (s)
        self._steps: deque[float] = deque(maxlen=STEPS)  # intervals over durations

    def check(self, chunk: 'Chunk') -> None:
        """
        Check the next chunk.

        Parameters
        ----------
        chunk : message_types.Chunk
            Its start and its number of samples count.

        Raises
        ------
        AudioError
            With the reason RATE_MISMATCH, for as long as chunks arrive at another rate than the
            claimed one.

        """
        length = len(chunk.samples) / chunk.sample_rate
        if self._last is not None and self._last[1]:
            self._steps.append((chunk.start_ns - self._last[0]) / NS / self._last[1])
        self._last = chunk.start_ns, length
        if len(self._steps) < STEPS:
            return
        steps = np.array(self._steps)
        ratio = np.median(steps)
        consistent = (np.abs(steps - ratio) <= STEP_TOLERANCE * abs(ratio)).mean()
        if consistent < MIN_CONSISTENT or (
                abs(steps.mean() - ratio) > STEP_TOLERANCE * abs(ratio)):
            return  # pauses or bursts: no rate to judge
        if BURST_RATIO < ratio < 1 / MAX_RATIO or ratio > MAX_RATIO:
            raise AudioError(
                SkipReason.RATE_MISMATCH,
                f'every chunk holds {length:.4f} s of audio, but the next comes after '
                f'{ratio * length:.4f} s: the sample rate, channels or format that it claims is '
                'wrong, or a driver casts 16-bit samples to single bytes')
