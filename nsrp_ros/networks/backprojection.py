"""
The back-projection network: learned features along lags, and geometry that projects them.

The only thing that a pair of microphones measures about a talker's place is the delay between
them. So a network describes each lag of the pair's cross-correlations by a vector of features: is
this the direct path, a reflection, or a chance peak? Which lag a point of the room would cause
follows from geometry and need not be learned: the features at that lag are projected back to the
point, as in tomography. Walls act as mirrors, so the features at the lags of the point's
first-order reflections are projected back too (by image sources: each microphone has six mirror
images). The features of all pairs are pooled at each point, heights are weighed against one
another, and a few convolutions over the floor plan turn the result into the posterior of the
talker's cell.

    signals (B, M, T) -> correlations (B, P, K, L) -> lag features (B, P, L / 2, D + E)
    -> sampled at the lags of each point's direct path and reflections (B, P, V, D + 3 E)
    -> scaled and shifted by where the point lies from the pair (B, P, V, D)
    -> pooled over pairs (B, Z, Y, X, D) -> floor (B, D, Y, X)
    -> log-posterior (B, Z, Y, X), and the log-odds that somebody talks at all (B,)

B scenes, M microphones, P pairs, K correlations, L lags, D and E channels, V = Z Y X cells.
There may be any number of microphones in any order; no room and no array is built into the
weights.
"""

import math

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import axis_centres
from nsrp_ros.networks.cell_geometry import axis_squares
from nsrp_ros.networks.cell_geometry import distances_of
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.networks.correlation import activation
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import pair_correlations
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.networks.lag_sampling import sample_direct
from nsrp_ros.networks.lag_sampling import sample_reflections
from nsrp_ros.networks.layers import FloorNetwork
from nsrp_ros.networks.layers import LagNetwork
from nsrp_ros.networks.layers import PairPooling
import torch
from torch import nn

__all__ = ['area_points', 'Backprojection', 'cell_context', 'floor_posterior', 'LagFeatures',
           'whole_room']


