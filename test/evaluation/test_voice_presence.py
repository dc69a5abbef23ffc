"""Voice presence is measured through the localizer's own confidence."""

import json

from nsrp_ros.evaluation import detection_metrics
from nsrp_ros.evaluation.scenarios.silent_windows import AMBIGUOUS
from nsrp_ros.evaluation.scenarios.silent_windows import NOISES
from nsrp_ros.evaluation.scenarios.silent_windows import SILENCES
from nsrp_ros.evaluation.scenarios.silent_windows import SNRS
from nsrp_ros.evaluation.voice_presence import confidences
from nsrp_ros.evaluation.voice_presence import detection_scores
from nsrp_ros.evaluation.voice_presence import main
from nsrp_ros.localization.localizer import Localizer
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Save time: no test here is about the width of intervals."""
    monkeypatch.setattr(detection_metrics, 'N_RESAMPLES', 25)


def test_a_perfect_and_a_random_detector():
    rng = np.random.default_rng(0)
    silent = {(kind, None): 0.2 * rng.random(20) for kind in (*SILENCES, *AMBIGUOUS)}
    perfect = detection_scores(silent | {
        (kind, snr): 0.5 + 0.5 * rng.random(20) for kind in NOISES for snr in SNRS})
    assert all(row['area'][0] == 1 and row['detected'][0][0] == 1 for row in perfect['talking'])
    random = detection_scores(silent | {
        (kind, snr): 0.2 * rng.random(20) for kind in NOISES for snr in SNRS})
    everything = random['talking'][0]
    assert everything['noise'] == 'all' and abs(everything['area'][0] - 0.5) < 0.1
    assert everything['detected'][1][0] < 0.2
    alarms = np.mean([row['alarms'] for row in perfect['silent'][:len(SILENCES)]], axis=0)
    assert alarms[0] <= 0.01 and alarms[1] <= 0.05


def test_one_command_writes_tables_and_caches_confidences(tmp_path, capsys, monkeypatch):
    arguments = ['srp_phat_2d', '--rooms', '2', '--mics', '3', '--speech', 'synthetic', '--out',
                 str(tmp_path)]
    assert main(arguments) == 0
    assert '| digital |' in capsys.readouterr().out
    assert (tmp_path / 'silence.png').is_file()
    assert '--rooms 2 --mics 3' in (tmp_path / 'tables.md').read_text()
    results = json.loads((tmp_path / 'results.json').read_text())
    monkeypatch.setattr(Localizer, 'locate', None)  # all is cached
    assert main(arguments) == 0
    assert json.loads((tmp_path / 'results.json').read_text()) == results


def test_confidences_are_the_estimates(anechoic):
    from nsrp_ros.simulation.scenes import Scenes
    scenes = Scenes(anechoic.signals()[None], anechoic.mic_positions[None],
                    anechoic.source_position[None], anechoic.room_dims[None])
    found = confidences('srp_phat_2d', {('white', 30): scenes})
    estimate = Localizer.load('srp_phat_2d').locate(
        scenes.signals[0], 16000, scenes.mic_positions[0], scenes.room_dims[0])
    assert found['white', 30].tolist() == [estimate.confidence]
