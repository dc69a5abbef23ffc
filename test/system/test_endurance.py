"""The long run, in short; and that its book notices what does not close."""

import json
import re

from nsrp_ros.apps.process_metrics import Reading
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.apps.soak_test.main import main
from nsrp_ros.apps.soak_test.report import Measured
from nsrp_ros.apps.soak_test.report import Sample
from nsrp_ros.apps.soak_test.report import summarize
from nsrp_ros.apps.soak_test.report import table
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
from nsrp_ros.simulation.live_scene import Turn
import numpy as np
import pytest
import soundfile

RATE, CHUNK, START_NS = 16000, 512, 1_790_000_000 * NS


def play(ledger, n_chunks, lost=(), repeated=()):
    """Let a ledger take chunks down; return what was published of them, (first sample, stamp)."""
    published = []
    for k in range(n_chunks):
        stamp_ns = START_NS + k * CHUNK * NS // RATE
        if k in lost:
            ledger.end_run()
            ledger.faults['lost'] += 1
            continue
        if k in repeated:
            ledger.play(stamp_ns, k * CHUNK, CHUNK, k * CHUNK / RATE)
            published.append((k * CHUNK, stamp_ns))
            ledger.end_run()
            ledger.faults['repeated'] += 1
        ledger.play(stamp_ns, k * CHUNK, CHUNK, k * CHUNK / RATE)
        published.append((k * CHUNK, stamp_ns))
    return published


def answered(ledger, silent=()):
    """Answer all windows but some, 0.1 s late; return what an honest localizer would count."""
    for k, window in enumerate(ledger.windows):
        if k not in silent:
            ledger.answer('mapped', window.stamp_ns, window.at + 0.1)
            ledger.answer('posed', window.stamp_ns, window.at + 0.1, np.array([1.0, 2.0]))
    n = len(ledger.windows)
    return {'windows': n, 'located': n - len(silent), 'not located': len(silent),
            'skipped: silence': len(silent), 'skipped: gap': ledger.faults['lost'],
            'skipped: overlap': ledger.faults['repeated']}


