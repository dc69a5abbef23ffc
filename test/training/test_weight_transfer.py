"""A network starts from others: what fits is taken over, each from the first that has it."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.training.weight_transfer import inherit
import torch

TINY = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=2)
OLDER = replace(TINY, weightings=('plain', 'loud', 'onset'), whole_window=True, lag_kernel=5,
                shared_bins=1, dilations=(1, 4, 16), map_blocks=3)


def _network(config, seed):
    torch.manual_seed(seed)
    network = Backprojection(config)
    for parameter in network.parameters():  # some start at zero, and would all be alike
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_of_its_like_it_takes_everything():
    heir, parent = _network(TINY, 0), _network(TINY, 1)
    assert inherit(heir, parent) == []
    signals, mics = torch.randn(1, 4, 8000), torch.rand(1, 4, 3) * 3
    dims = torch.tensor([[5.0, 4.0, 3.0]])
    answers = [network(signals, mics, dims, whole_room(dims), (2, 6, 6))[0]
               for network in (heir, parent)]
    assert torch.equal(*answers)


def test_of_a_larger_one_it_takes_what_it_has():
    heir, parent = _network(TINY, 0), _network(OLDER, 1)
    missing = inherit(heir, parent)
    assert missing and all(name.startswith('weightings.layers.') for name in missing)
    mine, theirs = heir.lags, parent.lags
    assert torch.equal(mine.blocks[1][1].weight, theirs.blocks[1][1].weight[..., 1:-1])
    # Plain, onset and two learnt ones of each band; the parent has 'loud' between the first two.
    kept = [band * 5 + weighting for band in range(4) for weighting in (0, 2, 3, 4)]
    assert torch.equal(mine.first.weight, theirs.first.weight[:, [*kept, 21, 22]])


def test_what_the_first_lacks_comes_from_the_next():
    heir, first, second = _network(TINY, 0), _network(OLDER, 1), _network(TINY, 2)
    assert inherit(heir, first, second) == []
    assert torch.equal(heir.weightings.layers[0].weight, second.weightings.layers[0].weight)
    assert torch.equal(heir.pool.mix.weight, first.pool.mix.weight)


def test_what_nobody_has_is_named_and_stays():
    heir = _network(TINY, 0)
    before = heir.lags.first.weight.clone()
    missing = inherit(heir, _network(replace(TINY, bands=((100.0, 7000.0),)), 1))
    assert missing == ['lags.first.weight'] and torch.equal(heir.lags.first.weight, before)


def test_of_a_wider_one_it_takes_the_channels_that_matter():
    wide = replace(TINY, channels=12, hidden_channels=10, map_hidden_channels=9,
                   weighting_channels=11)
    narrow = replace(wide, channels=8, hidden_channels=6, map_hidden_channels=5,
                     weighting_channels=7)
    parent = _network(wide, 1)
    with torch.no_grad():  # the wide one has channels that do nothing, and is the narrow one
        for layer, axis, unused in (
                (parent.lags.last, 1, (0, 3, 5, 11)), (parent.lags.blocks[0][3], 1, (0, 4, 8, 9)),
                (parent.lags.blocks[1][3], 1, (1, 2, 3, 4)),
                (parent.floor.blocks[0][3], 1, (0, 2, 4, 8)),
                (parent.floor.blocks[1][3], 1, (5, 6, 7, 8)),
                (parent.weightings.layers[2], 1, (0, 1, 9, 10)),
                (parent.weightings.layers[4], 1, (2, 3, 5, 7))):
            layer.weight.index_fill_(axis, torch.tensor(unused), 0.0)
        for block in parent.lags.blocks:
            block[1].weight.index_fill_(1, torch.tensor((0, 3, 5, 11)), 0.0)
    heir = _network(narrow, 0)
    assert inherit(heir, parent) == []
    signals, mics = torch.randn(1, 4, 8000), torch.rand(1, 4, 3) * 3
    dims = torch.tensor([[5.0, 4.0, 3.0]])
    answers = [network(signals, mics, dims, whole_room(dims), (2, 6, 6))[0]
               for network in (heir, parent)]
    torch.testing.assert_close(*answers)
