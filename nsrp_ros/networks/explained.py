"""
What talkers who have been found already explain: the lags of their direct sound and their echoes.

Another talker is looked for by the same network as the first, which is told at every lag of every
pair whether a talker who is known by now causes a peak there.

Shapes: B scenes, J talkers found, M microphones, P pairs, N planes, n + 1 lag features.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.networks.mirrors import mirrors_of
import torch


@dataclass(frozen=True)
class FoundTalkers:
    """
    Talkers that have been found.

    Attributes
    ----------
    position : torch.Tensor
        Shape (B, J, 3), metres.
    std : torch.Tensor
        Shape (B, J), metres: how far off they may be; infinite where scenes have fewer.

    """

    position: torch.Tensor
    std: torch.Tensor

    @property
    def count(self) -> torch.Tensor:
        """Return how many have been found in each scene: (B,)."""
        return torch.isfinite(self.std).sum(dim=1)


def explained_lags(features: LagFeatures, found: FoundTalkers, pairs: torch.Tensor,
                   surroundings: SurroundingsBatch[torch.Tensor]) -> torch.Tensor:
    """
    Mark the lags that found talkers explain.

    Parameters
    ----------
    features : LagFeatures
        Of all pairs.
    found : FoundTalkers
        J talkers.
    pairs : torch.Tensor
        Shape (P, 2).
    surroundings : SurroundingsBatch
        The planes that are known.

    Returns
    -------
    torch.Tensor
        Shape (B, P, n + 1, 2), between 0 and 1: by direct sound, and by first-order echoes.

    """
    mics, known = features.mic_positions, torch.isfinite(found.std)  # (B, J)
    distance = torch.cdist(mics, found.position,
                           compute_mode='donot_use_mm_for_euclid_dist')  # (B, M, J)
    mirrors = mirrors_of(surroundings, mics, found.position, distance)
    first, second = pairs[:, 0], pairs[:, 1]
    direct = path_difference(distance[:, first], distance[:, second])  # (B, P, J)
    loudness = (distance[:, None] / mirrors.through.clamp(min=1e-3)).clamp(max=1)
    loudness = loudness * mirrors.reflects * mirrors.planes.trust[..., None, None]
    echo = torch.stack([
        path_difference(mirrors.through[:, :, first], distance[:, None, second]),
        path_difference(distance[:, None, first], mirrors.through[:, :, second])])
    loud = torch.stack([loudness[:, :, first], loudness[:, :, second]])  # (2, B, N, P, J)

    # A talker who is a little off is off by up to twice that in path difference.
    per_metre = lags_per_metre(features.sample_rate, STRIDE)
    width = (1 + (1.4 * per_metre * found.std).square()).sqrt()
    width = width.where(known, torch.ones_like(width))[:, None]  # (B, 1, J), in lag features
    lags = torch.arange(features.direct.shape[2], device=mics.device)
    marks = _marks(features.index(direct), known[:, None].expand_as(direct).to(mics.dtype),
                   width, lags)
    echoes = [_marks(features.index(path), weight * known[:, None], width, lags)
              for side in range(2) for path, weight in zip(
                  echo[side].unbind(dim=1), loud[side].unbind(dim=1), strict=True)]
    echo_marks = torch.stack(echoes).sum(dim=0).clamp(max=1) if echoes else torch.zeros_like(marks)
    return torch.stack([marks.clamp(max=1), echo_marks], dim=-1)


def _marks(index: torch.Tensor, weight: torch.Tensor, width: torch.Tensor,
           lags: torch.Tensor) -> torch.Tensor:
    """Sum bumps around indices (B, P, J) of the lags (n + 1,): (B, P, n + 1)."""
    away = (lags - index[..., None]) / width[..., None]  # (B, P, J, n + 1)
    return (weight[..., None] * (-0.5 * away.square()).exp()).sum(dim=2)
