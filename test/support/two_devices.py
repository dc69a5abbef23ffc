"""Two devices, each with a clock of its own, that record two talkers."""

from collections.abc import Callable

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets.dechorate import RATE
import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
MICS = np.array([(0.5, 0.5, 1.0), (0.9, 0.5, 1.4), (0.5, 1.0, 1.2),
                 (5.2, 4.5, 0.8), (4.9, 4.4, 1.6), (5.4, 4.0, 1.1)])
SOURCES = np.array([(4.2, 3.1, 1.5), (1.5, 1.3, 1.6), (2.0, 4.0, 1.2), (4.6, 1.6, 1.5)])


def noise(seconds: float, seed: int) -> Callable[[Times], Times]:
    """Return a function that gives noise below 6 kHz at any times, seconds."""
    n = round((seconds + 2) * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[np.fft.rfftfreq(n, 1 / RATE) > 6000] = 0
    fine = np.fft.irfft(spectrum, 8 * n) * 8
    return lambda t: np.interp((t + 1) * RATE * 8, np.arange(8 * n), fine)


def record(seconds: float, skew: float = 0.0) -> list[NDArray[np.float32]]:
    """
    Record talkers who take turns of two seconds with both devices.

    Parameters
    ----------
    seconds : float
        Length of the recording.
    skew : float
        By how much the sample period of the second device is too long, a ratio.

    Returns
    -------
    list of numpy.ndarray
        Shape (T, 3) for each device.

    """
    turns = {k: noise(seconds, k) for k in range(len(SOURCES))}
    devices = []
    for mics, stretch in ((MICS[:3], 1.0), (MICS[3:], 1 + skew)):
        t = np.arange(round(seconds * RATE)) / RATE * stretch
        who = (t // 2).astype(int) % len(SOURCES)
        signals = np.zeros((len(t), len(mics)), np.float32)
        for k, source in enumerate(SOURCES):
            delay = np.linalg.norm(mics - source, axis=1) / SPEED_OF_SOUND
            for m in range(len(mics)):
                signals[who == k, m] = turns[k](t[who == k] - delay[m])
        devices.append(signals)
    return devices
