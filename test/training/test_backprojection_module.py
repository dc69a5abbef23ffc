"""Training of the back-projection network."""

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.worlds import World
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.training.backprojection.module import BackprojectionModule
from nsrp_ros.training.backprojection.module import position_errors
from nsrp_ros.training.backprojection.tasks import whole_task
from nsrp_ros.training.backprojection.world_loader import FreshWorlds
import numpy as np
import pytest
import torch

# All parts of the network, as small and as few as they can be: forty steps take seconds.
TINY = BackprojectionConfig(
    n_fft=1024, bands=((100.0, 1600.0), (1600.0, 7200.0)), channels=8, hidden_channels=8,
    weighting_channels=4, dilations=(1, 4), map_channels=8, map_hidden_channels=8, map_blocks=1,
    heads=2)
ANECHOIC = RoomConfig(max_order=0, max_dims=(7.0, 6.0, 3.0))


@pytest.fixture(scope='module')
def rooms():
    """Make batches of fresh anechoic rooms with synthetic talkers."""
    bank = SpeechBank.synthetic(np.random.default_rng(0), n_talkers=2, seconds=10.0)
    world = World(RealConfig(room=ANECHOIC), 6, 1.0, scattered=True)
    return FreshWorlds([world], None, bank, batch_size=4, batches_per_epoch=40,
                       generator=torch.Generator().manual_seed(0), seed=0, rooms_at_once=32,
                       microphones={3: 0.2, 4: 0.4, 6: 0.4}, repeats=2)


def test_batches_have_different_numbers_of_microphones(rooms):
    """Whatever the number, mirrored or not, all devices are in their rooms."""
    counts = set()
    for batch in rooms:
        counts.add(batch.signals.shape[1])
        assert batch.signals.shape[:2] == batch.mic_positions.shape[:2]
        assert (batch.mic_positions <= batch.room_dims[:, None]).all()
        assert (batch.source_position <= batch.room_dims).all()
        assert torch.isfinite(batch.signals).all()
    assert counts == {3, 4, 6}


def test_training_lowers_the_error(rooms, tmp_path):
    """Forty steps on anechoic rooms beat the untrained network; the weights can be loaded."""
    torch.manual_seed(0)
    module = BackprojectionModule(Backprojection(TINY), 1e-2, sides=(10, 12), heights=(2, 3))
    held_out = next(iter(rooms))
    module.model.eval()
    before = position_errors(module.model, held_out).mean()
    optimiser = module.configure_optimizers()
    module.model.train()
    losses = []
    for batch in rooms:
        loss = module.loss(whole_task(batch), (2, 10, 10))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.model.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.5
    module.model.eval()
    assert position_errors(module.model, held_out).mean() < 0.8 * before

    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, module.model, 'backprojection')
    localizer = Localizer.load(str(path))
    assert localizer.config == TINY
    estimate = localizer.locate(held_out.signals[0].numpy(), 16000,
                                held_out.mic_positions[0].numpy(), held_out.room_dims[0].numpy())
    assert estimate.likelihood_map.sum() == pytest.approx(1, abs=1e-4)
    assert estimate.covariance is not None and estimate.covariance.shape == (2, 2)
