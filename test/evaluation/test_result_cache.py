"""Cached results are not measured again."""

from nsrp_ros.evaluation.result_cache import cached
import numpy as np
import pytest


def test_a_longer_job_begins_with_the_rows_of_a_shorter_one(tmp_path):
    measured = []

    def square(k):
        measured.append(k)
        return k, k ** 2

    cached(square, 3, 'squares', tmp_path)
    np.testing.assert_array_equal(cached(square, 5, 'squares', tmp_path)[:, 1],
                                  [0, 1, 4, 9, 16])
    assert measured == [0, 1, 2, 3, 4]
    assert len(cached(square, 2, 'squares', tmp_path)) == 2 and len(measured) == 5
    cached(square, 1, 'other squares', tmp_path)
    assert len(measured) == 6


def test_an_interrupted_job_keeps_its_rows(tmp_path):
    def interrupted(k):
        if k == 40:
            raise KeyboardInterrupt
        return [k]

    with pytest.raises(KeyboardInterrupt):
        cached(interrupted, 50, 'key', tmp_path)
    measured = []

    def works(k):
        measured.append(k)
        return [k]

    rows = cached(works, 50, 'key', tmp_path)
    np.testing.assert_array_equal(rows[:, 0], np.arange(50))
    assert measured[0] == 25
