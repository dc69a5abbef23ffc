"""Estimates of methods whose maps are scores, and those of several talkers."""

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.estimate import Talkers
import numpy as np
import pytest

X = np.arange(40) * 0.2 + 0.1
Y = np.arange(30) * 0.2 + 0.1


def test_scores_give_the_centre_of_the_highest_cell():
    """Without a covariance, and with the map as it was."""
    scores = np.zeros((30, 40))
    scores[4, 31] = 2.0
    estimate = from_scores(scores, X, Y, Confidence(), 4)
    np.testing.assert_array_equal(estimate.position, [X[31], Y[4]])
    assert estimate.covariance is None and estimate.likelihood_map is scores


def at(row, column, presence, covariance=None):
    """Return an estimate whose map has one cell, of 30 x 40."""
    cells = np.zeros((30, 40))
    cells[row, column] = 1.0
    return Estimate(np.array([X[column], Y[row]]), cells, X, Y, presence, covariance, presence)


def test_the_map_of_all_talkers_says_how_many_are_expected_where():
    """Posteriors count by their presence, scores as they are; nobody has no map."""
    one, other = (at(4, 31, 0.9, np.eye(2)), at(7, 2, 0.6, np.eye(2)))
    talkers = Talkers((one, other))
    assert talkers.likelihood_map.sum() == pytest.approx(1.5)
    assert talkers.likelihood_map[4, 31] == pytest.approx(0.9)
    assert talkers.likelihood_map[7, 2] == pytest.approx(0.6)
    np.testing.assert_array_equal(Talkers((at(4, 31, 0.9),)).likelihood_map,
                                  at(4, 31, 0.9).likelihood_map)
    assert Talkers(()).likelihood_map is None


def test_talkers_are_a_sequence():
    """Counted, iterated, indexed and sliced like a tuple."""
    one, other = at(4, 31, 0.9), at(7, 2, 0.6)
    talkers = Talkers((one, other))
    assert len(talkers) == 2 and list(talkers) == [one, other]
    assert talkers[0] is one and talkers[-1] is other and talkers[1:] == (other,)
    assert not Talkers(())
