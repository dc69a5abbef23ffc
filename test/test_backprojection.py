"""The geometry-aware network: what holds before it has learnt anything."""

from nsrp_ros.core.backprojection import Backprojection
from nsrp_ros.core.backprojection import floor_posterior
from nsrp_ros.core.backprojection import posterior_loss
from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import Grid
import numpy as np
import pytest
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1)


def network(config=SMALL):
    """Make a network with random weights."""
    torch.manual_seed(0)
    return Backprojection(config).eval()


def scene(anechoic, nx=12, ny=10, nz=3):
    """Return signals, microphones and points of the anechoic scene as a batch of one."""
    points = Grid.over_room(anechoic.room_dims, nx, ny, nz).points()
    return [torch.as_tensor(a, dtype=torch.float32)[None]
            for a in (anechoic.signals(), anechoic.mic_positions, points)]


@torch.inference_mode()
def test_the_posterior_sums_to_one_on_any_grid(anechoic):
    """Probabilities of cells, whatever the resolution and the number of microphones."""
    model = network()
    for nx, ny, nz, n_mics in ((12, 10, 3, 6), (25, 31, 1, 2), (7, 5, 6, 4)):
        signals, mics, points = scene(anechoic, nx, ny, nz)
        posterior = model(signals[:, :n_mics], mics[:, :n_mics], points).exp()
        assert posterior.shape == (1, nz, ny, nx)
        assert float(posterior.sum()) == pytest.approx(1, abs=1e-4)
        torch.testing.assert_close(floor_posterior(posterior.log()), posterior.sum(dim=1))


@torch.inference_mode()
def test_gains_do_not_matter(anechoic):
    """Devices need no calibration."""
    model = network()
    signals, mics, points = scene(anechoic)
    gains = torch.tensor([0.01, 1, 3, 0.2, 10, 0.5])[:, None]
    torch.testing.assert_close(model(signals, mics, points), model(signals * gains, mics, points),
                               atol=2e-3, rtol=1e-3)


@torch.inference_mode()
def test_scenes_of_a_batch_do_not_meet(anechoic):
    """A scene's posterior is the same alone as beside one with microphones further apart."""
    model = network()
    signals, mics, points = scene(anechoic)
    alone = model(signals, mics, points)
    wide = (mics - 2.5) * 1.2 + 2.5
    other = (torch.cat([signals, signals.flip(2)]), torch.cat([mics, wide]),
             points.repeat(2, 1, 1, 1, 1))
    torch.testing.assert_close(model(*other)[:1], alone, atol=1e-4, rtol=1e-4)


def test_the_loss_is_least_at_the_truth(anechoic):
    """A posterior that puts all on the right cells scores best; a flat one pays for its doubt."""
    _, _, points = scene(anechoic, 25, 25, 6)
    source = torch.as_tensor(anechoic.source_position, dtype=torch.float32)[None]
    near = -40 * (points - source[:, None, None, None]).norm(dim=-1)
    far = -40 * (points - source.flip(1)[:, None, None, None]).norm(dim=-1)
    flat = torch.zeros_like(near)
    right, doubt, wrong = (
        float(posterior_loss(s.flatten(1).log_softmax(1).view_as(s), points, source, 1.0))
        for s in (near, flat, far))
    assert right < doubt < wrong
    distance = np.linalg.norm(points[0, 0, ..., :2].numpy() - anechoic.source_position[:2],
                              axis=-1)
    assert doubt == pytest.approx(np.log(25 * 25 * 6) + distance.mean(), rel=1e-4)


def test_a_batch_overfits(anechoic):
    """Two scenes are learnt by heart: the gradient reaches everything that matters."""
    rng = np.random.default_rng(1)
    signals, mics, points = scene(anechoic)
    signals = torch.cat([signals, torch.as_tensor(
        rng.standard_normal(signals.shape), dtype=torch.float32)])
    mics, points = mics.repeat(2, 1, 1), points.repeat(2, 1, 1, 1, 1)
    source = torch.tensor([[4.23, 3.11, 1.55], [1.2, 1.3, 1.0]])
    model = network().train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = posterior_loss(model(signals, mics, points), points, source, 1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
