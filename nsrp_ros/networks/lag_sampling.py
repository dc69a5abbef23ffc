"""
Lag features, and their values at the lags that cells of a room would cause.

Shapes: B scenes, M microphones, P pairs, V = Z Y X cells, N planes, D, E and C channels, n + 1
features of the lags -n, -n + 2 .. n of each pair.
"""

from dataclasses import dataclass

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.mirrors import Mirrors
import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class LagFeatures:
    """
    Features of the lags of B scenes' pairs, from which any grid can be evaluated.

    Attributes
    ----------
    direct, echo : torch.Tensor
        Shapes (B, P, n + 1, D) and (B, P, n + 1, E), float32: features of every second lag from
        -n to n samples, for direct paths and for reflections.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    sample_rate : float
        Hertz.

    """

    direct: torch.Tensor
    echo: torch.Tensor
    mic_positions: torch.Tensor
    sample_rate: float

    @property
    def n_lags(self) -> int:
        """Return the largest lag, in samples."""
        return (self.direct.shape[2] - 1) * STRIDE // 2

    def index(self, difference: torch.Tensor) -> torch.Tensor:
        """Turn path differences, metres, into fractional indices of features."""
        samples = difference * lags_per_metre(self.sample_rate)
        return (samples + self.n_lags) / STRIDE


def sample_direct(features: LagFeatures, difference: torch.Tensor) -> torch.Tensor:
    """
    Interpolate the features at the lags of direct paths.

    Parameters
    ----------
    features : LagFeatures
        Of all pairs.
    difference : torch.Tensor
        Shape (B, P, V), metres: `path_difference` of every pair and cell.

    Returns
    -------
    torch.Tensor
        Shape (B, P, V, D).

    """
    lag = features.index(difference)
    below = lag.floor().clamp(0, features.direct.shape[2] - 2)
    upper = (lag - below).clamp(0, 1)
    index = below.long()
    return _gather(features.direct, torch.stack([index, index + 1], dim=-1),
                   torch.stack([1 - upper, upper], dim=-1))


def sample_reflections(features: LagFeatures, table: torch.Tensor, mirrors: Mirrors,
                       distance: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """
    Sum the features at the lags of first-order reflections off walls, floor and ceiling.

    A reflection is weighted by its amplitude relative to the direct sound for a perfect mirror,
    and by how well its plane is known; one whose lag lies beyond the evaluated ones has weight
    zero. Where a plane is vague, features are averages over the lags around.

    Parameters
    ----------
    features : LagFeatures
        Of all pairs.
    table : torch.Tensor
        Their echo features, by `blurred`.
    mirrors : Mirrors
        The planes, for microphones and cells.
    distance : torch.Tensor
        Shape (B, M, V), metres: from the microphones to the cells.
    pairs : torch.Tensor
        Shape (P, 2).

    Returns
    -------
    torch.Tensor
        Shape (B, P, V, 3 E): of all walls together, of floors and of ceilings.

    """
    through, (first, second) = mirrors.through, pairs.unbind(dim=1)  # (B, N, M, V)
    loudness = (distance[:, None] / through.clamp(min=1e-3)).clamp(max=1)
    loudness = loudness * mirrors.reflects * mirrors.planes.trust[..., None, None]
    # Either microphone may receive the reflection while the other receives the direct sound.
    difference = torch.stack([
        path_difference(through[:, :, first], distance[:, None, second]),
        path_difference(distance[:, None, first], through[:, :, second])], dim=2)
    weight = torch.stack([loudness[:, :, first], loudness[:, :, second]], dim=2)
    index = features.index(difference).round().long()  # (B, N, 2, P, V)
    length = features.echo.shape[2]
    weight = weight * ((index >= 0) & (index < length))
    index = index.clamp(0, length - 1) + length * mirrors.planes.blur[:, :, None, None, None]
    index, weight = (of.permute(0, 3, 4, 1, 2) for of in (index, weight))  # (B, P, V, N, 2)
    sums = []
    for kind in mirrors.planes.kind.unbind(dim=-1):  # (B, N)
        some = kind.any(dim=0).nonzero()[:, 0]
        sums.append(_gather(table, index[..., some, :].flatten(-2),
                            (weight * kind[:, None, None, :, None])[..., some, :].flatten(-2)))
    return torch.cat(sums, dim=-1)


def blurred(echo: torch.Tensor) -> torch.Tensor:
    """
    Put averages over 3 and over 7 lags behind features, for planes that are not known exactly.

    Maps (B, P, L, E) to (B, P, 3 L, E).
    """
    flat = echo.flatten(0, 1).transpose(1, 2)  # (B P, E, L)
    tables = [flat, *(F.avg_pool1d(flat, width, 1, width // 2, count_include_pad=False)
                      for width in (3, 7))]
    return torch.cat(tables, dim=2).transpose(1, 2).unflatten(0, echo.shape[:2])


def _gather(features: torch.Tensor, index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum features (B, P, L, C) at indices (B, P, V, n) by weight: (B, P, V, C)."""
    n_scenes, n_pairs, length, channels = features.shape
    if index.shape[-1] == 0:
        return features.new_zeros(*index.shape[:3], channels)
    start = length * torch.arange(n_scenes * n_pairs, device=index.device)
    rows = index + start.view(n_scenes, n_pairs, 1, 1)
    total = F.embedding_bag(rows.flatten(0, 2), features.reshape(-1, channels), mode='sum',
                            per_sample_weights=weight.flatten(0, 2).to(features.dtype))
    return total.view(*index.shape[:3], channels)
