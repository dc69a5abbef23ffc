"""From a map to an answer: the peak, or the point of least expected distance."""

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.core.estimate import from_scores
import numpy as np
import pytest

X = np.arange(40) * 0.2 + 0.1
Y = np.arange(30) * 0.2 + 0.1


def gaussian(mean, spread):
    """Make a posterior (30, 40) about a point."""
    away = (X - mean[0]) ** 2 + (Y[:, None] - mean[1]) ** 2
    weight = np.exp(-away / (2 * spread ** 2))
    return weight / weight.sum()


def test_scores_answer_with_the_highest_cell():
    """The centre of one cell, without a covariance."""
    scores = np.zeros((30, 40))
    scores[4, 31] = 2.0
    estimate = from_scores(scores, X, Y, Confidence(), 4)
    np.testing.assert_array_equal(estimate.position, [X[31], Y[4]])
    assert estimate.covariance is None and estimate.likelihood_map is scores


def test_a_posterior_answers_finer_than_a_cell():
    """The mean of a round posterior, its spread, and the mass within half a metre."""
    estimate = from_posterior(gaussian((3.33, 2.71), 0.4), X, Y)
    np.testing.assert_allclose(estimate.position, [3.33, 2.71], atol=0.005)
    np.testing.assert_allclose(estimate.covariance, (0.4 ** 2 + 0.2 ** 2 / 12) * np.eye(2),
                               atol=0.005)
    assert estimate.confidence == pytest.approx(1 - np.exp(-0.5 ** 2 / (2 * 0.4 ** 2)), abs=0.05)


def test_the_lesser_ghost_does_not_pull():
    """Of two peaks the median stays with the greater, where a mean would stand between them."""
    both = 0.7 * gaussian((1.5, 1.5), 0.15) + 0.3 * gaussian((6.5, 4.5), 0.15)
    estimate = from_posterior(both, X, Y)
    assert np.linalg.norm(estimate.position - [1.5, 1.5]) < 0.2
    assert estimate.confidence == pytest.approx(0.7, abs=0.05)
    assert np.sqrt(np.trace(estimate.covariance)) > 2  # and says that it may be far off


def test_no_other_point_is_expected_to_be_nearer():
    """The geometric median minimises the expected distance."""
    posterior = np.random.default_rng(0).dirichlet(np.full(1200, 0.05)).reshape(30, 40)
    estimate = from_posterior(posterior, X, Y, iterations=200)
    cells = np.stack(np.meshgrid(X, Y), axis=-1)

    def expected(position):
        within = 2 * 0.2 ** 2 / 12
        return (posterior * np.sqrt(((cells - position) ** 2).sum(axis=-1) + within)).sum()
    best = expected(estimate.position)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        step = 0.05 * np.array([np.cos(angle), np.sin(angle)])
        assert best < expected(estimate.position + step)
