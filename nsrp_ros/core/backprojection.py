"""
Back-projection: what Neural-SRP has to learn from coordinates, geometry already knows.

A pair of microphones can tell only one thing about a talker, the delay between them. So a network
looks at the pair's cross-correlations along the lag axis and describes each lag by a vector of
features (is this the direct path, an echo, a chance peak?). Geometry then says which lag each
point of the room would cause, and the features found there are projected back to the point, as a
tomograph does. What all pairs say of a point is pooled, heights are weighed against one another,
and a few convolutions over the floor turn it into the posterior of the talker's cell.

    signals (B, M, T) -> correlations (B, P, K, L) -> lag features (B, P, L, C)
    -> sampled at tau_ij(p) (B, P, Z, Y, X, C) -> pooled over pairs (B, Z, Y, X, D)
    -> floor (B, D, Y, X) -> log-posterior (B, Z, Y, X)

B scenes, M microphones, P pairs, K correlations, L lags, C and D channels, Z, Y, X cells.
Microphones may be any number in any order; nothing is learnt of rooms or arrays by heart.
"""

from functools import partial
import math

from nsrp_ros.core.correlation import pair_correlations
from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.core.features import batch_of_one
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
import torch
from torch import nn
from torch.nn import functional as F


class LagNetwork(nn.Module):
    """Describe every lag of a pair by C features: residual dilated convolutions along lags."""

    def __init__(self, n_in, config):
        super().__init__()
        c = config.channels
        self.first = nn.Conv1d(n_in, c, 7, padding=3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(c), nn.GELU(),
                          nn.Conv1d(c, c, 5, padding=2 * d, dilation=d),
                          nn.BatchNorm1d(c), nn.GELU(), nn.Conv1d(c, c, 1))
            for d in config.dilations)

    def forward(self, correlations):
        """Map (N, K, L) to (N, C, L)."""
        features = self.first(correlations)
        for block in self.blocks:
            features = features + block(features)
        return features


class PairPooling(nn.Module):
    """Pool what pairs say of a point: their mean, and an average that attends to the best."""

    def __init__(self, config):
        super().__init__()
        c, d = config.channels, config.map_channels
        self.attend = nn.Linear(c, config.heads) if config.heads else None
        self.mix = nn.Linear(c * (1 + (config.heads > 0)), d)

    def forward(self, features):
        """Map (B, P, V, C) to (B, V, D)."""
        pooled = [features.mean(dim=1)]
        if self.attend is not None:
            weights = self.attend(features).softmax(dim=1)  # (B, P, V, H)
            # Each head averages its own share of the channels.
            split = features.unflatten(-1, (weights.shape[-1], -1))  # (B, P, V, H, C / H)
            pooled.append((weights[..., None] * split).sum(dim=1).flatten(-2))
        return self.mix(torch.cat(pooled, dim=-1))


class FloorNetwork(nn.Module):
    """Let neighbouring cells of the floor plan speak to each other."""

    def __init__(self, config):
        super().__init__()
        d = config.map_channels
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(d), nn.GELU(), nn.Conv2d(d, d, 3, padding=1),
                          nn.BatchNorm2d(d), nn.GELU(), nn.Conv2d(d, d, 3, padding=1))
            for _ in range(config.map_blocks))
        self.score = nn.Conv2d(d, 1, 1)

    def forward(self, floor):
        """Map (B, D, Y, X) to scores (B, Y, X)."""
        for block in self.blocks:
            floor = floor + block(floor)
        return self.score(floor)[:, 0]


