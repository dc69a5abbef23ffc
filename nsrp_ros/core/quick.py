"""
The back-projection network on a processor: one scene, as little work as its answer needs.

The equations are those of backprojection.py, which stays the explanation and what is trained; here
is what a processor that has other things to do leaves out, or does in another order:

* a look at an area starts from a look at half as many cells along each side: only cells that may
  hold the talker are computed, the others are interpolated;
* how pairs see cells is remembered while microphones stand still (sight.py);
* where there are many microphones, not all of their pairs are asked;
* matrices have sixteen bits (bfloat16) where the processor multiplies those faster.

Shapes: M microphones, T samples, P pairs, K correlations, L lags, V = Z Y X cells, D channels.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

from nsrp_ros.core.backprojection import area_points
from nsrp_ros.core.backprojection import cell_context
from nsrp_ros.core.correlation import correlate
from nsrp_ros.core.correlation import microphone_spectra
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.layers import STRIDE
from nsrp_ros.core.pairs import chosen_pairs
from nsrp_ros.core.shortcuts import bfloat16_pays
from nsrp_ros.core.shortcuts import CELLS_STEP
from nsrp_ros.core.shortcuts import LAG_STEP
from nsrp_ros.core.shortcuts import Shortcuts
from nsrp_ros.core.sight import Listeners
from nsrp_ros.core.sight import see
from nsrp_ros.core.view import interpolate
from nsrp_ros.core.view import View
import torch
from torch import nn
from torch.nn import functional as F

_LAGS_AT_ONCE = 12000  # of some pairs together: what stays in a core's cache
_ROWS_AT_ONCE = 12288  # pairs times cells, for the same reason
_LOUDEST_VOTE = 40.0  # of logits that pairs attend by: e to it is far below the largest number


@dataclass(frozen=True)
class QuickHeard:
    """
    What the pairs of one scene have heard.

    Attributes
    ----------
    listeners : Listeners
        The pairs.
    direct, echo : torch.Tensor
        Shapes (R, D) and (R, E): the lag features of all pairs, one below the other.

    """

    listeners: Listeners
    direct: torch.Tensor
    echo: torch.Tensor


class QuickBackprojection:
    """
    A trained Backprojection, made ready for one scene after the other on the CPU.

    Parameters
    ----------
    model : Backprojection
        The network; left as it is. It must look for echoes and attend to pairs, see `fits`.
    shortcuts : Shortcuts
        What to leave out.

    """

    def __init__(self, model, shortcuts=Shortcuts()):
        self.model, self.config, self.shortcuts = model, model.config, shortcuts
        half = bfloat16_pays() if shortcuts.bfloat16 is None else shortcuts.bfloat16
        self.dtype = torch.bfloat16 if half else torch.float32

        self._net = deepcopy(model).to(
            self.dtype, memory_format=torch.channels_last).requires_grad_(False)
        # Scores, whose differences count, keep all their bits.
        self._net.presence, self._net.point_score = model.presence, model.point_score
        self._net.floor.score = model.floor.score
        for layer in self._net.lags.modules():
            if isinstance(layer, nn.Conv1d):  # laid out as `_along_lags` needs them
                layer.weight.data = layer.weight[:, :, None].contiguous(
                    memory_format=torch.channels_last)
        weight, bias = self._net.gate[1].weight, self._net.gate[1].bias
        # Features are multiplied by one plus the gate; the one goes into the bias.
        self._scale, self._shift = zip(weight.chunk(2), (bias + _ones_first(bias)).chunk(2),
                                       strict=True)
        self._remembered: tuple | None = None  # where all was, and how pairs see cells there

    @staticmethod
    def fits(model):
        """Return whether a network has all the parts that are made quick here."""
        return model.echoes is not None and model.pool.attend is not None

    def hear(self, signals, mic_positions):
        """
        Describe the lags of pairs.

        Parameters
        ----------
        signals : torch.Tensor
            Shape (M, T), at the configuration's sample rate.
        mic_positions : torch.Tensor
            Shape (M, 3), metres.

        Returns
        -------
        QuickHeard
            To be looked at with `look`.

        """
        listeners = self._listeners(mic_positions)
        spectra = microphone_spectra(signals[None], int(listeners.n_lags[-1]), self.config,
                                     self._net.weightings)
        pairs = torch.stack([listeners.first, listeners.second], dim=1)
        features = []
        for start, stop, n_lags in _groups(listeners.n_lags.tolist()):
            correlations = correlate(spectra, pairs[start:stop], n_lags, self.config)[0]
            features.append(self._describe(correlations, listeners.spacing[start:stop], n_lags))
        direct, echo = torch.cat(features).split(
            [self.config.map_channels, self.config.echo_channels], dim=1)
        return QuickHeard(listeners, direct.contiguous(), echo.contiguous())

    def look(self, heard, room_dims, area, shape, before=None):
        """
        Project what was heard back to the cells of an area.

        Parameters
        ----------
        heard : QuickHeard
            By `hear`.
        room_dims, area : torch.Tensor
            Shapes (3,) and (2, 3), metres; see `Backprojection.forward`.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.
        before : View, optional
            An earlier look at an area that this one is in: only cells that it found likely are
            computed. Without one, such a look is taken at half as many cells along each side.

        Returns
        -------
        View
            See there.

        """
        if not self.shortcuts.doubt:
            return self._look(heard, room_dims, area, shape, None)
        if before is None:
            halves = tuple((n + 1) // 2 for n in shape)
            before = self._look(heard, room_dims, area, halves, None)
        return self._look(heard, room_dims, area, shape, before)

    def _look(self, heard, room_dims, area, shape, before):
        """Look at all cells, or at those that an earlier look found likely."""
        listeners, n_mics = heard.listeners, len(heard.listeners.mics)
        points = area_points(area[None], shape)[0].flatten(0, 2)  # (V, 3)
        context = cell_context(area[None], shape, n_mics)[0]
        if before is None:
            features = self._project(heard, *self._sight(listeners, points, room_dims, context))
        else:
            features, likely = interpolate(before, area, shape)  # (V, D), (V,)
            n_likely = int((likely > self.shortcuts.doubt * likely.max()).sum())
            n_chosen = min(CELLS_STEP * -(-n_likely // CELLS_STEP), len(likely))
            chosen = likely.topk(n_chosen, sorted=False).indices
            sight = see(listeners, points[chosen], room_dims, self.dtype)
            features[chosen] = self._project(heard, sight, *self._gates(sight, context))
        log_posterior, presence = self._net.read(
            features[None].to(self.dtype), room_dims[None], area[None], shape, n_mics)
        # Whether anybody talks is told by all cells alike, interpolated ones would blur it.
        heard_anybody = presence[0] if before is None else before.presence
        return View(area, features.unflatten(0, shape), log_posterior[0], heard_anybody)

    def _listeners(self, mics):
        """Choose pairs, the closest first, and how many of their lags to look at."""
        cfg, margin = self.config, self.shortcuts.lag_margin
        pairs = chosen_pairs(mics, self.shortcuts.partners)  # (P, 2)
        spacing = torch.linalg.vector_norm(mics[pairs[:, 0]] - mics[pairs[:, 1]], dim=-1)
        possible = spacing * (cfg.sample_rate / SPEED_OF_SOUND)
        longest = possible[-1:] + cfg.lag_margin
        wanted = longest.expand_as(possible) if margin is None else possible + margin
        # Lags come in few sizes, since kernels are compiled for each size.
        n_lags = (wanted.minimum(longest) / LAG_STEP).ceil().long() * LAG_STEP
        n_lags = n_lags.clamp(max=cfg.n_fft // 2 - STRIDE)
        return Listeners.of(mics, pairs, spacing, n_lags, cfg.sample_rate)

    def _describe(self, correlations, spacing, n_lags):
        """Describe the lags of pairs that have as many: (P, K, L) to (P (L / 2 + 2.5), D + E)."""
        lag = torch.arange(-n_lags, n_lags + 1) / self.config.sample_rate
        n_pairs, n_correlations, length = correlations.shape
        # Channels last, which is how convolutions are matrix products: (P, 1, L, K + 2).
        known = torch.empty(n_pairs, 1, length, n_correlations + 2, dtype=self.dtype)
        known[:, 0, :, :-2] = correlations.transpose(1, 2)
        known[:, 0, :, -2] = (lag * SPEED_OF_SOUND / spacing[:, None]).clamp(-1.5, 1.5)
        known[:, 0, :, -1] = spacing[:, None] / 10
        features = _along_lags(self._net.lags.first, known.permute(0, 3, 1, 2))  # (P, C, 1, L / 2)
        for first, widen, second, narrow in self._net.lags.blocks:
            hidden = _along_lags(widen, first(features))
            features += _along_lags(narrow, second(hidden))
        features = _along_lags(self._net.lags.last, features)[:, :, 0].transpose(1, 2)
        return F.pad(features, (0, 0, 1, 1)).flatten(0, 1)

    def _sight(self, listeners, points, room_dims, context):
        """Return how pairs see the cells of a first look, and their gates: mostly remembered."""
        key = [listeners.mics, listeners.first, listeners.second, points, room_dims, context]
        if self._remembered is not None:
            known, seen = self._remembered
            if all(torch.equal(*both) for both in zip(known, key, strict=True)):
                return seen
        sight = see(listeners, points, room_dims, self.dtype)
        seen = sight, *self._gates(sight, context)
        if self.shortcuts.remember:
            self._remembered = key, seen
        return seen

    def _gates(self, sight, context):
        """Compute what features are multiplied by, and what is added: both (V P, D)."""
        hidden = self._net.view(sight.views.flatten(0, 1))
        hidden += self.model.scene(context).to(self.dtype)
        hidden = self._net.gate[0](hidden)
        return F.linear(hidden, *self._scale), F.linear(hidden, *self._shift)

    def _project(self, heard, sight, scale, shift):
        """Gather the features of cells from all pairs, gate and pool them: (V, D)."""
        n_cells, n_pairs = sight.views.shape[:2]
        at_once = max(1, _ROWS_AT_ONCE // n_pairs)
        parts = []
        for k in range(0, n_cells, at_once):
            rows = slice(k * n_pairs, (k + at_once) * n_pairs)
            parts.append(self._project_some(heard, sight[k:k + at_once], scale[rows],
                                            shift[rows]))
        return torch.cat(parts)

    def _project_some(self, heard, sight, scale, shift):
        """Do what `_project` does for as many cells as the processor's cache holds."""
        n_cells, n_pairs = sight.views.shape[:2]
        n_rows, n_heads = n_cells * n_pairs, self.config.heads
        direct = F.embedding_bag(sight.direct_rows.flatten(0, 1), heard.direct, mode='sum',
                                 per_sample_weights=sight.direct_weights.flatten(0, 1))
        # Four walls, the floor and the ceiling are told apart; two echoes of each.
        echoes = F.embedding_bag(sight.echo_rows.flatten(), heard.echo, _echo_starts(n_rows),
                                 mode='sum', per_sample_weights=sight.echo_weights.flatten())
        features = torch.addmm(direct, echoes.view(n_rows, -1), self._net.echoes.weight.T)
        features = self._net.activation(torch.addcmul(shift, features, scale))

        # PairPooling, whose heads and mean are rows of one matrix product for each cell. A bias
        # that all pairs share does not change their softmax, whose sum is divided by at the end.
        votes = features @ self._net.pool.attend.weight.T  # (V P, H)
        votes = votes.clamp_(-_LOUDEST_VOTE, _LOUDEST_VOTE).exp_()
        votes = torch.cat([votes, votes.new_ones(n_rows, 1)], dim=1).unflatten(0, (n_cells, -1))
        pooled = (votes.mT @ features.unflatten(0, (n_cells, -1))).float()  # (V, H + 1, D)
        pooled /= votes.sum(dim=1, dtype=torch.float32)[..., None]
        own = pooled[:, :-1].unflatten(2, (n_heads, -1)).diagonal(dim1=1, dim2=2).mT.flatten(1)
        return self.model.pool.mix(torch.cat([pooled[:, -1], own], dim=1))


def _groups(n_lags):
    """Split pairs, sorted by their lags, into runs (start, stop, lags) of one size each."""
    start = 0
    for stop in range(1, len(n_lags) + 1):
        lags = n_lags[start]
        if (stop == len(n_lags) or n_lags[stop] != lags
                or (stop - start + 1) * 2 * lags > _LAGS_AT_ONCE):
            yield start, stop, lags
            start = stop


def _along_lags(layer, features):
    """Apply a Conv1d to (P, C, 1, L): two dimensions know channels-last memory, one does not."""
    return F.conv2d(features, layer.weight, layer.bias, (1, layer.stride[0]),
                    (0, layer.padding[0]), (1, layer.dilation[0]))


def _ones_first(bias):
    """Return ones in the first half of a vector, zeros in the second."""
    ones = torch.zeros_like(bias)
    ones[:len(bias) // 2] = 1
    return ones


@lru_cache(maxsize=32)
def _echo_starts(n_rows):
    """Return where the bags of echoes begin: eight of walls, two of the floor, two above."""
    first = 12 * torch.arange(n_rows, dtype=torch.int32)
    return (first[:, None] + torch.tensor([0, 8, 10], dtype=torch.int32)).flatten()
