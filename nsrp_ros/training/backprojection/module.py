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
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.backprojection.losses import posterior_loss
from nsrp_ros.training.backprojection.losses import presence_loss
from nsrp_ros.training.backprojection.tasks import draw_task
from nsrp_ros.training.backprojection.tasks import Task
from nsrp_ros.training.backprojection.tasks import whole_task
import numpy as np
from numpy.typing import NDArray
import torch

CLIP = 1.0
"""Largest norm of a step's gradient, so that one difficult scene cannot undo what was learnt."""


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
    short_share : float
        Share of the batches whose windows are cut short.
    found_share : float
        Share of the batches in which talkers are said to be found already; for networks of
        `uncertain_walls` only.

    """

    def __init__(self, model: Backprojection, learning_rate: float = 2e-3,
                 distance_weight: float = 2.0, presence_weight: float = 0.5,
                 sides: tuple[int, int] = (8, 26), heights: tuple[int, int] = (3, 6),
                 subregion_share: float = 0.35, short_share: float = 0.2,
                 found_share: float = 0.4) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.distance_weight, self.presence_weight = distance_weight, presence_weight
        self.sides, self.heights, self.subregion_share = sides, heights, subregion_share
        self.short_share = short_share
        self.found_share = found_share if model.config.uncertain_walls else 0.0
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

    def loss(self, task: Task, shape: tuple[int, int, int]) -> torch.Tensor:
        """Return the loss of a task on a grid of `shape` (Z, Y, X)."""
        scenes, area = task.scenes, task.area
        log_posterior, presence = self.model(scenes.signals, scenes.mic_positions,
                                             task.surroundings, area, shape, task.found)
        position_loss = posterior_loss(log_posterior, area_points(area, shape), task.talkers,
                                       task.wanted, self.distance_weight)
        anybody = task.wanted.any(dim=1).to(task.counts.dtype)
        counts = task.counts * anybody
        mean_loss = (position_loss * counts).sum() / counts.sum().clamp(min=1)
        return mean_loss + self.presence_weight * presence_loss(presence, anybody, task.counts)

    def training_step(self, scenes: Scenes, _: int) -> torch.Tensor:
        """Compute the loss of one batch, on a grid drawn for it."""
        n_z, n_y, n_x = (int(self._draws.integers(low, high + 1))
                         for low, high in (self.heights, self.sides, self.sides))
        task = draw_task(scenes, self.short_share, self.found_share, self.subregion_share)
        loss = self.loss(task, (n_z, n_y, n_x))
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes: Scenes, _: int) -> None:
        """Measure the loss and the mean error in metres with all and with four microphones."""
        cfg = self.model.config
        for n_mics, name in ((scenes.signals.shape[1], ''), (4, '_4')):
            some = scenes.with_microphones(slice(n_mics))
            task = whole_task(some)
            loss = self.loss(task, cfg.shape)
            self.log(f'val_loss{name}', loss, prog_bar=not name, sync_dist=True,
                     batch_size=len(scenes))
            errors = position_errors(self.model, some)
            talking = task.wanted.any(dim=1).cpu().numpy()
            # Logged by every process and for every batch, or they would wait for one another.
            self.log(f'val_error{name}', float(errors @ talking / max(talking.sum(), 1)),
                     prog_bar=True, sync_dist=True, batch_size=max(int(talking.sum()), 1))


@torch.no_grad()
def position_errors(model: Backprojection, scenes: Scenes) -> NDArray[np.float64]:
    """Locate a talker in scenes of tensors: distances (B,) in metres, of the nearest one."""
    cfg, task = model.config, whole_task(scenes)
    log_posterior, _ = model(scenes.signals, scenes.mic_positions, task.surroundings,
                             task.area, cfg.shape)
    posteriors = log_posterior.float().exp().cpu().numpy()
    grids = [Grid.over_box(low, high, cfg.grid_size, cfg.grid_size, cfg.heights)
             for low, high in task.area.tolist()]
    found = np.array([from_posterior(Posterior(p, grid.x, grid.y, grid.z)).position
                      for p, grid in zip(posteriors, grids, strict=True)])
    away = np.linalg.norm(found[:, None] - task.talkers[..., :2].cpu().numpy(), axis=2)
    return np.where(task.wanted.cpu().numpy(), away, np.inf).min(axis=1, initial=100.0)
