"""
Start a back-projection network from others that are built a little differently.

Layers of the same size are taken over as they are, of wider ones the channels that matter most, of
longer kernels the middle, of more blocks the first ones, and the weights of those correlations
that the new network still has. What only the new one has stays as it was made. It has to be
trained before it is of use, but much shorter than from nothing.
"""

import re

import torch


def inherit(heir, *parents):
    """
    Take over from trained networks what fits.

    Parameters
    ----------
    heir : Backprojection
        Changes in place.
    *parents : Backprojection
        Asked in turn: each parameter comes from the first that has it.

    Returns
    -------
    list of str
        Parameters of the heir that no parent has anything for.

    """
    missing = []
    with torch.no_grad():
        offers = [_offer(heir, parent) for parent in parents]
        for name, value in heir.named_parameters():
            known = next((offer[name] for offer in offers if name in offer
                          and offer[name].shape == value.shape), None)
            if known is None:
                missing.append(name)
            else:
                value.copy_(known)
    return missing


def _offer(heir, parent):
    """Return a parent's parameters, as far as they can be, in the shapes of the heir's."""
    mine, theirs = dict(heir.named_parameters()), dict(parent.named_parameters())
    offer = {name: weight for name, weight in theirs.items() if name in mine}
    first = 'lags.first.weight'
    inputs = _inputs(heir.config, parent.config)
    if inputs is None:
        del offer[first]
    else:
        offer[first] = offer[first][:, inputs]
    for name, weight in offer.items():
        if weight.ndim == 3:
            cut = max((weight.shape[-1] - mine[name].shape[-1]) // 2, 0)
            offer[name] = weight[..., cut:weight.shape[-1] - cut]
    return _narrowed(offer, mine)


def _inputs(mine, theirs):
    """Find the heir's inputs of the first convolution along lags; None if the parent lacks one."""
    places = {name: k for k, name in enumerate(_correlations(theirs))}
    wanted = _correlations(mine)
    return [places[name] for name in wanted] if set(wanted) <= set(places) else None


def _correlations(config):
    """Name what comes into the lag network, in order; see correlation.py and `hear`."""
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
"""Layers, and names of the channels that come in and go out where their number may shrink."""


def _narrowed(offer, mine):
    """Leave only as many channels as the heir has: those with the largest weights."""
    spaces = {}  # of each kind of channels: [(parameter's name, axis)], shared by several
    for name in offer:
        layer, _, part = name.rpartition('.')
        for pattern, into, out in _ENDS:
            if match := re.fullmatch(pattern, layer):
                ends = [(match.expand(out), 0)] + [(match.expand(into), 1)] * (part == 'weight')
                for space, axis in ends:
                    if space:
                        spaces.setdefault(space, []).append((name, axis))
    for places in spaces.values():
        name, axis = places[0]
        n_kept, n_known = mine[name].shape[axis], offer[name].shape[axis]
        if n_kept >= n_known:
            continue
        # What a channel does is bounded by what is written to it times what is read from it.
        written, read = (
            sum(offer[name].transpose(0, axis).flatten(1).square().sum(dim=1)
                for name, axis in places if axis == end and name.endswith('weight'))
            for end in (0, 1))
        kept = (written * read).topk(n_kept).indices.sort().values
        for name, axis in places:
            offer[name] = offer[name].index_select(axis, kept)
    return offer
