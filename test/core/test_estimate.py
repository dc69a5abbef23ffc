"""Estimates of methods whose maps are scores."""

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import from_scores
import numpy as np

X = np.arange(40) * 0.2 + 0.1
Y = np.arange(30) * 0.2 + 0.1


def test_scores_give_the_centre_of_the_highest_cell():
    """Without a covariance, and with the map as it was."""
    scores = np.zeros((30, 40))
    scores[4, 31] = 2.0
    estimate = from_scores(scores, X, Y, Confidence(), 4)
    np.testing.assert_array_equal(estimate.position, [X[31], Y[4]])
    assert estimate.covariance is None and estimate.likelihood_map is scores
