"""
Training and validation of the back-projection network, on whole rooms.

Every batch has its own number of microphones and its own grid. The losses are those of losses.py:
a proper score of the posterior, and the cross-entropy of whether anybody talks.
"""

from typing import Any

import lightning
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.losses import posterior_loss
from nsrp_ros.training.losses import presence_loss
import numpy as np
from numpy.typing import NDArray
import torch

CLIP = 1.0
"""Largest norm of a step's gradient, so that one difficult scene cannot undo what was learnt."""


def random_subregion(room_dims: torch.Tensor, source_position: torch.Tensor,
                     min_share: float = 0.1) -> torch.Tensor:
    """
    Draw a box within every room that contains the talker.

    Parameters
    ----------
    room_dims, source_position : torch.Tensor
        Shapes (B, 3), metres.
    min_share : float
        Smallest share of each side of the room that the box covers.

    Returns
    -------
    torch.Tensor
        Shape (B, 2, 3), metres: the area of `Backprojection.forward`.

    """
    share = min_share + (1 - min_share) * torch.rand_like(room_dims)
    source = (source_position / room_dims).clamp(0, 1)
    lowest, highest = (source - share).clamp(min=0), torch.minimum(source, 1 - share)
    low = lowest + (highest - lowest) * torch.rand_like(room_dims)
    return torch.stack([low, low + share], dim=1) * room_dims[:, None]


class BackprojectionModule(lightning.LightningModule):
    """
    Training and validation of one Backprojection.

    Parameters
    ----------
    model : Backprojection
        Trained in place.
    learning_rate : float
        Of AdamW.
    distance_weight : float
        Nats that a metre of the energy score costs.
    presence_weight : float
        Weight of the loss of whether anybody talks.
    sides, heights : tuple of int
        Least and most cells along each side and upwards; drawn for every batch, so that the
        network does not depend on one resolution.
    subregion_share : float
        Share of the batches whose grid covers only a part of each room.

    """

    def __init__(self, model: Backprojection, learning_rate: float = 2e-3,
                 distance_weight: float = 2.0, presence_weight: float = 0.5,
                 sides: tuple[int, int] = (8, 26), heights: tuple[int, int] = (3, 6),
                 subregion_share: float = 0.35) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.distance_weight, self.presence_weight = distance_weight, presence_weight
        self.sides, self.heights, self.subregion_share = sides, heights, subregion_share
        self._draws = np.random.default_rng(0)

    def transfer_batch_to_device(self, batch: Scenes, device: torch.device,
                                 dataloader_idx: int) -> Scenes:
        """Return the batch as it is: the loaders make it on the training device."""
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make AdamW."""
        return torch.optim.AdamW(self.model.parameters(), self.learning_rate)

    def configure_gradient_clipping(self, optimizer: Any,
                                    gradient_clip_val: int | float | None = None,
                                    gradient_clip_algorithm: str | None = None) -> None:
        """Bound the norm of every step's gradient."""
        self.clip_gradients(optimizer, CLIP, 'norm')

    def loss(self, scenes: Scenes, area: torch.Tensor,
             shape: tuple[int, int, int]) -> torch.Tensor:
        """Return the loss of a batch on a grid of `shape` (Z, Y, X) over an area (B, 2, 3)."""
        log_posterior, presence = self.model(scenes.signals, scenes.mic_positions,
                                             scenes.room_dims, area, shape)
        position_loss = posterior_loss(log_posterior, area_points(area, shape),
                                       scenes.source_position, self.distance_weight)
        talking = scenes.talking
        if talking is None:
            talking = torch.ones_like(presence)
        mean_loss = (position_loss * talking).sum() / talking.sum().clamp(min=1)
        return mean_loss + self.presence_weight * presence_loss(presence, talking)

    def training_step(self, scenes: Scenes, _: int) -> torch.Tensor:
        """Compute the loss of one batch, on a grid drawn for it."""
        n_z, n_y, n_x = (int(self._draws.integers(low, high + 1))
                         for low, high in (self.heights, self.sides, self.sides))
        area = whole_room(scenes.room_dims)
        if self._draws.random() < self.subregion_share:
            area = random_subregion(scenes.room_dims, scenes.source_position)
        loss = self.loss(scenes, area, (n_z, n_y, n_x))
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes: Scenes, _: int) -> None:
        """Measure the loss and the mean error in metres with all and with four microphones."""
        cfg = self.model.config
        for n_mics, name in ((scenes.signals.shape[1], ''), (4, '_4')):
            some = scenes.with_microphones(slice(n_mics))
            loss = self.loss(some, whole_room(some.room_dims), cfg.shape)
            self.log(f'val_loss{name}', loss, prog_bar=not name, sync_dist=True,
                     batch_size=len(scenes))
            errors = position_errors(self.model, some)
            talking = (np.ones(len(some)) if some.talking is None
                       else some.talking.cpu().numpy())
            # Logged by every process and for every batch, or they would wait for one another.
            self.log(f'val_error{name}', float(errors @ talking / max(talking.sum(), 1)),
                     prog_bar=True, sync_dist=True, batch_size=max(int(talking.sum()), 1))


@torch.no_grad()
def position_errors(model: Backprojection, scenes: Scenes) -> NDArray[np.float64]:
    """Locate scenes of tensors: distances (B,) in metres on the floor plan, as NumPy."""
    cfg = model.config
    log_posterior, _ = model(scenes.signals, scenes.mic_positions, scenes.room_dims,
                             whole_room(scenes.room_dims), cfg.shape)
    posteriors = log_posterior.exp().cpu().numpy()
    grids = [Grid.over_room(dims, cfg.grid_size, cfg.grid_size, cfg.heights)
             for dims in scenes.room_dims.tolist()]
    found = np.array([from_posterior(Posterior(p, grid.x, grid.y, grid.z)).position
                      for p, grid in zip(posteriors, grids, strict=True)])
    return np.linalg.norm(found - scenes.source_position[:, :2].cpu().numpy(), axis=1)
