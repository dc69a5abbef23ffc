"""From posteriors to estimates: the point of least expected distance, and the spread about it."""

from nsrp_ros.core.posterior import expected_position
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
import numpy as np
import pytest
from scipy.optimize import minimize

X = np.arange(40) * 0.2 + 0.1
Y = np.arange(30) * 0.2 + 0.1


def gaussian(mean, spread):
    """Make a posterior (30, 40) about a point."""
    away = (X - mean[0]) ** 2 + (Y[:, None] - mean[1]) ** 2
    weight = np.exp(-away / (2 * spread ** 2))
    return weight / weight.sum()


def flat(floor):
    """Make a posterior of one layer."""
    return Posterior(floor[None], X, Y, np.array([1.5]))


def test_the_position_is_finer_than_a_cell():
    """The mean of a round posterior, its spread, and the mass within half a metre."""
    estimate = from_posterior(flat(gaussian((3.33, 2.71), 0.4)))
    np.testing.assert_allclose(estimate.position, [3.33, 2.71], atol=0.005)
    np.testing.assert_allclose(estimate.covariance, (0.4 ** 2 + 0.2 ** 2 / 12) * np.eye(2),
                               atol=0.005)
    assert estimate.confidence == pytest.approx(1 - np.exp(-0.5 ** 2 / (2 * 0.4 ** 2)), abs=0.05)


def test_a_second_peak_does_not_pull_the_position():
    """Of two peaks the median stays with the greater; a mean would lie between them."""
    both = 0.7 * gaussian((1.5, 1.5), 0.15) + 0.3 * gaussian((6.5, 4.5), 0.15)
    estimate = from_posterior(flat(both))
    assert np.linalg.norm(estimate.position - [1.5, 1.5]) < 0.2
    assert estimate.confidence == pytest.approx(0.7, abs=0.05)
    assert np.sqrt(np.trace(estimate.covariance)) > 2  # the spread shows the second peak


def test_the_position_minimises_the_expected_distance():
    """It is the geometric median: from no point around it is the expected distance smaller."""
    posterior = np.random.default_rng(0).dirichlet(np.full(1200, 0.05)).reshape(30, 40)
    estimate = from_posterior(flat(posterior))
    cells = np.stack(np.meshgrid(X, Y), axis=-1)

    def expected(position):
        within = 2 * 0.2 ** 2 / 12
        return (posterior * np.sqrt(((cells - position) ** 2).sum(axis=-1) + within)).sum()
    best = expected(estimate.position)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        step = 0.05 * np.array([np.cos(angle), np.sin(angle)])
        assert best < expected(estimate.position + step)


def test_a_refined_posterior_replaces_the_cells_it_covers():
    """Finer cells move the position within a cell; the mass outside them is unchanged."""
    both = 0.8 * gaussian((3.3, 2.7), 0.05) + 0.2 * gaussian((6.5, 4.5), 0.15)
    fine_x, fine_y = 3.025 + 0.05 * np.arange(12), 2.425 + 0.05 * np.arange(12)
    away = (fine_x - 3.38) ** 2 + (fine_y[:, None] - 2.62) ** 2
    finer = np.exp(-away / (2 * 0.04 ** 2))
    refined = Posterior(finer[None] / finer.sum(), fine_x, fine_y, np.array([1.5]))
    estimate = from_posterior(flat(both), refined)
    np.testing.assert_allclose(estimate.position, [3.38, 2.62], atol=0.03)
    assert estimate.confidence == pytest.approx(0.8, abs=0.03)
    np.testing.assert_array_equal(estimate.likelihood_map, both)


def test_heights_and_presence():
    """The median height is finer than a layer; the confidence is at most the presence."""
    layers = np.array([0.25, 0.5, 0.25])[:, None, None] * gaussian((3.0, 3.0), 0.1)
    estimate = from_posterior(Posterior(layers, X, Y, np.array([0.5, 1.5, 2.5])), presence=0.3)
    assert estimate.height == pytest.approx(1.5)
    assert estimate.presence == 0.3
    assert estimate.confidence == pytest.approx(0.3, abs=0.02)
    lower = np.array([1.0, 0.0, 0.0])[:, None, None] * gaussian((3.0, 3.0), 0.1)
    assert from_posterior(Posterior(lower, X, Y, np.array([0.5, 1.5, 2.5]))).height == 0.5


def test_two_resolutions_agree_with_a_list_of_all_cells():
    """Position, spread, confidence and height equal those computed cell by cell."""
    rng = np.random.default_rng(3)
    for _ in range(4):
        centre = rng.uniform((1, 1), (6, 4))
        whole = flat(0.7 * gaussian(centre, 0.4) + 0.3 * gaussian((6.5, 4.5), 0.3))
        fine_x, fine_y = (c - 0.3 + 0.05 * np.arange(12) for c in centre)
        finer = rng.dirichlet(np.ones(2 * 144)).reshape(2, 12, 12)
        presence = rng.uniform()
        estimate = from_posterior(
            whole, Posterior(finer, fine_x, fine_y, np.array([0.7, 2.1])), presence)

        at_x, at_y = np.meshgrid(X, Y)
        covered = ((abs(at_x - fine_x.mean()) <= 0.3) & (abs(at_y - fine_y.mean()) <= 0.3))
        share = whole.floor[covered].sum()
        cells = [(x, y, p, 0.2) for x, y, p in
                 zip(at_x[~covered], at_y[~covered], whole.floor[~covered], strict=True)]
        cells += [(x, y, share * finer[:, row, column].sum(), 0.05)
                  for row, y in enumerate(fine_y) for column, x in enumerate(fine_x)]
        x, y, weight, size = np.array(cells).T

        def expected(point, x=x, y=y, weight=weight, size=size):
            return weight @ np.sqrt((x - point[0]) ** 2 + (y - point[1]) ** 2 + size ** 2 / 6)
        best = minimize(expected, centre, method='Nelder-Mead',
                        options={'xatol': 1e-7, 'fatol': 1e-12})
        np.testing.assert_allclose(estimate.position, best.x, atol=5e-4)
        away = np.stack([x, y]) - estimate.position[:, None]
        np.testing.assert_allclose(
            estimate.covariance, away * weight @ away.T + weight @ size ** 2 / 12 * np.eye(2))
        near = weight[np.hypot(*away) <= 0.5].sum()
        assert estimate.confidence == pytest.approx(presence * near)
        lower, upper = finer.sum(axis=(1, 2))
        assert estimate.height == pytest.approx(
            1.4 * 0.5 / lower if lower > 0.5 else 1.4 + 1.4 * (0.5 - lower) / upper)


def test_expected_position_is_the_position_of_the_estimate():
    """The centre of the refinement grid is the position that the map alone would give."""
    whole = flat(0.8 * gaussian((3.3, 2.7), 0.3) + 0.2 * gaussian((6.5, 4.5), 0.15))
    np.testing.assert_array_equal(expected_position(whole), from_posterior(whole).position)
