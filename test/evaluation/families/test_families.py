"""The command measures every family that suits a method, and prints one table."""

from dataclasses import dataclass
import json

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.datasets import storage
from nsrp_ros.evaluation.families.__main__ import main
from nsrp_ros.evaluation.families.definitions import FAMILIES
from nsrp_ros.evaluation.families.definitions import Family
from nsrp_ros.evaluation.families.measure import measure
from nsrp_ros.localization import methods
from nsrp_ros.simulation.presets import PRESETS
import numpy as np
import pytest
from support.anechoic import propagate

DIMS = np.array([6.0, 5.0, 2.5])
TALKERS = np.array([[1.5, 3.5, 1.5], [4.5, 1.5, 1.6]])
ANSWERS = {}
"""What the method for tests answers, by the height of its first microphone, which is the key."""


@dataclass(frozen=True)
class Settings:
    """Of the method for tests."""

    sample_rate: int = 16000
    confidence: Confidence = Confidence()


class Told:
    """A method that answers what the test says, and remembers what it was asked."""

    takes_surroundings = True
    config = Settings()
    asked: list = []

    def estimate(self, signals, mic_positions, surroundings, area=None, shape=None):
        """Answer the first one."""
        return self.estimate_talkers(signals, mic_positions, surroundings, 1)[0]

    def estimate_talkers(self, signals, mic_positions, surroundings, most):
        """Answer."""
        self.asked.append((signals.shape, surroundings))
        found = ANSWERS[round(float(mic_positions[0, 2]), 6)]
        grid = np.linspace(0, 5, 3)
        return [Estimate(np.array([x, y]), np.ones((3, 3)), grid, grid, confidence)
                for x, y, confidence in found[:most]]


@pytest.fixture
def told(monkeypatch):
    """Register the method for one test."""
    monkeypatch.setitem(methods._REGISTRY, 'told', lambda device, threads: Told())
    monkeypatch.setattr(Told, 'asked', [])
    ANSWERS.clear()


def write(folder, n_windows, n_mics, n_talking, ring=False):
    """Write a set of windows with noise of the first `n_talking` talkers in free air."""
    generator = np.random.default_rng(0)
    manifest = {'format': storage.FORMAT, 'count': n_windows, 'n_mics': n_mics,
                'sample_rate': 16000, 'n_talkers': len(TALKERS), 'split': 'test',
                'further': ['talkers', 'n_talking']}
    arrays = storage.open_arrays(folder, manifest)
    for k in range(n_windows):
        mics = generator.uniform(0.3, DIMS - 0.3, (n_mics, 3))
        if ring:
            angles = 2 * np.pi * np.arange(n_mics) / n_mics
            mics = [3, 2.5, 1] + 0.032 * np.stack(
                [np.cos(angles), np.sin(angles), 0 * angles], axis=1)
        mics[0, 2] = 1 + k / 100
        signals = 1e-3 * generator.standard_normal((n_mics, 8000))
        for talker in TALKERS[:n_talking]:
            signals += propagate(0.1 * generator.standard_normal(8000), talker, mics)
        scale = np.abs(signals).max() / 32767
        for name, value in {'signals': np.round(signals / scale), 'scale': scale,
                            'mic_positions': mics, 'source_position': TALKERS[0],
                            'room_dims': DIMS, 'talkers': TALKERS, 'n_talking': n_talking,
                            'done': True}.items():
            arrays[name][k] = value
    digest = storage.checksum(arrays)
    storage.write_manifest(folder, {**manifest, 'sha256': digest})


def test_every_family_has_a_preset():
    """The names are those of simulation/presets.py."""
    assert set(FAMILIES) <= set(PRESETS)
    with pytest.raises(ValueError, match='kind'):
        Family('of no kind', 'real', (4,), 'loudness')


def test_talkers_beside_the_baseline(told, tmp_path, capsys):
    """All microphone counts of one set; xsrp finds both talkers; json and Markdown agree."""
    write(tmp_path / 'two_talkers-8-test', 2, 8, 2)
    ANSWERS[1.0] = [(*TALKERS[1][:2], 0.9), (*TALKERS[0][:2], 0.8)]
    ANSWERS[1.01] = [(*TALKERS[1][:2], 0.9), (3, 3, 0.8)]
    arguments = ['told', 'xsrp', 'music', '--data', str(tmp_path), '--families', 'two_talkers',
                 '--out', str(tmp_path / 'out')]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / 'out/results.json').read_text())
    assert [(r['n_mics'], r['method']) for r in results] == [
        (n, method) for n in (4, 6, 8) for method in ('told', 'xsrp')]
    ours, theirs = (r['scores'] for r in results[-2:])
    assert ours['all_found']['value'] == ours['invented'] == 0.5
    assert ours['by_rank'] == [1, 0.5]
    assert theirs['all_found']['value'] == 1 and theirs['invented'] is None
    assert '| two talkers (2 windows) | 8 | told | 50.0% (' in printed
    assert 'Invented: windows' in printed and 'cores, Python' in printed
    assert [shape for shape, _ in Told.asked[::2]] == [(4, 8000), (6, 8000), (8, 8000)]

    count = len(Told.asked)
    assert main(arguments) == 0  # from the cache
    assert len(Told.asked) == count and capsys.readouterr().out == printed


def test_directions_beside_the_baselines(told, tmp_path):
    """The azimuth of a position, from the array's centre; without surroundings a box."""
    write(tmp_path / 'ring_exact-4-test', 1, 4, 1, ring=True)
    ANSWERS[1.0] = [(*TALKERS[0][:2], 0.9)]
    results = {r.method: r.scores for r in measure(
        [FAMILIES['ring_exact']], ['told', 'norm_music', 'xsrp'], tmp_path)}
    assert set(results) == {'told', 'norm_music'}
    assert results['told'].azimuth_mean == pytest.approx(0, abs=1e-6)
    assert results['told'].mean.value == pytest.approx(0, abs=1e-9)
    assert results['norm_music'].azimuth_mean < 5 and results['norm_music'].mean is None
    (_, asked), = Told.asked
    assert isinstance(asked, Surroundings) and np.array_equal(asked.upper, DIMS)


def test_silence(told, tmp_path):
    """Whoever reports somebody invents him; xsrp is told that nobody talks, and has no row."""
    write(tmp_path / 'silent-6-test', 2, 6, 0)
    ANSWERS[1.0], ANSWERS[1.01] = [(1, 1, 0.7)], []
    result, = measure([FAMILIES['silent']], ['told', 'xsrp'], tmp_path)
    assert result.scores.invented == 0.5 and result.scores.all_found is None


def test_missing_sets_name_the_command_that_makes_them(tmp_path, capsys):
    """A sentence and a failing status; sets with too few microphones are none."""
    (tmp_path / 'real-6-test').mkdir()
    (tmp_path / 'real-6-test/manifest.json').touch()
    assert main(['srp_phat', '--data', str(tmp_path), '--families', 'real', 'silent']) == 1
    error = capsys.readouterr().err
    assert 'generate real --split test --mics 8' in error
    assert 'generate silent --split test --mics 6' in error
