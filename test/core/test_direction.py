"""Directions and distances of posteriors, and the position where the median is in the middle."""

import math

from nsrp_ros.core.direction import direction_of
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
import numpy as np
import pytest

X = np.arange(40) * 0.2 - 3.9
Y = np.arange(30) * 0.2 - 2.9
Z = np.arange(10) * 0.25 + 0.125
CENTRE = np.array([0.1, -0.2, 1.2])
CORNERS = np.array([[-4, -3, 0], [4, 3, 2.5]])


def posterior(density):
    """Make a posterior of a function of the offsets (x, y, z) from the centre."""
    cells = density(X - CENTRE[0], Y[:, None] - CENTRE[1], Z[:, None, None] - CENTRE[2])
    return Posterior(cells / cells.sum(), X, Y, Z, CORNERS)


def gaussian(x, y, at, spread):
    """Evaluate a round peak."""
    return np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * spread ** 2))


def wrapped(angle):
    """Bring an angle to within half a turn."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@pytest.mark.parametrize('azimuth', [0.4, 3.1, -1.8])
def test_a_ray_has_a_precise_azimuth_and_a_vague_distance(azimuth):
    """Also across the cut at half a turn; the covariance tells nothing of that."""
    def ray(x, y, z):
        away = wrapped(np.arctan2(y, x) - azimuth)
        level = np.hypot(x, y)
        return (np.exp(-away ** 2 / (2 * 0.06 ** 2)) * ((level > 0.5) & (level < 2.5)) / level
                * np.exp(-(z - 0.3) ** 2 / (2 * 0.2 ** 2)))
    estimate = from_posterior(posterior(ray), centre=CENTRE)
    direction = estimate.direction
    assert abs(wrapped(direction.azimuth - azimuth)) < 0.04  # a cell there is 0.13 wide
    assert 0.05 < direction.azimuth_std < 0.13
    assert direction.distance == pytest.approx(1.55, abs=0.15)
    assert direction.distance_std == pytest.approx(2 / math.sqrt(12), abs=0.1)
    assert direction.elevation == pytest.approx(math.atan2(0.3, 1.5), abs=0.06)
    assert np.sqrt(np.trace(estimate.covariance)) > 5 * direction.azimuth_std


def test_a_cell_has_an_extent():
    """A posterior of one cell is known to the spread of a point in the cell."""
    one = direction_of(np.array([[2.0, 0, 0]]), np.array([[0.2, 0.4, 0.1]]), np.ones(1),
                       np.zeros(3))
    assert one.azimuth == 0 and one.distance == 2
    assert one.azimuth_std == pytest.approx(0.4 / math.sqrt(12) / 2, rel=0.01)
    assert one.elevation_std == pytest.approx(0.1 / math.sqrt(12) / 2, rel=0.01)
    assert one.distance_std == pytest.approx(0.2 / math.sqrt(12))
    with pytest.raises(ValueError, match='no direction'):
        direction_of(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1), np.zeros(3))


def test_a_direction_turns_with_its_frame():
    """The azimuth alone, within half a turn."""
    one = direction_of(np.array([[-1.0, 0.1, 0.3]]), np.full((1, 3), 0.1), np.ones(1), np.zeros(3))
    other = one.turned(0.5)
    assert other.azimuth == pytest.approx(one.azimuth + 0.5 - 2 * math.pi)
    assert (other.elevation, other.distance) == (one.elevation, one.distance)


def test_refined_cells_count_for_the_direction():
    """A finer grid moves the direction within a cell; without a centre there is none."""
    coarse = posterior(lambda x, y, z: gaussian(x, y, (1.5, 0), 0.1) * np.ones_like(z))
    steps = 0.05 * np.arange(12)
    fine_x, fine_y = CENTRE[0] + 1.2 + steps, CENTRE[1] - 0.28 + steps
    cells = gaussian(fine_x - CENTRE[0], fine_y[:, None] - CENTRE[1], (1.5, 0.12), 0.03)
    box = np.array([[fine_x[0], fine_y[0], 0.025], [fine_x[-1], fine_y[-1], 2.475]])
    box += [[-0.025], [0.025]]
    refined = Posterior(cells[None] / cells.sum(), fine_x, fine_y, np.array([1.25]), box)
    found = from_posterior(coarse, refined, centre=CENTRE).direction
    assert found.azimuth == pytest.approx(math.atan2(0.12, 1.5), abs=0.01)
    assert found.azimuth_std < from_posterior(coarse, centre=CENTRE).direction.azimuth_std
    assert from_posterior(coarse, refined).direction is None


def test_the_position_of_a_ring_is_on_the_ring():
    """Where the median is the microphones' own place, the likeliest part of the ring is taken."""
    def ring(x, y, z):
        azimuth, level = np.arctan2(y, x), np.hypot(x, y)
        shape = 0.3 + np.exp(-wrapped(azimuth - 2.0) ** 2 / (2 * 0.3 ** 2))
        return np.exp(-(level - 1.5) ** 2 / (2 * 0.1 ** 2)) * shape * np.ones_like(z)
    estimate = from_posterior(posterior(ring))
    away = estimate.position - CENTRE[:2] - 1.5 * np.array([math.cos(2.0), math.sin(2.0)])
    assert np.hypot(*away) < 0.3
    assert 0.2 < estimate.confidence < 0.6
    assert np.sqrt(np.trace(estimate.covariance)) > 1.5  # about that place, of the whole ring


