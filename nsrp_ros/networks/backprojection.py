"""
Back-projection: what Neural-SRP has to learn from coordinates, geometry already knows.

A pair of microphones can tell only one thing about a talker, the delay between them. So a network
looks at the pair's cross-correlations along the lag axis and describes each lag by a vector of
features (is this the direct path, an echo, a chance peak?). Geometry then says which lag each
point of the room would cause, and the features found there are projected back to the point, as a
tomograph does. The walls are mirrors: the same point would also be heard by each microphone's six
mirror images, so the features at the lags of its first echoes are projected back too. What all
pairs say of a point is pooled, heights are weighed against one another, and a few convolutions
over the floor turn it into the posterior of the talker's cell.

    signals (B, M, T) -> correlations (B, P, K, L) -> lag features (B, P, L / 2, D + E)
    -> sampled where the point's direct sound and echoes should be (B, P, V, D + 3 E)
    -> gated by how the pair sees the point (B, P, V, D) -> pooled over pairs (B, Z, Y, X, D)
    -> floor (B, D, Y, X) -> log-posterior (B, Z, Y, X), and whether anybody talks at all (B,)

B scenes, M microphones, P pairs, K correlations, L lags, D and E channels, V = Z Y X cells.
Microphones may be any number in any order; nothing is learnt of rooms or arrays by heart.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import axis_centres
from nsrp_ros.networks.cell_geometry import axis_squares
from nsrp_ros.networks.cell_geometry import distances_of
from nsrp_ros.networks.cell_geometry import image_distances
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.networks.correlation import activation
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import pair_correlations
from nsrp_ros.networks.layers import FloorNetwork
from nsrp_ros.networks.layers import LagNetwork
from nsrp_ros.networks.layers import PairPooling
import torch
from torch import nn
from torch.nn import functional as F

__all__ = ['area_points', 'Backprojection', 'cell_context', 'floor_posterior', 'Heard',
           'whole_room']


@dataclass(frozen=True)
class Heard:
    """
    What the pairs of B scenes have heard, before any point of the room is asked about.

    Attributes
    ----------
    direct, echo : torch.Tensor
        Shapes (B, P, n + 1, D) and (B, P, n + 1, E), float32: features of every second lag from
        -n to n samples.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.

    """

    direct: torch.Tensor
    echo: torch.Tensor
    mic_positions: torch.Tensor

    @property
    def n_lags(self):
        """Return the largest lag, in samples."""
        return (self.direct.shape[2] - 1) * STRIDE // 2


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
        d, e = config.map_channels, config.echo_channels
        n_weightings = len(config.weightings) + config.learned_weightings
        n_correlations = len(config.bands) * n_weightings + config.whole_window
        self.weightings = (LearnedWeightings(config)
                           if config.learned_weightings else None)
        self.lags = LagNetwork(n_correlations + 2, config)
        self.echoes = nn.Linear(3 * e, d, bias=False) if e else None
        self.view, self.scene = nn.Linear(6, 32), nn.Linear(4, 32, bias=False)
        self.gate = nn.Sequential(activation(config), nn.Linear(32, 2 * d))
        self.activation = activation(config)
        self.pool = PairPooling(config)
        self.place = nn.Linear(10, d)
        self.point = nn.Sequential(activation(config), nn.Linear(d, d), activation(config))
        self.point_score = nn.Linear(d, 1)
        self.floor = FloorNetwork(config)
        self.presence = nn.Sequential(nn.Linear(2 * d, d), activation(config), nn.Linear(d, 1))

    def forward(self, signals, mic_positions, room_dims, area, shape):
        """
        Compute the log-posterior of the talker's cell, and whether there is a talker.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (B, M, T), at the configuration's sample rate.
        mic_positions : torch.Tensor
            Shape (B, M, 3), metres.
        room_dims : torch.Tensor
            Shape (B, 3), metres.
        area : torch.Tensor
            Shape (B, 2, 3), metres: the lower and upper corner of the part of the room, or all
            of it, that the talker is known to be in.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.

        Returns
        -------
        tuple of torch.Tensor
            The log-posterior, shape (B, Z, Y, X), whose exponential sums to one over all cells
            of a scene, given that somebody talks; and the log-odds (B,) that somebody does.

        """
        return self.look(self.hear(signals, mic_positions), room_dims, area, shape)

    def hear(self, signals, mic_positions):
        """
        Describe the lags of all pairs; arguments as of `forward`.

        Returns
        -------
        Heard
            To be looked at with `look`, as often and as closely as wanted.

        """
        cfg = self.config
        pairs = self._pairs(mic_positions)
        ends = mic_positions[:, pairs]  # (B, P, 2, 3)
        spacing = torch.linalg.vector_norm(ends[:, :, 0] - ends[:, :, 1], dim=-1)  # (B, P)
        longest = float(spacing.max()) / SPEED_OF_SOUND * cfg.sample_rate
        n_lags = min(LAG_STEP * math.ceil((longest + cfg.lag_margin) / LAG_STEP),
                     cfg.n_fft // 2 - STRIDE)
        correlations = pair_correlations(signals, pairs, n_lags, cfg, self.weightings)
        # The network is told which of the lags are possible.
        lag = torch.arange(-n_lags, n_lags + 1, device=spacing.device) / cfg.sample_rate
        possible = (lag * SPEED_OF_SOUND / spacing[..., None]).clamp(-1.5, 1.5)
        size = spacing[..., None].expand_as(possible) / 10
        known = torch.stack([possible, size], dim=2)  # (B, P, 2, L)
        features = self.lags(torch.cat([correlations, known], dim=2).flatten(0, 1)).float()
        features = features.transpose(1, 2).unflatten(0, spacing.shape)
        direct, echo = features.split([cfg.map_channels, cfg.echo_channels], dim=-1)
        return Heard(direct, echo, mic_positions)

    def look(self, heard, room_dims, area, shape):
        """Project what was heard back to the cells of an area; see `forward`."""
        mics, pairs = heard.mic_positions, self._pairs(heard.mic_positions)
        axes = axis_centres(area, shape)
        distance = distances_of(axis_squares(mics, axes))  # (B, M, V)
        near, far = distance[:, pairs[:, 0]], distance[:, pairs[:, 1]]  # (B, P, V)
        features = _sample(heard.direct, self._lag(near - far, heard))  # (B, P, V, D)
        if self.echoes is not None:
            echoes = self._echoes(heard, room_dims, axes, distance, pairs)
            features = features + self.echoes(echoes)

        context = cell_context(area, shape, mics.shape[1])[:, None]  # (B, 1, 4)
        features = self._gated(features, near, far, mics, pairs, context)
        return self.read(self.pool(features), room_dims, area, shape, mics.shape[1])

    def read(self, pooled, room_dims, area, shape, n_mics):
        """
        Read the posterior off what all pairs together say of every cell.

        Parameters
        ----------
        pooled : torch.Tensor
            Shape (B, V, D), the cells in the order of `shape`.
        room_dims, area, shape
            As of `forward`.
        n_mics : int
            M.

        Returns
        -------
        tuple of torch.Tensor
            As of `forward`.

        """
        context = cell_context(area, shape, n_mics)[:, None]  # (B, 1, 4)
        points = area_points(area, shape).flatten(1, 3)  # (B, V, 3)
        place = torch.cat([points / 5, (room_dims[:, None] - points) / 5,
                           context.expand(-1, points.shape[1], -1)], dim=-1)  # (B, V, 10)
        place = self.place(place.to(pooled.dtype))  # of fewer bits where the features are
        pooled = self.point(pooled + place).unflatten(1, shape)  # (B, Z, Y, X, D)

        score = self.point_score(pooled.to(self.point_score.weight.dtype))
        score = score[..., 0].float()  # (B, Z, Y, X)
        # Heights compete for each cell of the floor; their share is read off the same score.
        share = score.softmax(dim=1)[..., None].to(pooled.dtype)
        floor = (share * pooled).sum(dim=1)  # (B, Y, X, D)
        floor, floor_score = self.floor(floor.permute(0, 3, 1, 2))
        score = score + floor_score[:, None].float()
        log_posterior = score.flatten(1).log_softmax(dim=1).unflatten(1, shape)
        likely = floor_posterior(log_posterior)[:, None]  # (B, 1, Y, X)
        floor = floor.float()
        seen = torch.cat([(likely * floor).sum(dim=(2, 3)), floor.mean(dim=(2, 3))], dim=1)
        return log_posterior, self.presence(seen)[:, 0].float()

    @staticmethod
    def _pairs(mic_positions):
        pairs = microphone_pairs(mic_positions.shape[1])
        return torch.from_numpy(pairs).to(mic_positions.device)

    def _lag(self, difference, heard):
        """Turn differences of distances into indices of lag features."""
        samples = difference * (self.config.sample_rate / SPEED_OF_SOUND)
        return (samples + heard.n_lags) / STRIDE

    def _echoes(self, heard, room_dims, axes, distance, pairs):
        """
        Sum the features at the lags of first echoes, over four walls, floor and ceiling.

        An echo counts by how loud it would be beside the direct sound were the wall a perfect
        mirror; where its lag lies beyond those that were looked at, not at all.
        """
        through = image_distances(heard.mic_positions, room_dims, axes)  # (B, 6, M, V)
        loudness = distance[:, None] / through.clamp(min=1e-3)  # (B, 6, M, V)
        first, second = pairs[:, 0], pairs[:, 1]
        # Either microphone of a pair may hear the echo while the other hears the direct sound.
        difference = torch.stack([through[:, :, first] - distance[:, None, second],
                                  distance[:, None, first] - through[:, :, second]], dim=2)
        weight = torch.stack([loudness[:, :, first], loudness[:, :, second]], dim=2)
        lag = self._lag(difference, heard).round().long()  # (B, 6, 2, P, V)
        length = heard.echo.shape[2]
        weight = weight * ((lag >= 0) & (lag < length))
        lag, weight = (of.permute(0, 3, 4, 1, 2) for of in (lag.clamp(0, length - 1), weight))
        kinds = [_gather(heard.echo, lag[..., some, :].flatten(-2),
                         weight[..., some, :].flatten(-2))
                 for some in (slice(0, 4), slice(4, 5), slice(5, 6))]
        return torch.cat(kinds, dim=-1)

    def _gated(self, features, near, far, mics, pairs, context):
        """Scale and shift features by how the pair sees the point, and drop what is negative."""
        spacing = torch.linalg.vector_norm(mics[:, pairs[:, 0]] - mics[:, pairs[:, 1]], dim=-1)
        spacing = spacing[..., None].expand_as(near)
        view = torch.stack([
            near / 5, far / 5, spacing / 5, (near - far) / spacing,
            1 / (near + 0.3), 1 / (far + 0.3)], dim=-1)  # (B, P, V, 6)
        view = self.view(view) + self.scene(context)[:, None]
        scale, shift = self.gate(view).chunk(2, dim=-1)
        return self.activation(features * (1 + scale) + shift)


def cell_context(area, shape, n_mics):
    """Tell how large the cells are that an area is divided into, and of how many mics: (B, 4)."""
    cell = (area[:, 1] - area[:, 0]) / area.new_tensor(shape[::-1])  # (B, 3), metres
    return torch.cat([2 * cell, torch.full_like(cell[:, :1], math.log2(n_mics))], dim=1)


def _sample(features, lag):
    """Interpolate (B, P, L, C) linearly at fractional indices (B, P, V): (B, P, V, C)."""
    below = lag.floor().clamp(0, features.shape[2] - 2)
    upper = (lag - below).clamp(0, 1)
    index = below.long()
    return _gather(features, torch.stack([index, index + 1], dim=-1),
                   torch.stack([1 - upper, upper], dim=-1))


def _gather(features, index, weight):
    """Sum features (B, P, L, C) at indices (B, P, V, n) by weight: (B, P, V, C)."""
    n_scenes, n_pairs, length, channels = features.shape
    start = length * torch.arange(n_scenes * n_pairs, device=index.device)
    rows = index + start.view(n_scenes, n_pairs, 1, 1)
    total = F.embedding_bag(rows.flatten(0, 2), features.reshape(-1, channels), mode='sum',
                            per_sample_weights=weight.flatten(0, 2).to(features.dtype))
    return total.view(*index.shape[:3], channels)


def floor_posterior(log_posterior):
    """Marginalise the height: log-posterior (B, Z, Y, X) to probabilities (B, Y, X)."""
    return log_posterior.logsumexp(dim=1).exp()
