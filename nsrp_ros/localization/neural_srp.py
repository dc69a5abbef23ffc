"""The paper's Neural-SRP, or one of its fixed-array relatives, at work on one window."""

from functools import partial

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.networks.crnn import batch_of_one
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.networks.crnn import likelihood_maps
import numpy as np
from numpy.typing import NDArray
import torch


class NeuralSrp:
    """
    A trained network that maps one window.

    Parameters
    ----------
    model : Crnn
        The network with its weights.
    device : str or torch.device
        Where it runs.

    """

    def __init__(self, model: Crnn, device: str | torch.device = 'cpu') -> None:
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64]) -> Estimate:
        """Locate the talker of one window; arguments are those of `SrpPhat.likelihood`."""
        likelihood_map, x, y = self.likelihood(signals, mic_positions, room_dims)
        return from_scores(likelihood_map, x, y, self.config.confidence, len(signals))

    @torch.inference_mode()
    def likelihood(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                   room_dims: NDArray[np.float64]
                   ) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
        """
        Map one window; arguments and results are those of `SrpPhat.likelihood`.

        Raises
        ------
        ValueError
            If a fixed-array network gets another number of microphones, or the window is
            shorter than one STFT frame.

        """
        cfg = self.config
        if cfg.n_channels not in (2, len(signals)):
            raise ValueError(f'this network was made for exactly {cfg.n_channels} microphones, '
                             f'got {len(signals)}')
        if signals.shape[1] < cfg.n_fft:
            raise ValueError(f'a window needs at least {cfg.n_fft} samples at '
                             f'{cfg.sample_rate} Hz, got {signals.shape[1]}')
        batch = partial(batch_of_one, device=self.device)
        likelihood_map = likelihood_maps(
            self.model, batch(signals), batch(mic_positions), batch(room_dims))[0]
        return (likelihood_map.cpu().numpy(),
                cell_centres(room_dims[0], cfg.grid_size), cell_centres(room_dims[1],
                                                                        cfg.grid_size))
