"""Targets follow the paper's equations on any grid."""

from matplotlib import pyplot as plt
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.training.crnn_targets import floor_points
from nsrp_ros.training.crnn_targets import gaussian
from nsrp_ros.training.crnn_targets import hyperbolic
from nsrp_ros.training.crnn_targets import main
from nsrp_ros.training.crnn_targets import normalised
from nsrp_ros.training.crnn_targets import target_maps
from nsrp_ros.training.crnn_targets import TargetConfig
from nsrp_ros.training.crnn_targets import tdoa_error
from nsrp_ros.training.curves import targets_figure
import numpy as np
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


def test_hyperbolic_ridge_is_where_the_tdoa_is_that_of_the_source():
    """All points of one branch of the hyperbola have the same value, at any height."""
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


def test_figure_shows_every_target_with_its_devices():
    """Maps lie over the room as they are, with the microphones and the talker at their places."""
    config = TargetConfig('gaussian')
    likelihood_map = target_maps(config, 25, MICS, SOURCES, ROOMS)[0].numpy()
    figure = targets_figure({'one': likelihood_map, 'other': 2 * likelihood_map},
                            MICS[0].numpy(), SOURCES[0].numpy(), ROOMS[0].numpy())
    one, other = figure.axes[:2]
    assert [one.get_title(), other.get_title()] == ['one', 'other']
    for axes, factor in ((one, 1), (other, 2)):
        image, = axes.images
        np.testing.assert_array_equal(image.get_array(), factor * likelihood_map)
        assert tuple(image.get_extent()) == (0, 6, 0, 4) and image.origin == 'lower'
        microphones, talker = axes.lines
        np.testing.assert_array_equal(microphones.get_xydata(), MICS[0, :, :2].numpy())
        np.testing.assert_array_equal(talker.get_xydata(), SOURCES[:1, :2].numpy())
    plt.close(figure)


def test_command_draws_the_three_targets(tmp_path, capsys):
    """The picture has the colours of three different maps side by side."""
    picture = tmp_path / 'pictures/targets.png'
    main([str(picture), '--grid-size', '20'])
    assert f'wrote {picture}' in capsys.readouterr().out
    pixels = plt.imread(picture)[..., :3]
    left, middle, right = np.array_split(pixels, 3, axis=1)
    highest = plt.get_cmap()(1.0)[:3]
    for part in (left, middle, right):  # every target reaches its maximum somewhere
        assert (np.abs(part - highest).max(axis=-1) < 0.05).any()
    n = min(left.shape[1], right.shape[1])
    assert np.abs(left[:, :n] - right[:, :n]).max() > 0.5


def test_invalid_targets_are_refused():
    """Unknown kinds and widths that are not positive."""
    with pytest.raises(ValueError, match='kind'):
        TargetConfig('square')
    with pytest.raises(ValueError, match='sigma'):
        TargetConfig(sigma=0)
