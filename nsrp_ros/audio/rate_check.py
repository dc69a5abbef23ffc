"""Whether audio comes as fast as it claims to; if not, what says so, or half of it, is wrong."""

from collections import deque

from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.core.stamps import NS
import numpy as np

STEPS = 16
"""From one chunk to the next: so many are judged together, so that nothing rests on a lost one."""
LIKE = 0.25
"""By which share of their median steps may differ, ..."""
MOST = 0.75
"""... and how many of them must not, for there to be a pace at all."""
OFF = 1.4
"""How many times too fast or too slow a pace is wrong; clocks are not, by a thousandth of that."""
LEAST = 0.1
"""What comes faster than this waited somewhere, and comes all at once."""


class Pace:
    """
    Compares the time from chunk to chunk with the time that their samples take.

    Where an AudioInfo names a wrong rate, format or number of channels, every chunk holds more or
    less audio than there is time for it; so it does where a driver casts 16-bit samples to bytes.
    """

    def __init__(self):
        self._last = None  # when the last chunk began, and how long it is
        self._steps: deque[tuple] = deque(maxlen=STEPS)

    def check(self, chunk):
        """
        Take a chunk's time and length in.

        Parameters
        ----------
        chunk : sources.Chunk
            The next one.

        Raises
        ------
        AudioError
            With the reason 'pace', for as long as chunks keep to a pace that is not theirs.

        """
        length = len(chunk.samples) / chunk.sample_rate
        if self._last is not None and self._last[1]:
            self._steps.append((chunk.start_ns - self._last[0]) / NS / self._last[1])
        self._last = chunk.start_ns, length
        if len(self._steps) < STEPS:
            return
        steps = np.array(self._steps)
        pace = np.median(steps)
        kept = (np.abs(steps - pace) <= LIKE * abs(pace)).mean()
        if kept < MOST or abs(steps.mean() - pace) > LIKE * abs(pace):
            return  # pauses, or bursts: no pace at all
        if LEAST < pace < 1 / OFF or pace > OFF:
            raise AudioError('pace', f'every chunk holds {length:.4f} s of audio, but the next '
                             f'comes after {pace * length:.4f} s: the sample rate, channels or '
                             'format that it claims is wrong, or a driver casts 16-bit samples '
                             'to single bytes')
