"""The network on a processor: what is left out must not change the answer."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.approximations import bfloat16_pays
from nsrp_ros.localization.backprojection.approximations import Shortcuts
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import Neighbours
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import View
from nsrp_ros.localization.backprojection.torch_cpu.network import chosen_pairs
from nsrp_ros.localization.backprojection.torch_cpu.network import QuickBackprojection
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.networks.checkpoint import load_checkpoint
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1)
NONE = Shortcuts(lag_margin=None, doubt=0.0, remember=False, partners=None, bfloat16=False)


@pytest.fixture(scope='module')
def trained():
    """Load the network that the package ships."""
    return load_checkpoint(find_weights('backprojection')).eval()


def scene(anechoic, n_mics=6):
    """Return signals, microphones and room of the anechoic scene as tensors."""
    return [torch.as_tensor(a, dtype=torch.float32)
            for a in (anechoic.signals()[:n_mics], anechoic.mic_positions[:n_mics],
                      anechoic.room_dims)]


def look(network, signals, mics, dims, shape):
    """Look at a whole room."""
    return network.look(network.hear(signals, mics), dims, whole_room(dims[None])[0], shape)


@torch.inference_mode()
@pytest.mark.parametrize('n_mics', (2, 3, 6))
def test_without_shortcuts_it_is_the_same_network(trained, anechoic, n_mics):
    """Another order of the same operations gives the same posterior, but for rounding."""
    signals, mics, dims = scene(anechoic, n_mics)
    # In round places an echo falls half-way between two lags, and rounding decides on which.
    mics = mics + 1e-3 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))[:n_mics]
    shape = 4, 11, 9
    log_posterior, presence = trained(signals[None], mics[None], dims[None],
                                      whole_room(dims[None]), shape)
    view = look(QuickBackprojection(trained, NONE), signals, mics, dims, shape)
    torch.testing.assert_close(view.log_posterior.exp(), log_posterior[0].exp(), atol=2e-4,
                               rtol=1e-3)
    torch.testing.assert_close(view.presence, presence[0], atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize('shortcuts', (
    replace(NONE, doubt=1e-3), replace(NONE, bfloat16=True), replace(NONE, remember=True),
    replace(NONE, lag_margin=96), Shortcuts()))
def test_no_shortcut_moves_a_clear_talker(trained, anechoic, shortcuts):
    """In free air every shortcut finds the talker where the whole computation does."""
    scene_ = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    plain = Backprojector(trained, shortcuts=None).estimate(*scene_)
    quick = Backprojector(trained, shortcuts=shortcuts).estimate(*scene_)
    assert np.linalg.norm(quick.position - plain.position) < 0.08
    assert quick.likelihood_map.shape == plain.likelihood_map.shape == (25, 25)
    assert quick.likelihood_map.sum() == pytest.approx(1, abs=1e-3)
    assert quick.presence == pytest.approx(plain.presence, abs=0.1)


def test_microphones_that_move_are_noticed(trained, anechoic):
    """What is remembered of one place is not used for another."""
    signals, mics, dims = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    remembers = Backprojector(trained)
    remembers.estimate(signals, mics, dims)
    for moved in (mics + [0.3, -0.2, 0.1], mics[:4]):
        fresh = Backprojector(trained).estimate(signals[:len(moved)], moved, dims)
        again = remembers.estimate(signals[:len(moved)], moved, dims)
        np.testing.assert_array_equal(again.likelihood_map, fresh.likelihood_map)


@torch.inference_mode()
def test_pairs_are_chosen_anew_only_when_microphones_move(anechoic):
    """What was heard says whether microphones stand where they stood a window before."""
    network = QuickBackprojection(Backprojection(SMALL).eval(), NONE)
    signals, mics, _ = scene(anechoic)
    places = mics, mics.clone(), mics + 0.1, mics[:4], mics[:4].clone(), mics
    heard = [network.hear(signals[:len(place)], place) for place in places]
    assert [one.still for one in heard] == [False, True, False, False, True, False]
    for before, one in zip(heard[:-1], heard[1:], strict=True):
        assert (one.listeners is before.listeners) == one.still


@torch.inference_mode()
@pytest.mark.parametrize('sixteen_bits', (False, True))
def test_what_is_remembered_is_what_would_be_computed(trained, anechoic, sixteen_bits):
    """Talkers in other places ask for other cells: known ones, new ones, or both."""
    dims, area = (torch.tensor(of) for of in ([6.0, 5.0, 3.0], [[0.0, 0, 0], [6, 5, 3]]))
    _, mics, _ = scene(anechoic)
    projectors = [QuickBackprojection(trained, replace(NONE, remember=remember,
                                                       bfloat16=sixteen_bits))
                  for remember in (True, False)]
    rng, wishes, computed = torch.Generator().manual_seed(0), [], []
    seeing = projectors[0]._projector._see
    projectors[0]._projector._see = lambda listeners, cells, some: (
        computed.append(len(some)) or seeing(listeners, cells, some))
    for window in range(5):
        signals = torch.randn(len(mics), 8000, generator=rng)
        likely = torch.rand(4 * 10 * 8, generator=rng)
        wishes.append(likely.topk(64).indices if window < 4 else wishes[-1])
        features = []
        for network in projectors:
            heard = network.hear(signals, mics)
            cells = network._reader.cells(dims, area, (4, 10, 8), len(mics))
            features.append(network._projector.project(heard, cells, likely, wishes[-1],
                                                       stays=True))
        torch.testing.assert_close(*features, atol=1e-5, rtol=1e-5)
    # Of the first window nothing is kept; the last one asks of what is known.
    assert len(computed) == 4 and computed[:2] == [64, 64] and sum(computed) <= 64 + 4 * 10 * 8


@torch.inference_mode()
@pytest.mark.parametrize('activation', ('relu', 'gelu'))
def test_reading_is_the_same_network(activation):
    """Another order of the same operations reads the same off features, and changes them not."""
    torch.manual_seed(0)
    model = Backprojection(replace(SMALL, activation=activation)).eval()
    for parameter in model.floor.parameters():  # which start at zero
        parameter.normal_(std=0.2)
    area, shape = torch.tensor([[0.5, 1.0, 0.0], [4, 6, 3]]), (3, 7, 5)
    dims, features = torch.tensor([5.0, 7, 3]), torch.randn(3 * 7 * 5, 8)
    kept = features.clone()
    reader = QuickBackprojection(model, NONE)._reader
    log_posterior, presence = reader.read(features, reader.cells(dims, area, shape, 4), True)
    expected = model.read(features[None], dims[None], area[None], shape, 4)
    torch.testing.assert_close(log_posterior, expected[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(presence, expected[1][0], atol=1e-4, rtol=1e-4)
    assert torch.equal(features, kept)


@torch.inference_mode()
def test_only_likely_cells_are_computed_anew(anechoic):
    """A look with an earlier look asks of fewer cells, unless the earlier one had no idea."""
    torch.manual_seed(0)
    network = QuickBackprojection(Backprojection(SMALL).eval(), replace(NONE, doubt=1e-3))
    signals, mics, dims = scene(anechoic)
    heard, area, shape = network.hear(signals, mics), whole_room(dims[None])[0], (4, 10, 8)
    asked = []
    project = network._projector._project_some
    network._projector._project_some = lambda heard, sight: (
        asked.append(len(sight.echo_rows)) or project(heard, sight))
    before = network.look(heard, dims, area, (2, 5, 4))
    peak = torch.full((2, 5, 4), -30.0)
    peak[1, 2, 3] = 0
    sure = View(area, before.features, peak, before.presence)
    flat = View(area, before.features, torch.zeros_like(peak), before.presence)
    asked.clear()
    network.look(heard, dims, area, shape, sure)
    network.look(heard, dims, area, shape, flat)
    assert 0 < asked[0] <= 64 and asked[1] == 4 * 10 * 8


def test_interpolation_is_linear_in_space():
    """Features that are coordinates stay coordinates; likelihoods are those of neighbours."""
    area = torch.tensor([[0.0, 0, 0], [4, 6, 2]])
    z, y, x = torch.meshgrid(torch.tensor([0.5, 1.5]), torch.arange(6) + 0.5,
                             torch.arange(8) / 2 + 0.25, indexing='ij')
    peak = torch.full((2, 6, 8), -50.0)
    peak[0, 3, 4] = 0  # about (2.25, 3.5, 0.5)
    view = View(area, torch.stack([x, y, z], dim=-1), peak, torch.tensor(0.0))
    part = torch.tensor([[1.0, 2, 0.5], [3, 5, 1.5]])
    neighbours = Neighbours.of(view, part, (2, 3, 4))
    features, likely = neighbours.features().view(2, 3, 4, 3), neighbours.likely().view(2, 3, 4)
    np.testing.assert_allclose(features[..., 0], np.broadcast_to([1.25, 1.75, 2.25, 2.75],
                                                                 (2, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(features[0, :, 0, 1], [2.5, 3.5, 4.5], atol=1e-5)
    np.testing.assert_allclose(features[:, 0, 0, 2], [0.75, 1.25], atol=1e-5)
    assert torch.equal(likely > 0.5, (features[..., :2] - torch.tensor([2.25, 3.5])).norm(
        dim=-1) < 0.1)


def test_pairs_are_dropped_only_where_there_are_many():
    """Every microphone keeps its share of the pairs, whichever there are."""
    mics = torch.from_numpy(np.random.default_rng(0).uniform(0, 5, (16, 3)))
    assert len(chosen_pairs(mics)) == 120
    assert len(chosen_pairs(mics[:10], 6)) == len(chosen_pairs(mics[:10])) == 45
    few = chosen_pairs(mics, 6)
    assert len(few) == 48 and len({tuple(pair) for pair in few.tolist()}) == 48
    assert (few[:, 0] < few[:, 1]).all()
    assert few.flatten().bincount(minlength=16).min() >= 3
    every = chosen_pairs(mics)
    lengths = (mics[every[:, 0]] - mics[every[:, 1]]).norm(dim=1)
    assert torch.equal(lengths, lengths.sort().values)


def test_networks_without_echoes_or_heads_are_computed_plainly(anechoic):
    """Ablated networks have no quick form and are located all the same."""
    scene_ = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    for change in ({'echo_channels': 0}, {'heads': 0}):
        model = Backprojection(replace(SMALL, **change))
        assert not QuickBackprojection.fits(model)
        assert Backprojector(model).estimate(*scene_).likelihood_map.shape == (25, 25)


def test_the_choice_of_bits_is_made_once():
    """Trying what is faster takes a moment, so the first answer stays."""
    assert bfloat16_pays() is bfloat16_pays()


def test_the_localizer_takes_the_quick_way(anechoic):
    """`Localizer.load` is what the node and every evaluation call."""
    localizer = Localizer.load('backprojection')
    assert isinstance(localizer._method._network, QuickBackprojection)
    estimate = localizer.locate(anechoic.signals(), anechoic.sample_rate,
                                anechoic.mic_positions, anechoic.room_dims)
    assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.25
