"""Metrics of perfect, useless and known detectors."""

from nsrp_ros.evaluation.detection_metrics import alarm_threshold
from nsrp_ros.evaluation.detection_metrics import area_under_curve
from nsrp_ros.evaluation.detection_metrics import bootstrap_over_rooms
from nsrp_ros.evaluation.detection_metrics import roc_curve
from nsrp_ros.evaluation.detection_metrics import share_above
import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm


def test_area_of_a_perfect_an_inverted_and_a_constant_detector():
    assert area_under_curve([0.1, 0.2], [0.3, 0.9]) == 1
    assert area_under_curve([0.3, 0.9], [0.1, 0.2]) == 0
    assert area_under_curve([0.5] * 3, [0.5] * 4) == 0.5


def test_gaussian_scores_have_the_known_area_and_rates():
    """For unit normals d apart the area is Phi(d / sqrt 2)."""
    rng = np.random.default_rng(0)
    silent, talking = rng.normal(size=20000), rng.normal(1.5, 1, 20000)
    area = norm.cdf(1.5 / np.sqrt(2))
    assert area_under_curve(silent, talking) == pytest.approx(area, abs=0.01)
    alarms, detections = roc_curve(silent, talking)
    assert trapezoid(detections[::-1], alarms[::-1]) == pytest.approx(area, abs=0.01)
    threshold = alarm_threshold(silent, 0.05)
    detected = norm.sf(norm.isf(0.05) - 1.5)
    assert share_above(talking, threshold) == pytest.approx(detected, abs=0.02)


def test_no_more_false_alarms_than_allowed_whatever_ties_there_are():
    silent = np.repeat([0.0, 0.5, 1.0], [90, 8, 2])
    assert share_above(silent, alarm_threshold(silent, 0.01)) == 0  # all or none of the two at 1
    assert share_above(silent, alarm_threshold(silent, 0.05)) == 0.02
    assert share_above(silent, alarm_threshold(silent, 0.1)) == 0.1


def test_intervals_contain_the_value_and_rooms_are_resampled_together():
    rng = np.random.default_rng(1)
    silent, talking = rng.normal(size=(3, 60)), rng.normal(1, 1, (5, 60))
    value, low, high = bootstrap_over_rooms(area_under_curve, silent, talking, rng)
    assert low < value < high and high - low < 0.3
    with pytest.raises(ValueError, match='same rooms'):
        bootstrap_over_rooms(area_under_curve, silent, talking[:, :50], rng)
