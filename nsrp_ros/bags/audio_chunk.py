"""A decoded audio message of a bag."""

from dataclasses import dataclass

from nsrp_ros.audio.sample_formats import AudioError
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BagChunk:
    """
    A chunk of recorded audio, or the reason why it cannot be decoded.

    Attributes
    ----------
    samples : numpy.ndarray or None
        Shape (n, M), float32; None where the message could not be decoded.
    start_ns : int
        Time of the first sample, nanoseconds.
    sample_rate : int
        Hertz.
    problem : AudioError or None
        Why the message could not be decoded.

    """

    samples: NDArray[np.float32] | None
    start_ns: int
    sample_rate: int
    problem: AudioError | None = None
