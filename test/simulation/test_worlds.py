"""The worlds of training: each can be simulated, and told of."""

from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.told import tell
from nsrp_ros.simulation.rooms.worlds import MOST_MICROPHONES
from nsrp_ros.simulation.rooms.worlds import TOLD
from nsrp_ros.simulation.rooms.worlds import WORLDS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def bank():
    """Return synthetic speech."""
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=2, seconds=8)


def parts_of(world):
    """Return the distributions of a world's rooms."""
    return (world.rooms,) if isinstance(world.rooms, RealConfig) else world.rooms.parts


def test_shares_sum_to_one():
    """And so do those of what is told."""
    assert sum(world.share for world in WORLDS) == pytest.approx(1)
    assert min(world.share for world in WORLDS) > 0
    assert sum(TOLD.shares) == pytest.approx(1)


def test_every_world_has_people_and_walls_of_all_kinds():
    """Nobody to three people talk; there are boxes, other rooms, halls, and arrays on robots."""
    for world in WORLDS:
        for part in parts_of(world):
            assert part.talkers is not None and part.talkers.most == 3
            assert (part.arrays is None) is world.scattered
        assert any(part.silent for part in parts_of(world))
        assert any(not part.silent for part in parts_of(world)) or len(parts_of(world)) == 1
    parts = [part for world in WORLDS for part in parts_of(world)]
    assert any(part.polygons for part in parts)
    assert max(max(part.room.max_dims) for part in parts) >= 30
    on_robots = [world for world in WORLDS if not world.scattered]
    # Arrays of all sizes, alone and together, never larger than the microphones that there are.
    sizes = {part.arrays.sizes for world in on_robots for part in parts_of(world)}
    assert {(4,), (16,), (4, 4)} <= sizes
    for world in on_robots:
        assert all(sum(part.arrays.sizes) <= world.n_mics for part in parts_of(world))
    assert all(world.n_mics == MOST_MICROPHONES for world in WORLDS if world.scattered)


@pytest.mark.parametrize('number', range(len(WORLDS)))
def test_worlds_can_be_simulated(number, bank):
    """Two scenes of each, in frames of their own, with what is told of them."""
    world = WORLDS[number]
    generator = torch.Generator().manual_seed(number)
    made = simulate(world.rooms, world.n_mics, 2, bank, generator)
    scenes = tell(made, TOLD, generator)
    assert scenes.signals.shape == (2, world.n_mics, 8000)
    assert scenes.mic_positions.shape == (2, world.n_mics, 3)
    assert scenes.talkers.shape == (2, 3, 3) and len(scenes.surroundings) == 2
    assert torch.isfinite(scenes.signals).all() and scenes.signals.abs().amax() > 0
    n_walls = scenes.outline.shape[1]
    assert n_walls == 4 or any(part.polygons for part in parts_of(world))
    assert scenes.surroundings.planes.shape == (2, n_walls + 2, 4)
    if not world.scattered:
        first = parts_of(world)[0].arrays.sizes[0]
        mics = scenes.true_mic_positions[:, :first]
        assert float(torch.cdist(mics, mics).amax()) < 1.0  # one array, not scattered
