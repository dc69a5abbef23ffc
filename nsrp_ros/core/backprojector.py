"""A trained Backprojection at work: one window in, one estimate out."""

from functools import partial
import math

from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.core.estimate import Posterior
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.quick import QuickBackprojection
from nsrp_ros.core.shortcuts import FINEST
from nsrp_ros.core.shortcuts import Shortcuts
from nsrp_ros.core.view import View
import numpy as np
import torch

CLOSER = 1.5
"""Cells of the map, to either side of the likeliest place, that are looked at more closely."""


class Backprojector:
    """
    A trained Backprojection that locates one window.

    It looks twice: at the whole map, and then at finer cells around what it found there. How much
    of that is computed on a CPU is decided in quick.py.

    Parameters
    ----------
    model : Backprojection
        The network with its weights.
    device : str or torch.device
        Where it runs.
    shortcuts : Shortcuts or None
        What is left out on a CPU; None computes everything as backprojection.py has it.

    """

    def __init__(self, model, device='cpu', shortcuts=Shortcuts()):
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        quick = (shortcuts is not None and self.device.type == 'cpu'
                 and QuickBackprojection.fits(model))
        self._network = QuickBackprojection(model, shortcuts) if quick else _Plain(self.model)
        self._finer = shortcuts.finer if quick else FINEST

    @torch.inference_mode()
    def estimate(self, signals, mic_positions, room_dims, area=None, shape=None):
        """
        Locate the talker of one window.

        Parameters
        ----------
        signals, mic_positions, room_dims : numpy.ndarray
            As of `SrpPhat.estimate`.
        area : array_like, optional
            Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor
            that the talker is known to be in; the whole floor if left out.
        shape : tuple of int, optional
            Rows and columns of the map; the network's own grid if left out.

        Returns
        -------
        Estimate
            Its map is a posterior over cells that tile the area. Where fewer than two
            microphones hear anything at all it is flat, and nobody is present.

        Raises
        ------
        ValueError
            If the area is not inside the room or the shape is empty.

        """
        cfg = self.config
        corners = _corners(area, room_dims)
        rows, columns = shape or cfg.shape[1:]
        grid = Grid.over_box(corners[0], corners[1], columns, rows, cfg.heights)
        # A channel of zeros is a microphone that is not there.
        alive = np.asarray(signals).any(axis=1)
        if alive.sum() < 2:
            flat = np.full(grid.shape, 1 / math.prod(grid.shape))
            return from_posterior(Posterior(flat, grid.x, grid.y, grid.z), presence=0.0)

        tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)
        heard = self._network.hear(tensor(signals[alive]), tensor(mic_positions[alive]))
        look = partial(self._network.look, heard, tensor(room_dims))
        view = look(tensor(corners), grid.shape)
        whole = _posterior(view, grid)
        centre, reach = from_posterior(whole).position, CLOSER * whole.cell_size
        nearer = corners.copy()
        nearer[0, :2] = np.maximum(corners[0, :2], centre - reach)
        nearer[1, :2] = np.minimum(corners[1, :2], centre + reach)
        finer = Grid.over_box(nearer[0], nearer[1], self._finer, self._finer, cfg.heights)
        closer = _posterior(look(tensor(nearer), finer.shape, view), finer)
        return from_posterior(whole, closer, float(view.presence.sigmoid()))


class _Plain:
    """A Backprojection, all of it, behind the calls of QuickBackprojection."""

    def __init__(self, model):
        self._model = model

    def hear(self, signals, mic_positions):
        """Describe the lags of all pairs of one scene."""
        return self._model.hear(signals[None], mic_positions[None])

    def look(self, heard, room_dims, area, shape, before=None):
        """Look at all cells of an area, whatever was seen before."""
        log_posterior, presence = self._model.look(heard, room_dims[None], area[None], shape)
        return View(area, None, log_posterior[0], presence[0])


def _posterior(view, grid):
    """Return a look at a grid as NumPy has it."""
    return Posterior(view.log_posterior.exp().cpu().numpy(), grid.x, grid.y, grid.z)


def _corners(area, room_dims):
    """Return the box (2, 3) above an area of the floor, metres."""
    corners = np.stack([np.zeros(3), np.asarray(room_dims, dtype=np.float64)])
    if area is not None:
        area = np.asarray(area, dtype=np.float64)
        if (area.shape != (2, 2) or not np.isfinite(area).all() or (area[0] < 0).any()
                or (area[1] > corners[1, :2]).any() or (area[0] >= area[1]).any()):
            raise ValueError('area must be the lower and upper corner (x, y) of a part of the '
                             f'floor of {corners[1, 0]:g} x {corners[1, 1]:g} m, got '
                             f'{area.tolist()}')
        corners[:, :2] = area
    return corners
