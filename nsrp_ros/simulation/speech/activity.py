"""
Speech activity by energy, and trimming of the silence around utterances.

Shapes: T samples; a frame is `FRAME` long.
"""

from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FRAME = 0.01
"""Seconds over which the energy of speech is measured."""
ACTIVE_RANGE_DB = 35.0
"""A frame is speech where its level is within this range of its talker's loud frames."""
_EDGE = 0.05  # seconds kept before and after the speech of an utterance


def frame_levels_db(samples: NDArray[np.int16], sample_rate: int) -> NDArray[np.float32]:
    """Return the mean square of each frame in decibels, 0 being one quantum: (T // frame,)."""
    frame = round(FRAME * sample_rate)
    whole = samples[:len(samples) // frame * frame].astype(np.float32)
    return 10 * np.log10((whole.reshape(-1, frame) ** 2).mean(axis=1) + 1e-3)


def active_frames(samples: NDArray[np.int16], sample_rate: int) -> NDArray[np.bool_]:
    """
    Return which frames of one talker are speech.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape (T,), int16.
    sample_rate : int
        Hertz.

    Returns
    -------
    numpy.ndarray
        Shape (T // frame,), bool.

    """
    levels = frame_levels_db(samples, sample_rate)
    sounding = levels[levels > 0]  # digital silence is below one quantum
    if len(sounding) == 0:
        return np.zeros(len(levels), bool)
    return levels > max(np.percentile(sounding, 95) - ACTIVE_RANGE_DB, 10)


def trim_utterances(utterances: Sequence[NDArray[np.int16]],
                    sample_rate: int) -> Iterator[NDArray[np.int16]]:
    """
    Yield one talker's utterances without the silence around them.

    Parameters
    ----------
    utterances : sequence of numpy.ndarray
        int16, of shapes (T,).
    sample_rate : int
        Hertz.

    Yields
    ------
    numpy.ndarray
        int16; utterances without any speech are left out.

    """
    if not utterances:
        return
    frame, edge = round(FRAME * sample_rate), round(_EDGE * sample_rate)
    whole = [u[:len(u) // frame * frame] for u in utterances]
    active = active_frames(np.concatenate(whole), sample_rate)
    ends = np.cumsum([len(u) // frame for u in whole])[:-1]
    for utterance, mask in zip(whole, np.split(active, ends), strict=True):
        speech = np.flatnonzero(mask) * frame
        if len(speech):
            yield utterance[max(speech[0] - edge, 0):speech[-1] + frame + edge]
