"""
Recordings of one talker by several microphones, and the windows that are cut from them.

Two scenes of Libri-adhoc40 (libri_adhoc40.py) come with the project.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import json
import os
from pathlib import Path

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
from numpy.typing import NDArray
import soundfile

LOUD_DB = 10.0
"""Windows this much weaker than their recording's loud ones are taken for pauses."""


class RecordingError(RuntimeError):
    """Recordings are missing, or not what they should be."""


@dataclass(frozen=True)
class Recording:
    """
    One talker, recorded by several synchronous microphones.

    Attributes
    ----------
    name : str
        Identifies the recording.
    channels : tuple of pathlib.Path
        M mono files of one length.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    source_position : numpy.ndarray
        Shape (3,), metres.
    room_dims : numpy.ndarray
        Shape (3,), metres.
    trim : tuple of float
        Seconds to leave out at the start and at the end.

    """

    name: str
    channels: tuple[Path, ...]
    mic_positions: NDArray[np.float64]
    source_position: NDArray[np.float64]
    room_dims: NDArray[np.float64]
    trim: tuple[float, float] = (0.0, 0.0)

    def read(self) -> tuple[NDArray[np.float32], int]:
        """Return the signals (M, T), float32, and their sample rate."""
        tracks, rates = zip(*(soundfile.read(path, dtype='float32') for path in self.channels),
                            strict=True)
        if len(set(rates)) != 1:
            raise RecordingError(f'{self.name}: channels of different sample rates {rates}')
        length = min(map(len, tracks))  # Libri-adhoc40's channels differ by some samples
        first, last = (round(t * rates[0]) for t in self.trim)
        return np.stack([t[first:length - last] for t in tracks]), rates[0]


def shared_recordings(folder: str | os.PathLike[str] | None = None) -> list[Recording]:
    """
    List the scenes that come with the project, one second each.

    Parameters
    ----------
    folder : str or path, optional
        Of scenes.json; else $NSRP_RECORDED, else ../shared/recorded beside the
        repository.

    Returns
    -------
    list of Recording

    Raises
    ------
    RecordingError
        If there are none.

    """
    if folder is None:
        beside = Path(__file__).resolve().parents[3] / 'shared/recorded'
        folder = os.environ.get('NSRP_RECORDED') or beside
    folder = Path(folder)
    if not (folder / 'scenes.json').is_file():
        raise RecordingError(f'there are no recordings in {folder}; NSRP_RECORDED names another '
                             'folder')
    scenes = json.loads((folder / 'scenes.json').read_text())
    return [Recording(
        scene['scene'], tuple(folder / scene['scene'] / name for name in scene['channels']),
        np.array(scene['mic_positions'], float), np.array(scene['source_position'], float),
        np.array(scene['room_dims'], float)) for scene in scenes]


def cut_windows(recordings: Sequence[Recording],
                rng: np.random.Generator | None = None) -> Scenes[np.ndarray]:
    """
    Cut recordings into windows of 0.5 s in which the talker is active.

    Parameters
    ----------
    recordings : sequence of Recording
        All with M microphones and one sample rate.
    rng : numpy.random.Generator, optional
        Draws one window of each recording; without it all are taken, 0.25 s apart.

    Returns
    -------
    Scenes
        NumPy arrays, signals in float32.

    Raises
    ------
    RecordingError
        If a recording is shorter than a window, or sample rates or channel counts differ.

    """
    settings = WindowConfig()
    cut: list[tuple[NDArray[np.float32], Recording]] = []
    rates: set[int] = set()
    for recording in recordings:
        signals, rate = recording.read()
        rates.add(rate)
        n_window, hop = round(settings.length * rate), round(settings.hop * rate)
        starts = np.arange(0, signals.shape[1] - n_window + 1, hop if rng is None else hop // 10)
        if len(starts) == 0:
            raise RecordingError(f'{recording.name} is shorter than a window')
        energy = np.array([(signals[:, s:s + n_window] ** 2).mean() for s in starts])
        starts = starts[energy >= np.percentile(energy, 95) * 10 ** (-LOUD_DB / 10)]
        if rng is not None:
            starts = starts[rng.integers(len(starts), size=1)]
        cut += [(signals[:, s:s + n_window], recording) for s in starts]
    shapes = {signals.shape for signals, _ in cut}
    if len(rates) != 1 or len(shapes) != 1:
        raise RecordingError(f'recordings of rates {rates} and shapes {shapes} make no batch')
    return Scenes(np.stack([signals for signals, _ in cut]),
                  np.stack([recording.mic_positions for _, recording in cut]),
                  np.stack([recording.source_position for _, recording in cut]),
                  np.stack([recording.room_dims for _, recording in cut]), rates.pop())
