"""Correlations and projections without torch equal those of torch, with and without Numba."""

from dataclasses import replace
import logging
import sys

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.correlation import CompiledCorrelator
from nsrp_ros.localization.backprojection.correlation import make_correlator
from nsrp_ros.localization.backprojection.correlation import NumpyCorrelator
from nsrp_ros.localization.backprojection.projection import CompiledProjection
from nsrp_ros.localization.backprojection.projection import MicrophonePairs
from nsrp_ros.localization.backprojection.projection import project_pairs
from nsrp_ros.localization.backprojection.projection import sparse_projection
from nsrp_ros.localization.backprojection.projection import SparseProjection
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import pair_correlations
from nsrp_ros.networks.correlation import WEIGHTINGS
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig()
CONFIGS = {
    'small': SMALL,
    'everything': replace(SMALL, weightings=WEIGHTINGS, shared_bins=1, whole_window=True),
    'nothing learned': replace(SMALL, learned_weightings=0),
    'other frames': replace(SMALL, n_fft=1024, hop_length=200, shared_bins=2,
                            bands=((100.0, 900.0), (2000.0, 8000.0))),
}
PAIRS = np.array([[0, 1], [1, 0], [2, 0]])


@pytest.fixture
def no_numba(monkeypatch):
    """Make the import of Numba fail."""
    monkeypatch.setitem(sys.modules, 'numba', None)
    compiled_kernels.cache_clear()
    yield
    compiled_kernels.cache_clear()


def with_numba():
    """Return the kernels; skip the test where Numba is not installed."""
    kernels = compiled_kernels()
    if kernels is None:
        pytest.skip('Numba is not installed')
    return kernels


def noise(n_samples):
    """Return noise of varying level, partly common to three microphones, at several gains."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal(n_samples + 3) * np.sin(np.arange(n_samples + 3) / 700) ** 2
    signals = np.stack([common[m:m + n_samples] for m in range(3)])
    signals += rng.standard_normal(signals.shape)
    return (signals * [[1e-3], [1], [1e3]]).astype(np.float32)


@torch.inference_mode()
@pytest.mark.parametrize('config', CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize('compiled', (True, False))
@pytest.mark.parametrize('n_samples', (8000, 700))
def test_correlations_are_those_of_torch(config, compiled, n_samples):
    """Rounding is all that differs, in both ways, for any frames and weightings."""
    torch.manual_seed(0)
    learned = LearnedWeightings(config) if config.learned_weightings else None

    def weigh(magnitude):
        return torch.stack([w[0] for w in learned(torch.from_numpy(magnitude))], dim=1).numpy()
    given = config, learned and weigh
    made = CompiledCorrelator(with_numba(), *given) if compiled else NumpyCorrelator(*given)
    signals = noise(n_samples)
    correlate = made.prepare(signals, 400)
    for n_lags in (400, 32):
        expected = pair_correlations(torch.from_numpy(signals)[None], torch.from_numpy(PAIRS),
                                     n_lags, config, learned)[0].transpose(0, 1).numpy()
        found = np.full(expected.shape, np.nan, np.float32)
        correlate(PAIRS, n_lags, found)
        # A whole window is padded by the lags that it was prepared for.
        same = slice(-1) if config.whole_window and n_lags != 400 else slice(None)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found[same], expected[same], atol=1e-5)
        assert np.isfinite(found).all()


@pytest.mark.parametrize('make', (make_correlator, NumpyCorrelator))
def test_frames_must_hold_the_delay(make):
    """Lags beyond half a frame would wrap around, in every implementation."""
    with pytest.raises(ValueError, match='frames of more than 2048'):
        make(CONFIGS['nothing learned']).prepare(noise(8000), 1024)


def scene():
    """Return pairs, cells of which some lie beyond the evaluated lags, and a room."""
    rng = np.random.default_rng(1)
    dims = np.array([5, 4, 3], np.float32)
    mics = (rng.uniform(0, 1, (3, 3)) * dims).astype(np.float32)
    mics[0] = dims / 2
    spacing = np.linalg.norm(mics[PAIRS[:, 0]] - mics[PAIRS[:, 1]], axis=1)
    points = (rng.uniform(0, 1, (90, 3)) * dims).astype(np.float32)
    points[0] = mics[0]
    return MicrophonePairs(mics, PAIRS, spacing, 96, 16000.0), points, dims


def test_both_projections_are_the_same():
    """A compiled loop and sparse matrices gather the same features."""
    with_numba()
    arguments, rng = scene(), np.random.default_rng(2)
    features = [rng.standard_normal((3 * 97, n)).astype(np.float32) for n in (5, 8)]
    compiled, plain = project_pairs(*arguments), sparse_projection(*arguments)
    assert isinstance(compiled, CompiledProjection)
    np.testing.assert_array_equal(compiled.pair_geometry, plain.pair_geometry)
    for one, other in zip(compiled.gather(*features), plain.gather(*features), strict=True):
        assert one.shape == other.shape and np.abs(other).max() > 1
        # A reflection half-way between two lags may be rounded to either.
        assert (np.abs(one - other) > 1e-3).mean() < 1e-3


def test_numba_is_not_needed(no_numba, caplog):
    """Without it everything is computed all the same, and a log line says what that costs."""
    with caplog.at_level(logging.INFO, 'nsrp_ros'):
        made = make_correlator(CONFIGS['nothing learned'])
    assert isinstance(made, NumpyCorrelator) and 'without Numba' in caplog.text
    assert isinstance(project_pairs(*scene()), SparseProjection)
