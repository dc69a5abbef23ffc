"""What has been measured is not measured again."""

from nsrp_ros.evaluation.result_cache import remember
import numpy as np
import pytest


def test_a_longer_job_begins_with_the_shorter_one_s(tmp_path):
    asked = []

    def square(k):
        asked.append(k)
        return k, k ** 2

    remember(square, 3, 'squares', tmp_path)
    np.testing.assert_array_equal(remember(square, 5, 'squares', tmp_path)[:, 1],
                                  [0, 1, 4, 9, 16])
    assert asked == [0, 1, 2, 3, 4]
    assert len(remember(square, 2, 'squares', tmp_path)) == 2 and len(asked) == 5
    remember(square, 1, 'other squares', tmp_path)
    assert len(asked) == 6


def test_a_broken_job_keeps_what_it_has(tmp_path):
    def breaks(k):
        if k == 40:
            raise KeyboardInterrupt
        return [k]

    with pytest.raises(KeyboardInterrupt):
        remember(breaks, 50, 'key', tmp_path)
    asked = []
    rows = remember(lambda k: asked.append(k) or [k], 50, 'key', tmp_path)
    np.testing.assert_array_equal(rows[:, 0], np.arange(50))
    assert asked[0] == 25
