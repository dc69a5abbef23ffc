"""
The learned parts of backprojection.py: along a pair's lags, over pairs, and over the floor.

Shapes: B scenes, P pairs, K correlations, L lags, V = Z Y X cells, D and E channels, H heads.
"""

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.correlation import activation
from nsrp_ros.networks.mirrors import KINDS
from nsrp_ros.networks.mirrors import Mirrors
import torch
from torch import nn


def _zero_initialised(*layers: nn.Module) -> nn.Sequential:
    """
    Make a residual block whose output is zero before training.

    That takes the place of normalisation layers, which cost more than the convolutions here, and
    would make a scene's features depend on the others of its batch.
    """
    block, last = nn.Sequential(*layers), layers[-1]
    assert isinstance(last, (nn.Conv1d, nn.Conv2d)) and last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return block


class LagNetwork(nn.Module):
    """Features of every second lag of a pair: residual dilated convolutions along lags."""

    def __init__(self, n_in: int, config: BackprojectionConfig) -> None:
        super().__init__()
        c, hidden = config.channels, config.hidden_channels
        # The first convolution keeps the lag in the middle where it was: index k is lag 2 k - n.
        self.first = nn.Conv1d(n_in, c, 9, stride=STRIDE, padding=4)
        self.blocks = nn.ModuleList(
            _zero_initialised(
                activation(config),
                nn.Conv1d(c, hidden, config.lag_kernel, padding=config.lag_kernel // 2 * d,
                          dilation=d),
                activation(config), nn.Conv1d(hidden, c, 1))
            for d in config.dilations)
        self.last = nn.Conv1d(c, config.map_channels + config.echo_channels, 1)

    def forward(self, correlations: torch.Tensor) -> torch.Tensor:
        """Map (N, K, L) to (N, D + E, (L + 1) / 2)."""
        features: torch.Tensor = self.first(correlations)
        for block in self.blocks:
            features = features + block(features)
        return self.last(features)


class PairPooling(nn.Module):
    """Pool the pairs' features of a point: their mean, and attention-weighted averages."""

    def __init__(self, config: BackprojectionConfig) -> None:
        super().__init__()
        d = config.map_channels
        self.attend = nn.Linear(d, config.heads) if config.heads else None
        self.mix = nn.Linear(d * (1 + (config.heads > 0)), d)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, P, V, D) to (B, V, D)."""
        pooled = [features.mean(dim=1)]
        if self.attend is not None:
            weights = self.attend(features).softmax(dim=1)  # (B, P, V, H)
            # Each head averages its own share of the channels.
            split = features.unflatten(-1, (weights.shape[-1], -1))  # (B, P, V, H, D / H)
            pooled.append((weights[..., None] * split).sum(dim=1).flatten(-2))
        return self.mix(torch.cat(pooled, dim=-1))


class FloorNetwork(nn.Module):
    """Residual convolutions over the floor plan, and a score for each of its cells."""

    def __init__(self, config: BackprojectionConfig) -> None:
        super().__init__()
        d, hidden = config.map_channels, config.map_hidden_channels
        self.blocks = nn.ModuleList(
            _zero_initialised(activation(config), nn.Conv2d(d, hidden, 3, padding=1),
                              activation(config), nn.Conv2d(hidden, d, 3, padding=1))
            for _ in range(config.map_blocks))
        self.score = nn.Conv2d(d, 1, 1)

    def forward(self, floor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, D, Y, X) to features of that shape and scores (B, Y, X)."""
        for block in self.blocks:
            floor = floor + block(floor)
        # Scores are computed with the bits of their weights, whatever those of the features.
        return floor, self.score(floor.to(self.score.weight.dtype))[:, 0]


class WallView(nn.Module):
    """What a cell's place among walls, each known by degrees, adds to its features."""

    HIDDEN = 16

    def __init__(self, map_channels: int, activation_layer: nn.Module) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(4, self.HIDDEN), activation_layer)
        # Zero at first, so that a network that did not know of it computes what it did before.
        self.all = nn.Linear(self.HIDDEN * len(KINDS), map_channels, bias=False)
        nn.init.zeros_(self.all.weight)

    def forward(self, mirrors: Mirrors) -> torch.Tensor:
        """Map the planes of B scenes to (B, V, D)."""
        before = mirrors.cells  # (B, N, V), metres
        each = torch.stack([
            (before / 5).clamp(-1, 3), 1 / (before.clamp(min=0) + 0.3), (before < 0).float(),
            mirrors.planes.trust[..., None].expand_as(before)], dim=-1)
        each = self.one(each)  # (B, N, V, H)
        # Walls are summed in any order, apart from floors and ceilings.
        sums = torch.einsum('bnvh,bnk->bvkh', each, mirrors.planes.kind.to(each.dtype))
        summed: torch.Tensor = self.all(sums.flatten(2))
        return summed
