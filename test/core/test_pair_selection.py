"""The selection of pairs where there are many microphones."""

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.pair_selection import MIN_SELECTED
from nsrp_ros.core.pair_selection import select_pairs
import numpy as np


def microphones(n_mics):
    """Draw positions in a cube of five metres."""
    return np.random.default_rng(0).uniform(0, 5, (n_mics, 3))


def test_all_pairs_are_sorted_by_distance():
    """Without a limit every pair is there once, the closest first."""
    mics = microphones(16)
    pairs = select_pairs(mics)
    assert sorted(map(tuple, pairs)) == sorted(map(tuple, microphone_pairs(16)))
    lengths = np.linalg.norm(mics[pairs[:, 0]] - mics[pairs[:, 1]], axis=1)
    assert (np.diff(lengths) >= 0).all()


def test_pairs_are_dropped_only_where_there_are_many():
    """Up to ten microphones keep all of their pairs."""
    for n_mics in (2, 6, 10):
        mics = microphones(n_mics)
        np.testing.assert_array_equal(select_pairs(mics, 6), select_pairs(mics))
    assert len(select_pairs(microphones(10), 6)) == MIN_SELECTED


def test_every_microphone_keeps_its_share():
    """Of 120 pairs 48 are left, different ones, with at least half of its share for each."""
    few = select_pairs(microphones(16), 6)
    assert len(few) == 48 and len({tuple(pair) for pair in few.tolist()}) == 48
    assert (few[:, 0] < few[:, 1]).all()
    assert np.bincount(few.ravel(), minlength=16).min() >= 3
