"""
The features of cells on a processor, for torch_cpu/network.py: projected, gated and pooled.

The equations are those of `Backprojection.evaluate_grid`. The projection to a cell, and so the
gates of the features found for it, depend on positions alone: while microphones stand still, they
are cached for every cell of the map that was ever computed.

Shapes: P pairs, V cells, D channels, H heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nsrp_ros.localization.backprojection.approximations import round_up_cells
from nsrp_ros.localization.backprojection.torch_cpu.projection import MicrophonePairs
from nsrp_ros.localization.backprojection.torch_cpu.projection import project_pairs
from nsrp_ros.localization.backprojection.torch_cpu.projection import Projection
from nsrp_ros.localization.backprojection.torch_cpu.readout import GridCells
from nsrp_ros.localization.backprojection.torch_cpu.readout import in_place
from nsrp_ros.networks.backprojection import Backprojection
import torch
from torch.nn import functional as F

_ROWS_AT_ONCE = 12288  # pairs times cells: what stays in a core's cache
_MAX_LOGIT = 40.0  # of the attention over pairs: e to it is far below the largest number
_CACHED_GRIDS = 2  # the map, and the same with half as many cells along each side


@dataclass(frozen=True)
class LagFeatureTable:
    """
    Features of the lags of one scene's pairs, from which any grid can be evaluated.

    Attributes
    ----------
    pairs : MicrophonePairs
        The pairs; the same object for as long as microphones stand still.
    still : bool
        Whether the microphones stand where they stood in the window before.
    direct, echo : torch.Tensor
        Shapes (R, D) and (R, E): the lag features of all pairs, one below the other.

    """

    pairs: MicrophonePairs
    still: bool
    direct: torch.Tensor
    echo: torch.Tensor


class Projector:
    """
    The projecting part of a Backprojection.

    Parameters
    ----------
    model : Backprojection
        The network; not changed.
    net : Backprojection
        The same with weights of as many bits as wanted, which are not copied.
    cache_geometry : bool
        Whether to cache projections.

    """

    def __init__(self, model: Backprojection, net: Backprojection, cache_geometry: bool) -> None:
        assert net.pool.attend is not None and net.echoes is not None
        self._dtype, self._n_heads = net.view.weight.dtype, model.config.heads
        self._activation = in_place(model.activation)
        # Features are multiplied by one plus the gate; the one goes into the bias.
        gate: Any = net.gate[1]
        scaled, shifted = gate.bias.chunk(2)
        self._gate: tuple[torch.Tensor, torch.Tensor] = (
            gate.weight, torch.cat([1 + scaled, shifted]))
        # The mean is the output of one more head, for which all pairs have the same weight.
        self._attend = F.pad(net.pool.attend.weight, (0, 0, 0, 1)).T.contiguous()
        # So narrow a matrix is multiplied by faster where it is laid out like this one, too.
        self._echoes = net.echoes.weight.T.contiguous()
        self._view = net.view.weight.T.contiguous()
        self._mix = model.pool.mix.bias.data, model.pool.mix.weight.data.T.contiguous()
        self._scene = model.view.bias.data, model.scene.weight.data
        self._cache_geometry = cache_geometry
        self._caches: dict[GridCells, _ProjectionCache] = {}
        self._pairs: MicrophonePairs | None = None
        self.n_projected = 0
        """Cells that projections were computed for, and not taken from the cache."""

    def project(self, lag_features: LagFeatureTable, cells: GridCells,
                likely: torch.Tensor | None = None, chosen: torch.Tensor | None = None,
                reused: bool = False) -> torch.Tensor:
        """
        Compute the features of cells, pooled over all pairs.

        Parameters
        ----------
        lag_features : LagFeatureTable
            Of all pairs.
        cells : GridCells
            Of a grid.
        likely : torch.Tensor, optional
            Shape (V,): the cells' probabilities; needed where some are chosen.
        chosen : torch.Tensor, optional
            Indices of the cells to compute; all of them if left out.
        reused : bool
            Whether the same grid will be evaluated again, so that it pays to cache projections.

        Returns
        -------
        torch.Tensor
            Shape (V', D), float32, of the chosen cells.

        """
        projection = self._projection(lag_features, cells, likely, chosen,
                                      reused and self._cache_geometry)
        n_cells, n_pairs = projection.echo_rows.shape[:2]
        at_once = max(1, _ROWS_AT_ONCE // n_pairs)
        if n_cells <= at_once:
            return self._pool(lag_features, projection)
        return torch.cat([self._pool(lag_features, projection[k:k + at_once])
                          for k in range(0, n_cells, at_once)])

    def _projection(self, lag_features: LagFeatureTable, cells: GridCells,
                    likely: torch.Tensor | None, chosen: torch.Tensor | None,
                    reused: bool) -> Projection:
        """Return the projection to cells, from the cache as far as it goes."""
        pairs = lag_features.pairs
        if self._pairs is not pairs:
            self._pairs = pairs
            self._caches.clear()
        # For microphones that move all the time the cache would cost more than it saves.
        if not (reused and lag_features.still):
            return self._gated_projection(pairs, cells, chosen)
        if cells not in self._caches:
            if len(self._caches) == _CACHED_GRIDS:
                del self._caches[next(iter(self._caches))]
            self._caches[cells] = _ProjectionCache(len(cells.points))
        return self._caches[cells].get(
            chosen, likely, lambda some: self._gated_projection(pairs, cells, some))

    def _gated_projection(self, pairs: MicrophonePairs, cells: GridCells,
                          chosen: torch.Tensor | None) -> Projection:
        """Compute the projection to cells, all or some, and its gates."""
        points = cells.points if chosen is None else cells.points[chosen]
        self.n_projected += len(points)
        projection, geometry = project_pairs(pairs, points, cells.room_dims, self._dtype)
        scene = torch.addmv(*self._scene, cells.context).to(self._dtype)
        hidden = self._activation(torch.addmm(scene, geometry.flatten(0, 1), self._view))
        gates = F.linear(hidden, *self._gate).view(*geometry.shape[:2], -1)
        scale, shift = gates.chunk(2, dim=-1)
        return projection.gated(scale, shift)

    def _pool(self, lag_features: LagFeatureTable, projection: Projection) -> torch.Tensor:
        """Gather features from all pairs, gate and pool them, of cells that a cache can hold."""
        assert projection.scale is not None and projection.shift is not None
        n_cells, n_pairs = projection.echo_rows.shape[:2]
        n_rows = n_cells * n_pairs
        direct = F.embedding_bag(
            projection.direct_rows.flatten(0, 1), lag_features.direct, mode='sum',
            per_sample_weights=projection.direct_weights.flatten(0, 1))
        # Four walls together, the floor and the ceiling; two reflections off each.
        echoes = F.embedding_bag(
            projection.echo_rows.flatten(), lag_features.echo, _echo_starts(n_rows), mode='sum',
            per_sample_weights=projection.echo_weights.flatten())
        direct.addmm_(echoes.view(n_rows, -1), self._echoes)
        features = self._activation(torch.addcmul(
            projection.shift.flatten(0, 1), direct, projection.scale.flatten(0, 1)))

        # PairPooling, whose heads and mean are rows of one matrix product for each cell. A bias
        # that all pairs share does not change their softmax, whose sum is divided by at the end.
        votes = (features @ self._attend).clamp_(-_MAX_LOGIT, _MAX_LOGIT).exp_()
        votes = votes.view(n_cells, n_pairs, -1)  # (V, P, H + 1)
        pooled = (votes.mT @ features.view(n_cells, n_pairs, -1)).float()  # (V, H + 1, D)
        pooled /= votes.sum(dim=1, dtype=torch.float32)[..., None]
        own = pooled[:, :-1].unflatten(2, (self._n_heads, -1)).diagonal(dim1=1, dim2=2)
        bias, weight = self._mix
        return torch.addmm(bias, torch.cat([pooled[:, -1], own.mT.flatten(1)], dim=1), weight)


class _ProjectionCache:
    """
    The projection to the cells of one grid, each computed when it is first needed.

    Parameters
    ----------
    n_cells : int
        V.

    """

    def __init__(self, n_cells: int) -> None:
        self._known = torch.zeros(n_cells, dtype=torch.bool)
        self._projection: Projection | None = None

    def get(self, chosen: torch.Tensor | None, likely: torch.Tensor | None,
            compute: Callable[[torch.Tensor | None], Projection]) -> Projection:
        """Return the projection to chosen cells, or all; `compute` is called for missing ones."""
        if chosen is None or likely is None:
            if self._projection is None or not self._known.all():
                self._projection = compute(None)
                self._known[:] = True
            return self._projection
        n_new = len(chosen) - int(self._known[chosen].sum())
        if self._projection is None or n_new:
            # The chosen cells that are not known come first, then, in steps, the next likeliest.
            wanted = likely.index_fill(0, chosen, 2.0).masked_fill_(self._known, -1.0)
            n_new = min(round_up_cells(n_new), len(likely) - int(self._known.sum()))
            new = wanted.topk(n_new, sorted=False).indices
            projection = compute(new)
            if self._projection is None:
                self._projection = projection.empty_like(len(likely))
            self._projection[new] = projection
            self._known[new] = True
        return self._projection.of(chosen)


@lru_cache(maxsize=32)
def _echo_starts(n_rows: int) -> torch.Tensor:
    """Return where bags of reflections begin: eight off walls, two off the floor, the rest."""
    first = 12 * torch.arange(n_rows, dtype=torch.int32)
    return (first[:, None] + torch.tensor([0, 8, 10], dtype=torch.int32)).flatten()
