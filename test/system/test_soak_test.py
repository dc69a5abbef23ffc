"""A short soak test over DDS; and that its ledger detects what does not add up."""

import json
import re

from nsrp_ros.apps.process_metrics import ProcessUsage
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.apps.soak_test.main import main
from nsrp_ros.apps.soak_test.report import draw
from nsrp_ros.apps.soak_test.report import make_figure
from nsrp_ros.apps.soak_test.report import table
from nsrp_ros.apps.soak_test.summary import Measurements
from nsrp_ros.apps.soak_test.summary import Sample
from nsrp_ros.apps.soak_test.summary import summarize
from nsrp_ros.audio.sample_clock import Discontinuity
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.stamps import NS
from nsrp_ros.simulation.live_scene import Turn
import numpy as np
from PIL import Image
import pytest
import soundfile

RATE, CHUNK, START_NS = 16000, 512, 1_790_000_000 * NS


def play(ledger, n_chunks, lost=(), repeated=()):
    """Add chunks to a ledger; return those that were published, (first sample, stamp)."""
    published = []
    for k in range(n_chunks):
        stamp_ns = START_NS + k * CHUNK * NS // RATE
        if k in lost:
            ledger.end_run()
            ledger.faults['lost'] += 1
            continue
        if k in repeated:
            ledger.add_chunk(stamp_ns, k * CHUNK, CHUNK, k * CHUNK / RATE)
            published.append((k * CHUNK, stamp_ns))
            ledger.end_run()
            ledger.faults['repeated'] += 1
        ledger.add_chunk(stamp_ns, k * CHUNK, CHUNK, k * CHUNK / RATE)
        published.append((k * CHUNK, stamp_ns))
    return published


def answered(ledger, silent=()):
    """Answer all windows but some after 0.1 s; return the counts of a correct localizer."""
    for k, window in enumerate(ledger.windows):
        if k not in silent:
            ledger.add_map(window.stamp_ns, window.published + 0.1)
            ledger.add_pose(window.stamp_ns, window.published + 0.1, np.array([1.0, 2.0]))
    n = len(ledger.windows)
    return {'windows': n, 'located': n - len(silent), 'not located': len(silent),
            'skipped: silence': len(silent), 'skipped: gap': ledger.faults['lost'],
            'skipped: overlap': ledger.faults['repeated']}


@pytest.mark.parametrize('hop', [0.1, 0.25, 0.5])
def test_the_ledger_has_the_windows_of_the_window_buffer(hop):
    """Two independent ways to derive them agree, also beside lost and repeated chunks."""
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


