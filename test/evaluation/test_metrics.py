"""Metrics: perfect estimates score perfectly, and known answers come out."""

from nsrp_ros.evaluation.metrics import bootstrap_interval
from nsrp_ros.evaluation.metrics import expected_calibration_error
from nsrp_ros.evaluation.metrics import paired_test
from nsrp_ros.evaluation.metrics import position_errors
from nsrp_ros.evaluation.metrics import reliability
from nsrp_ros.evaluation.metrics import summarize
import numpy as np
import pytest


@pytest.fixture
def rng():
    """Return a seeded generator."""
    return np.random.default_rng(7)


def test_perfect_estimates_have_no_error(rng):
    """The truth scores 0 m, whatever its height."""
    sources = rng.uniform(0, 5, (20, 3))
    summary = summarize(position_errors(sources[:, :2], sources), rng)
    assert (summary.mean, summary.median, summary.std) == (0, 0, 0)
    assert summary.below_half == summary.below_one == 1
    assert summary.interval == (0, 0)


def test_errors_are_distances_on_the_floor():
    """Three metres east and four north are five away."""
    assert position_errors([[3, 4]], [[0, 0, 9]]).tolist() == [5]


def test_summary_of_known_errors(rng):
    """Mean, deviation, median and shares are the textbook's; 0.5 m itself is not below."""
    summary = summarize([0.0, 0.5, 1.0, 2.5], rng)
    assert summary.count == 4
    assert summary.mean == 1.0
    assert summary.median == 0.75
    assert summary.std == pytest.approx(np.std([0, 0.5, 1, 2.5]))
    assert (summary.below_half, summary.below_one) == (0.25, 0.5)


def test_interval_is_that_of_the_normal_distribution(rng):
    """For many values the bootstrap agrees with mean +- 1.96 standard errors."""
    values = rng.normal(3, 2, 4000)
    low, high = bootstrap_interval(values, rng)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_paired_test_detects_a_small_steady_gain(rng):
    """A tenth of a metre less everywhere is certain though the errors vary by metres."""
    reference = rng.exponential(2, 300) + 0.2
    test = paired_test(reference - 0.1 + rng.normal(0, 0.05, 300), reference, rng)
    assert test.difference == pytest.approx(-0.1, abs=0.02)
    assert test.interval[1] < 0 < test.cut
    assert test.p_value < 1e-10


def test_paired_test_of_a_method_with_itself_finds_nothing(rng):
    """No difference, no cut, no significance."""
    errors = rng.exponential(1, 50)
    test = paired_test(errors, errors, rng)
    assert (test.difference, test.cut, test.p_value) == (0, 0, 1)


def test_calibrated_confidences_have_a_small_calibration_error(rng):
    """Outcomes that are drawn with the stated probability fit it; overconfidence shows."""
    confidences = rng.uniform(0, 1, 20000)
    right = rng.uniform(0, 1, 20000) < confidences
    table = reliability(confidences, right)
    assert sum(count for _, _, count in table) == 20000
    assert expected_calibration_error(table) < 0.02
    overconfident = reliability(np.full(20000, 0.9), right)
    assert expected_calibration_error(overconfident) == pytest.approx(0.4, abs=0.02)


def test_invalid_input_is_refused(rng):
    """Nothing, negative distances and unequal lengths are errors."""
    for errors in ([], [-1.0], [np.nan]):
        with pytest.raises(ValueError):
            summarize(errors, rng)
    with pytest.raises(ValueError):
        paired_test([1.0], [1.0, 2.0], rng)
    with pytest.raises(ValueError):
        position_errors([[0, 0]], [[0, 0, 0], [1, 1, 1]])
    with pytest.raises(ValueError):
        reliability([0.5], [True, False])
