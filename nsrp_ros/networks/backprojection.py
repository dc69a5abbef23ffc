"""
The back-projection network: learned features along lags, and geometry that projects them.

The only thing that a pair of microphones measures about a talker's place is the delay between
them. So a network describes each lag of the pair's cross-correlations by a vector of features: is
this the direct path, a reflection, or a chance peak? Which lag a point of the room would cause
follows from geometry and need not be learned: the features at that lag are projected back to the
point, as in tomography.

Walls that are known act as mirrors (mirrors.py): the features at the lags of the point's
first-order reflections are projected back, too, with less weight and over more lags the less
exactly a wall is known. The network is told how far the point is from each wall, how well that is
known, and whether a wall hides it. Where no wall is known, direct paths are all there is.

The features of all pairs are pooled at each point, heights are weighed against one another, and a
few convolutions over the floor plan turn the result into the posterior of the talker's cell.

Several people may talk at once. The posterior is of one of them, whom the network is surest of;
to find another, the network reads the same features again, told which lags the first one explains
(explained.py), until it says that nobody is left.

    signals (B, M, T) -> correlations (B, P, K, L) -> lag features (B, P, L / 2, D + E)
    -> sampled at the lags of each point's direct path and reflections (B, P, V, D + 3 E)
    -> scaled and shifted by where the point lies from the pair, and by what is explained there
    -> pooled over pairs (B, Z, Y, X, D) -> floor (B, D, Y, X)
    -> log-posterior (B, Z, Y, X), and the log-odds that somebody talks at all (B,)

B scenes, M microphones, P pairs, K correlations, L lags, N planes, D and E channels, V = Z Y X
cells. There may be any number of microphones in any order; no room and no array is built into the
weights.
"""

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import distances_from
from nsrp_ros.networks.cell_geometry import floor_posterior
from nsrp_ros.networks.correlation import activation
from nsrp_ros.networks.correlation import LearnedWeightings
from nsrp_ros.networks.correlation import pair_correlations
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.lag_sampling import blurred
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.networks.lag_sampling import sample_direct
from nsrp_ros.networks.lag_sampling import sample_reflections
from nsrp_ros.networks.layers import FloorNetwork
from nsrp_ros.networks.layers import LagNetwork
from nsrp_ros.networks.layers import PairPooling
from nsrp_ros.networks.layers import WallView
from nsrp_ros.networks.mirrors import exact_boxes
from nsrp_ros.networks.mirrors import mirrors_of
from nsrp_ros.networks.scene_inputs import cell_context
from nsrp_ros.networks.scene_inputs import evidence_inputs
from nsrp_ros.networks.scene_inputs import knowledge_inputs
from nsrp_ros.networks.scene_inputs import lag_inputs
from nsrp_ros.networks.scene_inputs import lags_needed
from nsrp_ros.networks.scene_inputs import marks_of
from nsrp_ros.networks.scene_inputs import pairs_of
from nsrp_ros.networks.scene_inputs import place_inputs
from nsrp_ros.networks.scene_inputs import Scene
from nsrp_ros.networks.scene_inputs import searched
from nsrp_ros.networks.scene_inputs import spacings
from nsrp_ros.networks.scene_inputs import view_inputs
import torch
from torch import nn

CELLS_AT_ONCE = 4096
"""Cells times pairs that are evaluated together by one thread of a processor."""
_IMPOSSIBLE = -60.0  # a score so low that the cell has no probability, and still a gradient


