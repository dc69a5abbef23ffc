"""Numbers of the table, on findings that were made up."""

from nsrp_ros.evaluation.families.finders import row
from nsrp_ros.evaluation.families.scores import hits
from nsrp_ros.evaluation.families.scores import score_positions
from nsrp_ros.evaluation.families.scores import score_talkers
import numpy as np
import pytest

NAN = float('nan')


def test_positions():
    """Errors of 0.3, 1 and 2 m, of which one is a lie; the silent window is left out."""
    rows = np.stack([row([(1.3, 1, 0.9)]), row([(1, 2, 0.4)]), row([(3, 1, 0.5)]),
                     row([(9, 9, 1.0)])])
    talker = np.ones((4, 3))
    scores = score_positions(rows, talker, np.array([True, True, True, False]))
    assert scores.count == 3 and scores.azimuth_mean is None
    assert scores.mean.value == pytest.approx(1.1) and scores.median == pytest.approx(1)
    assert scores.mean.low < 1.1 < scores.mean.high
    assert scores.right == pytest.approx(1 / 3) and scores.lies == pytest.approx(1 / 3)
    assert scores.sure == pytest.approx(2 / 3)


def test_azimuths_around_the_circle():
    """-179 degrees is 2 from 179; a method of directions has no positions."""
    truth = np.radians([179, 0])
    talker = 5 + np.stack([np.cos(truth), np.sin(truth), 0 * truth], axis=1)
    rows = np.stack([row(azimuth=np.radians(-179)), row(azimuth=np.radians(-6))])
    scores = score_positions(rows, talker, np.ones(2, bool), np.full((2, 3), 5.0))
    assert scores.azimuth_mean == pytest.approx(4) and scores.azimuth_median == pytest.approx(4)
    assert scores.mean is None and scores.lies is None and scores.sure is None


def test_assignments_have_the_most_hits():
    """Each talker has one estimate; the nearest one is not kept if both then have one."""
    talkers = np.array([[0, 0, 1.5], [0.6, 0, 1.5]])
    assert hits(np.array([[0.2, 0], [0.1, 0]]), talkers).tolist() == [True, True]
    assert hits(np.array([[-0.2, 0], [-0.3, 0]]), talkers).sum() == 1
    assert hits(np.empty((0, 2)), talkers).shape == (0,)


def test_talkers():
    """Both found, one found and another invented, one of one, nobody of nobody."""
    people = np.array([[1, 1, 1.5], [4, 1, 1.5]])
    rows = np.stack([row([(1.1, 1, 0.9), (4, 1.2, 0.6)]), row([(1, 1, 0.9), (2.5, 3, 0.7)]),
                     row([(4, 1, 0.8), (1, 1, 0.2)]), row([])])
    talking = np.array([[True, True], [True, True], [False, True], [False, False]])
    scores = score_talkers(rows, np.tile(people, (4, 1, 1)), talking)
    assert scores.count == 4
    assert scores.all_found.value == pytest.approx(2 / 3)
    assert scores.all_sure == pytest.approx(2 / 3)
    assert scores.invented == pytest.approx(1 / 4)
    assert scores.by_rank == pytest.approx((1, 1 / 2))


def test_sure_ones_alone():
    """A talker who is found with little confidence is found, but not surely."""
    people = np.array([[[1, 1, 1.5], [4, 1, 1.5]]])
    scores = score_talkers(row([(1, 1, 0.9), (4, 1, 0.3)])[None], people, np.ones((1, 2), bool))
    assert scores.all_found.value == 1 and scores.all_sure == 0 and scores.invented == 0


def test_methods_without_confidence_invent_nobody():
    """Nothing is claimed of them."""
    people = np.array([[[1, 1, 1.5]]])
    scores = score_talkers(row([(3, 3, NAN)])[None], people, np.ones((1, 1), bool))
    assert scores.invented is None and scores.all_sure is None
    assert scores.all_found.value == 0


def test_who_reports_nobody_in_silence_invents_nobody():
    """The share is 0, and there is nobody to find."""
    scores = score_talkers(np.stack([row(), row()]), np.zeros((2, 1, 3)), np.zeros((2, 1), bool))
    assert scores.invented == 0 and scores.all_found is None and scores.by_rank == ()
    scores = score_talkers(np.stack([row(), row([(1, 1, 0.6)])]), np.zeros((2, 1, 3)),
                           np.zeros((2, 1), bool))
    assert scores.invented == 0.5
