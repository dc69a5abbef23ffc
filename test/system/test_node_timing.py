"""The timing of the whole node: its table, its files and its exit code."""

import json
from pathlib import Path

from nsrp_ros.apps.soak_test import node_timing
from nsrp_ros.apps.soak_test.node_timing import main
from nsrp_ros.apps.soak_test.node_timing import table
import pytest

ROW = {'network': 'srp_phat', 'windows': 60, 'fates': {'poses': 50, 'silence': 10, 'dropped': 0},
       'cores': 0.25, 'peak_mb': 345.6, 'p50_ms': 12.3, 'p95_ms': 45.6, 'first_pose_s': 3.21}
SUMMARY = {'windows': 60, 'fates': ROW['fates'], 'first_pose_s': 3.21,
           'memory': {'localizer': {'peak_mb': 345.6}},
           'whole': {'processes': {'localizer': {'cores': 0.25}}, 'latency_ms_p50': 12.3,
                     'latency_ms_p95': 45.6}}


@pytest.fixture
def soak_tests(monkeypatch):
    """Replace the soak test by one that takes no time; return the arguments of its runs."""
    runs = []

    def run(arguments):
        options = dict(zip(arguments[::2], arguments[1::2]))
        runs.append(options)
        output = Path(options['--output'])
        output.mkdir(parents=True)
        (output / 'endurance.json').write_text(json.dumps(SUMMARY))
        print('the table of the soak test')
        return int(options['--method'] == 'broken')
    monkeypatch.setattr(node_timing, 'run_soak_test', run)
    return runs


def test_a_row_has_all_numbers():
    """Outcomes that did not happen are left out."""
    assert ('| srp_phat | 60, of which 50 poses, 10 silence | 0.25 | 12 ms | 46 ms | 346 MB '
            '| 3.2 s |\n') in table([ROW])


def test_methods_are_timed_in_real_time(soak_tests, tmp_path, capsys):
    """Each method runs once, ten windows a second; table and numbers are written and printed."""
    assert main(['--methods', 'srp_phat', '--minutes', '0.5', '--out', str(tmp_path)]) == 0
    run, = soak_tests
    assert (run['--speed'], run['--hop'], run['--minutes']) == ('1', '0.1', '0.5')
    assert json.loads((tmp_path / 'results.json').read_text()) == {'node': [ROW]}
    printed = capsys.readouterr().out
    assert printed.startswith((tmp_path / 'tables.md').read_text())
    assert table([ROW]) in printed and 'the table of the soak test' not in printed


def test_a_run_that_fails_is_no_row(soak_tests, tmp_path):
    """The others are reported, and the exit code is 1."""
    assert main(['--methods', 'broken', 'srp_phat', '--out', str(tmp_path)]) == 1
    assert json.loads((tmp_path / 'results.json').read_text()) == {'node': [ROW]}
