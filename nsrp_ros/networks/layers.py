"""
The learnt parts of backprojection.py: along a pair's lags, over pairs, and over the floor.

Shapes: B scenes, P pairs, K correlations, L lags, V = Z Y X cells, D and E channels, H heads.
"""

from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.correlation import activation
import torch
from torch import nn


def _starting_at_zero(*layers):
    """
    Make a residual block that adds nothing until it has learnt something.

    That takes the place of normalisation, which costs more than the convolutions here, and would
    make what is heard of one scene depend on the others of its batch.
    """
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*layers)


class LagNetwork(nn.Module):
    """Describe every second lag of a pair: residual dilated convolutions along lags."""

    def __init__(self, n_in, config):
        super().__init__()
        c, hidden = config.channels, config.hidden_channels
        # The first convolution keeps the lag in the middle where it was: index k is lag 2 k - n.
        self.first = nn.Conv1d(n_in, c, 9, stride=STRIDE, padding=4)
        self.blocks = nn.ModuleList(
            _starting_at_zero(
                activation(config),
                nn.Conv1d(c, hidden, config.lag_kernel, padding=config.lag_kernel // 2 * d,
                          dilation=d),
                activation(config), nn.Conv1d(hidden, c, 1))
            for d in config.dilations)
        self.last = nn.Conv1d(c, config.map_channels + config.echo_channels, 1)

    def forward(self, correlations):
        """Map (N, K, L) to (N, D + E, (L + 1) / 2)."""
        features = self.first(correlations)
        for block in self.blocks:
            features = features + block(features)
        return self.last(features)


class PairPooling(nn.Module):
    """Pool what pairs say of a point: their mean, and averages that attend to the best."""

    def __init__(self, config):
        super().__init__()
        d = config.map_channels
        self.attend = nn.Linear(d, config.heads) if config.heads else None
        self.mix = nn.Linear(d * (1 + (config.heads > 0)), d)

    def forward(self, features):
        """Map (B, P, V, D) to (B, V, D)."""
        pooled = [features.mean(dim=1)]
        if self.attend is not None:
            weights = self.attend(features).softmax(dim=1)  # (B, P, V, H)
            # Each head averages its own share of the channels.
            split = features.unflatten(-1, (weights.shape[-1], -1))  # (B, P, V, H, D / H)
            pooled.append((weights[..., None] * split).sum(dim=1).flatten(-2))
        return self.mix(torch.cat(pooled, dim=-1))


class FloorNetwork(nn.Module):
    """Let neighbouring cells of the floor plan speak to each other."""

    def __init__(self, config):
        super().__init__()
        d, hidden = config.map_channels, config.map_hidden_channels
        self.blocks = nn.ModuleList(
            _starting_at_zero(activation(config), nn.Conv2d(d, hidden, 3, padding=1),
                              activation(config), nn.Conv2d(hidden, d, 3, padding=1))
            for _ in range(config.map_blocks))
        self.score = nn.Conv2d(d, 1, 1)

    def forward(self, floor):
        """Map (B, D, Y, X) to features of that shape and scores (B, Y, X)."""
        for block in self.blocks:
            floor = floor + block(floor)
        # Scores need all their bits, whatever features have.
        return floor, self.score(floor.to(self.score.weight.dtype))[:, 0]
