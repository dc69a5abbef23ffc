"""A trained Backprojection in torch as a localization method: windows in, estimates out."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.coarse_to_fine import Evaluate
from nsrp_ros.localization.backprojection.coarse_to_fine import GridPosterior
from nsrp_ros.localization.backprojection.coarse_to_fine import locate
from nsrp_ros.localization.backprojection.coarse_to_fine import locate_all
from nsrp_ros.localization.backprojection.coarse_to_fine import Scene
from nsrp_ros.localization.backprojection.torch_cpu.grid_posterior import GridLogPosterior
from nsrp_ros.localization.backprojection.torch_cpu.network import FastBackprojection
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.backprojection import LagFeatures
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
import torch


class Backprojector:
    """
    A trained Backprojection that locates talkers.

    It evaluates the whole map, and then a finer grid around the position found there. How much of
    that is computed on a CPU is decided in torch_cpu/network.py.

    Parameters
    ----------
    model : Backprojection
        The network with its weights.
    device : str or torch.device
        Where it runs.
    approximations : Approximations or None
        What is approximated on a CPU; None computes everything as networks/backprojection.py does.

    """

    def __init__(self, model: Backprojection, device: str | torch.device = 'cpu',
                 approximations: Approximations | None = Approximations()) -> None:
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        # Either one encodes one scene and evaluates grids; their lag features differ.
        self._network: Any = _PlainBackprojection(self.model)
        self._fast = (approximations is not None and self.device.type == 'cpu'
                      and FastBackprojection.supports(model))
        if self._fast and approximations is not None:
            self._network = FastBackprojection(model, approximations)

    @property
    def approximates(self) -> bool:
        """Return whether the network runs with approximations, for one scene at a time."""
        return self._fast

    @torch.inference_mode()
    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64], area: ArrayLike | None = None,
                 shape: tuple[int, int] | None = None,
                 search: Surroundings | None = None) -> Estimate:
        """
        Locate the talker of one window.

        Parameters
        ----------
        signals, mic_positions, room_dims : numpy.ndarray
            As of `SrpPhat.likelihood`.
        area : array_like, optional
            Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor
            that the talker is known to be in; the whole floor if left out.
        shape : tuple of int, optional
            Rows and columns of the map; the network's own grid if left out.
        search : Surroundings, optional
            The part of the room in which the talker is searched; all of it if left out.

        Returns
        -------
        Estimate
            Its map is a posterior over cells that tile the area. Where fewer than two channels
            have a signal it is flat, and the presence is 0.

        Raises
        ------
        ValueError
            If the area is not inside the room or the shape is empty.

        """
        tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)
        dims = tensor(room_dims)

        def encode(signals: NDArray[np.float32], mics: NDArray[np.float64]) -> Evaluate:
            features = self._network.encode(tensor(signals), tensor(mics))

            def evaluate(corners: NDArray[np.float64], cells: tuple[int, int, int],
                         coarse: GridPosterior | None) -> GridPosterior:
                result = self._network.evaluate_grid(features, dims, tensor(corners), cells,
                                                     coarse and coarse.state)
                return GridPosterior(result.log_posterior.exp().cpu().numpy(),
                                     float(result.presence.sigmoid()), result)
            return evaluate
        return locate(encode, self.config, signals, mic_positions, room_dims, area, shape, search)

    @torch.inference_mode()
    def estimate_all(self, scenes: Sequence[Scene]) -> list[Estimate]:
        """
        Locate the talkers of many windows: together on a GPU, one by one on a CPU.

        Parameters
        ----------
        scenes : sequence of tuple
            Of numpy.ndarray: signals (M, T), all with the same T, positions and room, as of
            `estimate`. As many as memory holds: a GPU needs about 0.1 GB for each of six
            microphones.

        Returns
        -------
        list of Estimate
            In the order of the scenes.

        """
        if self._fast:
            return [self.estimate(*scene) for scene in scenes]
        tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)

        def encode(signals: NDArray[np.float32], mics: NDArray[np.float64],
                   rooms: list[NDArray[np.float64]]) -> Evaluate:
            features = self.model.encode(tensor(signals), tensor(mics))
            dims = tensor(np.stack(rooms))

            def evaluate(corners: NDArray[np.float64], cells: tuple[int, int, int],
                         coarse: GridPosterior | None) -> GridPosterior:
                log_posterior, presence = self.model.evaluate_grid(features, dims,
                                                                   tensor(corners), cells)
                return GridPosterior(log_posterior.exp().cpu().numpy(),
                                     presence.sigmoid().cpu().numpy(), None)
            return evaluate
        return locate_all(encode, self.config, scenes)


class _PlainBackprojection:
    """A Backprojection without approximations, behind the calls of FastBackprojection."""

    def __init__(self, model: Backprojection) -> None:
        self._model = model

    def encode(self, signals: torch.Tensor, mic_positions: torch.Tensor) -> LagFeatures:
        """Compute the features of the lags of all pairs of one scene."""
        return self._model.encode(signals[None], mic_positions[None])

    def evaluate_grid(self, lag_features: LagFeatures, room_dims: torch.Tensor,
                      area: torch.Tensor, shape: tuple[int, int, int],
                      coarse: GridLogPosterior | None = None) -> GridLogPosterior:
        """Evaluate all cells of an area, without regard to a coarser grid."""
        log_posterior, presence = self._model.evaluate_grid(lag_features, room_dims[None],
                                                            area[None], shape)
        return GridLogPosterior(area, None, log_posterior[0], presence[0])