class Backprojection(nn.Module):
    """
    The whole network; see the module's docstring.

    Parameters
    ----------
    config : BackprojectionConfig
        Correlations, sizes and grid.

    """

    def __init__(self, config: BackprojectionConfig) -> None:
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

    def forward(self, signals: torch.Tensor, mic_positions: torch.Tensor,
                room_dims: torch.Tensor, area: torch.Tensor,
                shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
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
        return self.evaluate_grid(self.encode(signals, mic_positions), room_dims, area, shape)

    def encode(self, signals: torch.Tensor, mic_positions: torch.Tensor) -> LagFeatures:
        """
        Compute the features of the lags of all pairs; arguments as of `forward`.

        Returns
        -------
        LagFeatures
            For `evaluate_grid`, on as many grids as wanted.

        """
        cfg = self.config
        pairs = self._pairs(mic_positions)
        ends = mic_positions[:, pairs]  # (B, P, 2, 3)
        spacing = torch.linalg.vector_norm(ends[:, :, 0] - ends[:, :, 1], dim=-1)  # (B, P)
        longest = float(spacing.max()) * lags_per_metre(cfg.sample_rate)
        n_lags = min(LAG_STEP * math.ceil((longest + cfg.lag_margin) / LAG_STEP),
                     cfg.n_fft // 2 - STRIDE)
        correlations = pair_correlations(signals, pairs, n_lags, cfg, self.weightings)
        # Two more inputs: each lag relative to the physically possible ones, and the spacing.
        lag = torch.arange(-n_lags, n_lags + 1, device=spacing.device) / cfg.sample_rate
        possible = (lag * SPEED_OF_SOUND / spacing[..., None]).clamp(-1.5, 1.5)
        size = spacing[..., None].expand_as(possible) / 10
        known = torch.stack([possible, size], dim=2)  # (B, P, 2, L)
        features = self.lags(torch.cat([correlations, known], dim=2).flatten(0, 1)).float()
        features = features.transpose(1, 2).unflatten(0, spacing.shape)
        direct, echo = features.split([cfg.map_channels, cfg.echo_channels], dim=-1)
        return LagFeatures(direct, echo, mic_positions, cfg.sample_rate)

    def evaluate_grid(self, lag_features: LagFeatures, room_dims: torch.Tensor,
                      area: torch.Tensor, shape: tuple[int, int, int]
                      ) -> tuple[torch.Tensor, torch.Tensor]:
        """Project lag features back to the cells of an area; see `forward`."""
        mics, pairs = lag_features.mic_positions, self._pairs(lag_features.mic_positions)
        axes = axis_centres(area, shape)
        distance = distances_of(axis_squares(mics, axes))  # (B, M, V)
        first, second = distance[:, pairs[:, 0]], distance[:, pairs[:, 1]]  # (B, P, V)
        features = sample_direct(lag_features, path_difference(first, second))  # (B, P, V, D)
        if self.echoes is not None:
            features = features + self.echoes(
                sample_reflections(lag_features, room_dims, axes, distance, pairs))

        context = cell_context(area, shape, mics.shape[1])[:, None]  # (B, 1, 4)
        features = self._gated(features, first, second, mics, pairs, context)
        return self.read_posterior(self.pool(features), room_dims, area, shape, mics.shape[1])

    def read_posterior(self, pooled: torch.Tensor, room_dims: torch.Tensor, area: torch.Tensor,
                       shape: tuple[int, int, int], n_mics: int
                       ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Compute the posterior from the features of cells, pooled over pairs.

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
        # Heights compete for each cell of the floor; the same score gives their shares.
        share = score.softmax(dim=1)[..., None].to(pooled.dtype)
        floor = (share * pooled).sum(dim=1)  # (B, Y, X, D)
        floor, floor_score = self.floor(floor.permute(0, 3, 1, 2))
        score = score + floor_score[:, None].float()
        log_posterior = score.flatten(1).log_softmax(dim=1).unflatten(1, shape)
        likely = floor_posterior(log_posterior)[:, None]  # (B, 1, Y, X)
        floor = floor.float()
        summary = torch.cat([(likely * floor).sum(dim=(2, 3)), floor.mean(dim=(2, 3))], dim=1)
        return log_posterior, self.presence(summary)[:, 0].float()

    @staticmethod
    def _pairs(mic_positions: torch.Tensor) -> torch.Tensor:
        pairs = microphone_pairs(mic_positions.shape[1])
        return torch.from_numpy(pairs).to(mic_positions.device)

    def _gated(self, features: torch.Tensor, first: torch.Tensor, second: torch.Tensor,
               mics: torch.Tensor, pairs: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Scale and shift features by where the cell lies from the pair, and activate them."""
        spacing = torch.linalg.vector_norm(mics[:, pairs[:, 0]] - mics[:, pairs[:, 1]], dim=-1)
        spacing = spacing[..., None].expand_as(first)
        geometry = torch.stack([
            first / 5, second / 5, spacing / 5, path_difference(first, second) / spacing,
            1 / (first + 0.3), 1 / (second + 0.3)], dim=-1)  # (B, P, V, 6)
        hidden = self.view(geometry) + self.scene(context)[:, None]
        scale, shift = self.gate(hidden).chunk(2, dim=-1)
        return self.activation(features * (1 + scale) + shift)


def cell_context(area: torch.Tensor, shape: tuple[int, int, int], n_mics: int) -> torch.Tensor:
    """Return the network's input about the grid as a whole: cell sizes and microphones (B, 4)."""
    cell = (area[:, 1] - area[:, 0]) / area.new_tensor(shape[::-1])  # (B, 3), metres
    return torch.cat([2 * cell, torch.full_like(cell[:, :1], math.log2(n_mics))], dim=1)


def floor_posterior(log_posterior: torch.Tensor) -> torch.Tensor:
    """Marginalise the height: log-posterior (B, Z, Y, X) to probabilities (B, Y, X)."""
    return log_posterior.logsumexp(dim=1).exp()
