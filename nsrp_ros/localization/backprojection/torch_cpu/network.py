"""
The back-projection network on a processor: one scene, with approximations that save time.

The equations are those of networks/backprojection.py, which stays the explanation and is what is
trained. On a processor that has other things to do, this is approximated, or computed in another
order:

* a grid is first evaluated with half as many cells along each side: only cells that may hold the
  talker are then computed, the others are interpolated;
* projections to cells are cached while microphones stand still (torch_cpu/cell_features.py);
* where there are many microphones, not all of their pairs are selected;
* where there is Numba, correlations are computed in compiled loops (torch_cpu/correlation.py);
* matrices have sixteen bits (bfloat16) where the processor multiplies those faster.

Shapes: M microphones, T samples, P pairs, K correlations, L lags, V = Z Y X cells, D channels.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.pair_selection import select_pairs
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.approximations import bfloat16_is_faster
from nsrp_ros.localization.backprojection.approximations import round_up_cells
from nsrp_ros.localization.backprojection.torch_cpu.cell_features import LagFeatureTable
from nsrp_ros.localization.backprojection.torch_cpu.cell_features import Projector
from nsrp_ros.localization.backprojection.torch_cpu.correlation import make_correlator
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import GridInterpolation
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import GridLogPosterior
from nsrp_ros.localization.backprojection.torch_cpu.projection import MicrophonePairs
from nsrp_ros.localization.backprojection.torch_cpu.readout import GridCells
from nsrp_ros.localization.backprojection.torch_cpu.readout import PosteriorReadout
from nsrp_ros.networks.backprojection import Backprojection
import torch
from torch import nn
from torch.nn import functional as F

_LAGS_AT_ONCE = 24000  # of some pairs together: what stays in a core's cache


class FastBackprojection:
    """
    A trained Backprojection, prepared for one scene after the other on the CPU.

    Parameters
    ----------
    model : Backprojection
        The network; not changed. It must have reflections and attention, see `supports`.
    approximations : Approximations
        What to approximate.

    """

    def __init__(self, model: Backprojection,
                 approximations: Approximations = Approximations()) -> None:
        self.model, self.config, self.approximations = model, model.config, approximations
        half = (bfloat16_is_faster() if approximations.bfloat16 is None
                else approximations.bfloat16)
        self.dtype = torch.bfloat16 if half else torch.float32

        self._net: Backprojection = deepcopy(model).to(  # type: ignore[call-overload]
            self.dtype, memory_format=torch.channels_last).requires_grad_(False)
        for layer in self._net.lags.modules():
            if isinstance(layer, nn.Conv1d):  # laid out as `_along_lags` needs them
                layer.weight.data = layer.weight[:, :, None].contiguous(
                    memory_format=torch.channels_last)
        self._correlator = make_correlator(self.config, self._net.weightings)
        self.readout = PosteriorReadout(model, self._net)
        self.projector = Projector(model, self._net, approximations.cache_geometry)
        self._pairs: MicrophonePairs | None = None

    @staticmethod
    def supports(model: Backprojection) -> bool:
        """Return whether a network has all the parts that are computed here."""
        return model.echoes is not None and model.pool.attend is not None

    def encode(self, signals: torch.Tensor, mic_positions: torch.Tensor) -> LagFeatureTable:
        """
        Compute the features of the lags of pairs.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (M, T), at the configuration's sample rate.
        mic_positions : torch.Tensor
            Shape (M, 3), metres.

        Returns
        -------
        LagFeatureTable
            For `evaluate_grid`.

        """
        before, pairs = self._pairs, self._current_pairs(mic_positions)
        correlate = self._correlator.prepare(signals, int(pairs.n_lags[-1]))
        features = []
        for start, stop, n_lags in _groups(pairs.n_lags.tolist()):
            correlations = correlate(pairs.pairs[start:stop], n_lags)
            of_lags = self._lag_features(correlations, pairs.spacing[start:stop], n_lags)
            features.append(of_lags.tensor_split([self.config.map_channels], dim=1))
        direct, echo = (torch.cat(parts) for parts in zip(*features, strict=True))
        return LagFeatureTable(pairs, pairs is before, direct, echo)

    def evaluate_grid(self, lag_features: LagFeatureTable, room_dims: torch.Tensor,
                      area: torch.Tensor, shape: tuple[int, int, int],
                      coarse: GridLogPosterior | None = None) -> GridLogPosterior:
        """
        Project lag features back to the cells of an area.

        Parameters
        ----------
        lag_features : LagFeatureTable
            By `encode`.
        room_dims, area : torch.Tensor
            Shapes (3,) and (2, 3), metres; see `Backprojection.forward`.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.
        coarse : GridLogPosterior, optional
            The posterior over a coarser grid around this one: only cells that are likely by it
            are computed. Without it, one with half as many cells along each side is evaluated
            first.

        Returns
        -------
        GridLogPosterior
            See there.

        """
        if not self.approximations.refine_below:
            return self._evaluate(lag_features, room_dims, area, shape, None, True)
        if coarse is not None:
            return self._evaluate(lag_features, room_dims, area, shape, coarse, False)
        halves = (shape[0] + 1) // 2, (shape[1] + 1) // 2, (shape[2] + 1) // 2
        coarse = self._evaluate(lag_features, room_dims, area, halves, None, True)
        return self._evaluate(lag_features, room_dims, area, shape, coarse, True)

    def _evaluate(self, lag_features: LagFeatureTable, room_dims: torch.Tensor,
                  area: torch.Tensor, shape: tuple[int, int, int],
                  coarse: GridLogPosterior | None, reused: bool) -> GridLogPosterior:
        """Evaluate all cells, or those that are likely by a coarser grid."""
        cells = self.readout.cells(room_dims, area, shape, len(lag_features.pairs.mics))
        if coarse is None:
            features = self.projector.project(lag_features, cells, reused=reused)
        else:
            features = self._refine(lag_features, cells,
                                    GridInterpolation.of(coarse, area, shape), reused)
        log_posterior, presence = self.readout.read(features, cells, coarse is None)
        # Presence depends on all cells alike, and interpolated ones would blur it.
        if coarse is not None:
            presence = coarse.presence
        assert presence is not None
        return GridLogPosterior(area, features.unflatten(0, shape), log_posterior, presence)

    def _refine(self, lag_features: LagFeatureTable, cells: GridCells,
                interpolation: GridInterpolation, reused: bool) -> torch.Tensor:
        """Compute the features (V, D) of the likely ones of cells, interpolate the others'."""
        likely = interpolation.largest_probability()
        wanted = likely > self.approximations.refine_below * likely.max()
        n_chosen = round_up_cells(int(wanted.count_nonzero()))
        if n_chosen >= len(likely):
            return self.projector.project(lag_features, cells, reused=reused)
        chosen = likely.topk(n_chosen, sorted=False).indices
        features = interpolation.features()
        return features.index_copy_(
            0, chosen, self.projector.project(lag_features, cells, likely, chosen, reused))

    def _current_pairs(self, mics: torch.Tensor) -> MicrophonePairs:
        """Return the selected pairs; the same object as before if microphones stand still."""
        if self._pairs is None or not torch.equal(mics, self._pairs.mics):
            self._pairs = self._select_pairs(mics)
        return self._pairs

    def _select_pairs(self, mics: torch.Tensor) -> MicrophonePairs:
        """Select pairs, the closest first, and the largest lag of each to evaluate."""
        cfg, margin = self.config, self.approximations.lag_margin
        pairs = torch.from_numpy(  # (P, 2)
            select_pairs(mics.numpy(), self.approximations.pairs_per_microphone))
        spacing = torch.linalg.vector_norm(mics[pairs[:, 0]] - mics[pairs[:, 1]], dim=-1)
        possible = spacing * lags_per_metre(cfg.sample_rate)
        longest = possible[-1:] + cfg.lag_margin
        wanted = longest.expand_as(possible) if margin is None else possible + margin
        # Lags come in few sizes, since kernels are compiled for each size.
        n_lags = (wanted.minimum(longest) / LAG_STEP).ceil().long() * LAG_STEP
        n_lags = n_lags.clamp(max=cfg.n_fft // 2 - STRIDE)
        return MicrophonePairs.of(mics, pairs, spacing, n_lags, cfg.sample_rate)

    def _lag_features(self, correlations: torch.Tensor, spacing: torch.Tensor,
                      n_lags: int) -> torch.Tensor:
        """Compute features of pairs of equal lags: (P, K, L) to (P (L / 2 + 2.5), D + E)."""
        lag = torch.arange(-n_lags, n_lags + 1) / self.config.sample_rate
        n_pairs, n_correlations, length = correlations.shape
        # Channels last, which is how convolutions are matrix products: (P, 1, L, K + 2).
        known = torch.empty(n_pairs, 1, length, n_correlations + 2, dtype=self.dtype)
        known[:, 0, :, :-2] = correlations.transpose(1, 2)
        known[:, 0, :, -2] = (lag * SPEED_OF_SOUND / spacing[:, None]).clamp(-1.5, 1.5)
        known[:, 0, :, -1] = spacing[:, None] / 10
        features = _along_lags(self._net.lags.first, known.permute(0, 3, 1, 2))  # (P, C, 1, L / 2)
        blocks: list[Any] = list(self._net.lags.blocks)
        for first, widen, second, narrow in blocks:
            hidden = _along_lags(widen, first(features))
            features += _along_lags(narrow, second(hidden))
        features = _along_lags(self._net.lags.last, features)[:, :, 0].transpose(1, 2)
        return F.pad(features, (0, 0, 1, 1)).flatten(0, 1)


def _groups(n_lags: list[int]) -> Iterator[tuple[int, int, int]]:
    """Split pairs, sorted by their lags, into runs (start, stop, lags) of one size each."""
    start = 0
    for stop in range(1, len(n_lags) + 1):
        lags = n_lags[start]
        if (stop == len(n_lags) or n_lags[stop] != lags
                or (stop - start + 1) * 2 * lags > _LAGS_AT_ONCE):
            yield start, stop, lags
            start = stop


def _along_lags(layer: nn.Conv1d, features: torch.Tensor) -> torch.Tensor:
    """Apply a Conv1d to (P, C, 1, L), since only Conv2d supports channels-last memory."""
    padding = layer.padding[0]
    assert not isinstance(padding, str)
    return F.conv2d(features, layer.weight, layer.bias, (1, layer.stride[0]), (0, padding),
                    (1, layer.dilation[0]))
