"""Compiled correlations equal those of networks/correlation.py, and are optional."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import logging
import subprocess
import sys

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.torch_cpu.correlation import CompiledCorrelator
from nsrp_ros.localization.backprojection.torch_cpu.correlation import make_correlator
from nsrp_ros.localization.backprojection.torch_cpu.correlation import TorchCorrelator
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import WEIGHTINGS
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig()
CONFIGS = {
    'small': SMALL,
    'everything': replace(SMALL, weightings=WEIGHTINGS, shared_bins=1, activation='gelu',
                          whole_window=True),
    'nothing learned': replace(SMALL, learned_weightings=0),
    'other frames': replace(SMALL, n_fft=1024, hop_length=200, shared_bins=2,
                            bands=((100.0, 900.0), (2000.0, 8000.0))),
}


@pytest.fixture(scope='module')
def kernels():
    """Return the compiled loops; skip the tests where Numba is not installed."""
    compiled = compiled_kernels()
    if compiled is None:
        pytest.skip('Numba is not installed')
    return compiled


def learned_weightings(config):
    """Make weightings whose weights differ between frames and bins."""
    torch.manual_seed(0)
    return LearnedWeightings(config).requires_grad_(False) if config.learned_weightings else None


def noise(n_mics, n_samples=8000, seed=0):
    """Return noise of varying level, partly common to all microphones, at several gains."""
    rng = np.random.default_rng(seed)
    level = np.sin(np.arange(n_samples) / 700) ** 2
    common = rng.standard_normal(n_samples + n_mics) * np.concatenate([level, np.ones(n_mics)])
    signals = np.stack([common[m:m + n_samples] for m in range(n_mics)])
    signals += rng.standard_normal(signals.shape)
    signals *= 10 ** rng.uniform(-3, 3, (n_mics, 1))
    return torch.from_numpy(signals.astype(np.float32))


@torch.inference_mode()
@pytest.mark.parametrize('config', CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize('n_mics, n_samples', ((2, 8000), (5, 7001), (3, 700)))
def test_both_ways_give_the_same(kernels, config, n_mics, n_samples):
    """Compiled loops differ from whole arrays by rounding alone, for any frames and weights."""
    learned, signals = learned_weightings(config), noise(n_mics, n_samples)
    pairs = torch.tensor([[0, 1], [1, 0], [n_mics - 1, 0]])
    compiled = CompiledCorrelator(kernels, config, learned).prepare(signals, 400)
    plain = TorchCorrelator(config, learned).prepare(signals, 400)
    for n_lags in (400, 32):
        expected = plain(pairs, n_lags)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(compiled(pairs, n_lags), expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_silence_stays_silent(kernels):
    """A silent channel has correlation zero with the others, and nothing is NaN."""
    signals = noise(3)
    signals[1] = 0
    correlate = CompiledCorrelator(kernels, SMALL, learned_weightings(SMALL)).prepare(signals, 100)
    correlations = correlate(torch.tensor([[0, 1], [1, 2], [0, 2]]), 100)
    assert torch.isfinite(correlations).all()
    assert correlations[:2].abs().max() < 1e-3 < 0.1 < correlations[2].abs().max()


@pytest.mark.parametrize('make', (make_correlator, TorchCorrelator))
def test_frames_must_hold_the_delay(make):
    """Lags beyond half a frame would wrap around, in every implementation."""
    with pytest.raises(ValueError, match='frames of more than 2048'):
        make(SMALL, learned_weightings(SMALL)).prepare(noise(2), 1024)


def test_threads_may_correlate_at_the_same_time(kernels):
    """Loops that run in several threads do not share working memory."""
    compiled = CompiledCorrelator(kernels, SMALL, learned_weightings(SMALL))
    pairs = torch.tensor([[0, 1], [2, 3]])

    def correlate(seed):
        with torch.inference_mode():
            return compiled.prepare(noise(4, seed=seed), 300)(pairs, 300)

    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(correlate, range(8)))
    for seed, correlations in enumerate(together):
        torch.testing.assert_close(correlations, correlate(seed), atol=1e-6, rtol=0)


@torch.inference_mode()
def test_numba_is_not_needed(monkeypatch, caplog):
    """Without it correlations are computed all the same, and a log line says what that costs."""
    monkeypatch.setitem(sys.modules, 'numba', None)
    compiled_kernels.cache_clear()
    try:
        with caplog.at_level(logging.INFO, 'nsrp_ros'):
            made = make_correlator(SMALL, learned_weightings(SMALL))
        assert isinstance(made, TorchCorrelator) and 'without Numba' in caplog.text
        assert made.prepare(noise(2), 100)(torch.tensor([[0, 1]]), 100).shape == (1, 16, 201)
    finally:
        compiled_kernels.cache_clear()


def test_the_cache_of_compiled_loops_is_optional(kernels, tmp_path):
    """Where no folder can be written to, or a cache file is damaged, loops are compiled anew."""
    program = ('from nsrp_ros.localization.backprojection.correlation_kernels import whiten; '
               'import numpy as np; '
               'm = np.empty((1, 1, 1), np.float32); '
               'whiten(np.full((1, 1, 2), 3, np.float32), m.copy(), m.copy(), m); print(m[0, 0])')

    def run(cache):
        environment = {'NUMBA_CACHE_DIR': str(cache), 'PYTHONPATH': ':'.join(sys.path)}
        return subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                              env=environment, timeout=100, check=True)

    assert run(tmp_path).stdout.strip() == '[1.]'
    kept = list(tmp_path.glob('*/*whiten*.nbc'))
    assert len(kept) == 1
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    again = run(tmp_path)
    assert again.stdout.strip() == '[1.]' and 'whiten cannot be kept' in again.stderr
    nowhere = tmp_path / 'file'
    nowhere.touch()
    assert run(nowhere).stdout.strip() == '[1.]'
