"""The network on a processor: approximations must not change the estimate."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.spectral_edges import without_offset
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.approximations import bfloat16_is_faster
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import GridInterpolation
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import GridLogPosterior
from nsrp_ros.localization.backprojection.torch_cpu.network import FastBackprojection
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.mirrors import exact_boxes
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1)
NONE = Approximations(lag_margin=None, refine_below=0.0, cache_geometry=False,
                      pairs_per_microphone=None, bfloat16=False)


@pytest.fixture(scope='module')
def trained():
    """Load the network that the package ships."""
    return load_checkpoint(find_weights('backprojection')).eval()


def scene(anechoic, n_mics=6):
    """Return signals, microphones and room of the anechoic scene as tensors."""
    return [torch.as_tensor(a, dtype=torch.float32)
            for a in (anechoic.signals()[:n_mics], anechoic.mic_positions[:n_mics],
                      anechoic.room_dims)]


@torch.inference_mode()
@pytest.mark.parametrize('n_mics', (2, 3, 6))
def test_without_approximations_it_is_the_same_network(trained, anechoic, n_mics):
    """Another order of the same operations gives the same posterior, but for rounding."""
    signals, mics, dims = scene(anechoic, n_mics)
    # In round places a reflection falls half-way between two lags, and rounding decides on which.
    mics = mics + 1e-3 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))[:n_mics]
    area, shape = whole_room(dims[None]), (4, 11, 9)
    log_posterior, presence = trained(signals[None], mics[None], dims[None], area, shape)
    network = FastBackprojection(trained, NONE)
    found = network.evaluate_grid(network.encode(signals, mics), dims, area[0], shape)
    torch.testing.assert_close(found.log_posterior.exp(), log_posterior[0].exp(), atol=2e-4,
                               rtol=1e-3)
    torch.testing.assert_close(found.presence, presence[0], atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize('approximations', (
    replace(NONE, refine_below=1e-3), replace(NONE, bfloat16=True),
    replace(NONE, cache_geometry=True), replace(NONE, lag_margin=96), Approximations()))
def test_no_approximation_moves_a_clear_talker(trained, anechoic, approximations):
    """In free field every approximation finds the talker where the whole computation does."""
    scene_ = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    plain = Backprojector(trained, approximations=None).estimate(*scene_)
    fast = Backprojector(trained, approximations=approximations).estimate(*scene_)
    assert np.linalg.norm(fast.position - plain.position) < 0.08
    assert fast.likelihood_map.shape == plain.likelihood_map.shape == (25, 25)
    assert fast.likelihood_map.sum() == pytest.approx(1, abs=1e-3)
    assert fast.presence == pytest.approx(plain.presence, abs=0.1)


def test_microphones_that_move_are_noticed(trained, anechoic):
    """Projections that are cached for some positions are not used for others."""
    signals, mics, dims = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    caching = Backprojector(trained)
    caching.estimate(signals, mics, dims)
    for moved in (mics + [0.3, -0.2, 0.1], mics[:4]):
        fresh = Backprojector(trained).estimate(signals[:len(moved)], moved, dims)
        again = caching.estimate(signals[:len(moved)], moved, dims)
        np.testing.assert_array_equal(again.likelihood_map, fresh.likelihood_map)


@torch.inference_mode()
def test_pairs_are_selected_anew_only_when_microphones_move(anechoic):
    """Lag features say whether microphones stand where they stood a window before."""
    network = FastBackprojection(Backprojection(SMALL).eval(), NONE)
    signals, mics, _ = scene(anechoic)
    positions = mics, mics.clone(), mics + 0.1, mics[:4], mics[:4].clone(), mics
    features = [network.encode(signals[:len(one)], one) for one in positions]
    assert [one.still for one in features] == [False, True, False, False, True, False]
    for before, one in zip(features[:-1], features[1:], strict=True):
        assert (one.pairs is before.pairs) == one.still


@torch.inference_mode()
@pytest.mark.parametrize('sixteen_bits', (False, True))
def test_cached_projections_are_those_that_would_be_computed(trained, anechoic, sixteen_bits):
    """Talkers in other places need other cells: cached ones, new ones, or both."""
    dims, area = (torch.tensor(of) for of in ([6.0, 5.0, 3.0], [[0.0, 0, 0], [6, 5, 3]]))
    _, mics, _ = scene(anechoic)
    caching, plain = (FastBackprojection(trained, replace(NONE, cache_geometry=cache,
                                                          bfloat16=sixteen_bits))
                      for cache in (True, False))
    rng, chosen, projected = torch.Generator().manual_seed(0), [], [0]
    for window in range(5):
        signals = torch.randn(len(mics), 8000, generator=rng)
        likely = torch.rand(4 * 10 * 8, generator=rng)
        chosen.append(likely.topk(64).indices if window < 4 else chosen[-1])
        pooled = []
        for network in (caching, plain):
            features = network.encode(signals, mics)
            cells = network.readout.cells(dims, area, (4, 10, 8), len(mics))
            pooled.append(network.projector.project(features, cells, likely, chosen[-1],
                                                    reused=True))
        torch.testing.assert_close(*pooled, atol=1e-5, rtol=1e-5)
        projected.append(caching.projector.n_projected)
    # Nothing is cached in the first window; all cells of the last one are known.
    in_window = np.diff(projected)
    assert np.count_nonzero(in_window) == 4 and in_window[-1] == 0
    assert in_window[:2].tolist() == [64, 64] and projected[-1] <= 64 + 4 * 10 * 8
    assert plain.projector.n_projected == 5 * 64


@torch.inference_mode()
@pytest.mark.parametrize('activation', ('relu', 'gelu'))
def test_the_readout_is_the_same_network(activation):
    """Another order of the same operations gives the same posterior; features are kept."""
    torch.manual_seed(0)
    model = Backprojection(replace(SMALL, activation=activation)).eval()
    for parameter in model.floor.parameters():  # which start at zero
        parameter.normal_(std=0.2)
    area, shape = torch.tensor([[0.5, 1.0, 0.0], [4, 6, 3]]), (3, 7, 5)
    dims, features = torch.tensor([5.0, 7, 3]), torch.randn(3 * 7 * 5, 8)
    kept = features.clone()
    readout = FastBackprojection(model, NONE).readout
    log_posterior, presence = readout.read(features, readout.cells(dims, area, shape, 4), True)
    expected = model.read_posterior(features[None], exact_boxes(dims[None]), area[None], shape, 4)
    torch.testing.assert_close(log_posterior, expected[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(presence, expected[1][0], atol=1e-4, rtol=1e-4)
    assert torch.equal(features, kept)


@torch.inference_mode()
def test_only_likely_cells_are_computed(anechoic):
    """With a coarser grid fewer cells are computed, unless its posterior is flat."""
    torch.manual_seed(0)
    network = FastBackprojection(Backprojection(SMALL).eval(), replace(NONE, refine_below=1e-3))
    signals, mics, dims = scene(anechoic)
    features, area, shape = network.encode(signals, mics), whole_room(dims[None])[0], (4, 10, 8)
    coarse = network.evaluate_grid(features, dims, area, (2, 5, 4))
    peak = torch.full((2, 5, 4), -30.0)
    peak[1, 2, 3] = 0
    computed = []
    for log_posterior in (peak, torch.zeros_like(peak)):
        before = network.projector.n_projected
        network.evaluate_grid(features, dims, area, shape, GridLogPosterior(
            area, coarse.features, log_posterior, coarse.presence))
        computed.append(network.projector.n_projected - before)
    assert 0 < computed[0] <= 64 and computed[1] == 4 * 10 * 8


def test_interpolation_is_linear_in_space():
    """Features that are coordinates stay coordinates; probabilities are those of neighbours."""
    area = torch.tensor([[0.0, 0, 0], [4, 6, 2]])
    z, y, x = torch.meshgrid(torch.tensor([0.5, 1.5]), torch.arange(6) + 0.5,
                             torch.arange(8) / 2 + 0.25, indexing='ij')
    peak = torch.full((2, 6, 8), -50.0)
    peak[0, 3, 4] = 0  # about (2.25, 3.5, 0.5)
    coarse = GridLogPosterior(area, torch.stack([x, y, z], dim=-1), peak, torch.tensor(0.0))
    part = torch.tensor([[1.0, 2, 0.5], [3, 5, 1.5]])
    interpolation = GridInterpolation.of(coarse, part, (2, 3, 4))
    features = interpolation.features().view(2, 3, 4, 3)
    likely = interpolation.largest_probability().view(2, 3, 4)
    np.testing.assert_allclose(features[..., 0], np.broadcast_to([1.25, 1.75, 2.25, 2.75],
                                                                 (2, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(features[0, :, 0, 1], [2.5, 3.5, 4.5], atol=1e-5)
    np.testing.assert_allclose(features[:, 0, 0, 2], [0.75, 1.25], atol=1e-5)
    assert torch.equal(likely > 0.5, (features[..., :2] - torch.tensor([2.25, 3.5])).norm(
        dim=-1) < 0.1)


def test_networks_without_echoes_or_heads_are_computed_plainly(anechoic):
    """Ablated networks have no approximate form and locate all the same."""
    scene_ = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    for change in ({'echo_channels': 0}, {'heads': 0}):
        model = Backprojection(replace(SMALL, **change))
        assert not FastBackprojection.supports(model)
        assert not Backprojector(model).approximates
        assert Backprojector(model).estimate(*scene_).likelihood_map.shape == (25, 25)


def test_the_number_of_bits_is_measured_once():
    """The measurement takes a moment, so its first result is kept."""
    assert bfloat16_is_faster() is bfloat16_is_faster()


def test_the_localizer_approximates(trained, anechoic):
    """`Localizer.load`, which the node and every evaluation call, takes the fast network."""
    scene_ = without_offset(anechoic.signals()), anechoic.mic_positions, anechoic.room_dims
    estimate = Localizer.load('backprojection').locate(anechoic.signals(), anechoic.sample_rate,
                                                       *scene_[1:])
    fast, plain = (Backprojector(trained, approximations=of) for of in (Approximations(), None))
    assert fast.approximates and not plain.approximates
    np.testing.assert_array_equal(estimate.likelihood_map,
                                  fast.estimate(*scene_).likelihood_map)
    assert not np.array_equal(estimate.likelihood_map, plain.estimate(*scene_).likelihood_map)
    assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.25
