"""The back-projection network where walls are known exactly, vaguely or not at all."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.networks import backprojection
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.mirrors import planes_of
from nsrp_ros.training.backprojection.weight_transfer import transfer_weights
import numpy as np
import pytest
from support.surroundings_tensors import batch
import torch

SMALL = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=1,
                             uncertain_walls=True, least_lags=288)
SHAPE = (3, 9, 10)
L_SHAPE = [(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)]
ROOMS = (Surroundings.box((6.0, 5.0, 3.0), std=0.03),
         Surroundings.prism(L_SHAPE, (0, 3), [0, 0.1, 0, 0, 0.02, np.inf, 0, 0]))


@pytest.fixture(scope='module')
def network():
    """Make a network that knows of walls, with random weights also where training starts at 0."""
    torch.manual_seed(0)
    model = Backprojection(SMALL).eval()
    for weights in model.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.2)
    return model.requires_grad_(False)


@pytest.fixture(scope='module')
def shipped():
    """Load the shipped network of exact boxes, and make a network of it that knows of walls."""
    old = load_checkpoint(find_weights('backprojection')).eval().requires_grad_(False)
    new = Backprojection(replace(old.config, uncertain_walls=True)).eval().requires_grad_(False)
    missing = transfer_weights(new, old)
    assert {name.split('.')[0] for name in missing} == {'walls', 'evidence', 'knowledge'}
    return old, new


@pytest.fixture
def heard(anechoic):
    """Return signals and microphones of the anechoic scene, as a batch of one."""
    return (torch.as_tensor(anechoic.signals())[None],
            torch.as_tensor(anechoic.mic_positions, dtype=torch.float32)[None])


def test_a_network_that_learns_of_walls_begins_with_what_it_knew(shipped, heard):
    """Of exact boxes both give the same posterior, however they are told of them."""
    old, new = shipped
    dims = torch.tensor([[6.0, 5.0, 3.0]])
    room = batch(Surroundings.box((6.0, 5.0, 3.0)))
    before, presence = old(*heard, dims, room.area, SHAPE)
    for told in (dims, room):
        after, odds = new(*heard, told, room.area, SHAPE)
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(odds, presence, atol=1e-3, rtol=1e-3)


def test_frames_do_not_matter(shipped, heard):
    """What is known of a point is the same where room, microphones and point are turned."""
    new = Backprojection(shipped[1].config).eval().requires_grad_(False)
    new.load_state_dict(shipped[1].state_dict())
    # Only that is not of the frame's own: where in the box around the room a cell is.
    new.place.weight.zero_()
    torch.manual_seed(0)
    torch.nn.init.normal_(new.walls.all.weight, std=0.2)
    signals, mics = heard
    points = torch.tensor([(4.2, 3.1, 1.5), (1.0, 2.0, 0.5), (5.5, 4.5, 2.0)])
    angle, origin = 0.7, torch.tensor([2.0, -3.0, 0.5])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = torch.tensor([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], dtype=torch.float32)

    def odds(room, mics, points):
        # The log-odds of a talker in a grid of one cell are a function of its features alone.
        area = torch.stack([points - 0.1, points + 0.1], dim=1)
        n = len(points)
        return new(signals.expand(n, -1, -1), mics.expand(n, -1, -1), batch(*[room] * n), area,
                   (1, 1, 1))[1]
    std = [0, 0.02, 0.1, 0, 0, np.inf]
    here = odds(Surroundings.box((6, 5, 3), std=std), mics, points)
    there = odds(Surroundings.box((6, 5, 3), origin, angle, std), mics @ turn + origin,
                 points @ turn + origin)
    torch.testing.assert_close(there, here, atol=2e-3, rtol=1e-3)
    wrong = odds(Surroundings.box((6, 5, 3), origin, 0.0, std), mics @ turn + origin,
                 points @ turn + origin)
    assert float((wrong - here).abs().max()) > 0.05


def test_planes_that_are_not_known_are_as_good_as_none(network, heard):
    """Neither changes anything, and scenes without planes can be evaluated."""
    room = Surroundings.box((6.0, 5.0, 3.0), std=np.inf)
    unknown = batch(room)
    none = batch(Surroundings.open((0, 0, 0), (6, 5, 3)))
    assert none.planes.shape == (1, 0, 4)
    found = FoundTalkers(torch.tensor([[[2.0, 2.0, 1.0]]]), torch.tensor([[0.1]]))
    for talkers in (None, found):
        one, other, exact = (network(*heard, told, told.area, SHAPE, talkers) for told in (
            unknown, none, batch(Surroundings.box((6.0, 5.0, 3.0)))))
        torch.testing.assert_close(one, other)
        assert float((one[0] - exact[0]).abs().max()) > 1e-3


def test_trust_falls_as_planes_get_vague():
    """From one to nothing, and echoes are looked for over more lags."""
    std = [0.0, 0.03, 0.05, 0.2, np.inf, 0.0]
    planes = planes_of(batch(Surroundings.box((6, 5, 3)).with_planes(
        [(1, 0, 0, 0), (-1, 0, 0, -6), (0, 1, 0, 0), (0, -1, 0, -5), (0, 0, 1, 0),
         (0, 0, -1, -3)], std)))
    assert planes.trust[0].tolist() == pytest.approx([1, 0.625, 0.5, 0.2, 0, 1])
    assert planes.blur[0].tolist()[:4] == [0, 1, 2, 2]
    # Walls, a floor that is not known, and a ceiling.
    assert planes.kind[0].tolist() == [[1, 0, 0]] * 4 + [[0, 0, 0], [0, 0, 1]]


def test_vaguer_walls_count_less(network, heard):
    """The posterior approaches that without walls as they are known less and less."""
    model = Backprojection(SMALL).eval().requires_grad_(False)
    model.load_state_dict(network.state_dict())
    # Echoes alone: what it makes of vague walls besides is learned.
    model.knowledge.weight.zero_()
    model.walls.all.weight.zero_()
    none, *others = (model(*heard, told, told.area, SHAPE)[0] for told in (
        batch(Surroundings.box((6.0, 5.0, 3.0), std=std)) for std in (np.inf, 10.0, 1.0, 0.1)))
    away = [float((other - none).abs().mean()) for other in others]
    assert 0 < away[0] < away[1] < away[2]


def test_how_many_cells_are_evaluated_at_once_does_not_matter(network, heard, monkeypatch):
    """Cells do not know of one another until they are pooled."""
    room = batch(ROOMS[1])
    found = FoundTalkers(torch.tensor([[[2.0, 2.0, 1.0]]]), torch.tensor([[0.1]]))
    results = []
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    for at_once in (10 ** 6, 1):
        monkeypatch.setattr(backprojection, 'CELLS_AT_ONCE', at_once)
        results.append(network(*heard, room, room.area, SHAPE, found))
    torch.testing.assert_close(*results)


def test_batches_are_single_scenes(network, heard):
    """Planes, corners and talkers that others have more of do not change a scene."""
    signals, mics = heard
    many = batch(*ROOMS)
    signals, mics = torch.cat([signals, signals.flip(1)]), mics.repeat(2, 1, 1)
    place = torch.tensor([[[2.0, 2.0, 1.0], [1.0, 4.0, 1.0]], [[5.0, 1.0, 1.0], [0.0, 0, 0]]])
    found = FoundTalkers(place, torch.tensor([[0.1, 0.05], [0.2, torch.inf]]))
    assert found.count.tolist() == [2, 1]
    together = network(signals, mics, many, many.area, SHAPE, found)
    for k, room in enumerate(ROOMS):
        one, n = batch(room), 2 - k
        alone = network(signals[k:k + 1], mics[k:k + 1], one, one.area, SHAPE,
                        FoundTalkers(place[k:k + 1, :n], found.std[k:k + 1, :n]))
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[k:k + 1], b, atol=1e-4, rtol=1e-4)


def test_nobody_is_outside_the_outline(network, heard):
    """Cells beyond it have no probability, unless no cell of a grid is inside."""
    room = batch(ROOMS[1])
    log_posterior, _ = network(*heard, room, room.area, (2, 10, 12))
    floor = log_posterior.exp().sum(dim=1)[0]
    outside = torch.zeros(10, 12, dtype=torch.bool)
    outside[6:, 6:] = True
    assert float(floor[outside].max()) < 1e-12 < float(floor[~outside].min())
    assert float(floor.sum()) == pytest.approx(1, abs=1e-4)
    corner = torch.tensor([[[4.0, 4.0, 0.0], [5.0, 5.0, 2.0]]])
    log_posterior, _ = network(*heard, room, corner, (2, 3, 3))
    assert float(log_posterior.exp().min()) > 1e-9


def test_gradients_reach_what_is_known_of_walls(heard):
    """All layers that know of walls and found talkers are trained, from zero."""
    torch.manual_seed(0)
    model = Backprojection(SMALL)
    room = batch(ROOMS[1])
    found = FoundTalkers(torch.tensor([[[2.0, 2.0, 1.0]]]), torch.tensor([[0.1]]))
    log_posterior, presence = model(*heard, room, room.area, SHAPE, found)
    (log_posterior[0, 0, 1, 2] + presence[0]).backward()
    for name in ('walls.all', 'evidence', 'knowledge'):
        assert float(model.get_parameter(f'{name}.weight').grad.abs().sum()) > 0, name
