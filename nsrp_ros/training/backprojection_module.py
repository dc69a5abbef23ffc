"""
How the back-projection network learns: whole rooms, any number of microphones, never one twice.

Its losses are those of losses.py: how wrong its posterior is, and whether it heard that nobody
talked.
"""

import lightning
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.training.losses import posterior_loss
from nsrp_ros.training.losses import presence_loss
import numpy as np
import torch

CLIP = 1.0
"""Largest norm of a step's gradient: a scene that is misheard must not undo what was learnt."""


def part_of_room(room_dims, source_position, least=0.1):
    """
    Draw a part of every room that the talker is in, anywhere within it.

    Parameters
    ----------
    room_dims, source_position : torch.Tensor
        Shapes (B, 3), metres.
    least : float
        Share of each side of the room that the part has at least.

    Returns
    -------
    torch.Tensor
        Shape (B, 2, 3), metres, see `Backprojection.forward`.

    """
    share = least + (1 - least) * torch.rand_like(room_dims)
    source = (source_position / room_dims).clamp(0, 1)
    lowest, highest = (source - share).clamp(min=0), torch.minimum(source, 1 - share)
    low = lowest + (highest - lowest) * torch.rand_like(room_dims)
    return torch.stack([low, low + share], dim=1) * room_dims[:, None]


class PosteriorLearning(lightning.LightningModule):
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
        How much it counts whether anybody talks.
    sides, heights : tuple of int
        Least and most cells along each side and upwards; drawn for every batch, so that no
        resolution is learnt by heart.
    parts : float
        Share of the batches in which only a part of each room is asked about.

    """

    def __init__(self, model, learning_rate=2e-3, distance_weight=2.0, presence_weight=0.5,
                 sides=(8, 26), heights=(3, 6), parts=0.35):
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.distance_weight, self.presence_weight = distance_weight, presence_weight
        self.sides, self.heights, self.parts = sides, heights, parts
        self._draws = np.random.default_rng(0)

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        """Return the batch: the loaders make it where it is needed."""
        return batch

    def configure_optimizers(self):
        """Make AdamW."""
        return torch.optim.AdamW(self.model.parameters(), self.learning_rate)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None,
                                    gradient_clip_algorithm=None):
        """Keep every step's gradient in bounds."""
        self.clip_gradients(optimizer, CLIP, 'norm')

    def loss(self, scenes, area, shape):
        """Return the loss of a batch on a grid of `shape` (Z, Y, X) over an area (B, 2, 3)."""
        log_posterior, presence = self.model(scenes.signals, scenes.mic_positions,
                                             scenes.room_dims, area, shape)
        surprise = posterior_loss(log_posterior, area_points(area, shape),
                                  scenes.source_position, self.distance_weight)
        talking = scenes.talking
        if talking is None:
            talking = torch.ones_like(presence)
        heard = (surprise * talking).sum() / talking.sum().clamp(min=1)
        return heard + self.presence_weight * presence_loss(presence, talking)

    def training_step(self, scenes, _):
        """Learn from one batch, on a grid of its own."""
        sides = [int(self._draws.integers(low, high + 1))
                 for low, high in (self.heights, self.sides, self.sides)]
        area = whole_room(scenes.room_dims)
        if self._draws.random() < self.parts:
            area = part_of_room(scenes.room_dims, scenes.source_position)
        loss = self.loss(scenes, area, tuple(sides))
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes, _):
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
def position_errors(model, scenes):
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
