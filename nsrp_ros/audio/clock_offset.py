"""
By how much one device's clock is off another's, heard from the sound itself.

Stamps tell the time to a few milliseconds at best, sound needs a tenth of one. Each device's own
microphones tell where the talker may be; the sound's arrival at the other device then tells the
clocks apart. Both are found at once: the place p and the offset o that make

    SRP_a(p) + SRP_b(p) + sum over i of a, j of b of R_ij(tau_ij(p) - o)

the highest, R being GCC-PHAT and o positive where b's stamps are late. A line through many such
offsets, robustly fitted, is the clock: where it stands, and by how much it drifts.
"""

import threading

from nsrp_ros.core.gcc_phat import gcc_phat
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.core.stamps import NS
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.stats import siegelslopes

COARSE = 0.12
"""Metres between two places that are tried first."""
FINE = 0.03
"""Metres between two places that are tried in the end."""
INTERPOLATION = 4
"""Lags per sample."""
BEST = 400
"""Places that are tried with every offset."""
CLOSER = 40
"""Places that are looked at more closely."""
MEMORY = 90.0
"""Seconds of offsets that a line is fitted to."""
FEWEST = 6
"""Offsets that a line takes."""
AGREED = 2.5e-4
"""Seconds that offsets may stray from their line, in the median, for a clock to be known."""
STALE = 600.0
"""Seconds after which a line that no new offset has confirmed is forgotten."""


def measure_offset(signals, mic_positions, is_b, sample_rate, room_dims, largest=0.1):
    """
    Find by how much the stamps of some microphones are late.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), cut by the stamps as they are.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    is_b : numpy.ndarray
        Shape (M,), bool: whose stamps may be late, as against all others'.
    sample_rate : int
        Hertz.
    room_dims : array_like
        Shape (3,), metres.
    largest : float
        Seconds that the stamps may be off, either way.

    Returns
    -------
    float
        Seconds by which they are late. Where a window holds no sound that all heard, any number
        may come out: what agrees over several windows is believed (see ClockLine).

    Raises
    ------
    ValueError
        If there are too few microphones for a place and an offset: five are needed together.

    """
    is_b = np.asarray(is_b, dtype=bool)
    if len(signals) < 5 or is_b.all() or not is_b.any():
        raise ValueError('an offset takes five microphones or more, on both devices together')
    pairs = microphone_pairs(len(signals))
    # Across the devices, a's microphone comes first.
    pairs = np.where((is_b[pairs[:, 0]] & ~is_b[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
    across = is_b[pairs[:, 0]] != is_b[pairs[:, 1]]
    rate = INTERPOLATION * sample_rate
    correlation = gcc_phat(signals, pairs, INTERPOLATION)  # (P, L)

    # Places that are some way apart see a peak that has been widened to as much.
    step = max(1, round(0.5 * COARSE / SPEED_OF_SOUND * rate))
    wide = gaussian_filter1d(correlation, step, axis=1, mode='wrap')
    counts = np.maximum(2, np.ceil(np.asarray(room_dims) / [COARSE, COARSE, 2 * COARSE]))
    places = Grid.over_room(room_dims, *counts.astype(int)).points().reshape(-1, 3)
    within = _power(wide[~across], tdoa(places, mic_positions, pairs[~across]), rate)
    places = places[np.argsort(within)[::-1][:BEST]]
    offsets = np.arange(-largest * rate, largest * rate + 1, step) / rate
    total = _total(wide, places, offsets, mic_positions, pairs, across, rate)
    # Now closer, with correlations as sharp as they are, around several of the best places.
    around = np.stack(np.meshgrid(*[np.arange(-3, 4) * FINE] * 3), axis=-1).reshape(-1, 3)
    answers = []
    for k in np.argsort(total.max(axis=1))[::-1][:CLOSER]:
        near = offsets[total[k].argmax()] + np.arange(-2 * step, 2 * step + 1) / rate
        fine = _total(correlation, np.clip(places[k] + around, 0, room_dims), near,
                      mic_positions, pairs, across, rate)
        best = np.unravel_index(fine.argmax(), fine.shape)
        answers.append((fine[best], near[best[1]]))
    return float(max(answers)[1])


def _power(correlation, delays, rate):
    """Sum correlations (P, L) at delays (P, ...) in seconds over the pairs."""
    lags = np.round(delays * rate).astype(np.int64) % correlation.shape[1]
    power = np.zeros(lags.shape[1:], np.float32)
    for row, lag in zip(correlation, lags):
        power += row[lag]
    return power


def _total(correlation, places, offsets, mic_positions, pairs, across, rate):
    """Return the sum over all pairs for each place and offset, shape (places, offsets)."""
    delays = tdoa(places, mic_positions, pairs)  # (P, places)
    total = _power(correlation[~across], delays[~across], rate)[:, None]
    # b's stamps are late by o: what is cut by them is heard that much later.
    moved = delays[across][:, :, None] - offsets
    return total + _power(correlation[across], moved, rate)


class ClockLine:
    """
    One device's clock against the others': a line through the offsets of many windows.

    Its methods may be called from any thread.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._seen = []  # (time_ns, seconds)
        self._line = None  # (time_ns, seconds then, drift, spread)

    def add(self, time_ns, seconds):
        """Take in by how many seconds the stamps were late at a time."""
        with self._lock:
            if self._seen and abs(time_ns - self._seen[-1][0]) > STALE * NS:
                self._seen, self._line = [], None
            self._seen = [s for s in self._seen if abs(time_ns - s[0]) < MEMORY * NS]
            self._seen.append((time_ns, seconds))
            if len(self._seen) >= FEWEST:
                self._fit()

    def _fit(self):
        last_ns = self._seen[-1][0]
        at = np.array([(t - last_ns) / NS for t, _ in self._seen])
        late = np.array([s for _, s in self._seen])
        # Repeated medians: nearly half of the windows may be wrong.
        drift, now = siegelslopes(late, at)
        if np.ptp(at) < 5:  # too short a time to tell a drift from noise
            drift, now = 0.0, float(np.median(late))
        spread = float(np.median(np.abs(late - now - drift * at)))
        self._line = (last_ns, float(now), float(drift), spread)

    def forget(self):
        """Begin anew, as after a jump of the clock."""
        with self._lock:
            self._seen, self._line = [], None

    @property
    def known(self):
        """Return whether the clock is known well enough to hear with."""
        with self._lock:
            return self._known()

    def _known(self):
        return self._line is not None and self._line[3] <= AGREED

    def at(self, time_ns):
        """Return by how many seconds the stamps are late at a time; 0 while nothing is known."""
        with self._lock:
            if self._line is None or not self._known():
                return 0.0
            last_ns, now, drift, _ = self._line
            return now + drift * (time_ns - last_ns) / NS

    def report(self):
        """Describe the clock in a few words."""
        with self._lock:
            if self._line is None:
                return f'not known yet ({len(self._seen)} of {FEWEST} windows)'
            _, now, drift, spread = self._line
        return (f'{1e3 * now:+.2f} ms, drift {1e6 * drift:+.0f} ppm, spread '
                f'{1e3 * spread:.2f} ms')
