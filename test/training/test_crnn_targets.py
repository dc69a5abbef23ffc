"""Targets are what the paper's equations say, on any grid."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.training.crnn_targets import floor_points
from nsrp_ros.training.crnn_targets import gaussian
from nsrp_ros.training.crnn_targets import hyperbolic
from nsrp_ros.training.crnn_targets import main
from nsrp_ros.training.crnn_targets import normalised
from nsrp_ros.training.crnn_targets import target_maps
from nsrp_ros.training.crnn_targets import TargetConfig
from nsrp_ros.training.crnn_targets import tdoa_error
import pytest
import torch

ROOMS = torch.tensor([[6.0, 4.0, 3.0], [9.0, 5.0, 2.5]])
MICS = torch.tensor([[[1.0, 1.0, 1.0], [5.0, 2.0, 2.0]], [[8.0, 4.0, 0.5], [2.0, 1.0, 1.0]]])
SOURCES = torch.tensor([[2.3, 3.1, 1.4], [6.1, 0.7, 1.9]])


def test_every_target_is_one_at_the_source_and_lies_between_zero_and_one():
    """Eq. 8 and 9 have their maximum, 1, at the source."""
    at_source = SOURCES[:, None]
    assert torch.allclose(hyperbolic(at_source, MICS, SOURCES, 1e-3), torch.ones(2, 1))
    assert torch.allclose(gaussian(at_source, SOURCES, 0.7), torch.ones(2, 1))
    for kind, sigma in (('hyperbolic', 1.0), ('normalised', 0.5), ('gaussian', 1.0)):
        for flat in (False, True):
            maps = target_maps(TargetConfig(kind, sigma, flat), 25, MICS, SOURCES, ROOMS)
            assert maps.shape == (2, 25, 25)
            assert maps.min() >= 0 and maps.max() <= 1


def test_hyperbolic_follows_equation_nine():
    """A TDOA that is off by sigma costs a factor of e."""
    sigma = 1e-3
    # On the axis beyond the microphones the TDOA is as large as it can be: one metre over c.
    mics = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    source, point = torch.tensor([[3.0, 0.0]]), torch.tensor([[[-3.0, 0.0]]])
    assert torch.allclose(tdoa_error(point, mics, source), torch.tensor(2 / SPEED_OF_SOUND))
    drawn = hyperbolic(point, mics, source, sigma)
    assert torch.allclose(drawn, torch.exp(torch.tensor(-(2 / SPEED_OF_SOUND / sigma) ** 2)))


def test_hyperbolic_ridge_is_where_the_tdoa_is_the_source_s():
    """Two points of one hyperbola branch score alike, in two and in three dimensions."""
    mics = torch.tensor([[[1.0, 2.0, 1.0], [5.0, 2.0, 1.0]]])
    source = torch.tensor([[3.0, 3.5, 1.0]])  # on the plane between the microphones
    points = torch.tensor([[[3.0, 0.1, 1.0], [3.0, 3.9, 2.0], [3.4, 3.5, 1.0]]])
    drawn = hyperbolic(points, mics, source, 1e-3)[0]
    assert torch.allclose(drawn[:2], torch.ones(2), atol=1e-5)
    assert drawn[2] < 0.9


def test_order_of_the_pair_does_not_matter():
    """A pair's target is the same after its microphones are exchanged."""
    for kind in ('hyperbolic', 'normalised'):
        config = TargetConfig(kind, 0.5)
        one = target_maps(config, 25, MICS, SOURCES, ROOMS)
        other = target_maps(config, 25, MICS.flip(1), SOURCES, ROOMS)
        assert torch.allclose(one, other, atol=1e-5)


def test_normalised_spans_zero_to_one_exactly():
    """The authors' variant is rescaled on every grid."""
    points = floor_points(ROOMS, SOURCES[:, 2], 30)
    drawn = normalised(points, MICS, SOURCES).flatten(1)
    assert torch.equal(drawn.amin(dim=1), torch.zeros(2))
    assert torch.equal(drawn.amax(dim=1), torch.ones(2))


def test_gaussian_falls_with_distance_alone():
    """One sigma from the source the value is 1 / e, in every direction."""
    around = SOURCES[:, None, :2] + 0.7 * torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.6, 0.8]])
    drawn = gaussian(around, SOURCES[:, :2], 0.7)
    assert torch.allclose(drawn, torch.exp(torch.tensor(-1.0)).expand(2, 3))


def test_highest_cell_holds_the_source():
    """Maps are y first, and cells tile the room."""
    maps = target_maps(TargetConfig('gaussian'), 25, MICS, SOURCES, ROOMS)
    best = maps.flatten(1).argmax(dim=1)
    cell = torch.stack([best % 25, best // 25], dim=1)
    assert torch.equal(cell, (SOURCES[:, :2] / ROOMS[:, :2] * 25).long())


def test_targets_are_drawn(tmp_path):
    """The picture like Fig. 4 appears."""
    main([str(tmp_path / 'targets.png'), '--grid-size', '20'])
    assert (tmp_path / 'targets.png').stat().st_size > 1000


def test_nonsense_is_refused():
    """Unknown kinds and widths that are no width say so."""
    with pytest.raises(ValueError, match='kind'):
        TargetConfig('square')
    with pytest.raises(ValueError, match='sigma'):
        TargetConfig(sigma=0)