class Backprojection(nn.Module):
    """
    The whole network; see the module's docstring.

    Parameters
    ----------
    config : BackprojectionConfig
        Correlations, sizes and grid. Networks of `uncertain_walls` know walls by degrees; others
        take all planes that they are given for exact.

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
        self.walls: WallView | None = None
        if config.uncertain_walls:
            self.walls = WallView(d, activation(config))
            self.evidence = nn.Linear(4, 32, bias=False)
            self.knowledge = nn.Linear(5, 32, bias=False)
            for layer in (self.evidence, self.knowledge):
                nn.init.zeros_(layer.weight)

    def forward(self, signals: torch.Tensor, mic_positions: torch.Tensor,
                surroundings: SurroundingsBatch[torch.Tensor] | torch.Tensor,
                area: torch.Tensor, shape: tuple[int, int, int],
                found: FoundTalkers | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Compute the log-posterior of a talker's cell, and whether there is a talker.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (B, M, T), at the configuration's sample rate.
        mic_positions : torch.Tensor
            Shape (B, M, 3), metres.
        surroundings : SurroundingsBatch or torch.Tensor
            What is known of the rooms; or shape (B, 3), metres, boxes that are known exactly.
        area : torch.Tensor
            Shape (B, 2, 3), metres: the lower and upper corner of the part of the search area, or
            all of it, that the talker is known to be in.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.
        found : FoundTalkers, optional
            Talkers that have been found already; another one is looked for.

        Returns
        -------
        tuple of torch.Tensor
            The log-posterior, shape (B, Z, Y, X), whose exponential sums to one over all cells
            of a scene, given that somebody (else) talks; and the log-odds (B,) that somebody does.

        """
        return self.evaluate_grid(self.encode(signals, mic_positions), surroundings, area, shape,
                                  found)

    def encode(self, signals: torch.Tensor, mic_positions: torch.Tensor) -> LagFeatures:
        """
        Compute the features of the lags of all pairs; arguments as of `forward`.

        Returns
        -------
        LagFeatures
            For `evaluate_grid`, on as many grids as wanted.

        """
        cfg = self.config
        pairs = pairs_of(mic_positions)
        spacing = spacings(mic_positions, pairs)  # (B, P)
        n_lags = lags_needed(spacing, cfg)
        correlations = pair_correlations(signals, pairs, n_lags, cfg, self.weightings)
        known = lag_inputs(spacing, n_lags, cfg.sample_rate)  # (B, P, 2, L)
        features = self.lags(torch.cat([correlations, known], dim=2).flatten(0, 1)).float()
        features = features.transpose(1, 2).unflatten(0, spacing.shape)
        direct, echo = features.split([cfg.map_channels, cfg.echo_channels], dim=-1)
        return LagFeatures(direct, echo, mic_positions, cfg.sample_rate)

    def evaluate_grid(self, lag_features: LagFeatures,
                      surroundings: SurroundingsBatch[torch.Tensor] | torch.Tensor,
                      area: torch.Tensor, shape: tuple[int, int, int],
                      found: FoundTalkers | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Project lag features back to the cells of an area; see `forward`."""
        if isinstance(surroundings, torch.Tensor):
            surroundings = exact_boxes(surroundings)
        mics = lag_features.mic_positions
        context = self.scene(cell_context(area, shape, mics.shape[1]))
        marks = None
        if self.walls is not None:
            context = context + self.knowledge(knowledge_inputs(surroundings, found))
            marks = None if found is None else marks_of(lag_features, surroundings, found)
        scene = Scene(lag_features, surroundings, pairs_of(mics), context, marks,
                      blurred(lag_features.echo) if self.echoes is not None else None)
        points = area_points(area, shape).flatten(1, 3)  # (B, V, 3)
        # For one thread a few cells at a time stay in its caches; several wait for one another.
        at_once = (max(64, CELLS_AT_ONCE // len(scene.pairs))
                   if torch.get_num_threads() == 1 and not points.is_cuda else points.shape[1])
        pooled = torch.cat([self._pooled(scene, some) for some in points.split(at_once, dim=1)],
                           dim=1)
        return self.read_posterior(pooled, surroundings, area, shape, mics.shape[1])

    def _pooled(self, scene: Scene, points: torch.Tensor) -> torch.Tensor:
        """Compute the features of some cells (B, V, 3), pooled over pairs: (B, V, D)."""
        mics, pairs = scene.lag_features.mic_positions, scene.pairs
        distance = distances_from(mics, points)  # (B, M, V)
        mirrors = mirrors_of(scene.surroundings, mics, points, distance)
        first, second = distance[:, pairs[:, 0]], distance[:, pairs[:, 1]]  # (B, P, V)
        difference = path_difference(first, second)
        features = sample_direct(scene.lag_features, difference)  # (B, P, V, D)
        if self.echoes is not None and scene.echo_table is not None:
            features = features + self.echoes(sample_reflections(
                scene.lag_features, scene.echo_table, mirrors, distance, pairs))
        view = view_inputs(first, second, difference, spacings(mics, pairs))
        hidden = self.view(view) + scene.context[:, None, None]
        if self.walls is not None:
            hidden = hidden + self.evidence(evidence_inputs(scene, mirrors, difference))
        # Scale and shift features by where the cell lies from the pair, and activate them.
        scale, shift = self.gate(hidden).chunk(2, dim=-1)
        pooled: torch.Tensor = self.pool(self.activation(features * (1 + scale) + shift))
        return pooled if self.walls is None else pooled + self.walls(mirrors).to(pooled.dtype)

    def read_posterior(self, pooled: torch.Tensor,
                       surroundings: SurroundingsBatch[torch.Tensor], area: torch.Tensor,
                       shape: tuple[int, int, int], n_mics: int
                       ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Compute the posterior from the features of cells, pooled over pairs.

        Parameters
        ----------
        pooled : torch.Tensor
            Shape (B, V, D), the cells in the order of `shape`.
        surroundings, area, shape
            As of `forward`.
        n_mics : int
            M.

        Returns
        -------
        tuple of torch.Tensor
            As of `forward`.

        """
        place = place_inputs(surroundings, area, shape, n_mics)  # (B, V, 10)
        place = self.place(place.to(pooled.dtype))  # of fewer bits where the features are
        pooled = self.point(pooled + place).unflatten(1, shape)  # (B, Z, Y, X, D)

        score = self.point_score(pooled.to(self.point_score.weight.dtype))
        score = score[..., 0].float()  # (B, Z, Y, X)
        # Heights compete for each cell of the floor; the same score gives their shares.
        share = score.softmax(dim=1)[..., None].to(pooled.dtype)
        floor = (share * pooled).sum(dim=1)  # (B, Y, X, D)
        floor, floor_score = self.floor(floor.permute(0, 3, 1, 2))
        score = score + floor_score[:, None].float()
        if surroundings.outline is not None:
            outside = ~searched(surroundings.outline, area, shape)
            score = score.masked_fill(outside[:, None], _IMPOSSIBLE)
        log_posterior = score.flatten(1).log_softmax(dim=1).unflatten(1, shape)
        likely = floor_posterior(log_posterior)[:, None]  # (B, 1, Y, X)
        floor = floor.float()
        summary = torch.cat([(likely * floor).sum(dim=(2, 3)), floor.mean(dim=(2, 3))], dim=1)
        return log_posterior, self.presence(summary)[:, 0].float()
