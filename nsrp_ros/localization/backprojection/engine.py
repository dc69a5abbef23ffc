"""
The back-projection network without torch: its parts by ONNX Runtime, the rest by NumPy.

The equations are those of networks/backprojection.py, with the approximations of
torch_cpu/network.py: a grid is first evaluated with half as many cells along each side, cells are
computed only where the talker may be, and projections are cached while microphones stand still.

Shapes: M microphones, P pairs, V = Z Y X cells, D and E channels.
"""

from dataclasses import dataclass
import math
from typing import Any

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.pair_selection import select_pairs
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.approximations import round_up_cells
from nsrp_ros.localization.backprojection.coarse_to_fine import Evaluate
from nsrp_ros.localization.backprojection.coarse_to_fine import GridPosterior
from nsrp_ros.localization.backprojection.coarse_to_fine import locate
from nsrp_ros.localization.backprojection.correlation import Correlate
from nsrp_ros.localization.backprojection.correlation import make_correlator
from nsrp_ros.localization.backprojection.interpolation import GridFeatures
from nsrp_ros.localization.backprojection.interpolation import interpolate_features
from nsrp_ros.localization.backprojection.onnx_session import OnnxNetwork
from nsrp_ros.localization.backprojection.projection import CompiledProjection
from nsrp_ros.localization.backprojection.projection import MicrophonePairs
from nsrp_ros.localization.backprojection.projection import project_pairs
from nsrp_ros.localization.backprojection.projection import SparseProjection
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

Floats = NDArray[np.float32]
GatedProjections = list[tuple[CompiledProjection | SparseProjection, Floats]]
"""Projections to a few cells each, with the gates (V', P, 2 D) of these."""

_APPROXIMATIONS = Approximations()
_LAGS_AT_ONCE = 12000  # of some pairs together: what stays in a core's cache
_ROWS_AT_ONCE = 3072  # pairs times cells, for the same reason


@dataclass(frozen=True)
class LagFeatureTable:
    """
    Features of the lags of one scene's pairs, from which any grid can be evaluated.

    Attributes
    ----------
    pairs : MicrophonePairs
        The pairs.
    direct, echo : numpy.ndarray
        Shapes (P (n + 1), D) and (P (n + 1), E): the lag features of all pairs.

    """

    pairs: MicrophonePairs
    direct: Floats
    echo: Floats


