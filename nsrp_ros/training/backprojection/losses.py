"""
Losses of the back-projection network: proper scores of its posterior.

Under a proper score a network does best by predicting the true probabilities. Its posterior is
therefore calibrated, and the point of least expected distance under it is the best estimate.
"""

from nsrp_ros.networks.backprojection import floor_posterior
import torch
from torch.nn import functional as F


def posterior_loss(log_posterior: torch.Tensor, points: torch.Tensor, talkers: torch.Tensor,
                   wanted: torch.Tensor, distance_weight: float) -> torch.Tensor:
    """
    Score posteriors by their cross-entropy and by their expected distance from the truth.

    Of several talkers the one who fits best is the truth: a posterior is of one person, and it is
    the network's choice of whom.

    Parameters
    ----------
    log_posterior : torch.Tensor
        Shape (B, Z, Y, X).
    points : torch.Tensor
        Shape (B, Z, Y, X, 3), metres, the cells' centres.
    talkers : torch.Tensor
        Shape (B, K, 3), metres.
    wanted : torch.Tensor
        Shape (B, K), bool: who of them may be the truth.
    distance_weight : float
        Nats that a metre of the energy score costs.

    Returns
    -------
    torch.Tensor
        Shape (B,); 0 where nobody is wanted. The cross-entropy is in nats; the truth is shared
        among the cells around it by trilinear weights, so that the posterior is finer than a
        cell. The energy score (Gneiting and Raftery 2007, eq. 21) is the distance on the floor
        plan of a talker drawn from the posterior from the truth, less half the distance of two
        such talkers from one another.

    """
    floor = floor_posterior(log_posterior).flatten(1)  # (B, N)
    cells = points[:, 0, ..., :2].flatten(1, 2)  # (B, N, 2)
    with torch.no_grad():
        between_cells = torch.cdist(cells, cells)  # (B, N, N)
    with torch.autocast(floor.device.type, enabled=False):
        spread = torch.bmm(between_cells, floor[..., None])[..., 0]
    losses = []
    for position in talkers.unbind(dim=1):
        truth = trilinear_weights(points, position)
        cross_entropy = -(truth * log_posterior).flatten(1).sum(dim=1)
        from_truth = torch.linalg.vector_norm(cells - position[:, None, :2], dim=-1)
        energy = (floor * (from_truth - 0.5 * spread)).sum(dim=1)
        losses.append(cross_entropy + distance_weight * energy)
    each = torch.stack(losses, dim=1).masked_fill(~wanted, torch.inf)  # (B, K)
    best = each.amin(dim=1)
    return best.where(wanted.any(dim=1), torch.zeros_like(best))


def presence_loss(presence: torch.Tensor, talking: torch.Tensor,
                  counts: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of log-odds (B,) that anybody talks, over scenes that count."""
    loss = F.binary_cross_entropy_with_logits(presence, talking.to(presence.dtype),
                                              reduction='none')
    return (loss * counts).sum() / counts.sum().clamp(min=1)


def trilinear_weights(points: torch.Tensor, source_position: torch.Tensor) -> torch.Tensor:
    """Share a position among the cells around it: weights (B, Z, Y, X) that sum to one."""
    x, y, z = points[:, 0, 0, :, 0], points[:, 0, :, 0, 1], points[:, :, 0, 0, 2]
    along = [_linear_weights(centres, source_position[:, axis])
             for axis, centres in enumerate((x, y, z))]
    return torch.einsum('bx,by,bz->bzyx', *along)


def _linear_weights(centres: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Share positions (B,) linearly between the two nearest of the centres (B, n)."""
    if centres.shape[1] == 1:
        return torch.ones_like(centres)
    step = centres[:, 1:2] - centres[:, :1]
    # A talker beyond the outermost centres, or even outside a room whose reported dimensions are
    # too small, is in the outermost cell.
    inside = torch.minimum(torch.maximum(position, centres[:, 0]), centres[:, -1])
    return F.relu(1 - (centres - inside[:, None]).abs() / step)