def test_of_three_peaks_one_is_taken():
    """Their median lies between them; of two, it has the greater one already."""
    def peaks(*weights):
        at = [(2, 0), (-1.2, 1.8), (-1.2, -1.8)]
        return posterior(lambda x, y, z: sum(
            w * gaussian(x, y, a, 0.15) for w, a in zip(weights, at, strict=False))
            * np.ones_like(z))
    three = from_posterior(peaks(0.3, 0.3, 0.4))
    assert np.hypot(*(three.position - CENTRE[:2] - [-1.2, -1.8])) < 0.1
    assert three.confidence == pytest.approx(0.4, abs=0.05)
    two = from_posterior(peaks(0.7, 0.3))
    assert np.hypot(*(two.position - CENTRE[:2] - [2, 0])) < 0.2


def test_nothing_known_stays_in_the_middle():
    """No place of a flat posterior is better than another, whatever the cells' size."""
    for axis in (np.arange(8) * 1.2, np.arange(9) * 1.2, np.arange(50) * 0.1):
        flat = Posterior(np.full((1, len(axis), len(axis)), len(axis) ** -2.0), axis, axis,
                         np.array([1.0]))
        np.testing.assert_allclose(from_posterior(flat).position, axis.mean(), atol=1e-3)


def test_conditioned_on_the_search_area():
    """Cells outside have no probability, the share says how much there was."""
    whole = posterior(lambda x, y, z: np.ones_like(x * y * z))
    searched = np.broadcast_to(X > 2, (30, 40))
    part, share = whole.within(searched)
    assert share == pytest.approx(0.25) and part.cells.sum() == pytest.approx(1)
    estimate = from_posterior(part, presence=0.8 * share)
    assert estimate.likelihood_map[~searched].max() == 0 and estimate.position[0] > 2
    np.testing.assert_array_equal(estimate.searched, searched)
    nowhere, share = Posterior(np.where(searched, 0, whole.cells), X, Y, Z).within(searched)
    assert share == 0 and nowhere.cells[:, searched].min() > 0
    with pytest.raises(ValueError, match='no cell'):
        whole.within(np.zeros((30, 40), bool))


def test_one_cell_has_the_size_of_its_box():
    """Its centre alone says where it is, and not where it begins."""
    far = Posterior(np.ones((1, 1, 1)), np.array([10.0]), np.array([-7.0]), np.array([5.0]),
                    np.array([[9.5, -8, 4], [10.5, -6, 6]]))
    np.testing.assert_array_equal(far.cell_size, [1, 2])
    estimate = from_posterior(far)
    np.testing.assert_allclose(estimate.covariance, np.diag([1 / 12, 4 / 12]))
    assert estimate.height == 5
