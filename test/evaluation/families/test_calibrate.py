"""Calibration: what is fitted to a network's answers, and how windows of any length use it."""

from nsrp_ros.core.config import Calibration
from nsrp_ros.core.config import calibration_for
from nsrp_ros.evaluation.families.calibrate import Answers
from nsrp_ros.evaluation.families.calibrate import fit
from nsrp_ros.evaluation.families.calibrate import fit_line
from nsrp_ros.evaluation.families.calibrate import surprise
import numpy as np
import pytest
import torch


def answers(rng, sharpness, n=400):
    """Make answers of a network whose posteriors and log-odds are too sure by a factor."""
    posteriors = []
    for _ in range(n):
        logits = torch.tensor(2 * rng.standard_normal(40))
        cell = rng.choice(40, p=logits.softmax(dim=0).numpy())
        posteriors.append(((sharpness * logits).log_softmax(dim=0), torch.eye(40)[None, cell]))
    odds = 2 * rng.standard_normal(n)
    talking = rng.random(n) < 1 / (1 + np.exp(-odds))
    return Answers(posteriors, sharpness * odds, talking)


def test_overconfidence_is_measured_and_undone():
    """Posteriors and presences that are twice as sure as they may be are put right."""
    rng = np.random.default_rng(0)
    sure = answers(rng, 2.0)
    one = fit(sure, 0.5)
    assert one.temperature == pytest.approx(2.0, rel=0.2)
    assert one.slope == pytest.approx(0.5, rel=0.35)
    before, after = surprise(sure, Calibration()), surprise(sure, one)
    assert after[0] < before[0] - 0.1 and after[1] < before[1] - 0.01


def test_a_perfect_separation_has_a_finite_slope():
    """Where no window is mistaken, the presence stays below certainty."""
    odds = np.concatenate([np.full(50, 5.0), np.full(50, -5.0)])
    slope, bias = fit_line(Answers([], odds, odds > 0))
    assert 0.5 < slope < 20 and abs(bias) < 1


def test_lengths_between_those_that_were_fitted():
    """Values are interpolated over the logarithm of the length, and kept beyond the ends."""
    many = (Calibration(0.1, 2.0, 0.5, -1.0), Calibration(0.4, 1.0, 1.5, 1.0))
    middle = calibration_for(0.2, many)
    assert (middle.temperature, middle.slope, middle.bias) == pytest.approx((1.5, 1.0, 0.0))
    assert calibration_for(0.05, many).temperature == 2.0
    assert calibration_for(3.0, many).slope == 1.5
    assert calibration_for(0.5, ()) == Calibration()
    with pytest.raises(ValueError, match='positive'):
        Calibration(temperature=0.0)


def test_further_talkers_have_a_line_of_their_own():
    """A network is sure of the first talker in another way than of the next."""
    one = Calibration(0.5, 1.0, 2.0, -1.0, 0.5, 0.3)
    assert one.line(False) == (2.0, -1.0) and one.line(True) == (0.5, 0.3)
