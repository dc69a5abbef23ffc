"""
Start a back-projection network from others that are built a little differently.

Layers of the same size are taken over as they are, of longer kernels the middle, of more blocks
the first ones, and the weights of those correlations that the new network still has. What only the
new one has stays as it was made. It has to be trained before it is of use, but much shorter than
from nothing.
"""

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
        for name, value in heir.named_parameters():
            known = (_fitting(name, value, heir.config, parent) for parent in parents)
            known = next((weight for weight in known if weight is not None), None)
            if known is None:
                missing.append(name)
            else:
                value.copy_(known)
    return missing


def _fitting(name, value, mine, parent):
    """Return a parent's parameter in the shape of the heir's, None if it has none like it."""
    known = parent.state_dict().get(name)
    if known is not None and name == 'lags.first.weight':
        known = _inputs(known, mine, parent.config)
    if known is not None and known.ndim == 3:
        cut = max((known.shape[-1] - value.shape[-1]) // 2, 0)
        known = known[..., cut:known.shape[-1] - cut]
    return known if known is not None and known.shape == value.shape else None


def _inputs(weight, mine, theirs):
    """Pick the inputs of the first convolution along lags that the heir has."""
    places = {name: k for k, name in enumerate(_correlations(theirs))}
    wanted = _correlations(mine)
    if any(name not in places for name in wanted):
        return None
    return weight[:, [places[name] for name in wanted]]


def _correlations(config):
    """Name what comes into the lag network, in order; see correlation.py and `hear`."""
    weightings = [*config.weightings, *range(config.learned_weightings)]
    names = [(band, weighting) for band in config.bands for weighting in weightings]
    return [*names, *['whole'] * config.whole_window, 'possible', 'size']