class Backprojection(nn.Module):
    """
    The whole network; see the module's docstring.

    Parameters
    ----------
    config : BackprojectionConfig
        Correlations, sizes and grid.

    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        n_correlations = len(config.bands) * len(config.weightings)
        self.lags = LagNetwork(n_correlations + 2, config)
        self.gate = nn.Sequential(nn.Linear(6, 32), nn.GELU(), nn.Linear(32, 2 * config.channels))
        self.pool = PairPooling(config)
        self.point = nn.Sequential(
            nn.GELU(), nn.Linear(config.map_channels, config.map_channels), nn.GELU())
        self.point_score = nn.Linear(config.map_channels, 1)
        self.floor = FloorNetwork(config)

    def forward(self, signals, mic_positions, points):
        """
        Compute the log-posterior of the talker's cell.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (B, M, T), at the configuration's sample rate.
        mic_positions : torch.Tensor
            Shape (B, M, 3), metres.
        points : torch.Tensor
            Shape (B, Z, Y, X, 3), the cells' centres in metres.

        Returns
        -------
        torch.Tensor
            Shape (B, Z, Y, X); its exponential sums to one over all cells of a scene.

        """
        cfg = self.config
        grid = points.shape[1:4]
        pairs = torch.from_numpy(microphone_pairs(mic_positions.shape[1])).to(signals.device)
        ends = mic_positions[:, pairs]  # (B, P, 2, 3)
        spacing = torch.linalg.vector_norm(ends[:, :, 0] - ends[:, :, 1], dim=-1)  # (B, P)

        longest = float(spacing.max()) / SPEED_OF_SOUND * cfg.sample_rate
        n_lags = math.ceil(longest) + cfg.lag_margin
        with torch.autocast(signals.device.type, enabled=False):
            correlations = pair_correlations(signals, pairs, n_lags, cfg)  # (B, P, K, 2 n + 1)
        features = self._lag_features(correlations, spacing, n_lags)  # (B, P, L, C)

        flat = points.flatten(1, 3)  # (B, V, 3), V = Z Y X
        distance = torch.cdist(mic_positions, flat,
                               compute_mode='donot_use_mm_for_euclid_dist')  # (B, M, V)
        near, far = distance[:, pairs[:, 0]], distance[:, pairs[:, 1]]  # (B, P, V)
        lag = (near - far) * (cfg.sample_rate / SPEED_OF_SOUND) + n_lags
        sampled = _sample(features, lag)  # (B, P, V, C)
        sampled = self._gated(sampled, near, far, spacing)

        pooled = self.point(self.pool(sampled)).unflatten(1, grid)  # (B, Z, Y, X, D)
        score = self.point_score(pooled)[..., 0]  # (B, Z, Y, X)
        # Heights compete for each cell of the floor; their share is read off the same score.
        floor = (score.softmax(dim=1)[..., None] * pooled).sum(dim=1)  # (B, Y, X, D)
        score = score + self.floor(floor.permute(0, 3, 1, 2))[:, None]
        return score.float().flatten(1).log_softmax(dim=1).unflatten(1, grid)

    def _lag_features(self, correlations, spacing, n_lags):
        """Describe all lags of all pairs, telling the network which of them are possible."""
        n_scenes, n_pairs, _, length = correlations.shape
        lag = torch.arange(-n_lags, n_lags + 1, device=spacing.device) / self.config.sample_rate
        possible = (lag * SPEED_OF_SOUND / spacing[..., None]).clamp(-1.5, 1.5)
        size = spacing[..., None].expand_as(possible) / 10
        known = torch.stack([possible, size], dim=2)  # (B, P, 2, L)
        features = self.lags(torch.cat([correlations, known], dim=2).flatten(0, 1))
        return features.transpose(1, 2).unflatten(0, (n_scenes, n_pairs))

    def _gated(self, sampled, near, far, spacing):
        """Scale and shift features by how the pair sees the point."""
        spacing = spacing[..., None].expand_as(near)
        view = torch.stack([
            near / 5, far / 5, spacing / 5, (near - far) / spacing,
            1 / (near + 0.3), 1 / (far + 0.3)], dim=-1)  # (B, P, V, 6)
        scale, shift = self.gate(view).chunk(2, dim=-1)
        return sampled * (1 + scale) + shift


def _sample(features, lag):
    """Interpolate (B, P, L, C) linearly at fractional indices (B, P, V): (B, P, V, C)."""
    n_scenes, n_pairs, length, channels = features.shape
    below = lag.floor().clamp(0, length - 2)
    weight = (lag - below).clamp(0, 1)[..., None].to(features.dtype)
    start = length * torch.arange(n_scenes * n_pairs, device=lag.device)
    index = (below.long().flatten(0, 1) + start[:, None]).flatten()
    table = features.reshape(-1, channels)
    low = table.index_select(0, index).view(*lag.shape, channels)
    high = table.index_select(0, index + 1).view(*lag.shape, channels)
    return torch.lerp(low, high, weight.expand_as(low))


class Backprojector:
    """
    A trained Backprojection that locates one window.

    Parameters
    ----------
    model : Backprojection
        The network with its weights.
    device : str or torch.device
        Where it runs.

    """

    def __init__(self, model, device='cpu'):
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    @torch.inference_mode()
    def estimate(self, signals, mic_positions, room_dims):
        """
        Locate the talker of one window; arguments are those of `SrpPhat.estimate`.

        Returns
        -------
        Estimate
            Its map is a posterior over cells that tile the room's floor.

        """
        cfg = self.config
        grid = Grid.over_room(room_dims, cfg.grid_size, cfg.grid_size, cfg.heights)
        batch = partial(batch_of_one, device=self.device)
        log_posterior = self.model(batch(signals), batch(mic_positions), batch(grid.points()))
        return from_posterior(floor_posterior(log_posterior)[0].cpu().numpy(), grid.x, grid.y)


def floor_posterior(log_posterior):
    """Marginalise the height: log-posterior (B, Z, Y, X) to probabilities (B, Y, X)."""
    return log_posterior.logsumexp(dim=1).exp()


def posterior_loss(log_posterior, points, source_position, distance_weight):
    """
    Score a posterior: how surprised it is by the truth, and how far from it it expects to be.

    Parameters
    ----------
    log_posterior : torch.Tensor
        Shape (B, Z, Y, X).
    points : torch.Tensor
        Shape (B, Z, Y, X, 3), metres.
    source_position : torch.Tensor
        Shape (B, 3), metres.
    distance_weight : float
        Nats a metre of expected distance on the floor plan costs.

    Returns
    -------
    torch.Tensor
        Scalar. The cross-entropy shares the truth among the cells around it by their nearness
        (trilinearly), so that the posterior is finer than a cell.

    """
    truth = _shared_cells(points, source_position)
    surprise = -(truth * log_posterior).flatten(1).sum(dim=1)
    away = torch.linalg.vector_norm(
        points[:, 0, ..., :2] - source_position[:, None, None, :2], dim=-1)  # (B, Y, X)
    expected = (floor_posterior(log_posterior) * away).flatten(1).sum(dim=1)
    return (surprise + distance_weight * expected).mean()


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
