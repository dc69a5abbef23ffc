"""The table is complete, cached the second time, and names what is missing."""

import hashlib
import json

from nsrp_ros.core.model_files import model_folders
from nsrp_ros.datasets import generate
from nsrp_ros.evaluation.baselines.published_results import PUBLISHED
from nsrp_ros.evaluation.evaluate import find_set
from nsrp_ros.evaluation.evaluate import main
from nsrp_ros.evaluation.method_scores import accepts
from nsrp_ros.evaluation.method_scores import CENTRE
from nsrp_ros.evaluation.method_scores import checksum
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.method_scores import known_methods
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.methods.srp import SRP_CONFIGS
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
import pytest


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a folder with a small test set, synthetic talkers in anechoic rooms."""
    folder = tmp_path_factory.mktemp('data')
    made = generate.make('anechoic_sim', 6, 'test', folder, 4, simulator='torch',
                         speech='synthetic')
    made.rename(folder / 'hard-6-test')
    return folder


@pytest.fixture
def scenes(anechoic):
    """Return two anechoic scenes."""
    signals = np.stack([anechoic.signals(seed=k) for k in (1, 2)])
    mic_positions, source_position, room_dims = (np.stack([array] * 2) for array in (
        anechoic.mic_positions, anechoic.source_position, anechoic.room_dims))
    return Scenes(signals, mic_positions, source_position, room_dims)


def test_the_table_has_every_row_and_the_paper_s_values(data, tmp_path, capsys):
    """One command prints it, draws pictures and writes JSON."""
    arguments = [CENTRE, 'srp_phat_2d', 'neural_srp', 'crnn4', '--data', str(data), '--sets',
                 'hard', '--limit', '3', '--out', str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert 'hard rooms, 4 microphones, 3 windows' in printed
    row = next(line for line in printed.splitlines() if line.startswith('neural_srp '))
    assert row.split()[-2:] == ['1.17', '0.87']  # the paper's
    assert 'neural_srp against srp_phat_2d' in printed
    results = json.loads((tmp_path / 'results.json').read_text())['sets']
    assert [set(r['rows']) for r in results[:2]] == [
        {CENTRE, 'srp_phat_2d', 'neural_srp', 'crnn4'}, {CENTRE, 'srp_phat_2d', 'neural_srp'}]
    assert {p.name for p in tmp_path.glob('*.png')} >= {
        'errors-hard-4.png', 'errors-hard-6.png', 'maps-hard-4.png', 'maps-hard-6.png'}


def test_missing_sets_name_the_command_that_makes_them(tmp_path, capsys):
    """No traceback, a sentence and a failing status."""
    assert main(['--data', str(tmp_path)]) == 1
    assert 'python -m nsrp_ros.datasets.generate hard --split test' in capsys.readouterr().err


def test_each_number_of_microphones_takes_the_smallest_set_that_has_as_many(tmp_path):
    """Four are the first of the paper's six, whatever other sets there are."""
    for name in ('hard-4-test', 'hard-6-test', 'hard-16-test', 'hard-6-val', 'real-8-test'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'manifest.json').touch()
    chosen = {n: find_set(tmp_path, 'hard', n) for n in (2, 4, 6, 7, 8, 16, 17)}
    assert {n: folder and folder.name for n, folder in chosen.items()} == {
        2: 'hard-6-test', 4: 'hard-6-test', 6: 'hard-6-test', 7: 'hard-16-test',
        8: 'hard-16-test', 16: 'hard-16-test', 17: None}
    assert find_set(tmp_path, 'real', 6) == tmp_path / 'real-8-test'
    assert find_set(tmp_path, 'easy', 2) is None
    (tmp_path / 'easy-4-test').mkdir()
    (tmp_path / 'easy-4-test/manifest.json').touch()
    assert find_set(tmp_path, 'easy', 2) == tmp_path / 'easy-4-test'


