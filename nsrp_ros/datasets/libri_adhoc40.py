"""
The Libri-adhoc40 corpus: its folders and the positions of its microphones and loudspeakers.

    S. Guan et al., "Libri-adhoc40: a dataset collected from synchronized ad-hoc microphone
    arrays", 2021. LibriSpeech (CC BY 4.0), replayed by a loudspeaker and recorded at 16 kHz by 40
    synchronous microphones in an office of 9.8 x 10.3 x 4.2 m with an RT60 of 0.8 to 0.9 s.

Its folders are adhoc40-{train,dev,test}/pos #/speaker/chapter/, with one file per microphone,
SPEAKER-CHAPTER-SENTENCE-ch-K.wav (in some copies in a folder of the sentence's name), K = 1 to 40.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from itertools import product
import os
from pathlib import Path
import re

from nsrp_ros.datasets.recordings import Recording
from nsrp_ros.datasets.recordings import RecordingError
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_DEV_SOURCES
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_DIMS
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_MICS
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_TEST_SOURCES
import numpy as np
from numpy.typing import NDArray
import soundfile

TRIM_START, TRIM_END = 0.25, 0.5
"""Seconds cut from an utterance's ends, where the loudspeaker is not yet or no longer active."""
MIN_SECONDS = 2.5
"""Shorter utterances are left out."""
Utterances = Mapping[tuple[str, int, str], Mapping[int, Path]]
"""(subset, loudspeaker number, sentence) to the files of an utterance by microphone number."""

# The corpus's tables, metres. The training set has other microphone and loudspeaker positions.
_TRAIN_MICS = tuple(((9.1 if k % 2 == 0 else 8.3) - 1.6 * (k // 8),
                     (5.2, 6.0, 3.6, 4.4, 2.0, 2.8, 0.4, 1.2)[k % 8], 0.9) for k in range(40))
_TRAIN_SOURCES = tuple((x, y, 0.95) for x, y in (
    (2.7, 4.4), (2.7, 2.8), (2.7, 1.2), (4.3, 1.2), (5.9, 1.2), (8.3, 2.0), (8.3, 3.6),
    (8.3, 5.2), (5.1, 3.6)))
_POSITION = re.compile(r'pos[ _]?(\d+)[ud]?')
_CHANNEL = re.compile(r'(.+)-ch-(\d+)')


def mic_position(number: int, subset: str = 'test') -> NDArray[np.float64]:
    """Return the position (3,) of microphone 1 to 40 of a subset ('train', 'dev' or 'test')."""
    return np.array((_TRAIN_MICS if subset == 'train' else LIBRI_ADHOC_MICS)[number - 1])


def source_position(number: int, subset: str = 'test') -> NDArray[np.float64]:
    """Return the position (3,) of loudspeaker 1 to 9 (training) or 1 to 8 of a subset."""
    table = (_TRAIN_SOURCES if subset == 'train'
             else LIBRI_ADHOC_TEST_SOURCES + LIBRI_ADHOC_DEV_SOURCES)
    return np.array(table[number - 1])


def find_utterances(folder: str | os.PathLike[str], subset: str | None = None) -> Utterances:
    """
    Find the utterances of a Libri-adhoc40 subset that are long enough.

    Parameters
    ----------
    folder : str or path
        adhoc40-train, adhoc40-dev or adhoc40-test, or anything above its 'pos #' folders.
    subset : str, optional
        'train', 'dev' or 'test'; by default the end of the folder's name.

    Returns
    -------
    dict
        (subset, loudspeaker number, sentence) to {microphone number: path}.

    Raises
    ------
    RecordingError
        If there is none, or the subset is unknown.

    """
    folder = Path(folder)
    if subset is None:
        subset = folder.name.rpartition('-')[2]
    if subset not in ('train', 'dev', 'test'):
        raise RecordingError(f"{folder} is not named after a subset: pass 'train', 'dev' or "
                             "'test'")
    utterances: dict[tuple[str, int, str], dict[int, Path]] = {}
    for path in sorted(folder.glob('pos*/**/*-ch-*.wav')):
        position = _POSITION.fullmatch(path.relative_to(folder).parts[0])
        channel = _CHANNEL.fullmatch(path.stem)
        if position and channel:
            key = subset, int(position[1]), channel[1]
            utterances.setdefault(key, {})[int(channel[2])] = path
    utterances = {key: channels for key, channels in utterances.items()
                  if soundfile.info(next(iter(channels.values()))).duration >= MIN_SECONDS}
    if not utterances:
        raise RecordingError(f'there is no utterance of {MIN_SECONDS} s below {folder}')
    return utterances


def draw_recordings(utterances: Utterances, n_mics: int, count: int, rng: np.random.Generator,
                    groups: Sequence[Sequence[int]] | None = None) -> list[Recording]:
    """
    Draw utterances and combinations of microphones.

    Parameters
    ----------
    utterances : dict
        From `find_utterances`.
    n_mics : int
        M; 4 and 6 in the paper.
    count : int
        Number of recordings; when all utterances are used, they repeat with other microphones.
    rng : numpy.random.Generator
        Draws utterances and microphones.
    groups : sequence of sequences of int, optional
        Microphone numbers; one is taken from each group (for example of each corner) instead of
        any `n_mics` of all 40.

    Returns
    -------
    list of Recording

    Raises
    ------
    RecordingError
        If an utterance lacks the microphones.

    """
    if groups is not None:
        if len(groups) != n_mics:
            raise RecordingError(f'{n_mics} microphones need as many groups, not {len(groups)}')
        choices = list(product(*groups))
    keys = list(utterances)
    recordings: list[Recording] = []
    while len(recordings) < count:
        for index in rng.permutation(len(keys))[:count - len(recordings)]:
            subset, position, sentence = keys[index]
            channels = utterances[keys[index]]
            if groups is not None:
                mics = choices[rng.integers(len(choices))]
            else:
                mics = rng.permutation(sorted(channels))[:n_mics].tolist()
            if len(mics) < n_mics or not set(mics) <= set(channels):
                raise RecordingError(f'{sentence} at pos{position} lacks some of {mics}')
            recordings.append(Recording(
                f'pos{position}-{"-".join(map(str, mics))}-{sentence}',
                tuple(channels[m] for m in mics),
                np.stack([mic_position(m, subset) for m in mics]),
                source_position(position, subset), np.array(LIBRI_ADHOC_DIMS),
                (TRIM_START, TRIM_END)))
    return recordings