class OnnxBackprojector:
    """
    A network in a .onnx.zip file that locates one window; see `Backprojector`.

    Parameters
    ----------
    network : OnnxNetwork
        Its parts.

    """

    def __init__(self, network: OnnxNetwork) -> None:
        self.config = network.config
        self._run = network.run
        self._correlator = make_correlator(
            self.config, self._learned if self.config.learned_weightings else None)
        # The positions for which projections are cached, and these.
        self._cached: tuple[list[NDArray[Any]], GatedProjections] | None = None

    def estimate(self, signals: Floats, mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64], area: ArrayLike | None = None,
                 shape: tuple[int, int] | None = None,
                 search: Surroundings | None = None) -> Estimate:
        """Locate the talker of one window; see `coarse_to_fine.locate`."""
        dims = np.asarray(room_dims, np.float32)

        def encode(signals: Floats, mics: NDArray[np.float64]) -> Evaluate:
            features = self.encode(np.asarray(signals, np.float32), np.asarray(mics, np.float32))
            return lambda corners, shape, coarse: self.evaluate_grid(
                features, dims, corners, shape, coarse)
        return locate(encode, self.config, signals, mic_positions, room_dims, area, shape, search)

    def encode(self, signals: Floats, mics: Floats) -> LagFeatureTable:
        """
        Compute the features of the lags of pairs.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at the configuration's sample rate.
        mics : numpy.ndarray
            Shape (M, 3), metres, float32.

        Returns
        -------
        LagFeatureTable
            For `evaluate_grid`.

        """
        cfg = self.config
        pairs = self._select_pairs(mics)
        correlate = self._correlator.prepare(signals, pairs.n_lags)
        at_once = max(1, _LAGS_AT_ONCE // (2 * pairs.n_lags))
        parts = [self._lag_features(correlate, pairs, slice(k, k + at_once))
                 for k in range(0, len(pairs.pairs), at_once)]
        direct, echo = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return LagFeatureTable(pairs, direct.reshape(-1, cfg.map_channels),
                               echo.reshape(-1, cfg.echo_channels))

    def evaluate_grid(self, lag_features: LagFeatureTable, room_dims: Floats,
                      corners: NDArray[np.float64], shape: tuple[int, int, int],
                      coarse: GridPosterior | None = None) -> GridPosterior:
        """
        Project lag features back to the cells of an area.

        Parameters
        ----------
        lag_features : LagFeatureTable
            By `encode`.
        room_dims, corners : numpy.ndarray
            Shapes (3,) and (2, 3), metres.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.
        coarse : GridPosterior, optional
            The posterior over a coarser grid around this one. Without it, one with half as many
            cells along each side is evaluated first.

        Returns
        -------
        GridPosterior
            See there.

        """
        if coarse is None:
            halves = (shape[0] + 1) // 2, (shape[1] + 1) // 2, (shape[2] + 1) // 2
            coarse = self._evaluate(lag_features, room_dims, corners, halves, None)
        return self._evaluate(lag_features, room_dims, corners, shape, coarse)

    def _evaluate(self, lag_features: LagFeatureTable, room_dims: Floats,
                  corners: NDArray[np.float64], shape: tuple[int, int, int],
                  coarse: GridPosterior | None) -> GridPosterior:
        """Evaluate all cells, or those that are likely by a coarser grid."""
        z, y, x = shape
        grid = Grid.over_box(corners[0], corners[1], x, y, z)
        points = grid.points().astype(np.float32)  # (Z, Y, X, 3)
        flat = points.reshape(-1, 3)
        cell = (corners[1] - corners[0]) / shape[::-1]
        pairs = lag_features.pairs
        context = np.append(2 * cell, math.log2(len(pairs.mics))).astype(np.float32)
        if coarse is None:
            features = self._pool(lag_features, self._cached_projections(pairs, flat, room_dims,
                                                                         context))
        else:
            features, likely = interpolate_features(coarse.state, coarse.cells, corners, shape)
            wanted = likely > _APPROXIMATIONS.refine_below * likely.max()
            n_chosen = min(round_up_cells(int(np.count_nonzero(wanted))), len(likely))
            chosen = np.argpartition(-likely, n_chosen - 1)[:n_chosen]
            features[chosen] = self._pool(
                lag_features, self._projections(pairs, flat[chosen], room_dims, context))
        features = features.reshape(*shape, -1)
        place = np.concatenate([points / 5, (room_dims - points) / 5,
                                np.broadcast_to(context, (*shape, 4))], axis=-1)
        log_posterior, log_odds = self._run('read', pooled=features, place=place)
        # Presence depends on all cells alike, and interpolated ones would blur it.
        presence = 1 / (1 + math.exp(-log_odds)) if coarse is None else coarse.presence
        return GridPosterior(np.exp(log_posterior), presence, GridFeatures(corners, features))

    def _select_pairs(self, mics: Floats) -> MicrophonePairs:
        """Select pairs and the largest lag to evaluate."""
        cfg = self.config
        pairs = select_pairs(mics, _APPROXIMATIONS.pairs_per_microphone)
        spacing = np.linalg.norm(mics[pairs[:, 0]] - mics[pairs[:, 1]], axis=1)  # (P,)
        longest = spacing.max() * lags_per_metre(cfg.sample_rate)
        n_lags = min(LAG_STEP * math.ceil((longest + cfg.lag_margin) / LAG_STEP),
                     cfg.n_fft // 2 - STRIDE)
        return MicrophonePairs(mics, pairs, spacing, n_lags, cfg.sample_rate)

    def _learned(self, magnitude: Floats) -> Floats:
        return self._run('weightings', magnitude=magnitude)[0]

    def _lag_features(self, correlate: Correlate, pairs: MicrophonePairs,
                      some: slice) -> list[Floats]:
        """Compute the lag features of some pairs: (P', n + 1, D) and (P', n + 1, E)."""
        cfg, n_lags, spacing = self.config, pairs.n_lags, pairs.spacing[some, None]
        n_kinds = len(cfg.bands) * (len(cfg.weightings) + cfg.learned_weightings)
        n_kinds += cfg.whole_window
        known = np.empty((1, n_kinds + 2, len(spacing), 2 * n_lags + 1), np.float32)
        correlate(pairs.pairs[some], n_lags, known[0, :-2])
        # Two more inputs: each lag relative to the physically possible ones, and the spacing.
        metres = np.arange(-n_lags, n_lags + 1) * (SPEED_OF_SOUND / pairs.sample_rate)
        known[0, -2] = np.clip(metres / spacing, -1.5, 1.5)
        known[0, -1] = spacing / 10
        return self._run('lags', correlations=known)

    def _cached_projections(self, pairs: MicrophonePairs, points: Floats, room_dims: Floats,
                            context: Floats) -> GatedProjections:
        """Return the projections to the map's coarse grid: computed anew where anything moved."""
        key: list[NDArray[Any]] = [pairs.mics, pairs.pairs, points, room_dims, context]
        if self._cached is not None:
            known, projections = self._cached
            if all(np.array_equal(*both) for both in zip(known, key, strict=True)):
                return projections
        projections = self._projections(pairs, points, room_dims, context)
        self._cached = key, projections
        return projections

    def _projections(self, pairs: MicrophonePairs, points: Floats, room_dims: Floats,
                     context: Floats) -> GatedProjections:
        """Compute projections and gates, for as many cells at once as a cache holds."""
        at_once = max(1, _ROWS_AT_ONCE // len(pairs.pairs))
        projections = []
        for k in range(0, len(points), at_once):
            projection = project_pairs(pairs, points[k:k + at_once], room_dims)
            gates = self._run('gates', views=projection.pair_geometry, context=context)[0]
            projections.append((projection, gates))
        return projections

    def _pool(self, lag_features: LagFeatureTable, projections: GatedProjections) -> Floats:
        """Gather the features of cells from all pairs, gate and pool them: (V, D)."""
        pooled = []
        for projection, gates in projections:
            direct, echoes = projection.gather(lag_features.direct, lag_features.echo)
            pooled += self._run('project', direct=direct, echoes=echoes, gates=gates)
        return np.concatenate(pooled)