def test_other_numbers_of_microphones_are_rows_of_their_own(data, tmp_path, capsys):
    """There are rooms for two and three; for eight the command that makes them is printed."""
    arguments = [CENTRE, 'srp_phat_2d', '--data', str(data), '--sets', 'hard', '--limit', '2',
                 '--out', str(tmp_path), '--mics']
    assert main([*arguments, '2', '3']) == 0
    results = json.loads((tmp_path / 'results.json').read_text())['sets']
    assert [r['n_mics'] for r in results[:2]] == [2, 3]
    assert 'hard rooms, 2 microphones, 2 windows' in capsys.readouterr().out
    assert main([*arguments, '2', '8']) == 1
    assert 'generate hard --split test --mics 8' in capsys.readouterr().err


def test_cached_estimates_are_not_computed_again(scenes, tmp_path, monkeypatch):
    """A longer run begins with the estimates of the shorter one."""
    known = checksum(scenes)
    one = score('srp_phat_2d', scenes, known, tmp_path, limit=1)
    calls = []
    locate_all = Localizer.locate_all

    def counted(own, windows):
        calls.extend(windows)
        return locate_all(own, windows)

    monkeypatch.setattr(Localizer, 'locate_all', counted)
    both = score('srp_phat_2d', scenes, known, tmp_path)
    assert len(calls) == 1 and len(both.positions) == 2
    np.testing.assert_array_equal(both.positions[:1], one.positions)
    score('srp_phat_2d', scenes, known, tmp_path)
    assert len(calls) == 1
    score('srp_phat_2d', scenes, 'other data', tmp_path)
    assert len(calls) == 3


def test_fingerprints_depend_on_settings_but_not_on_confidences(monkeypatch):
    """Calibration does not change positions; other settings do."""
    from dataclasses import replace
    from nsrp_ros.core.config import Confidence
    before = fingerprint('srp_phat_2d')
    config = SRP_CONFIGS['srp_phat_2d']
    monkeypatch.setitem(SRP_CONFIGS, 'srp_phat_2d',
                        replace(config, confidence=Confidence(9, 9, 9)))
    assert fingerprint('srp_phat_2d') == before
    monkeypatch.setitem(SRP_CONFIGS, 'srp_phat_2d', replace(config, nx=26))
    assert fingerprint('srp_phat_2d') != before
    assert len({fingerprint(m) for m in ('srp_phat', 'neural_srp', CENTRE)}) == 3


def test_scores_are_the_localizer_s(scenes):
    """They are what `Localizer.locate` returns."""
    scores = score('srp_phat', scenes, '')
    estimate = Localizer.load('srp_phat').locate(
        scenes.signals[1], 16000, scenes.mic_positions[1], scenes.room_dims[1])
    np.testing.assert_array_equal(scores.positions[1], estimate.position)
    assert scores.errors(scenes.source_position).max() < 0.1  # anechoic, so SRP is exact
    centre = score(CENTRE, scenes, '')
    np.testing.assert_array_equal(centre.positions[0], scenes.room_dims[0, :2] / 2)


def test_every_row_of_the_paper_can_be_printed():
    """SRP, NeuralSRP, NeuralSRP+, CRNN4 and CRNN6 are here, each for its microphones."""
    methods = known_methods()
    published = {m for row in PUBLISHED.values() for m in row}
    assert published <= set(methods) and methods[0] == CENTRE
    assert accepts('crnn4', 4) and not accepts('crnn4', 6)
    assert accepts('crnn6', 6) and accepts('neural_srp', 5) and accepts('srp_phat', 2)


@pytest.mark.parametrize('method', ['neural_srp', 'neural_srp_plus', 'crnn4'])
def test_networks_locate_in_the_recordings(method, recorded_folder):
    """Every network runs on real windows and points into the room."""
    from nsrp_ros.datasets.recordings import cut_windows
    from nsrp_ros.datasets.recordings import shared_recordings
    recorded = cut_windows(shared_recordings(recorded_folder))
    scores = score(method, recorded, '', limit=2)
    assert np.all((scores.positions > 0) & (scores.positions < recorded.room_dims[:2, :2]))


def test_every_network_has_its_card():
    """A card names the very weights that lie beside it."""
    folder = model_folders()[0]
    weights = sorted(folder.glob('*.safetensors'))
    assert weights
    for path in weights:
        card = path.with_suffix('.md').read_text()
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card, path.name
        assert 'Licence' in card
