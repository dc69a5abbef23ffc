"""The back-projection network: truths that hold before training, and losses."""

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import Grid
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.backprojection import floor_posterior
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.training.backprojection.losses import posterior_loss
from nsrp_ros.training.backprojection.losses import presence_loss
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1)


def network(config=SMALL):
    """Make a network with random weights everywhere, also where training starts at zero."""
    torch.manual_seed(0)
    model = Backprojection(config).eval()
    for weights in model.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    return model


def scene(anechoic):
    """Return signals, microphones and room of the anechoic scene as a batch of one."""
    return [torch.as_tensor(a, dtype=torch.float32)[None]
            for a in (anechoic.signals(), anechoic.mic_positions, anechoic.room_dims)]


@torch.inference_mode()
def test_the_posterior_sums_to_one_on_any_grid(anechoic):
    """Probabilities of cells, whatever the resolution, the area and the number of mics."""
    model = network()
    signals, mics, dims = scene(anechoic)
    corner = torch.tensor([[[1.0, 0.5, 0.0], [3.0, 2.5, 2.0]]])
    for area, shape, n_mics in ((whole_room(dims), (3, 10, 12), 6),
                                (whole_room(dims), (1, 31, 25), 2), (corner, (6, 5, 7), 4)):
        log_posterior, presence = model(signals[:, :n_mics], mics[:, :n_mics], dims, area, shape)
        posterior = log_posterior.exp()
        assert posterior.shape == (1, *shape) and presence.shape == (1,)
        assert float(posterior.sum()) == pytest.approx(1, abs=1e-4)
        torch.testing.assert_close(floor_posterior(log_posterior), posterior.sum(dim=1))


def test_areas_are_divided_as_grids_are():
    """Each scene of a batch has its own cells, those of geometry.Grid."""
    area = torch.tensor([[[0.0, 0, 0], [6, 5, 3]], [[1, 2, 0.5], [3, 9, 2]]])
    points = area_points(area, (2, 7, 5))
    for k, (low, high) in enumerate(area.tolist()):
        np.testing.assert_allclose(points[k], Grid.over_box(low, high, 5, 7, 2).points(),
                                   atol=1e-6)


@torch.inference_mode()
def test_gains_do_not_matter(anechoic):
    """The posterior is independent of the devices' gains."""
    model = network()
    signals, mics, dims = scene(anechoic)
    gains = torch.tensor([0.01, 1, 3, 0.2, 10, 0.5])[:, None]
    rest = mics, dims, whole_room(dims), (3, 10, 12)
    torch.testing.assert_close(model(signals, *rest), model(signals * gains, *rest),
                               atol=2e-3, rtol=1e-3)


@torch.inference_mode()
def test_scenes_of_a_batch_are_independent(anechoic):
    """A scene's posterior is the same alone as beside another one."""
    model = network()
    signals, mics, dims = scene(anechoic)
    shape = 3, 10, 12
    alone, _ = model(signals, mics, dims, whole_room(dims), shape)
    two = dims.repeat(2, 1)
    beside, _ = model(torch.cat([signals, signals.flip(2)]), torch.cat([mics, mics.flip(1)]),
                      two, whole_room(two), shape)
    torch.testing.assert_close(beside[:1], alone, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_reflections_depend_on_the_walls(anechoic):
    """A wall that is moved changes the posterior; without echo features it does not."""
    signals, mics, dims = scene(anechoic)
    area, shape = whole_room(dims), (3, 10, 12)
    wider = dims + torch.tensor([0.7, 0.0, 0.0])
    model = network()
    model.place.weight.zero_()  # its input includes the room's size
    here, _ = model(signals, mics, dims, area, shape)
    there, _ = model(signals, mics, wider, area, shape)
    assert float((here - there).abs().max()) > 1e-4
    model.echoes.weight.zero_()
    here, _ = model(signals, mics, dims, area, shape)
    there, _ = model(signals, mics, wider, area, shape)
    torch.testing.assert_close(here, there)


def test_a_part_of_the_room_can_be_evaluated(anechoic):
    """The map tiles the area with the requested cells; areas outside the room are refused."""
    located = Backprojector(network())
    scene_ = anechoic.signals(), anechoic.mic_positions, anechoic.room_dims
    estimate = located.estimate(*scene_, area=((1, 0.5), (3, 2.5)), shape=(4, 8))
    assert estimate.likelihood_map.shape == (4, 8)
    np.testing.assert_allclose(estimate.x, 1.125 + 0.25 * np.arange(8))
    np.testing.assert_allclose(estimate.y, 0.75 + 0.5 * np.arange(4))
    assert (1, 0.5) <= tuple(estimate.position) <= (3, 2.5)
    assert 0 <= estimate.height <= anechoic.room_dims[2]
    for area in (((1, 1), (1, 2)), ((-1, 0), (2, 2)), ((0, 0), (99, 2)), (1, 2)):
        with pytest.raises(ValueError, match='area must be'):
            located.estimate(*scene_, area=area)
    with pytest.raises(ValueError, match='a grid needs cells'):
        located.estimate(*scene_, shape=(0, 5))


def test_channels_of_zeros_are_left_out(anechoic):
    """A silent channel is ignored; where all are silent, the presence is 0."""
    located = Backprojector(network())
    signals, mics = anechoic.signals(), np.asarray(anechoic.mic_positions)
    one_silent = signals.copy()
    one_silent[2] = 0
    with_it = located.estimate(one_silent, mics, anechoic.room_dims)
    rest = [0, 1, 3, 4, 5]
    without = located.estimate(signals[rest], mics[rest], anechoic.room_dims)
    np.testing.assert_allclose(with_it.likelihood_map, without.likelihood_map, atol=1e-6)
    silent = located.estimate(0 * signals, mics, anechoic.room_dims)
    assert silent.confidence == silent.presence == 0
    assert np.ptp(silent.likelihood_map) < 1e-9


def test_a_batch_overfits(anechoic):
    """Two scenes are memorised, and gradients reach all parameters."""
    rng = np.random.default_rng(1)
    signals, mics, dims = scene(anechoic)
    signals = torch.cat([signals, torch.as_tensor(
        rng.standard_normal(signals.shape), dtype=torch.float32)])
    mics, dims = mics.repeat(2, 1, 1), dims.repeat(2, 1)
    area, shape = whole_room(dims), (3, 10, 12)
    points = area_points(area, shape)
    source = torch.tensor([[[4.23, 3.11, 1.55]], [[1.2, 1.3, 1.0]]])
    model = network().train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses, reached = [], set()
    for _ in range(60):
        log_posterior, presence = model(signals, mics, dims, area, shape)
        loss = (posterior_loss(log_posterior, points, source, torch.ones(2, 1).bool(), 1.0).mean()
                + presence_loss(presence, torch.tensor([True, False]), torch.ones(2)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        # Not in every step: a few channels may all be inactive for two scenes.
        reached |= {name for name, p in model.named_parameters() if p.grad.abs().sum() > 0}
    assert losses[-1] < 0.5 * losses[0]
    assert reached == {name for name, _ in model.named_parameters()}
