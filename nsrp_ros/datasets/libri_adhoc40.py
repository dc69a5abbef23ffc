"""
Real recordings: the Libri-adhoc40 corpus, and the two of its scenes that come with the project.

    S. Guan et al., "Libri-adhoc40: a dataset collected from synchronized ad-hoc microphone
    arrays", 2021. LibriSpeech (CC BY 4.0), replayed by a loudspeaker and recorded at 16 kHz by 40
    synchronous microphones in an office of 9.8 x 10.3 x 4.2 m with an RT60 of 0.8 to 0.9 s.

Its folders are adhoc40-{train,dev,test}/pos #/speaker/chapter/, holding one file a microphone,
SPEAKER-CHAPTER-SENTENCE-ch-K.wav (in some copies in a folder of the sentence's name), K = 1 to 40.
"""

from dataclasses import dataclass
from itertools import product
import json
import os
from pathlib import Path
import re

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_DEV_SOURCES
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_DIMS
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_MICS
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_TEST_SOURCES
import numpy as np
import soundfile

TRIM_START, TRIM_END = 0.25, 0.5
"""Seconds that are cut from an utterance's ends, where the loudspeaker is still or again mute."""
MIN_SECONDS = 2.5
"""Shorter utterances are left out."""
LOUD_DB = 10.0
"""Windows this much weaker than their recording's loud ones are taken for pauses."""