@pytest.mark.parametrize('hop', [0.1, 0.25, 0.5])
def test_the_book_holds_the_windows_that_are_cut(hop):
    """Two ways to count, one answer: also beside lost and repeated chunks."""
    ledger = Ledger(RATE // 2, round(hop * RATE), RATE)
    published = play(ledger, 400, lost=(50, 51, 200), repeated=(120,))
    buffer = WindowBuffer(WindowConfig(hop=hop))
    cut = [item.stamp_ns for _, stamp_ns in published
           for item in buffer.push(np.zeros((CHUNK, 2), np.float32), stamp_ns, RATE)
           if not isinstance(item, Discontinuity)]
    assert len(cut) > 20
    assert np.abs(np.array(cut) - [w.stamp_ns for w in ledger.windows]).max() < 1000
    assert all((w.stamp_ns - START_NS) / NS == pytest.approx(w.last / RATE)
               for w in ledger.windows)


def test_an_honest_account_closes():
    """And every lie or loss has its sentence."""
    ledger = Ledger(8000, 4000, RATE)
    play(ledger, 400, lost=(100,), repeated=(200,))
    counted = answered(ledger, silent=(3, 7))
    assert ledger.discrepancies(counted) == []
    fates = ledger.fates(counted)
    assert fates == {'poses': len(ledger.windows) - 2, 'maps without a pose': 0, 'silence': 2}
    for key, sentence in (('windows', 'but .* cut'), ('located', 'counted as located'),
                          ('not located', 'not answered'), ('skipped: silence', 'have a fate'),
                          ('skipped: gap', '1 chunks lost, but 2 counted as gap')):
        found = ledger.discrepancies(counted | {key: counted[key] + 1})
        assert len(found) == 1 and re.search(sentence, found[0]), (key, found)
    ledger.answer('posed', ledger.windows[5].stamp_ns, 1.0, np.zeros(2))
    assert 'answered before' in ledger.discrepancies(counted)[0]
    ledger.strangers.clear()
    ledger.answer('posed', ledger.windows[5].stamp_ns + NS // 100, 1.0, np.zeros(2))
    assert 'does not hold' in ledger.discrepancies(counted)[0]


def measured(grown_mb):
    """Return what is seen of a process that grows evenly over an hour."""
    samples = [Sample(s, s / 10, {'localizer': Reading(500 + grown_mb * s / 3600, 0.05 * s)})
               for s in np.arange(0.0, 3600, 5)]
    return Measured(2.0, 3.0, 360.0, samples, {'localizer': 600.0}, {'localizer': {}})


@pytest.mark.parametrize('grown_mb, fails', [(3.0, False), (60.0, True)])
def test_memory_that_grows_is_a_failure(grown_mb, fails):
    """The numbers of the table are those of the run."""
    ledger = Ledger(8000, 4000, RATE)
    play(ledger, 3000)
    seen = measured(grown_mb)
    seen.counted['localizer'] = answered(ledger)
    turns = [Turn(0, 48000, np.array([1.0, 2.3, 1.5])), Turn(64000, 96000, np.array([5, 5, 1]))]
    options = {'minutes': 60.0, 'max_growth': 20.0, 'method': 'ours', 'hop': 0.25}
    summary = summarize(ledger, turns, 96000, seen, options)
    assert summary['memory']['localizer']['slope_mb_h'] == pytest.approx(grown_mb)
    assert summary['whole']['latency_ms_p95'] == pytest.approx(100)
    assert summary['parts'][3]['processes']['localizer']['cores'] == pytest.approx(0.5)
    assert summary['parts'][0]['error_m'] == pytest.approx(0.3, abs=0.01)
    assert [bool(summary['failures']), 'grew by' in ''.join(summary['failures'])] == [fails] * 2
    assert 'at most 600 MB' in table(summary) and '100 ms' in table(summary)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a runner of the command in a DDS domain of its own, with noise for speech."""
    monkeypatch.setenv('ROS_DOMAIN_ID', '71')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    noise = np.random.default_rng(0).standard_normal(5 * RATE)
    (tmp_path / 'speech').mkdir()
    soundfile.write(tmp_path / 'speech/noise.wav', 0.05 * noise, RATE)
    fixed = ['--speech', str(tmp_path / 'speech'), '--rt60', '0',
             '--output', str(tmp_path / 'out')]
    return lambda *arguments: main([*fixed, *arguments])


def test_half_a_minute_in_five_seconds(run, tmp_path, capfd):
    """Real nodes: every window has its fate, every fault its name, poses are where talkers are."""
    code = run('--minutes', '0.4', '--speed', '5', '--method', 'srp_phat', '--tracker',
               '--fault-every', '4', '--max-growth', '200')
    said = capfd.readouterr()
    assert code == 0, said
    summary = json.loads((tmp_path / 'out/endurance.json').read_text())
    assert summary['failures'] == [] and list(summary['faults'].values()) == [2, 2, 2]
    assert summary['windows'] == sum(summary['fates'].values()) == 42
    assert summary['fates']['poses'] > 8 and summary['fates']['silence'] >= 3
    assert summary['whole']['error_m'] < 0.2
    assert summary['n_tracks'] == summary['fates']['poses']
    assert 0 < summary['first_pose_s'] < 40
    assert 50 < summary['memory']['localizer']['peak_mb'] < 3000
    assert re.search(r'unaccounted for +0\n', said.out)
    assert (tmp_path / 'out/endurance.png').stat().st_size > 5000


def test_a_localizer_that_cannot_start(run, capfd):
    """Its own sentence, and exit code 1."""
    assert run('--minutes', '0.2', '--method', 'telepathy') == 1
    said = capfd.readouterr().err
    assert "no weights for method 'telepathy'" in said and 'Traceback' not in said
