"""
MUSIC and NormMUSIC of pyroomacoustics: the direction of a talker from one small array.

    R. Schmidt, "Multiple emitter location and signal parameter estimation", IEEE Trans. Antennas
    and Propagation 34 (3), 1986.
    D. Salvati, C. Drioli, G. L. Foresti, "Incoherent frequency fusion for broadband steered
    response power algorithms in noisy environments", IEEE Signal Processing Letters 21 (5), 2014.

Both look for the direction in which the microphones' correlation leaves the subspace of noise, at
each frequency, and add up the frequencies: MUSIC as they are, NormMUSIC each scaled to its
maximum. They know nothing of distances, walls and whether anybody talks.
"""

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
from pyroomacoustics.doa import MUSIC
from pyroomacoustics.doa import NormMUSIC
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

ALGORITHMS = {'music': MUSIC, 'norm_music': NormMUSIC}
"""The algorithms by their names in tables."""


@dataclass(frozen=True)
class MusicConfig:
    """Frames, frequencies and the grid of directions."""

    sample_rate: int = 16000
    """Hertz."""
    n_fft: int = 512
    """Samples in a frame; half of them to the next."""
    frequencies: tuple[float, float] = (300.0, 4000.0)
    """Lowest and highest frequency, hertz."""
    azimuth_step: float = 1.0
    """Degrees."""
    elevations: tuple[float, float, float] = (-40.0, 60.0, 10.0)
    """Lowest, highest and step, degrees: the directions in which heads are."""


@dataclass(frozen=True)
class Arrival:
    """
    A direction of arrival from the array's centre.

    Attributes
    ----------
    azimuth, elevation : float
        Radians, from the x axis towards the y axis, and above the horizontal plane.

    """

    azimuth: float
    elevation: float


def locate_direction(signals: NDArray[np.floating], mic_positions: NDArray[np.floating],
                     algorithm: str = 'norm_music', config: MusicConfig | None = None) -> Arrival:
    """
    Find the direction of one talker.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), at `config.sample_rate`, T of a frame or more.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    algorithm : str
        One of `ALGORITHMS`.
    config : MusicConfig, optional
        The settings.

    Returns
    -------
    Arrival
        The direction on the grid with the largest spatial spectrum.

    Raises
    ------
    ValueError
        If the window is shorter than a frame.

    """
    config = config or MusicConfig()
    if signals.shape[-1] < config.n_fft:
        raise ValueError(f'windows of {signals.shape[-1]} samples are shorter than a frame of '
                         f'{config.n_fft}')
    low, high, step = config.elevations
    elevations = np.radians(np.arange(low, high + step / 2, step))
    azimuths = np.radians(np.arange(-180, 180, config.azimuth_step))
    centred = mic_positions - mic_positions.mean(axis=0)
    method = ALGORITHMS[algorithm](
        centred.T, config.sample_rate, config.n_fft, num_src=1, azimuth=azimuths,
        colatitude=math.pi / 2 - elevations, dim=3)
    frames = ShortTimeFFT(hann(config.n_fft, sym=False), config.n_fft // 2, config.sample_rate)
    # Whole frames only: of those that reach beyond the window, half is made up.
    first, last = frames.lower_border_end[1], frames.upper_border_begin(signals.shape[-1])[1]
    offset = signals.mean(axis=-1, keepdims=True, dtype=np.float64)
    spectra = frames.stft(signals - offset, p0=first, p1=max(last, first + 1))  # (M, F, S)
    method.locate_sources(spectra, freq_range=list(config.frequencies))
    best = int(np.argmax(method.grid.values))
    return Arrival(float(np.angle(np.exp(1j * method.grid.azimuth[best]))),
                   float(math.pi / 2 - method.grid.colatitude[best]))
