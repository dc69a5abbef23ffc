"""The tables of robustness: one command, whose estimates are cached."""

import json

from nsrp_ros.evaluation.robustness import main
from nsrp_ros.localization.localizer import Localizer
import pytest


def test_one_command_makes_tables_and_pictures(tmp_path, capsys, monkeypatch):
    arguments = ['centre', 'srp_phat_2d', '--families', 'faults', 'snr', '--rooms', '2', '--mics',
                 '4', '--speech', 'synthetic', '--out', str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert '### A broken microphone' in printed and '| dead, zeros |' in printed
    assert {p.name for p in tmp_path.glob('*.png')} == {
        'hard.png', 'hard-faults.png', 'hard-snr.png'}
    results = json.loads((tmp_path / 'results.json').read_text())
    taken = results['families']['faults'][1]
    assert taken['label'] == 'taken away' and taken['n_mics'] == 3
    assert taken['methods']['srp_phat_2d']['count'] == 2
    page = (tmp_path / 'tables.md').read_text()
    assert '![White noise](hard-snr.png)' in page and '--rooms 2 --mics 4' in page

    def refuse(*_):
        raise AssertionError('measured twice')

    monkeypatch.setattr(Localizer, 'locate', refuse)
    assert main(arguments) == 0
    assert json.loads((tmp_path / 'results.json').read_text()) == results


def test_unknown_families_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--families', 'earthquakes'])
    assert 'earthquakes' in capsys.readouterr().err
