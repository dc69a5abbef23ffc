"""Losses of the back-projection network: proper scores, of whoever of several fits best."""

from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.training.backprojection.losses import posterior_loss
from nsrp_ros.training.backprojection.losses import presence_loss
import numpy as np
import pytest
import torch

ROOM = torch.tensor([[[0.0, 0, 0], [4, 3, 1]]])


def test_the_loss_is_least_at_the_truth(anechoic):
    """A posterior at the right cells scores best, then a flat one, then a wrong one."""
    dims = torch.as_tensor(anechoic.room_dims, dtype=torch.float32)[None]
    points = area_points(whole_room(dims), (6, 25, 25))
    source = torch.as_tensor(anechoic.source_position, dtype=torch.float32)[None]
    near = -40 * (points - source[:, None, None, None]).norm(dim=-1)
    far = -40 * (points - source.flip(1)[:, None, None, None]).norm(dim=-1)
    flat = torch.zeros_like(near)
    right, uncertain, wrong = (
        float(posterior_loss(s.flatten(1).log_softmax(1).view_as(s), points, source[:, None],
                             torch.ones(1, 1).bool(), 1.0))
        for s in (near, flat, far))
    assert right < uncertain < wrong
    cells = points[0, 0, ..., :2].reshape(-1, 2)
    away = (cells - source[0, :2]).norm(dim=-1).mean() - 0.5 * torch.cdist(cells, cells).mean()
    assert uncertain == pytest.approx(np.log(25 * 25 * 6) + float(away), rel=1e-4)


def test_the_loss_is_proper():
    """If the truth is drawn from a posterior, that posterior has the least expected loss."""
    points = area_points(ROOM, (1, 3, 4))
    torch.manual_seed(1)
    truth = torch.rand(1, 1, 3, 4).flatten(1).softmax(1).view(1, 1, 3, 4)
    sources = points.reshape(-1, 3)

    def expected(posterior):
        many = posterior.log().expand(len(sources), -1, -1, -1)
        loss = posterior_loss(many, points.expand(len(sources), -1, -1, -1, -1),
                              sources[:, None], torch.ones(len(sources), 1).bool(), 2.0)
        return float(truth.flatten() @ loss)
    for power in (0.5, 0.8, 1.25, 2.0):
        other = truth ** power
        assert expected(truth) < expected(other / other.sum())


def test_presence_is_learned_from_both_kinds():
    """Confident and right costs least, confident and wrong most."""
    talking = torch.tensor([True, False])
    right, even, wrong = (float(presence_loss(torch.tensor(odds), talking, torch.ones(2)))
                          for odds in ((5.0, -5.0), (0.0, 0.0), (-5.0, 5.0)))
    assert right < even < wrong
    assert even == pytest.approx(np.log(2))


def score(log_posterior, talkers, wanted):
    """Return the loss of one posterior in ROOM, of talkers who are wanted or not."""
    points = area_points(ROOM, log_posterior.shape[1:])
    return float(posterior_loss(log_posterior, points, torch.tensor([talkers]),
                                torch.tensor([wanted]), 2.0))


def test_a_posterior_is_of_whom_it_fits_best():
    """Of two talkers the nearer one is the truth, whatever their order, if he is wanted."""
    one, other = (0.5, 0.5, 0.5), (3.5, 2.5, 0.5)
    points = area_points(ROOM, (1, 6, 8))
    sure = -8 * (points - torch.tensor(one)).norm(dim=-1)
    sure = sure.flatten(1).log_softmax(1).view_as(sure)
    right, wrong = score(sure, [one], [True]), score(sure, [other], [True])
    assert right + 5 < wrong
    for talkers in ([one, other], [other, one]):
        assert score(sure, talkers, [True, True]) == pytest.approx(right)
    assert score(sure, [one, other], [False, True]) == pytest.approx(wrong)
    # It is not shared: what lies between both fits neither.
    middle = -8 * (points - torch.tensor((2.0, 1.5, 0.5))).norm(dim=-1)
    middle = middle.flatten(1).log_softmax(1).view_as(middle)
    assert score(middle, [one, other], [True, True]) > right + 5


def test_where_nobody_is_wanted_the_loss_is_zero():
    """Also its gradient, even beside scenes in which somebody is."""
    points = area_points(ROOM.expand(2, -1, -1), (1, 3, 4))
    scores = torch.randn(2, 1, 3, 4, requires_grad=True)
    log_posterior = scores.flatten(1).log_softmax(1).view_as(scores)
    talkers = torch.tensor([[(0.5, 0.5, 0.5), (3.0, 2.0, 0.5)]]).expand(2, -1, -1)
    wanted = torch.tensor([[False, False], [True, False]])
    loss = posterior_loss(log_posterior, points, talkers, wanted, 2.0)
    assert loss[0] == 0 and loss[1] > 0
    loss.sum().backward()
    assert not scores.grad[0].any() and scores.grad[1].any()
    assert torch.isfinite(scores.grad).all()


def test_scenes_that_do_not_count_do_not_matter():
    """Whatever the network says of them; where none counts, there is no loss."""
    odds, talking = torch.tensor([2.0, -1.0, 9.0]), torch.tensor([True, False, False])
    some = presence_loss(odds, talking, torch.tensor([1.0, 1, 0]))
    assert float(some) == pytest.approx(float(presence_loss(odds[:2], talking[:2],
                                                            torch.ones(2))))
    assert float(presence_loss(odds, talking, torch.ones(3))) > float(some) + 1
    assert float(presence_loss(odds, talking, torch.zeros(3))) == 0
