"""Weights are transferred where they fit, each from the first network that has it."""

from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.training.backprojection.weight_transfer import transfer_weights
import torch

TINY = BackprojectionConfig(channels=8, map_channels=8, dilations=(1, 4), map_blocks=2)
OLDER = replace(TINY, weightings=('plain', 'loud', 'onset'), whole_window=True, lag_kernel=5,
                shared_bins=1, dilations=(1, 4, 16), map_blocks=3)


def make_network(config: BackprojectionConfig, seed: int) -> Backprojection:
    """Make a network whose parameters all differ; some would be initialised to zero."""
    torch.manual_seed(seed)
    network = Backprojection(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def log_posteriors(*networks: Backprojection) -> list[torch.Tensor]:
    """Return each network's output for the same scene."""
    signals, mics = torch.randn(1, 4, 8000), torch.rand(1, 4, 3) * 3
    dims = torch.tensor([[5.0, 4.0, 3.0]])
    return [network(signals, mics, dims, whole_room(dims), (2, 6, 6))[0] for network in networks]


def test_everything_is_copied_between_equal_architectures():
    """Both networks give the same posterior then."""
    target, source = make_network(TINY, 0), make_network(TINY, 1)
    assert transfer_weights(target, source) == []
    one, other = log_posteriors(target, source)
    assert torch.equal(one, other)


def test_a_larger_architecture_gives_the_parts_that_the_smaller_has():
    """The middle of longer kernels, and the inputs of those correlations that are left."""
    target, source = make_network(TINY, 0), make_network(OLDER, 1)
    missing = transfer_weights(target, source)
    assert missing and all(name.startswith('weightings.layers.') for name in missing)
    new, old = target.state_dict(), source.state_dict()
    name = 'lags.blocks.1.1.weight'
    assert torch.equal(new[name], old[name][..., 1:-1])
    # Plain, onset and two learnt ones of each band; the source has 'loud' between the first two.
    kept = [band * 5 + weighting for band in range(4) for weighting in (0, 2, 3, 4)]
    name = 'lags.first.weight'
    assert torch.equal(new[name], old[name][:, [*kept, 21, 22]])


def test_parameters_that_the_first_lacks_come_from_the_second():
    """The first source has other learnt weightings, but everything else."""
    target, first, second = (make_network(config, seed)
                             for seed, config in enumerate((TINY, OLDER, TINY)))
    assert transfer_weights(target, first, second) == []
    new = target.state_dict()
    name = 'weightings.layers.0.weight'
    assert torch.equal(new[name], second.state_dict()[name])
    name = 'pool.mix.weight'
    assert torch.equal(new[name], first.state_dict()[name])


def test_parameters_that_no_source_has_are_listed_and_unchanged():
    """A source that correlates in one band only has no weights for four."""
    target = make_network(TINY, 0)
    before = target.lags.first.weight.clone()
    one_band = make_network(replace(TINY, bands=((100.0, 7000.0),)), 1)
    assert transfer_weights(target, one_band) == ['lags.first.weight']
    assert torch.equal(target.lags.first.weight, before)


def test_of_wider_layers_the_channels_with_an_effect_are_kept():
    """A wide network with channels that have no effect equals the narrow one made of it."""
    wide = replace(TINY, channels=12, hidden_channels=10, map_hidden_channels=9,
                   weighting_channels=11)
    narrow = replace(wide, channels=8, hidden_channels=6, map_hidden_channels=5,
                     weighting_channels=7)
    source = make_network(wide, 1)
    parameters = dict(source.named_parameters())
    with torch.no_grad():
        for layer, unused in (
                ('lags.last', (0, 3, 5, 11)),
                ('lags.blocks.0.1', (0, 3, 5, 11)), ('lags.blocks.0.3', (0, 4, 8, 9)),
                ('lags.blocks.1.1', (0, 3, 5, 11)), ('lags.blocks.1.3', (1, 2, 3, 4)),
                ('floor.blocks.0.3', (0, 2, 4, 8)), ('floor.blocks.1.3', (5, 6, 7, 8)),
                ('weightings.layers.2', (0, 1, 9, 10)), ('weightings.layers.4', (2, 3, 5, 7))):
            parameters[f'{layer}.weight'].index_fill_(1, torch.tensor(unused), 0.0)
    target = make_network(narrow, 0)
    assert transfer_weights(target, source) == []
    one, other = log_posteriors(target, source)
    torch.testing.assert_close(one, other)
