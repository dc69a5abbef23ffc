"""A file of free-field room responses in the format of dEchorate's data_rooge.mat."""

from pathlib import Path
from typing import NamedTuple

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets.dechorate import ROOM_DIMS
import numpy as np
from scipy.io import savemat

RATE = 48000


class DechorateFile(NamedTuple):
    """The file, and the positions, metres, and talker distances (12,) that it holds."""

    path: Path
    mic_positions: np.ndarray
    source_position: np.ndarray
    distances: np.ndarray


def write_dechorate_file(folder: Path) -> DechorateFile:
    """Write responses of twelve microphones on six stands; two of them inverted."""
    rng = np.random.default_rng(0)
    stands = 0.5 + rng.random((6, 3)) * (np.array(ROOM_DIMS) - 1)
    mics = np.concatenate([stands, stands + [0.05, 0, 0]])
    source = np.array([4.2, 1.3, 1.5])
    distances = np.linalg.norm(mics - source, axis=1)
    time = np.arange(3000)
    responses = np.sinc(time - distances[:, None] * RATE / SPEED_OF_SOUND) / distances[:, None]
    responses[[1, 7]] *= -1
    path = folder / 'data_rooge.mat'
    savemat(path, {'rirs': responses.T[:, :, None], 'fs': RATE, 'mics': mics.T,
                   'src': source[:, None]})
    return DechorateFile(path, mics, source, distances)
