"""
The back-projection network on a processor: one scene, as little work as its answer needs.

The equations are those of backprojection.py, which stays the explanation and what is trained; here
is what a processor that has other things to do leaves out, or does in another order:

* a look at an area starts from a look at half as many cells along each side: only cells that may
  hold the talker are computed, the others are interpolated;
* how pairs see cells is remembered while microphones stand still (torch_cpu/cell_features.py);
* where there are many microphones, not all of their pairs are asked;
* where there is Numba, correlations are computed in compiled loops (torch_cpu/correlation.py);
* matrices have sixteen bits (bfloat16) where the processor multiplies those faster.

Shapes: M microphones, T samples, P pairs, K correlations, L lags, V = Z Y X cells, D channels.
"""

from copy import deepcopy
from dataclasses import dataclass

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.pair_selection import chosen_pair_indices
from nsrp_ros.localization.backprojection.approximations import bfloat16_pays
from nsrp_ros.localization.backprojection.approximations import cells_in_steps
from nsrp_ros.localization.backprojection.approximations import Shortcuts
from nsrp_ros.localization.backprojection.torch_cpu.cell_features import Projector
from nsrp_ros.localization.backprojection.torch_cpu.correlation import correlator
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import Neighbours
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import View
from nsrp_ros.localization.backprojection.torch_cpu.projection import Listeners
from nsrp_ros.localization.backprojection.torch_cpu.readout import Reader
import torch
from torch import nn
from torch.nn import functional as F

_LAGS_AT_ONCE = 24000  # of some pairs together: what stays in a core's cache


@dataclass(frozen=True)
class QuickHeard:
    """
    What the pairs of one scene have heard.

    Attributes
    ----------
    listeners : Listeners
        The pairs; the same object for as long as microphones stand still.
    still : bool
        Whether they stand where they stood when last something was heard.
    direct, echo : torch.Tensor
        Shapes (R, D) and (R, E): the lag features of all pairs, one below the other.

    """

    listeners: Listeners
    still: bool
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
        for layer in self._net.lags.modules():
            if isinstance(layer, nn.Conv1d):  # laid out as `_along_lags` needs them
                layer.weight.data = layer.weight[:, :, None].contiguous(
                    memory_format=torch.channels_last)
        self._correlator = correlator(self.config, self._net.weightings)
        self._reader = Reader(model, self._net)
        self._projector = Projector(model, self._net, shortcuts.remember)
        self._listeners: Listeners | None = None

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
        before, listeners = self._listeners, self._listening(mic_positions)
        correlations_of = self._correlator.listen(signals, int(listeners.n_lags[-1]))
        features = []
        for start, stop, n_lags in _groups(listeners.n_lags.tolist()):
            correlations = correlations_of(listeners.pairs[start:stop], n_lags)
            described = self._describe(correlations, listeners.spacing[start:stop], n_lags)
            features.append(described.tensor_split([self.config.map_channels], dim=1))
        direct, echo = (torch.cat(parts) for parts in zip(*features, strict=True))
        return QuickHeard(listeners, listeners is before, direct, echo)

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
            return self._look(heard, room_dims, area, shape, None, True)
        if before is not None:
            return self._look(heard, room_dims, area, shape, before, False)
        halves = tuple((n + 1) // 2 for n in shape)
        before = self._look(heard, room_dims, area, halves, None, True)
        return self._look(heard, room_dims, area, shape, before, True)

    def _look(self, heard, room_dims, area, shape, before, stays):
        """Look at all cells, or at those that an earlier look found likely."""
        cells = self._reader.cells(room_dims, area, shape, len(heard.listeners.mics))
        if before is None:
            features = self._projector.project(heard, cells, stays=stays)
        else:
            features = self._look_again(heard, cells, Neighbours.of(before, area, shape), stays)
        log_posterior, presence = self._reader.read(features, cells, before is None)
        # Whether anybody talks is told by all cells alike, interpolated ones would blur it.
        return View(area, features.unflatten(0, shape), log_posterior,
                    presence if before is None else before.presence)

    def _look_again(self, heard, cells, neighbours, stays):
        """Compute the features (V, D) of the likely ones of cells, interpolate the others'."""
        likely = neighbours.likely()
        wanted = likely > self.shortcuts.doubt * likely.max()
        n_chosen = cells_in_steps(int(wanted.count_nonzero()))
        if n_chosen >= len(likely):
            return self._projector.project(heard, cells, stays=stays)
        chosen = likely.topk(n_chosen, sorted=False).indices
        features = neighbours.features()
        return features.index_copy_(
            0, chosen, self._projector.project(heard, cells, likely, chosen, stays))

    def _listening(self, mics):
        """Return the pairs to ask; the same object as last time if microphones stand still."""
        if self._listeners is None or not torch.equal(mics, self._listeners.mics):
            self._listeners = self._choose(mics)
        return self._listeners

    def _choose(self, mics):
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


def chosen_pairs(mic_positions, partners=None):
    """Do what `chosen_pair_indices` does for tensors on the CPU, and return one."""
    return torch.from_numpy(chosen_pair_indices(mic_positions.numpy(), partners))
