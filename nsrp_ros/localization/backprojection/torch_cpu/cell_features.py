"""
What pairs have heard, projected to cells on a processor, for torch_cpu/network.py.

The equations are those of `Backprojection.look`. How pairs see a cell, and so what the features
found for it are multiplied by, depends on positions alone: while microphones stand still, it is
remembered for every cell of the map that was ever computed.

Shapes: P pairs, V cells, D channels, H heads.
"""

from functools import lru_cache

from nsrp_ros.localization.backprojection.approximations import cells_in_steps
from nsrp_ros.localization.backprojection.torch_cpu.projection import see
from nsrp_ros.localization.backprojection.torch_cpu.projection import Sight
from nsrp_ros.localization.backprojection.torch_cpu.readout import in_place
import torch
from torch.nn import functional as F

_ROWS_AT_ONCE = 12288  # pairs times cells: what stays in a core's cache
_LOUDEST_VOTE = 40.0  # of logits that pairs attend by: e to it is far below the largest number
_AREAS = 2  # that are remembered: the map, and the same with half as many cells along each side


class Projector:
    """
    The projecting part of a Backprojection.

    Parameters
    ----------
    model : Backprojection
        The network; left as it is.
    net : Backprojection
        The same with weights of as many bits as wanted, which are not copied.
    remember : bool
        Whether to remember how pairs see cells.

    """

    def __init__(self, model, net, remember):
        self._dtype, self._n_heads = net.view.weight.dtype, model.config.heads
        self._activation = in_place(model.activation)
        # Features are multiplied by one plus the gate; the one goes into the bias.
        weight, bias = net.gate[1].weight, net.gate[1].bias
        scaled, shifted = bias.chunk(2)
        self._gate = weight, torch.cat([1 + scaled, shifted])
        # The mean is what one more head finds, to which all pairs are the same.
        self._attend = F.pad(net.pool.attend.weight, (0, 0, 0, 1)).T.contiguous()
        # So narrow a matrix is multiplied by faster where it is laid out like this one, too.
        self._echoes = net.echoes.weight.T.contiguous()
        self._view = net.view.weight.T.contiguous()
        self._mix = model.pool.mix.bias.data, model.pool.mix.weight.data.T.contiguous()
        self._scene = model.view.bias.data, model.scene.weight.data
        self._remember, self._known = remember, {}
        self._listeners = None

    def project(self, heard, cells, likely=None, chosen=None, stays=False):
        """
        Compute what all pairs together say of cells.

        Parameters
        ----------
        heard : QuickHeard
            What they have heard.
        cells : Cells
            Of an area.
        likely : torch.Tensor, optional
            Shape (V,): how likely the cells are; needed where some are chosen.
        chosen : torch.Tensor, optional
            Indices of the cells that are asked for; all of them if left out.
        stays : bool
            Whether the same cells will be asked for again, so that it pays to remember them.

        Returns
        -------
        torch.Tensor
            Shape (V', D), float32, of the chosen cells.

        """
        sight = self._sight(heard, cells, likely, chosen, stays and self._remember)
        n_cells, n_pairs = sight.echo_rows.shape[:2]
        at_once = max(1, _ROWS_AT_ONCE // n_pairs)
        if n_cells <= at_once:
            return self._project_some(heard, sight)
        return torch.cat([self._project_some(heard, sight[k:k + at_once])
                          for k in range(0, n_cells, at_once)])

    def _sight(self, heard, cells, likely, chosen, stays):
        """Return how pairs see cells, from memory as far as it goes."""
        listeners = heard.listeners
        if self._listeners is not listeners:
            self._listeners = listeners
            self._known.clear()
        # For microphones that move on and on it would take time to remember.
        if not (stays and heard.still):
            return self._see(listeners, cells, chosen)
        if cells not in self._known:
            if len(self._known) == _AREAS:
                del self._known[next(iter(self._known))]
            self._known[cells] = _Memory(len(cells.points))
        return self._known[cells].recall(
            chosen, likely, lambda some: self._see(listeners, cells, some))

    def _see(self, listeners, cells, chosen):
        """Compute how pairs see cells, all or some, and the gates that follow from it."""
        points = cells.points if chosen is None else cells.points[chosen]
        sight, views = see(listeners, points, cells.room_dims, self._dtype)
        scene = torch.addmv(*self._scene, cells.context).to(self._dtype)
        hidden = self._activation(torch.addmm(scene, views.flatten(0, 1), self._view))
        gates = F.linear(hidden, *self._gate).view(*views.shape[:2], -1)
        return sight.gated(*gates.chunk(2, dim=-1))

    def _project_some(self, heard, sight):
        """Gather features from all pairs, gate and pool them, of cells that a cache can hold."""
        n_cells, n_pairs = sight.echo_rows.shape[:2]
        n_rows = n_cells * n_pairs
        direct = F.embedding_bag(sight.direct_rows.flatten(0, 1), heard.direct, mode='sum',
                                 per_sample_weights=sight.direct_weights.flatten(0, 1))
        # Four walls, the floor and the ceiling are told apart; two echoes of each.
        echoes = F.embedding_bag(sight.echo_rows.flatten(), heard.echo, _echo_starts(n_rows),
                                 mode='sum', per_sample_weights=sight.echo_weights.flatten())
        direct.addmm_(echoes.view(n_rows, -1), self._echoes)
        features = self._activation(torch.addcmul(
            sight.shift.flatten(0, 1), direct, sight.scale.flatten(0, 1)))

        # PairPooling, whose heads and mean are rows of one matrix product for each cell. A bias
        # that all pairs share does not change their softmax, whose sum is divided by at the end.
        votes = (features @ self._attend).clamp_(-_LOUDEST_VOTE, _LOUDEST_VOTE).exp_()
        votes = votes.view(n_cells, n_pairs, -1)  # (V, P, H + 1)
        pooled = (votes.mT @ features.view(n_cells, n_pairs, -1)).float()  # (V, H + 1, D)
        pooled /= votes.sum(dim=1, dtype=torch.float32)[..., None]
        own = pooled[:, :-1].unflatten(2, (self._n_heads, -1)).diagonal(dim1=1, dim2=2)
        bias, weight = self._mix
        return torch.addmm(bias, torch.cat([pooled[:, -1], own.mT.flatten(1)], dim=1), weight)


class _Memory:
    """
    How pairs see the cells of one area, each computed when it is first asked for.

    Parameters
    ----------
    n_cells : int
        V.

    """

    def __init__(self, n_cells):
        self._known = torch.zeros(n_cells, dtype=torch.bool)
        self._sight: Sight | None = None

    def recall(self, chosen, likely, compute):
        """Return the Sight of chosen cells, or all; `compute` gives that of indices or all."""
        if chosen is None:
            if self._sight is None or not self._known.all():
                self._sight = compute(None)
                self._known[:] = True
            return self._sight
        n_new = len(chosen) - int(self._known[chosen].sum())
        if self._sight is None or n_new:
            # Those chosen that are not known come first, then, in steps, the next likeliest.
            wanted = likely.index_fill(0, chosen, 2.0).masked_fill_(self._known, -1.0)
            n_new = min(cells_in_steps(n_new), len(likely) - int(self._known.sum()))
            new = wanted.topk(n_new, sorted=False).indices
            sight = compute(new)
            if self._sight is None:
                self._sight = sight.room_for(len(likely))
            self._sight[new] = sight
            self._known[new] = True
        return self._sight.of(chosen)


@lru_cache(maxsize=32)
def _echo_starts(n_rows):
    """Return where the bags of echoes begin: eight of walls, two of the floor, two above."""
    first = 12 * torch.arange(n_rows, dtype=torch.int32)
    return (first[:, None] + torch.tensor([0, 8, 10], dtype=torch.int32)).flatten()
