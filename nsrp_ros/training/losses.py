"""
How good a posterior is: proper scores, which are least when a network says what it knows.

A network that is trained on a proper score gains nothing by sounding surer than it is; so its
posterior is calibrated, and the point of least expected distance, read off it, is the best guess.
"""

from nsrp_ros.networks.backprojection import floor_posterior
import torch
from torch.nn import functional as F


def posterior_loss(log_posterior, points, source_position, distance_weight):
    """
    Score posteriors by their surprise and by their distance from the truth.

    Parameters
    ----------
    log_posterior : torch.Tensor
        Shape (B, Z, Y, X).
    points : torch.Tensor
        Shape (B, Z, Y, X, 3), metres, the cells' centres.
    source_position : torch.Tensor
        Shape (B, 3), metres.
    distance_weight : float
        Nats that a metre of the energy score costs.

    Returns
    -------
    torch.Tensor
        Shape (B,). The surprise is the cross-entropy in nats; the truth is shared among the
        cells around it by their nearness (trilinearly), so that the posterior is finer than a
        cell. The energy score (Gneiting and Raftery 2007, eq. 21) is the distance on the floor
        plan that a talker drawn from the posterior has from the truth, less half the distance
        that two such talkers have from one another.

    """
    truth = _shared_cells(points, source_position)
    surprise = -(truth * log_posterior).flatten(1).sum(dim=1)
    floor = floor_posterior(log_posterior).flatten(1)  # (B, N)
    cells = points[:, 0, ..., :2].flatten(1, 2)  # (B, N, 2)
    away = torch.linalg.vector_norm(cells - source_position[:, None, :2], dim=-1)
    with torch.no_grad():
        apart = torch.cdist(cells, cells)  # (B, N, N)
    with torch.autocast(floor.device.type, enabled=False):
        spread = torch.bmm(apart, floor[..., None])[..., 0]
    energy = (floor * (away - 0.5 * spread)).sum(dim=1)
    return surprise + distance_weight * energy


def presence_loss(presence, talking):
    """Score log-odds (B,) that somebody talks by their surprise at whether it is so (B,)."""
    return F.binary_cross_entropy_with_logits(presence, talking.to(presence.dtype))


def _shared_cells(points, source_position):
    """Share a position among the cells around it: weights (B, Z, Y, X) that sum to one."""
    x, y, z = points[:, 0, 0, :, 0], points[:, 0, :, 0, 1], points[:, :, 0, 0, 2]
    along = [_shares(centres, source_position[:, axis])
             for axis, centres in enumerate((x, y, z))]
    return torch.einsum('bx,by,bz->bzyx', *along)


def _shares(centres, position):
    """Share positions (B,) linearly between the two nearest of the centres (B, n)."""
    if centres.shape[1] == 1:
        return torch.ones_like(centres)
    step = centres[:, 1:2] - centres[:, :1]
    # A talker beyond the outermost centres, or even outside a room told too small, is in the
    # outermost cell.
    inside = torch.minimum(torch.maximum(position, centres[:, 0]), centres[:, -1])
    return F.relu(1 - (centres - inside[:, None]).abs() / step)
