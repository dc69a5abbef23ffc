"""The network that knows walls by degrees: any room, any part of it, several talkers."""

from dataclasses import replace
from math import atan2
from types import SimpleNamespace

from nsrp_ros import Localizer
from nsrp_ros import Surroundings
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.any_surroundings import SurroundingsBackprojector
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
import torch

ORIGIN, YAW = np.array([3.0, -2.0, 0.5]), 0.6
TURN = np.array([[np.cos(YAW), np.sin(YAW), 0], [-np.sin(YAW), np.cos(YAW), 0], [0, 0, 1]])
OUTLINE = np.array([(0, 0), (6, 0), (6, 2.5), (3, 2.5), (3, 5), (0, 5)])
"""An L-shaped floor: the talker of the anechoic scene is not on it."""


@pytest.fixture(scope='module')
def method():
    """Load the network as a method."""
    return SurroundingsBackprojector(load_checkpoint(find_weights('surroundings')))


@pytest.fixture
def localizer(method):
    """Return the localizer that uses it."""
    return Localizer(method)


@pytest.fixture(scope='module')
def two_talkers():
    """Simulate eight rooms in which two voices, equally loud, are heard by eight microphones."""
    rooms = PRESETS['two_talkers'].rooms
    config = replace(PRESETS['two_talkers'], rooms=replace(
        rooms, room=replace(rooms.room, max_order=1),
        talkers=TalkersConfig((0.0, 0.0, 1.0), min_apart=1.5, level_db=0.0)))
    bank = SpeechBank.synthetic(np.random.default_rng(0), n_talkers=4, seconds=8)
    return simulate(config, 8, 8, bank, torch.Generator().manual_seed(0))


def scene_of(scenes, k):
    """Return the arguments of `locate` of one of many scenes."""
    return (scenes.signals[k].numpy(), scenes.sample_rate, scenes.mic_positions[k].numpy(),
            scenes.surroundings.one(k))


def off(position, anechoic):
    """Return how far a position is from the talker, metres."""
    return np.linalg.norm(position - anechoic.source_position[:2])


def cells(estimate, where):
    """Return the probability of those of a map's cells whose centres (x, y) are somewhere."""
    return estimate.likelihood_map[where(*np.meshgrid(estimate.x, estimate.y))]


def test_three_lengths_are_an_exact_box(localizer, anechoic):
    """Bit for bit."""
    scene = anechoic.signals(), 16000, anechoic.mic_positions
    one = localizer.locate(*scene, anechoic.room_dims)
    other = localizer.locate(*scene, Surroundings.box(anechoic.room_dims))
    np.testing.assert_array_equal(other.likelihood_map, one.likelihood_map)
    np.testing.assert_array_equal(other.position, one.position)
    assert off(one.position, anechoic) < 0.15


def test_a_room_that_is_turned_and_elsewhere(localizer, anechoic):
    """The talker is found there, and seen in the direction of his position."""
    mics = anechoic.mic_positions @ TURN + ORIGIN
    talker = anechoic.source_position @ TURN + ORIGIN
    estimate = localizer.locate(anechoic.signals(), 16000, mics,
                                Surroundings.box(anechoic.room_dims, ORIGIN, YAW))
    assert np.linalg.norm(estimate.position - talker[:2]) < 0.15
    away = estimate.position - mics.mean(axis=0)[:2]
    assert estimate.direction.azimuth == pytest.approx(atan2(away[1], away[0]), abs=0.1)
    assert estimate.direction.distance == pytest.approx(np.linalg.norm(
        talker - mics.mean(axis=0)), abs=0.4)
    # The corner of the box around it is outside the room.
    assert not estimate.searched[0, 0] and estimate.likelihood_map[0, 0] == 0


def test_an_area_without_walls_that_microphones_are_outside_of(localizer, anechoic):
    """The map is one of the area, and so is the position."""
    part = Surroundings.open((3.5, 2, 0), (5, 4, 2))
    estimate = localizer.locate(anechoic.signals(), 16000, anechoic.mic_positions, part)
    assert off(estimate.position, anechoic) < 0.15
    assert (estimate.x.min(), estimate.y.max()) == pytest.approx((3.53, 3.96))
    assert estimate.searched is None and estimate.presence > 0.5
    assert estimate.likelihood_map.sum() == pytest.approx(1, abs=1e-4)


def test_outside_an_outline_nobody_is_searched(localizer, anechoic):
    """Cells there have no probability, and one who talks there is no sure find."""
    room = Surroundings.prism(OUTLINE, (0, 3))
    estimate = localizer.locate(anechoic.signals(), 16000, anechoic.mic_positions, room)
    inside = room.contains(np.stack(np.meshgrid(estimate.x, estimate.y), axis=-1))
    np.testing.assert_array_equal(estimate.searched, inside)
    assert estimate.likelihood_map[~inside].max() == 0 and not inside.all()
    assert room.contains(estimate.position)
    whole = localizer.locate(anechoic.signals(), 16000, anechoic.mic_positions,
                             anechoic.room_dims)
    assert off(whole.position, anechoic) < 0.15 and whole.searched is None
    assert estimate.confidence < whole.confidence


