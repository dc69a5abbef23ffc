"""Batches of worlds: several people, different microphones, never the same twice."""

from types import SimpleNamespace

from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.rooms.worlds import TOLD
from nsrp_ros.simulation.rooms.worlds import World
from nsrp_ros.simulation.rooms.worlds import WORLDS
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.training.backprojection import data_module
from nsrp_ros.training.backprojection.data_module import FreshWorldsModule
from nsrp_ros.training.backprojection.world_loader import FreshWorlds
from nsrp_ros.training.backprojection.world_loader import MICROPHONE_SHARES
from nsrp_ros.training.data_modules import VALIDATION_BATCH
import numpy as np
import pytest
import torch

ROOMS = RealConfig(room=RoomConfig(max_order=0), talkers=TalkersConfig((0.0, 0.4, 0.6)))
SCATTERED = World(ROOMS, 6, 0.7, scattered=True)
FIXED = World(MixtureConfig((ROOMS,), (1.0,)), 5, 0.3)
SEVERAL = {2: 0.3, 3: 0.3, 6: 0.4}


@pytest.fixture(scope='module')
def bank():
    """Return synthetic speech."""
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=2, seconds=8)


def loader(bank, worlds=(SCATTERED, FIXED), told=TOLD, seed=0, stream=0, n_batches=16):
    """Make batches of tiny worlds."""
    return FreshWorlds(worlds, told, bank, 4, n_batches, torch.Generator().manual_seed(stream),
                       seed, rooms_at_once=12, microphones=SEVERAL, repeats=2)


def test_shares_of_microphones_sum_to_one():
    """None is more than are simulated."""
    assert sum(MICROPHONE_SHARES.values()) == pytest.approx(1)
    assert max(MICROPHONE_SHARES) <= WORLDS[0].n_mics


def test_numbers_of_microphones_and_talkers_vary(bank):
    """The fixed world has always as many; the others fewer scenes where they have more."""
    fresh = loader(bank)
    batches = list(fresh)
    assert len(batches) == len(fresh) == 16
    counts = {}
    for batch in batches:
        n_scenes, n_mics, _ = batch.signals.shape
        counts[n_mics] = max(n_scenes, counts.get(n_mics, 0))
        assert batch.mic_positions.shape == (n_scenes, n_mics, 3)
        assert batch.talkers.shape == (n_scenes, 2, 3) and len(batch.surroundings) == n_scenes
        assert torch.isfinite(batch.signals).all()
    assert set(counts) == {2, 3, 5, 6}
    # At most twice as many scenes as of six microphones, and about as many pairs.
    assert counts == {2: 8, 3: 8, 5: 6, 6: 4}
    talking = torch.cat([batch.n_talking for batch in batches])
    assert {1, 2} == set(talking.tolist())


def test_scenes_are_used_again_in_other_frames(bank):
    """Each comes twice with other microphones and other knowledge; then there are new ones."""
    batches = list(loader(bank, [FIXED], n_batches=4))  # 12 scenes, twice in two batches
    heights = [batch.talkers[:, 0, 2].tolist() for batch in batches]
    first, second = (sorted(heights[k] + heights[k + 1]) for k in (0, 2))
    np.testing.assert_allclose(first, second, rtol=1e-6)
    planes = [torch.cat([of.surroundings.planes[:, 0, :2] for of in batches[k:k + 2]])
              for k in (0, 2)]
    assert not torch.isclose(planes[0].sort(dim=0)[0], planes[1].sort(dim=0)[0]).all()
    fresh = list(loader(bank, [FIXED], n_batches=8))
    later = sorted(height for batch in fresh[4:6] for height in batch.talkers[:, 0, 2].tolist())
    assert not set(np.round(first, 5)) & set(np.round(later, 5))


def test_processes_draw_the_same_numbers_and_other_scenes(bank):
    """So that none waits for another."""
    one, other = (list(loader(bank, stream=stream, n_batches=8)) for stream in (0, 1))
    assert [b.signals.shape for b in one] == [b.signals.shape for b in other]
    assert not any(torch.equal(a.talkers, b.talkers) for a, b in zip(one, other, strict=True))
    again = list(loader(bank, n_batches=8))
    for a, b in zip(one, again, strict=True):
        torch.testing.assert_close(a.signals, b.signals)
        torch.testing.assert_close(a.surroundings.planes, b.surroundings.planes)


def test_rooms_that_nothing_is_told_of_are_known_exactly(bank):
    """They stay in their frames, mirrored."""
    for batch in loader(bank, told=None, n_batches=3):
        assert batch.surroundings is None
        assert (batch.mic_positions >= -1e-4).all()
        assert (batch.mic_positions <= batch.room_dims[:, None] + 1e-4).all()


def module_of(preset, n_val=10):
    """Make a data module with a trainer of one process, without training."""
    module = FreshWorldsModule(preset, 'synthetic', 2, 4, 0, 2, 4, 15, n_val)
    module.trainer = SimpleNamespace(
        world_size=1, global_rank=0, global_step=0,
        strategy=SimpleNamespace(root_device=torch.device('cpu')))
    return module


def test_phases_are_all_worlds_or_a_preset(monkeypatch):
    """In a preset's rooms walls are known exactly; scenes of both kinds can be drawn."""
    module = module_of('worlds')
    fresh = module.train_dataloader()
    assert fresh.worlds == WORLDS and fresh.told == TOLD and len(fresh) == 2
    fresh = module_of('anechoic_sim').train_dataloader()
    assert fresh.told is None and [world.scattered for world in fresh.worlds] == [True]
    batch = next(iter(fresh))
    assert batch.surroundings is None and batch.signals.shape[1] in MICROPHONE_SHARES
    # Resumed runs draw other worlds.
    draws = []
    for step in (0, 100):
        module.trainer.global_step = step
        fresh = module.train_dataloader()
        draws.append([fresh._pick([1.0] * 10) for _ in range(12)])
    assert draws[0] != draws[1]


def test_validation_scenes_are_of_every_kind_and_stay_the_same():
    """Exact, rough and unknown walls, arrays, several people; as many of each."""
    loader = module_of('worlds').val_dataloader()
    kinds = data_module._VALIDATION['worlds']
    batches, again = list(loader), list(loader)
    assert len(loader) == len(batches) == len(kinds)
    for batch, same, (_, n_mics) in zip(batches, again, kinds, strict=True):
        assert batch.signals.shape[:2] == (2, n_mics) and len(batch) <= VALIDATION_BATCH
        assert torch.equal(batch.signals, same.signals)
        assert batch.surroundings is not None
    known = [torch.isfinite(batch.surroundings.std).any() for batch in batches]
    assert [bool(one) for one in known] == [True, True, False, True, True]
    assert batches[-1].n_talking.tolist() == [2, 2]


def test_presets_of_rooms_are_validated_in_their_own(monkeypatch):
    """Of six microphones."""
    batch, = module_of('anechoic_sim', 3).val_dataloader()
    assert batch.signals.shape[:2] == (3, 6) and batch.surroundings is None


def test_told_walls_of_training_are_told_in_all_ways(bank):
    """Some scenes know all walls, some none; some know them roughly."""
    std = torch.cat([batch.surroundings.std[:, :4] for batch in loader(
        bank, [FIXED], ToldWalls((0.3, 0.3, 0.0, 0.0, 0.4)), n_batches=12)])
    exact, none = (std == 0).all(dim=1), torch.isinf(std).all(dim=1)
    for some in (exact, none, ~exact & ~none):
        assert 0.1 < float(some.float().mean()) < 0.6
