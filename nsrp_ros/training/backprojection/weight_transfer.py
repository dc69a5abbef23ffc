"""
Initialise a back-projection network from trained ones of a slightly different architecture.

Layers of the same size are copied, of wider ones the channels with the largest weights, of longer
kernels the middle, of more blocks the first ones, and the weights of those correlations that the
new network still has. Parameters that only the new network has keep their initial values. It has
to be trained before it is of use, but much shorter than from scratch.
"""

import re

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.networks.backprojection import Backprojection
import torch


def transfer_weights(target: Backprojection, *sources: Backprojection) -> list[str]:
    """
    Copy what fits from trained networks.

    Parameters
    ----------
    target : Backprojection
        Changes in place.
    *sources : Backprojection
        In order of preference: each parameter comes from the first that has it.

    Returns
    -------
    list of str
        Parameters of the target that no source has values for.

    """
    missing = []
    with torch.no_grad():
        fitted = [_fitted_parameters(target, source) for source in sources]
        for name, value in target.named_parameters():
            known = next((weights[name] for weights in fitted if name in weights
                          and weights[name].shape == value.shape), None)
            if known is None:
                missing.append(name)
            else:
                value.copy_(known)
    return missing


def _fitted_parameters(target: Backprojection, source: Backprojection) -> dict[str, torch.Tensor]:
    """Return a source's parameters, as far as possible in the shapes of the target's."""
    wanted = dict(target.named_parameters())
    fitted: dict[str, torch.Tensor] = {
        name: weight for name, weight in source.named_parameters() if name in wanted}
    first = 'lags.first.weight'
    inputs = _input_indices(target.config, source.config)
    if inputs is None:
        del fitted[first]
    else:
        fitted[first] = fitted[first][:, inputs]
    for name, weight in fitted.items():
        if weight.ndim == 3:
            cut = max((weight.shape[-1] - wanted[name].shape[-1]) // 2, 0)
            fitted[name] = weight[..., cut:weight.shape[-1] - cut]
    return _select_channels(fitted, wanted)


def _input_indices(target: BackprojectionConfig,
                   source: BackprojectionConfig) -> list[int] | None:
    """Find the target's inputs of the lag network among the source's; None if one is missing."""
    places = {name: k for k, name in enumerate(_lag_inputs(source))}
    wanted = _lag_inputs(target)
    return [places[name] for name in wanted] if set(wanted) <= set(places) else None


def _lag_inputs(config: BackprojectionConfig) -> list[object]:
    """Name the input channels of the lag network, in order; see networks/correlation.py."""
    weightings = [*config.weightings, *range(config.learned_weightings)]
    names = [(band, weighting) for band in config.bands for weighting in weightings]
    return [*names, *['whole'] * config.whole_window, 'possible', 'size']


_ENDS = (
    (r'lags\.first', '', 'lags'),
    (r'(lags\.blocks\.\d+)\.1', 'lags', r'\1'),
    (r'(lags\.blocks\.\d+)\.3', r'\1', 'lags'),
    (r'lags\.last', 'lags', ''),
    (r'(floor\.blocks\.\d+)\.1', '', r'\1'),
    (r'(floor\.blocks\.\d+)\.3', r'\1', ''),
    (r'weightings\.layers\.0', '', 'weightings 1'),
    (r'weightings\.layers\.2', 'weightings 1', 'weightings 2'),
    (r'weightings\.layers\.4', 'weightings 2', ''),
)
"""Layers, and names of their input and output channels where their number may be smaller."""


def _select_channels(fitted: dict[str, torch.Tensor],
                     wanted: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """Keep only as many channels as the target has: those with the largest weights."""
    # Of each group of channels the parameters that share it: [(name, axis)].
    groups: dict[str, list[tuple[str, int]]] = {}
    for name in fitted:
        layer, _, part = name.rpartition('.')
        for pattern, into, out in _ENDS:
            if match := re.fullmatch(pattern, layer):
                ends = [(match.expand(out), 0)] + [(match.expand(into), 1)] * (part == 'weight')
                for group, axis in ends:
                    if group:
                        groups.setdefault(group, []).append((name, axis))
    for places in groups.values():
        name, axis = places[0]
        n_kept, n_known = wanted[name].shape[axis], fitted[name].shape[axis]
        if n_kept >= n_known:
            continue
        # A channel's effect is bounded by the weights that write it times those that read it.
        written, read = (
            sum((fitted[name].transpose(0, axis).flatten(1).square().sum(dim=1)
                 for name, axis in places if axis == end and name.endswith('weight')),
                torch.zeros(n_known))
            for end in (0, 1))
        kept = (written * read).topk(n_kept).indices.sort().values
        for name, axis in places:
            fitted[name] = fitted[name].index_select(axis, kept)
    return fitted
