"""How tracking is judged: what is perfect, what is missed, false and switched."""

import json

from matplotlib import pyplot as plt
from nsrp_ros.evaluation.tracking import main
from nsrp_ros.evaluation.tracking_metrics import judge
from nsrp_ros.evaluation.tracking_metrics import summarize
from nsrp_ros.evaluation.tracking_metrics import tracks_figure
from nsrp_ros.tracking.peaks import Peak
import numpy as np
import pytest

TRUTH = np.array([[1.0, 1.0], [4.0, 3.0]])


def step(tracks, peaks=(), known=(True, True), talking=(1.0, 1.0)):
    """Return a step with tracks {number: place}."""
    return {'time': 1.0, 'peaks': [Peak(np.array(p), 0.5, np.eye(2)) for p in peaks],
            'tracks': {n: np.array(p, dtype=float) for n, p in tracks.items()}, 'truth': TRUTH,
            'known': np.array(known), 'talking': np.array(talking)}


def test_perfect_tracks_cost_nothing():
    """GOSPA is 0 where every talker is where he is."""
    judged = judge([step({1: TRUTH[0], 2: TRUTH[1]})] * 4)
    assert judged['gospa'] == [0.0] * 4 and judged['expected'] == 8
    assert (judged['misses'], judged['false_tracks'], judged['switches']) == (0, 0, 0)


def test_the_metric_is_the_papers():
    """Errors are squared; each too many or too few costs half a square metre."""
    judged = judge([step({1: (1.3, 1.4), 7: (2.5, 5.0)})])
    assert judged['gospa'][0] == pytest.approx(np.sqrt(0.25 + 0.5 + 0.5))
    assert (judged['misses'], judged['false_tracks']) == (1, 1)
    assert judged['errors'] == [[pytest.approx(0.5)], []]


def test_a_new_number_is_a_switch():
    """Also after a time in which nobody was there."""
    judged = judge([step({1: TRUTH[0]}), step({}), step({2: TRUTH[0]}), step({2: TRUTH[0]})])
    assert judged['switches'] == 1 and judged['numbers'] == 2 and judged['misses'] == 5


def test_who_has_not_talked_yet_is_not_missed():
    """But whoever is tracked although nobody has talked is false."""
    judged = judge([step({}, known=(False, False)), step({1: TRUTH[0]}, known=(False, False))])
    assert judged['misses'] == 0 and judged['false_tracks'] == 1 and len(judged['gospa']) == 1


def test_peaks_where_two_talk():
    """The first peak is right at either talker, the second is found at the other only."""
    judged = judge([step({}, [TRUTH[0], TRUTH[1]]), step({}, [TRUTH[1], (3.0, 0.5)]),
                    step({}, [TRUTH[0]], talking=(1.0, 0.0))])
    assert (judged['both'], judged['first_right'], judged['second_found']) == (2, 2, 1)
    summary = summarize([judge([step({1: TRUTH[0], 2: TRUTH[1]}, [TRUTH[0], TRUTH[1]])])])
    assert summary['second_peak_found'] == 1.0 and summary['error_walking_m'] == 0.0


def test_the_picture_shows_truth_and_tracks():
    """Of each scene x and y over time: where talkers are, when they talk, and numbered tracks."""
    class Conversation:
        turns = [np.array([[0.5, 1.5]]), np.empty((0, 2))]

        @staticmethod
        def positions(time):
            return TRUTH
    figure = tracks_figure([(Conversation, [step({3: (1.2, 0.9)}), step({})])])
    for axis, side in zip(figure.axes, (0, 1), strict=True):
        first, talking, second, dots = axis.lines
        assert list(first.get_ydata()) == [TRUTH[0, side]] * 2
        assert list(second.get_ydata()) == [TRUTH[1, side]] * 2
        assert (talking.get_xdata()[[0, -1]] == [0.5, 1.5]).all() and talking.get_linewidth() == 4
        assert list(dots.get_ydata()) == [(1.2, 0.9)[side]]
        assert dots.get_label() == 'talker 3'
    plt.close(figure)


def test_the_command_leaves_results(tmp_path, capsys):
    """A short scene with a quick method: numbers, a picture, and maps that are kept."""
    arguments = ['--scenes', '1', '--mics', '4', '--seconds', '2.5', '--method', 'srp_phat',
                 '--speech', 'synthetic', '--out', str(tmp_path)]
    assert main(arguments) == 0
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['scenes'] == 1 and results['by_scene'][0]['expected'] >= 1
    height, width = plt.imread(tmp_path / 'tracks.png').shape[:2]
    assert (width, height) == (1320, 330)  # a row of two axes, 12 x 3 inches at 110 dots
    kept, = (tmp_path / 'cache').iterdir()
    written = kept.stat().st_mtime_ns
    assert main(arguments) == 0
    assert json.loads((tmp_path / 'results.json').read_text()) == results
    assert kept.stat().st_mtime_ns == written
    assert 'gospa_m' in capsys.readouterr().out
