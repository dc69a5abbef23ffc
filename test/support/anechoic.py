"""A room without reflections, in which everything is known."""

from typing import Any

from nsrp_ros.core.geometry import SPEED_OF_SOUND
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray


def propagate(source_signal: NDArray[np.floating[Any]], source_position: ArrayLike,
              mic_positions: ArrayLike, sample_rate: int = 16000) -> NDArray[np.float32]:
    """Propagate a signal (T,) to microphones in the free field: (M, T), exact delays."""
    n_fft = 4 * len(source_signal)
    spectrum = np.fft.rfft(source_signal, n_fft)
    frequency = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    distance = np.linalg.norm(np.asarray(mic_positions) - source_position, axis=1)
    delay = distance / SPEED_OF_SOUND
    shifted = spectrum * np.exp(-2j * np.pi * frequency * delay[:, None]) / distance[:, None]
    return np.fft.irfft(shifted, n_fft, axis=1)[:, :len(source_signal)].astype(np.float32)


class Anechoic:
    """A room without reflections: six microphones, one talker of white noise."""

    sample_rate = 16000
    room_dims = np.array([6.0, 5.0, 3.0])
    mic_positions = np.array([(0.5, 0.5, 1.0), (5.5, 0.7, 1.4), (5.2, 4.5, 0.8),
                              (0.6, 4.4, 1.6), (3.1, 0.3, 2.0), (2.8, 4.7, 0.5)])
    source_position = np.array([4.23, 3.11, 1.55])

    def signals(self, seconds: float = 0.5, seed: int = 0,
                level: float = 0.05) -> NDArray[np.float32]:
        """Return (M, T) signals of white noise from the source, the loudest at `level` rms."""
        noise = np.random.default_rng(seed).standard_normal(round(seconds * self.sample_rate))
        received = propagate(noise, self.source_position, self.mic_positions, self.sample_rate)
        return (level * received / received.std(axis=1).max()).astype(np.float32)
