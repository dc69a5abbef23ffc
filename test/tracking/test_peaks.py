"""Peaks of maps: positions, masses, and what is no peak."""

from nsrp_ros.tracking.peaks import find_peaks
from nsrp_ros.tracking.peaks import PeakConfig
import numpy as np
import pytest

X, Y = np.arange(0.1, 6, 0.2), np.arange(0.1, 5, 0.2)


def blob(centre, mass=1.0, spread=0.2):
    """Return a Gaussian of some mass over the cells (25, 30)."""
    xs, ys = np.meshgrid(X, Y)
    values = np.exp(-((xs - centre[0]) ** 2 + (ys - centre[1]) ** 2) / (2 * spread ** 2))
    return mass * values / values.sum()


def test_two_talkers_are_two_peaks_with_their_masses():
    """Positions finer than cells, the larger mass first."""
    peaks = find_peaks(blob((1.23, 3.9), 0.3) + blob((4.51, 1.07), 0.7), X, Y)
    assert [round(p.mass, 2) for p in peaks] == pytest.approx([0.7, 0.3], abs=0.02)
    np.testing.assert_allclose(peaks[0].position, (4.51, 1.07), atol=0.02)
    np.testing.assert_allclose(peaks[1].position, (1.23, 3.9), atol=0.02)
    np.testing.assert_allclose(peaks[0].covariance, 0.04 * np.eye(2), atol=0.01)


def test_scale_does_not_matter():
    """An occupancy grid's 0 to 98 gives the same peaks as probabilities."""
    values = blob((1.2, 3.9), 0.4) + blob((4.5, 1.0), 0.6)
    coarse = np.round(98 * values / values.max())
    for fine, rough in zip(find_peaks(values, X, Y), find_peaks(coarse, X, Y), strict=True):
        np.testing.assert_allclose(rough.position, fine.position, atol=0.05)
        assert rough.mass == pytest.approx(fine.mass, abs=0.02)


def test_a_broad_peak_is_one_talker():
    """A second maximum within the separation of a peak is not another talker."""
    values = blob((3.0, 2.5), 0.6, 0.4) + blob((3.6, 2.5), 0.4, 0.2)
    assert len(find_peaks(values, X, Y)) == 1


def test_masses_are_not_counted_twice():
    """Neighbouring peaks divide the cells between them."""
    values = blob((2.4, 2.5), 0.5, 0.3) + blob((3.5, 2.5), 0.5, 0.3)
    peaks = find_peaks(values, X, Y, PeakConfig(radius=1.0, separation=1.0))
    assert len(peaks) == 2
    assert sum(p.mass for p in peaks) <= 1 + 1e-9


def test_faint_peaks_and_cells_outside_the_map_are_ignored():
    """Below min_mass, or NaN."""
    values = blob((1.0, 1.0), 0.97) + blob((5.0, 4.0), 0.03)
    assert len(find_peaks(values, X, Y, PeakConfig(min_mass=0.05))) == 1
    assert len(find_peaks(values, X, Y, PeakConfig(min_mass=0.01))) == 2
    values[Y > 3] = np.nan
    assert len(find_peaks(values, X, Y, PeakConfig(min_mass=0.01))) == 1


def test_a_map_without_information_has_no_peak():
    """Flat, zero and unknown maps; one spread over the whole room has faint ones at most."""
    for uniform in (np.zeros, np.ones):
        assert find_peaks(uniform((25, 30)), X, Y) == []
    assert find_peaks(np.full((25, 30), np.nan), X, Y) == []
    diffuse = np.random.default_rng(0).uniform(0.9, 1.0, (25, 30))
    assert all(p.mass < 0.1 for p in find_peaks(diffuse, X, Y))


def test_sharpness_raises_the_peak_of_scores():
    """Scores with an offset have little mass near their peak until they are sharpened."""
    scores = 0.5 + 0.5 * blob((4.5, 1.0), 1.0) / blob((4.5, 1.0)).max()
    before = find_peaks(scores, X, Y, PeakConfig(min_mass=0.01))[0]
    after = find_peaks(scores, X, Y, PeakConfig(sharpness=10.0))[0]
    assert before.mass < 0.1 and after.mass > 0.5
    np.testing.assert_allclose(after.position, (4.5, 1.0), atol=0.05)


@pytest.mark.parametrize('change', [
    {'radius': 0.0}, {'radius': 2.0}, {'min_mass': 0.0}, {'max_peaks': 0}, {'sharpness': 0.0},
    {'sharpness': float('nan')}])
def test_invalid_configurations_are_refused(change):
    """When they are made."""
    with pytest.raises(ValueError):
        PeakConfig(**change)


def test_invalid_maps_are_refused():
    """Shapes that disagree, and negative values."""
    with pytest.raises(ValueError, match='shape'):
        find_peaks(np.ones((3, 4)), X, Y)
    with pytest.raises(ValueError, match='negative'):
        find_peaks(-np.ones((25, 30)), X, Y)
