"""
Offset between the clocks of two devices, estimated from the sound that both record.

Stamps are accurate to a few milliseconds at best, localization needs a tenth of one. Each device's
own microphones constrain the talker's position; the arrival of the sound at the other device then
gives the offset of the clocks. Both are estimated jointly: the position p and the offset o that
maximise

    SRP_a(p) + SRP_b(p) + sum over i of a, j of b of R_ij(tau_ij(p) - o)

where R is GCC-PHAT and o is positive where b's stamps are late. A line fitted robustly to many
such offsets gives the clock's offset and drift at any time.
"""

from collections.abc import Sequence
import threading

from nsrp_ros.core.gcc_phat import gcc_phat
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.core.stamps import NS
import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d
from scipy.stats import siegelslopes

COARSE_STEP = 0.12
"""Metres between the positions of the first, coarse grid."""
FINE_STEP = 0.03
"""Metres between the positions of the refinement grids."""
INTERPOLATION = 4
"""Lags per sample."""
N_COARSE = 400
"""Positions that are evaluated with every offset."""
N_REFINED = 40
"""Positions around which a refinement grid is evaluated."""
FIT_SECONDS = 90.0
"""Seconds of offsets to which a line is fitted."""
MIN_OFFSETS = 6
"""Fewest offsets for a line."""
MAX_SPREAD = 2.5e-4
"""Seconds, median deviation of offsets from their line up to which the clock counts as known."""
EXPIRY = 600.0
"""Seconds without a new offset after which a line is discarded."""


def measure_offset(signals: np.ndarray, mic_positions: np.ndarray, is_b: ArrayLike,
                   sample_rate: int, room_dims: Sequence[float] | np.ndarray,
                   largest: float = 0.1) -> float:
    """
    Estimate by how much the stamps of some microphones are late.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), cut by the uncorrected stamps.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    is_b : array_like
        Shape (M,), bool: microphones whose stamps may be late relative to the others'.
    sample_rate : int
        Hertz.
    room_dims : array_like
        Shape (3,), metres.
    largest : float
        Seconds, the largest offset in either direction.

    Returns
    -------
    float
        Seconds by which they are late. Meaningless for a window without a sound that all
        microphones recorded: only offsets that agree over several windows count (see ClockLine).

    Raises
    ------
    ValueError
        If there are too few microphones for a position and an offset: five on both together.

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

    # Peaks are widened to the spacing of the coarse grid, so that none falls between positions.
    step = max(1, round(0.5 * COARSE_STEP / SPEED_OF_SOUND * rate))
    wide = gaussian_filter1d(correlation, step, axis=1, mode='wrap')
    steps = [COARSE_STEP, COARSE_STEP, 2 * COARSE_STEP]  # heights matter less
    counts = np.maximum(2, np.ceil(np.asarray(room_dims) / steps))
    grid = Grid.over_room(room_dims, *counts.astype(int))
    positions = grid.points().reshape(-1, 3)
    within = _power(wide[~across], tdoa(positions, mic_positions, pairs[~across]), rate)
    positions = positions[np.argsort(within)[::-1][:N_COARSE]]
    offsets = np.arange(-largest * rate, largest * rate + 1, step) / rate
    total = _total(wide, positions, offsets, mic_positions, pairs, across, rate)
    # Refinement, with the original correlations, around several of the best positions.
    around = np.stack(np.meshgrid(*[np.arange(-3, 4) * FINE_STEP] * 3), axis=-1).reshape(-1, 3)
    candidates = []
    for k in np.argsort(total.max(axis=1))[::-1][:N_REFINED]:
        near = offsets[total[k].argmax()] + np.arange(-2 * step, 2 * step + 1) / rate
        fine = _total(correlation, np.clip(positions[k] + around, 0, room_dims), near,
                      mic_positions, pairs, across, rate)
        best = np.unravel_index(fine.argmax(), fine.shape)
        candidates.append((fine[best], near[best[1]]))
    return float(max(candidates)[1])


def _power(correlation: np.ndarray, delays: np.ndarray, rate: float) -> np.ndarray:
    """Sum correlations (P, L) at delays (P, ...) in seconds over the pairs."""
    lags = np.round(delays * rate).astype(np.int64) % correlation.shape[1]
    power: np.ndarray = np.zeros(lags.shape[1:], np.float32)
    for row, lag in zip(correlation, lags):
        power += row[lag]
    return power


def _total(correlation: np.ndarray, positions: np.ndarray, offsets: np.ndarray,
           mic_positions: np.ndarray, pairs: np.ndarray, across: np.ndarray,
           rate: float) -> np.ndarray:
    """Return the sum over all pairs for each position and offset, shape (positions, offsets)."""
    delays = tdoa(positions, mic_positions, pairs)  # (P, positions)
    within = _power(correlation[~across], delays[~across], rate)[:, None]
    # b's stamps are late by o: sound in what is cut by them arrives that much later.
    shifted = delays[across][:, :, None] - offsets
    total: np.ndarray = within + _power(correlation[across], shifted, rate)
    return total


class ClockLine:
    """
    One device's clock relative to the others: a line through the offsets of many windows.

    All methods are thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offsets: list[tuple[int, float]] = []  # (time_ns, seconds)
        # (time_ns, seconds then, drift, spread)
        self._line: tuple[int, float, float, float] | None = None

    def add(self, time_ns: int, seconds: float) -> None:
        """Add an offset: by how many seconds the stamps were late at a time."""
        with self._lock:
            if self._offsets and abs(time_ns - self._offsets[-1][0]) > EXPIRY * NS:
                self._offsets, self._line = [], None
            self._offsets = [s for s in self._offsets if abs(time_ns - s[0]) < FIT_SECONDS * NS]
            self._offsets.append((time_ns, seconds))
            if len(self._offsets) >= MIN_OFFSETS:
                self._fit()

    def _fit(self) -> None:
        last_ns = self._offsets[-1][0]
        at = np.array([(t - last_ns) / NS for t, _ in self._offsets])
        late = np.array([s for _, s in self._offsets])
        # Repeated medians: nearly half of the offsets may be outliers.
        drift, now = siegelslopes(late, at)
        if np.ptp(at) < 5:  # too short to distinguish a drift from noise
            drift, now = 0.0, float(np.median(late))
        spread = float(np.median(np.abs(late - now - drift * at)))
        self._line = (last_ns, float(now), float(drift), spread)

    def forget(self) -> None:
        """Discard all offsets, as after a jump of the clock."""
        with self._lock:
            self._offsets, self._line = [], None

    @property
    def known(self) -> bool:
        """Return whether the clock is known well enough to localize with this device."""
        with self._lock:
            return self._known()

    def _known(self) -> bool:
        return self._line is not None and self._line[3] <= MAX_SPREAD

    def offset_at(self, time_ns: int) -> float:
        """Return by how many seconds the stamps are late at a time; 0 while that is unknown."""
        with self._lock:
            if self._line is None or not self._known():
                return 0.0
            last_ns, now, drift, _ = self._line
            return now + drift * (time_ns - last_ns) / NS

    def report(self) -> str:
        """Describe the clock in a few words, for diagnostics."""
        with self._lock:
            if self._line is None:
                return f'not known yet ({len(self._offsets)} of {MIN_OFFSETS} windows)'
            _, now, drift, spread = self._line
        return (f'{1e3 * now:+.2f} ms, drift {1e6 * drift:+.0f} ppm, spread '
                f'{1e3 * spread:.2f} ms')
