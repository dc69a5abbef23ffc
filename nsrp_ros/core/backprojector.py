"""A trained Backprojection at work: one window in, one estimate out."""

from functools import partial

from nsrp_ros.core.backprojection import floor_posterior
from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.core.features import batch_of_one
from nsrp_ros.core.geometry import Grid
import torch


class Backprojector:
    """
    A trained Backprojection that locates one window.

    Parameters
    ----------
    model : Backprojection
        The network with its weights.
    device : str or torch.device
        Where it runs.

    """

    def __init__(self, model, device='cpu'):
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    @torch.inference_mode()
    def estimate(self, signals, mic_positions, room_dims):
        """
        Locate the talker of one window; arguments are those of `SrpPhat.estimate`.

        Returns
        -------
        Estimate
            Its map is a posterior over cells that tile the room's floor.

        """
        cfg = self.config
        grid = Grid.over_room(room_dims, cfg.grid_size, cfg.grid_size, cfg.heights)
        batch = partial(batch_of_one, device=self.device)
        dims = batch(room_dims)
        area = torch.stack([torch.zeros_like(dims), dims], dim=1)
        log_posterior, _ = self.model(batch(signals), batch(mic_positions), dims, area,
                                      grid.shape)
        return from_posterior(floor_posterior(log_posterior)[0].cpu().numpy(), grid.x, grid.y)
