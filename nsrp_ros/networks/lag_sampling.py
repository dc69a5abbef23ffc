"""
Lag features, and their values at the lags that cells of a room would cause.

Shapes: B scenes, M microphones, P pairs, V = Z Y X cells, D, E and C channels, n + 1 features of
the lags -n, -n + 2 .. n of each pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.cell_geometry import image_distances
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


def sample_reflections(features: LagFeatures, room_dims: torch.Tensor,
                       axes: Sequence[torch.Tensor], distance: torch.Tensor,
                       pairs: torch.Tensor) -> torch.Tensor:
    """
    Sum the features at the lags of first-order reflections off walls, floor and ceiling.

    A reflection is weighted by its amplitude relative to the direct sound for a perfect mirror;
    one whose lag lies beyond the evaluated ones has weight zero.

    Parameters
    ----------
    features : LagFeatures
        Of all pairs.
    room_dims : torch.Tensor
        Shape (B, 3), metres.
    axes : sequence of torch.Tensor
        The cells' centres along x, y and z, by `axis_centres`.
    distance : torch.Tensor
        Shape (B, M, V), metres: from the microphones to the cells.
    pairs : torch.Tensor
        Shape (P, 2).

    Returns
    -------
    torch.Tensor
        Shape (B, P, V, 3 E): of the four walls together, of the floor and of the ceiling.

    """
    through = image_distances(features.mic_positions, room_dims, axes)  # (B, 6, M, V)
    loudness = distance[:, None] / through.clamp(min=1e-3)  # (B, 6, M, V)
    first, second = pairs[:, 0], pairs[:, 1]
    # Either microphone may receive the reflection while the other receives the direct sound.
    difference = torch.stack([
        path_difference(through[:, :, first], distance[:, None, second]),
        path_difference(distance[:, None, first], through[:, :, second])], dim=2)
    weight = torch.stack([loudness[:, :, first], loudness[:, :, second]], dim=2)
    index = features.index(difference).round().long()  # (B, 6, 2, P, V)
    length = features.echo.shape[2]
    weight = weight * ((index >= 0) & (index < length))
    index, weight = (of.permute(0, 3, 4, 1, 2) for of in (index.clamp(0, length - 1), weight))
    kinds = [_gather(features.echo, index[..., some, :].flatten(-2),
                     weight[..., some, :].flatten(-2))
             for some in (slice(0, 4), slice(4, 5), slice(5, 6))]
    return torch.cat(kinds, dim=-1)


def _gather(features: torch.Tensor, index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum features (B, P, L, C) at indices (B, P, V, n) by weight: (B, P, V, C)."""
    n_scenes, n_pairs, length, channels = features.shape
    start = length * torch.arange(n_scenes * n_pairs, device=index.device)
    rows = index + start.view(n_scenes, n_pairs, 1, 1)
    total = F.embedding_bag(rows.flatten(0, 2), features.reshape(-1, channels), mode='sum',
                            per_sample_weights=weight.flatten(0, 2).to(features.dtype))
    return total.view(*index.shape[:3], channels)