def test_an_area_and_a_shape(localizer, anechoic):
    """The map covers the area with so many cells, in the frame of the microphones."""
    scene = (anechoic.signals(), 16000, anechoic.mic_positions + ORIGIN,
             Surroundings.box(anechoic.room_dims, ORIGIN))
    estimate = localizer.locate(*scene, area=[[6, 0], [9, 3]], shape=(5, 6))
    np.testing.assert_allclose(estimate.x, 6.25 + 0.5 * np.arange(6))
    np.testing.assert_allclose(estimate.y, 0.3 + 0.6 * np.arange(5))
    assert off(estimate.position - ORIGIN[:2], anechoic) < 0.15
    with pytest.raises(ValueError, match='area must be'):
        localizer.locate(*scene, area=[[2, 0], [9, 3]])


def test_two_talkers_are_found(localizer, two_talkers):
    """Both within half a metre in some rooms, one at least and nobody else in any."""
    both, everybody = 0, []
    for k in range(len(two_talkers)):
        talkers = localizer.locate_talkers(*scene_of(two_talkers, k))
        everybody.append(len(talkers))
        assert [one.confidence for one in talkers] == sorted(
            (one.confidence for one in talkers), reverse=True)
        found = np.array([one.position for one in talkers])
        away = np.linalg.norm(found[:, None] - two_talkers.talkers[k, :, :2].numpy(), axis=-1)
        both += bool((away.min(axis=0) < 0.5).all())
    assert both >= 3, f'{both} of eight'
    assert min(everybody) >= 1 and max(everybody) <= 2


def clear_scene(localizer, two_talkers):
    """Return the first scene in which two talkers are found, and them."""
    for k in range(len(two_talkers)):
        talkers = localizer.locate_talkers(*scene_of(two_talkers, k))
        if len(talkers) == 2:
            return scene_of(two_talkers, k), talkers
    pytest.fail('two talkers are found in no scene')


def test_talkers_share_a_map(localizer, two_talkers):
    """Of the same cells; each map is a posterior about its talker, and all are their sum."""
    scene, talkers = clear_scene(localizer, two_talkers)
    for one in talkers:
        np.testing.assert_array_equal(one.x, talkers[0].x)
        np.testing.assert_array_equal(one.y, talkers[0].y)
        assert one.likelihood_map.sum() == pytest.approx(1, abs=1e-4)
        # Its mass is around its own position, not around the other's.
        near = cells(one, lambda x, y: np.hypot(x - one.position[0], y - one.position[1]) < 1)
        assert near.sum() > 0.4
    assert talkers.likelihood_map.sum() == pytest.approx(
        sum(one.presence for one in talkers), abs=1e-3)
    one, = localizer.locate_talkers(*scene, most=1)
    alone = localizer.locate(*scene)
    np.testing.assert_array_equal(one.position, alone.position)


def test_a_further_talker_costs_less_than_half(method, two_talkers, monkeypatch):
    """Features are computed once, and grids of further talkers have fewer cells."""
    scene, _ = clear_scene(Localizer(method), two_talkers)
    evaluated, encoded = [], []
    evaluate, encode = method.model.evaluate_grid, method.model.encode

    def counting(features, surroundings, area, shape, found=None):
        evaluated.append((0 if found is None else int(found.count), np.prod(shape)))
        return evaluate(features, surroundings, area, shape, found)

    monkeypatch.setattr(method.model, 'evaluate_grid', counting)
    monkeypatch.setattr(method.model, 'encode', lambda *a: encoded.append(0) or encode(*a))
    Localizer(method).locate_talkers(*scene, most=2)
    first, second = (sum(n for number, n in evaluated if number == k) for k in (0, 1))
    assert len(encoded) == 1 and len(evaluated) == 4
    assert 0 < second < first / 2


def test_nobody_talks_in_silence(localizer, anechoic):
    """Also where one channel alone has a signal."""
    signals = np.zeros((6, 8000), np.float32)
    scene = 16000, anechoic.mic_positions, anechoic.room_dims
    assert len(localizer.locate_talkers(signals, *scene)) == 0
    signals[2] = anechoic.signals()[2]
    assert len(localizer.locate_talkers(signals, *scene)) == 0
    assert localizer.locate(signals, *scene).presence == 0


def windows(anechoic):
    """Return scenes with an outline, without walls, in a box, and with fewer or no channels."""
    every = []
    for surroundings, silent in (
            (Surroundings.box(anechoic.room_dims), ()),
            (Surroundings.prism(OUTLINE, (0, 3)), ()),
            (Surroundings.prism(OUTLINE, (0, 3)).search((0, 0, 0), (6, 5, 3)), (0, 5)),
            (Surroundings.box(anechoic.room_dims), range(6)),
            (Surroundings.open((3.5, 2, 0), (5, 4, 2)), ())):
        signals = anechoic.signals()
        signals[list(silent)] = 0
        every.append((signals, 16000, anechoic.mic_positions, surroundings))
    return every


@pytest.mark.parametrize('device', ('cpu', 'cuda'))
def test_together_as_one_by_one(device, localizer, method, anechoic, monkeypatch):
    """On a CPU, and in the batches of a GPU, which are computed on this CPU here."""
    scenes = windows(anechoic)
    alone = [localizer.locate(*scene) for scene in scenes]
    monkeypatch.setattr(method, 'device', SimpleNamespace(type=device))
    for one, other in zip(localizer.locate_all(scenes), alone, strict=True):
        np.testing.assert_allclose(one.position, other.position, atol=0.01)
        np.testing.assert_allclose(one.likelihood_map, other.likelihood_map, atol=0.01)
        np.testing.assert_array_equal(one.searched, other.searched)
        assert one.presence == pytest.approx(other.presence, abs=0.01)
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)
        assert one.height == pytest.approx(other.height, abs=0.02)
