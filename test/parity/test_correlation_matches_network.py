"""Correlations and sights without torch are those of correlation.py, with and without Numba."""

from dataclasses import replace
import logging
import sys

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.correlation import array_correlator
from nsrp_ros.localization.backprojection.correlation import CompiledArrays
from nsrp_ros.localization.backprojection.correlation import PlainArrays
from nsrp_ros.localization.backprojection.projection import array_sight
from nsrp_ros.localization.backprojection.projection import ArraySight
from nsrp_ros.localization.backprojection.projection import CompiledSight
from nsrp_ros.localization.backprojection.projection import Pairs
from nsrp_ros.localization.backprojection.projection import sight_of
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
    'nothing learnt': replace(SMALL, learned_weightings=0),
    'other frames': replace(SMALL, n_fft=1024, hop_length=200, shared_bins=2,
                            bands=((100.0, 900.0), (2000.0, 8000.0))),
}
PAIRS = np.array([[0, 1], [1, 0], [2, 0]])


@pytest.fixture
def no_numba(monkeypatch):
    """Make Numba one that cannot be imported."""
    monkeypatch.setitem(sys.modules, 'numba', None)
    compiled_kernels.cache_clear()
    yield
    compiled_kernels.cache_clear()


def with_numba():
    """Return the kernels; without Numba there is nothing to compare."""
    kernels = compiled_kernels()
    if kernels is None:
        pytest.skip('Numba is not installed')
    return kernels


def noise(n_samples):
    """Return noise that swells and fades, partly common to three microphones, at several gains."""
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
    made = CompiledArrays(with_numba(), *given) if compiled else PlainArrays(*given)
    signals = noise(n_samples)
    correlate = made.listen(signals, 400)
    for n_lags in (400, 32):
        expected = pair_correlations(torch.from_numpy(signals)[None], torch.from_numpy(PAIRS),
                                     n_lags, config, learned)[0].transpose(0, 1).numpy()
        found = np.full(expected.shape, np.nan, np.float32)
        correlate(PAIRS, n_lags, found)
        # A whole window is padded as far as the lags that were announced.
        same = slice(-1) if config.whole_window and n_lags != 400 else slice(None)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found[same], expected[same], atol=1e-5)
        assert np.isfinite(found).all()


@pytest.mark.parametrize('make', (array_correlator, PlainArrays))
def test_frames_must_hold_the_delay(make):
    """Lags beyond half a frame would wrap around, whichever way is taken."""
    with pytest.raises(ValueError, match='frames of more than 2048'):
        make(CONFIGS['nothing learnt']).listen(noise(8000), 1024)


def scene():
    """Return pairs, cells of which some hear beyond the lags that are looked at, and a room."""
    rng = np.random.default_rng(1)
    dims = np.array([5, 4, 3], np.float32)
    mics = (rng.uniform(0, 1, (3, 3)) * dims).astype(np.float32)
    mics[0] = dims / 2
    spacing = np.linalg.norm(mics[PAIRS[:, 0]] - mics[PAIRS[:, 1]], axis=1)
    points = (rng.uniform(0, 1, (90, 3)) * dims).astype(np.float32)
    points[0] = mics[0]
    return Pairs(mics, PAIRS, spacing, 96, 16000.0), points, dims


def test_both_sights_are_the_same():
    """Looked up in a loop or by sparse matrices, cells hear the same."""
    with_numba()
    arguments, rng = scene(), np.random.default_rng(2)
    features = [rng.standard_normal((3 * 97, n)).astype(np.float32) for n in (5, 8)]
    compiled, plain = sight_of(*arguments), array_sight(*arguments)
    assert isinstance(compiled, CompiledSight)
    np.testing.assert_array_equal(compiled.views, plain.views)
    for one, other in zip(compiled.gather(*features), plain.gather(*features), strict=True):
        assert one.shape == other.shape and np.abs(other).max() > 1
        # An echo half-way between two lags may be rounded to either.
        assert (np.abs(one - other) > 1e-3).mean() < 1e-3


def test_numba_is_not_needed(no_numba, caplog):
    """Without it all is computed all the same, and a line tells what that costs."""
    with caplog.at_level(logging.INFO, 'nsrp_ros'):
        made = array_correlator(CONFIGS['nothing learnt'])
    assert isinstance(made, PlainArrays) and 'without Numba' in caplog.text
    assert isinstance(sight_of(*scene()), ArraySight)
