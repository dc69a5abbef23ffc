"""A trained Backprojection at work: one window in, one estimate out."""

from functools import partial

from nsrp_ros.localization.backprojection.approximations import Shortcuts
from nsrp_ros.localization.backprojection.coarse_to_fine import locate
from nsrp_ros.localization.backprojection.coarse_to_fine import locate_all
from nsrp_ros.localization.backprojection.coarse_to_fine import Look
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import View
from nsrp_ros.localization.backprojection.torch_cpu.network import QuickBackprojection
import torch


class Backprojector:
    """
    A trained Backprojection that locates one window.

    It looks twice: at the whole map, and then at finer cells around what it found there. How much
    of that is computed on a CPU is decided in torch_cpu/network.py.

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
        tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)
        dims = tensor(room_dims)

        def listen(signals, mics):
            heard = self._network.hear(tensor(signals), tensor(mics))

            def look_at(corners, cells, before):
                view = self._network.look(heard, dims, tensor(corners), cells,
                                          before and before.memory)
                return Look(view.log_posterior.exp().cpu().numpy(),
                            float(view.presence.sigmoid()), view)
            return look_at
        return locate(listen, self.config, signals, mic_positions, room_dims, area, shape)

    @torch.inference_mode()
    def estimate_all(self, scenes):
        """
        Locate the talkers of many windows: together on a GPU, one by one on a CPU.

        Parameters
        ----------
        scenes : list of tuple
            Of numpy.ndarray: signals (M, T), all with the same T, positions and room, as of
            `estimate`. As many as memory holds: a GPU needs about 0.1 GB for each of six
            microphones.

        Returns
        -------
        list of Estimate
            In the order of the scenes.

        """
        if not isinstance(self._network, _Plain):
            return [self.estimate(*scene) for scene in scenes]
        tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)

        def listen(signals, mics, room_dims):
            heard, dims = self.model.hear(tensor(signals), tensor(mics)), tensor(room_dims)

            def look_at(corners, cells, before):
                log_posterior, presence = self.model.look(heard, dims, tensor(corners), cells)
                return Look(log_posterior.exp().cpu().numpy(), presence.sigmoid().cpu().numpy(),
                            None)
            return look_at
        return locate_all(listen, self.config, scenes)


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
