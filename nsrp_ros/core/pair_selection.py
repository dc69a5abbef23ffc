"""
Which pairs of microphones to ask where there are more than an answer needs.

The number of pairs grows with the square of the microphones, what they add does not: sixteen
microphones have 120 pairs and only 15 independent delays.
"""

from nsrp_ros.core.geometry import microphone_pairs
import numpy as np

ENOUGH = 45
"""Pairs that are always asked, those of ten microphones."""


def chosen_pair_indices(mic_positions, partners=None):
    """
    Choose pairs, the closest first, so that every microphone keeps its share of them.

    Close pairs hear the most alike and their delays are the least ambiguous; the even share keeps
    them from all lying in one corner of the room.

    Parameters
    ----------
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    partners : int, optional
        Choose `partners` * M / 2 pairs, but at least `ENOUGH`; all pairs if left out.

    Returns
    -------
    numpy.ndarray
        Shape (P, 2), integer, the first microphone of a pair being the one with the lower index;
        the closest pair first.

    """
    pairs = microphone_pairs(len(mic_positions))
    ends = mic_positions[pairs]  # (P, 2, 3)
    pairs = pairs[np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).argsort(kind='stable')]
    if partners is None:
        return pairs
    most = max(ENOUGH, partners * len(mic_positions) // 2)
    if most >= len(pairs):
        return pairs
    share = -(-2 * most // len(mic_positions))  # of pairs that a microphone may be in
    asked = [0] * len(mic_positions)
    kept: list[int] = []
    others: list[int] = []
    for index, (first, second) in enumerate(pairs.tolist()):
        fair = max(asked[first], asked[second]) < share
        if fair:
            asked[first] += 1
            asked[second] += 1
        (kept if fair else others).append(index)
    # Where the closest pairs leave a microphone without partners, the next closest fill up.
    return pairs[sorted((kept + others)[:most])]