# The corpus's tables, metres. Microphones and loudspeakers of the training set stood elsewhere.
_TRAIN_MICS = tuple(((9.1 if k % 2 == 0 else 8.3) - 1.6 * (k // 8),
                     (5.2, 6.0, 3.6, 4.4, 2.0, 2.8, 0.4, 1.2)[k % 8], 0.9) for k in range(40))
_TRAIN_SOURCES = tuple((x, y, 0.95) for x, y in (
    (2.7, 4.4), (2.7, 2.8), (2.7, 1.2), (4.3, 1.2), (5.9, 1.2), (8.3, 2.0), (8.3, 3.6),
    (8.3, 5.2), (5.1, 3.6)))
_POSITION = re.compile(r'pos[ _]?(\d+)[ud]?')
_CHANNEL = re.compile(r'(.+)-ch-(\d+)')


class RecordedError(RuntimeError):
    """Recordings are missing, or not what they should be."""


@dataclass(frozen=True)
class Recording:
    """
    One talker, heard by several microphones at once.

    Attributes
    ----------
    name : str
        Where it comes from.
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
    channels: tuple
    mic_positions: np.ndarray
    source_position: np.ndarray
    room_dims: np.ndarray
    trim: tuple = (0.0, 0.0)

    def read(self):
        """Return the signals (M, T), float32, and their sample rate."""
        tracks, rates = zip(*(soundfile.read(path, dtype='float32') for path in self.channels),
                            strict=True)
        if len(set(rates)) != 1:
            raise RecordedError(f'{self.name}: channels of different sample rates {rates}')
        length = min(map(len, tracks))  # the corpus's channels differ by some samples
        first, last = (round(t * rates[0]) for t in self.trim)
        return np.stack([t[first:length - last] for t in tracks]), rates[0]


def mic_position(number, subset='test'):
    """Return where microphone 1 to 40 of a subset ('train', 'dev' or 'test') stood, (3,)."""
    return np.array((_TRAIN_MICS if subset == 'train' else LIBRI_ADHOC_MICS)[number - 1])


def source_position(number, subset='test'):
    """Return where loudspeaker 1 to 9 (training) or 1 to 8 of a subset stood, (3,)."""
    table = (_TRAIN_SOURCES if subset == 'train'
             else LIBRI_ADHOC_TEST_SOURCES + LIBRI_ADHOC_DEV_SOURCES)
    return np.array(table[number - 1])


def shared_recordings(folder=None):
    """
    List the scenes that come with the project, one second each.

    Parameters
    ----------
    folder : path, optional
        Where scenes.json lies; else $NSRP_RECORDED, else ../shared/recorded beside the
        repository.

    Returns
    -------
    list of Recording

    Raises
    ------
    RecordedError
        If there are none.

    """
    if folder is None:
        beside = Path(__file__).resolve().parents[3] / 'shared/recorded'
        folder = os.environ.get('NSRP_RECORDED') or beside
    folder = Path(folder)
    if not (folder / 'scenes.json').is_file():
        raise RecordedError(f'there are no recordings in {folder}; NSRP_RECORDED names another '
                            'folder')
    scenes = json.loads((folder / 'scenes.json').read_text())
    return [Recording(
        scene['scene'], tuple(folder / scene['scene'] / name for name in scene['channels']),
        np.array(scene['mic_positions'], float), np.array(scene['source_position'], float),
        np.array(scene['room_dims'], float)) for scene in scenes]


def find_utterances(folder, subset=None):
    """
    Find the utterances of a Libri-adhoc40 subset that are long enough.

    Parameters
    ----------
    folder : path
        adhoc40-train, adhoc40-dev or adhoc40-test, or anything above its 'pos #' folders.
    subset : str, optional
        'train', 'dev' or 'test'; by default the end of the folder's name.

    Returns
    -------
    dict
        (subset, loudspeaker number, sentence) to {microphone number: path}.

    Raises
    ------
    RecordedError
        If there is none, or the subset is not clear.

    """
    folder = Path(folder)
    if subset is None:
        subset = folder.name.rpartition('-')[2]
    if subset not in ('train', 'dev', 'test'):
        raise RecordedError(f"{folder} is not named after a subset: pass 'train', 'dev' or 'test'")
    utterances = {}
    for path in sorted(folder.glob('pos*/**/*-ch-*.wav')):
        position = _POSITION.fullmatch(path.relative_to(folder).parts[0])
        channel = _CHANNEL.fullmatch(path.stem)
        if position and channel:
            key = subset, int(position[1]), channel[1]
            utterances.setdefault(key, {})[int(channel[2])] = path
    utterances = {key: channels for key, channels in utterances.items()
                  if soundfile.info(next(iter(channels.values()))).duration >= MIN_SECONDS}
    if not utterances:
        raise RecordedError(f'there is no utterance of {MIN_SECONDS} s below {folder}')
    return utterances


def draw_recordings(utterances, n_mics, count, rng, groups=None):
    """
    Draw utterances and combinations of microphones.

    Parameters
    ----------
    utterances : dict
        From `find_utterances`.
    n_mics : int
        M, the paper has 4 and 6.
    count : int
        Recordings wanted; an utterance returns with other microphones when all had their turn.
    rng : numpy.random.Generator
        Decides.
    groups : sequence of sequences of int, optional
        Microphone numbers; one is taken from each group (of each corner, say) instead of any
        `n_mics` of all 40.

    Returns
    -------
    list of Recording

    Raises
    ------
    RecordedError
        If an utterance lacks the microphones.

    """
    if groups is not None:
        if len(groups) != n_mics:
            raise RecordedError(f'{n_mics} microphones need as many groups, not {len(groups)}')
        choices = list(product(*groups))
    keys, recordings = list(utterances), []
    while len(recordings) < count:
        for index in rng.permutation(len(keys))[:count - len(recordings)]:
            subset, position, sentence = keys[index]
            channels = utterances[keys[index]]
            if groups is not None:
                mics = choices[rng.integers(len(choices))]
            else:
                mics = rng.permutation(sorted(channels))[:n_mics].tolist()
            if len(mics) < n_mics or not set(mics) <= set(channels):
                raise RecordedError(f'{sentence} at pos{position} lacks some of {mics}')
            recordings.append(Recording(
                f'pos{position}-{"-".join(map(str, mics))}-{sentence}',
                tuple(channels[m] for m in mics),
                np.stack([mic_position(m, subset) for m in mics]),
                source_position(position, subset), np.array(LIBRI_ADHOC_DIMS),
                (TRIM_START, TRIM_END)))
    return recordings


def cut_windows(recordings, rng=None):
    """
    Cut recordings into windows of 0.5 s in which somebody speaks.

    Parameters
    ----------
    recordings : sequence of Recording
        All with M microphones and one sample rate.
    rng : numpy.random.Generator, optional
        Draws one window of each recording; otherwise all are taken, 0.25 s apart.

    Returns
    -------
    Scenes
        NumPy arrays, signals float32.

    Raises
    ------
    RecordedError
        If a recording is shorter than a window, or they do not fit together.

    """
    settings, cut, rates = WindowConfig(), [], set()
    for recording in recordings:
        signals, rate = recording.read()
        rates.add(rate)
        n_window, hop = round(settings.length * rate), round(settings.hop * rate)
        starts = np.arange(0, signals.shape[1] - n_window + 1, hop if rng is None else hop // 10)
        if len(starts) == 0:
            raise RecordedError(f'{recording.name} is shorter than a window')
        energy = np.array([(signals[:, s:s + n_window] ** 2).mean() for s in starts])
        starts = starts[energy >= np.percentile(energy, 95) * 10 ** (-LOUD_DB / 10)]
        if rng is not None:
            starts = starts[rng.integers(len(starts), size=1)]
        cut += [(signals[:, s:s + n_window], recording) for s in starts]
    shapes = {signals.shape for signals, _ in cut}
    if len(rates) != 1 or len(shapes) != 1:
        raise RecordedError(f'recordings of rates {rates} and shapes {shapes} make no batch')
    return Scenes(np.stack([signals for signals, _ in cut]),
                  *(np.stack([getattr(recording, field) for _, recording in cut])
                    for field in ('mic_positions', 'source_position', 'room_dims')), rates.pop())
