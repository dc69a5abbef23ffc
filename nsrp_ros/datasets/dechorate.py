"""
Windows of speech convolved with room responses that were measured in a real room.

The file `data_rooge.mat` of the dEchorate project (Di Carlo et al. 2021) holds the responses of
twelve microphones, two on each of six stands, to one directional loudspeaker in a room of 5.7 x
6.0 x 2.4 m with five reflecting surfaces, and the positions of all of them.
"""

import os

from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.signal import fftconvolve
from scipy.signal import resample_poly
import torch

ROOM_DIMS = (5.705, 5.965, 2.355)
"""Metres, of the dEchorate room."""
RATE = 16000
"""Sample rate of responses and windows, hertz."""
SNR_DB = 25.0
"""Signal-to-noise ratio of the windows."""
_WINDOW = RATE // 2


def read_responses(path: str | os.PathLike[str]) -> tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """
    Read the measured responses and their positions.

    Parameters
    ----------
    path : str or path
        Of data_rooge.mat.

    Returns
    -------
    responses : numpy.ndarray
        Shape (12, N), at 16 kHz; microphones k and k + 6 share a stand.
    mic_positions, source_position : numpy.ndarray
        Shapes (12, 3) and (3,), metres.

    Raises
    ------
    ValueError
        If the file holds something else.

    """
    try:
        data = loadmat(str(path))
        responses, rate = data['rirs'][:, :, 0].T, int(data['fs'].item())
        mics, source = data['mics'].T, data['src'][:, 0]
    except (KeyError, IndexError, ValueError, NotImplementedError) as error:
        # The last of these is what SciPy says of files that MATLAB 7.3 has written.
        raise ValueError(f'{path} does not hold the responses of dEchorate: {error}') from error
    if responses.shape[0] != 12 or mics.shape != (12, 3) or rate % RATE:
        raise ValueError(f'{path} holds {responses.shape[0]} responses at {rate} Hz, not 12 at a '
                         f'multiple of {RATE} Hz')
    return resample_poly(responses, 1, rate // RATE, axis=1), mics, source


def correct_polarity(responses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert responses (M, N) whose direct sound, their largest sample, is negative."""
    peak = np.take_along_axis(responses, np.abs(responses).argmax(axis=1)[:, None], axis=1)
    return responses * np.sign(peak)


def make_windows(responses: NDArray[np.float64], mic_positions: NDArray[np.float64],
                 source_position: NDArray[np.float64], speech_bank: SpeechBank, n_windows: int,
                 seed: int = 0) -> Scenes[np.ndarray]:
    """
    Convolve speech with measured responses, in rooms mirrored and turned at random.

    Parameters
    ----------
    responses, mic_positions, source_position : numpy.ndarray
        Of `read_responses`.
    speech_bank : SpeechBank
        The talker's speech.
    n_windows, seed : int
        How many windows, and the seed of all random choices.

    Returns
    -------
    Scenes
        NumPy arrays, six microphones each, with white noise at `SNR_DB`.

    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    speech = speech_bank.draw(n_windows, responses.shape[1] + _WINDOW, generator).numpy()
    signals, mics, sources, rooms = [], [], [], []
    for dry in speech:
        chosen = rng.permutation(6) + 6 * rng.integers(2, size=6)
        wet = fftconvolve(dry[None], responses[chosen], axes=1)
        wet = wet[:, responses.shape[1]:responses.shape[1] + _WINDOW]
        # The responses are stored with equal peaks: their levels carry no information.
        signals.append(0.05 * wet / np.sqrt((wet ** 2).mean(axis=1, keepdims=True)))
        places = np.vstack([mic_positions[chosen], source_position])
        dims = np.array(ROOM_DIMS)
        mirrored = rng.integers(2, size=3).astype(bool)
        mirrored[2] = False
        places = np.where(mirrored, dims - places, places)
        if rng.integers(2):
            places, dims = places[:, [1, 0, 2]], dims[[1, 0, 2]]
        mics.append(places[:-1])
        sources.append(places[-1])
        rooms.append(dims)
    clean = torch.as_tensor(np.stack(signals), dtype=torch.float32)
    return Scenes(add_sensor_noise(clean, SNR_DB, generator).numpy(), np.stack(mics),
                  np.stack(sources), np.stack(rooms), RATE)
