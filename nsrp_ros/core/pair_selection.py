"""
The pairs of microphones to evaluate where there are more than an estimate needs.

The number of pairs grows with the square of the microphones, their information does not: sixteen
microphones have 120 pairs and only 15 independent delays.
"""

from nsrp_ros.core.geometry import microphone_pairs
import numpy as np
from numpy.typing import NDArray

MIN_SELECTED = 45
"""Pairs that are always evaluated, those of ten microphones."""


def select_pairs(mic_positions: NDArray[np.floating],
                 pairs_per_microphone: int | None = None) -> NDArray[np.int64]:
    """
    Select pairs, the closest first, such that every microphone keeps its share of them.

    The signals of close pairs are the most alike and their delays the least ambiguous; the even
    share keeps them from all lying in one corner of the room.

    Parameters
    ----------
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    pairs_per_microphone : int, optional
        Select `pairs_per_microphone` * M / 2 pairs, but at least `MIN_SELECTED`; all pairs if
        left out.

    Returns
    -------
    numpy.ndarray
        Shape (P, 2), integer, the first microphone of a pair being the one with the lower index;
        the closest pair first.

    """
    pairs = microphone_pairs(len(mic_positions))
    ends = mic_positions[pairs]  # (P, 2, 3)
    pairs = pairs[np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).argsort(kind='stable')]
    if pairs_per_microphone is None:
        return pairs
    n_selected = max(MIN_SELECTED, pairs_per_microphone * len(mic_positions) // 2)
    if n_selected >= len(pairs):
        return pairs
    share = -(-2 * n_selected // len(mic_positions))  # the most pairs that a microphone may be in
    count = [0] * len(mic_positions)
    within_share: list[int] = []
    others: list[int] = []
    for index, (first, second) in enumerate(pairs.tolist()):
        fair = max(count[first], count[second]) < share
        if fair:
            count[first] += 1
            count[second] += 1
        (within_share if fair else others).append(index)
    # Where the shares leave too few pairs, the next closest fill up.
    return pairs[sorted((within_share + others)[:n_selected])]