def test_correct_counts_have_no_discrepancy():
    """And every wrong count or unexpected answer has a sentence."""
    ledger = Ledger(8000, 4000, RATE)
    play(ledger, 400, lost=(100,), repeated=(200,))
    counted = answered(ledger, silent=(3, 7))
    assert ledger.discrepancies(counted) == []
    outcomes = ledger.outcomes(counted)
    assert outcomes == {'poses': len(ledger.windows) - 2, 'maps without a pose': 0, 'silence': 2}
    for key, sentence in (('windows', 'but .* cut'), ('located', 'counted as located'),
                          ('not located', 'not answered'), ('skipped: silence', 'have an outcome'),
                          ('skipped: gap', '1 chunks lost, but 2 counted as gap')):
        found = ledger.discrepancies(counted | {key: counted[key] + 1})
        assert len(found) == 1 and re.search(sentence, found[0]), (key, found)
    ledger.add_pose(ledger.windows[5].stamp_ns, 1.0, np.zeros(2))
    assert 'answered before' in ledger.discrepancies(counted)[0]
    ledger.unexpected.clear()
    ledger.add_pose(ledger.windows[5].stamp_ns + NS // 100, 1.0, np.zeros(2))
    assert 'does not hold' in ledger.discrepancies(counted)[0]


def measure(grown_mb):
    """Return measurements of a process that grows linearly over an hour."""
    samples = [Sample(s, s / 10, {'localizer': ProcessUsage(500 + grown_mb * s / 3600, 0.05 * s)})
               for s in np.arange(0.0, 3600, 5)]
    return Measurements(2.0, 3.0, 360.0, samples, {'localizer': 600.0}, {'localizer': {}})


@pytest.mark.parametrize('grown_mb, fails', [(3.0, False), (60.0, True)])
def test_memory_that_grows_is_a_failure(grown_mb, fails):
    """The numbers of the summary, of the table and of the picture are those of the run."""
    ledger = Ledger(8000, 4000, RATE)
    play(ledger, 3000)
    measured = measure(grown_mb)
    measured.counted['localizer'] = answered(ledger)
    turns = [Turn(0, 48000, np.array([1.0, 2.3, 1.5])), Turn(64000, 96000, np.array([5, 5, 1]))]
    options = {'minutes': 60.0, 'max_growth': 20.0, 'method': 'ours', 'hop': 0.25}
    summary = summarize(ledger, turns, 96000, measured, options)
    assert summary['memory']['localizer']['slope_mb_h'] == pytest.approx(grown_mb)
    assert summary['whole']['latency_ms_p95'] == pytest.approx(100)
    assert summary['parts'][3]['processes']['localizer']['cores'] == pytest.approx(0.5)
    assert summary['parts'][0]['error_m'] == pytest.approx(0.3, abs=0.01)
    assert [bool(summary['failures']), 'grew by' in ''.join(summary['failures'])] == [fails] * 2
    assert 'at most 600 MB' in table(summary) and '100 ms' in table(summary)
    latency, memory = (axes.get_lines()[0].get_xydata()
                       for axes in make_figure(ledger, measured, 'ours').axes)
    assert len(latency) == len(ledger.windows)
    np.testing.assert_allclose(latency[:, 1], 100)
    assert latency[-1, 0] == pytest.approx(
        (ledger.windows[-1].stamp_ns - ledger.windows[0].stamp_ns) / 60e9)
    np.testing.assert_allclose(memory[[0, -1]], [[0, 500], [3595 / 60, 500 + grown_mb * 3595
                                                            / 3600]])


def test_the_picture_is_drawn_without_any_answer(tmp_path):
    """Dark text and lines on a white ground, though no window was answered."""
    draw(tmp_path / 'picture.png', Ledger(8000, 4000, RATE), measure(0.0), 'ours')
    with Image.open(tmp_path / 'picture.png') as picture:
        assert picture.convert('L').getextrema() == (0, 255)


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
    """Every window has an outcome, every fault is reported, and poses are at the talkers."""
    code = run('--minutes', '0.4', '--speed', '5', '--method', 'srp_phat', '--tracker',
               '--fault-every', '4', '--max-growth', '200')
    printed = capfd.readouterr()
    assert code == 0, printed
    summary = json.loads((tmp_path / 'out/endurance.json').read_text())
    assert summary['failures'] == [] and list(summary['faults'].values()) == [2, 2, 2]
    assert summary['windows'] == sum(summary['fates'].values()) == 42
    assert summary['fates']['poses'] > 8 and summary['fates']['silence'] >= 3
    assert summary['whole']['error_m'] < 0.2
    assert summary['n_tracks'] == summary['fates']['poses']
    assert 0 < summary['first_pose_s'] < 40
    assert 50 < summary['memory']['localizer']['peak_mb'] < 3000
    assert re.search(r'unaccounted for +0\n', printed.out)
    with Image.open(tmp_path / 'out/endurance.png') as picture:
        colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 24)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # the memory of both processes


def test_a_localizer_that_cannot_start(run, capfd):
    """Its own error message, and exit code 1."""
    assert run('--minutes', '0.2', '--method', 'telepathy') == 1
    errors = capfd.readouterr().err
    assert "no weights for method 'telepathy'" in errors and 'Traceback' not in errors
