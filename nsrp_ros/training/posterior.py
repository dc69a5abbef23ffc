"""
How the back-projection network learns: whole rooms, any number of microphones, never one twice.

Its loss is the surprise of its posterior plus the distance that it expects to be off
(core/backprojection.py).
"""

import lightning
from nsrp_ros.core.backprojection import floor_posterior
from nsrp_ros.core.backprojection import posterior_loss
from nsrp_ros.core.estimate import from_posterior
from nsrp_ros.training.batches import one_epoch
from nsrp_ros.training.batches import random_symmetry
from nsrp_ros.training.batches import take
from nsrp_ros.training.presets import PRESETS
from nsrp_ros.training.scenes import Scenes
from nsrp_ros.training.simulation import simulate
from nsrp_ros.training.stages import FreshStage
import numpy as np
import torch

CLIP = 1.0
"""Largest norm of a step's gradient: a scene that is misheard must not undo what was learnt."""


def grid_points(room_dims, side, heights):
    """
    Tile every room of a batch with the same number of cells.

    Parameters
    ----------
    room_dims : torch.Tensor
        Shape (B, 3), metres.
    side, heights : int
        Cells along each side of the floor, and upwards.

    Returns
    -------
    torch.Tensor
        Shape (B, heights, side, side, 3), metres.

    """
    shape = (len(room_dims), heights, side, side)

    def along(axis, n_cells, view):
        share = (torch.arange(n_cells, device=room_dims.device) + 0.5) / n_cells
        return (share * room_dims[:, axis, None]).view(view).expand(shape)

    return torch.stack([along(0, side, (-1, 1, 1, side)), along(1, side, (-1, 1, side, 1)),
                        along(2, heights, (-1, heights, 1, 1))], dim=-1)


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
        Nats that a metre of expected distance costs.
    sides, heights : tuple of int
        Least and most cells along each side and upwards; drawn for every batch, so that no
        resolution is learnt by heart.

    """

    def __init__(self, model, learning_rate=2e-3, distance_weight=1.0, sides=(12, 24),
                 heights=(3, 5)):
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.distance_weight = distance_weight
        self.sides, self.heights = sides, heights
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

    def loss(self, scenes, side, heights):
        """Return the loss of a batch on a grid."""
        points = grid_points(scenes.room_dims, side, heights)
        log_posterior = self.model(scenes.signals, scenes.mic_positions, points)
        return posterior_loss(log_posterior, points, scenes.source_position,
                              self.distance_weight)

    def training_step(self, scenes, _):
        """Learn from one batch, on a grid of its own."""
        side, heights = (int(self._draws.integers(low, high + 1))
                         for low, high in (self.sides, self.heights))
        loss = self.loss(scenes, side, heights)
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes, _):
        """Measure the loss and the mean error in metres with all and with four microphones."""
        cfg = self.model.config
        for n_mics, name in ((scenes.signals.shape[1], ''), (4, '_4')):
            some = Scenes(scenes.signals[:, :n_mics], scenes.mic_positions[:, :n_mics],
                          scenes.source_position, scenes.room_dims, scenes.sample_rate)
            self.log(f'val_loss{name}', self.loss(some, cfg.grid_size, cfg.heights),
                     prog_bar=not name, sync_dist=True, batch_size=len(scenes))
            self.log(f'val_error{name}', float(position_errors(self.model, some).mean()),
                     prog_bar=True, sync_dist=True, batch_size=len(scenes))


@torch.no_grad()
def position_errors(model, scenes):
    """Locate scenes of tensors: distances (B,) in metres on the floor plan, as NumPy."""
    cfg = model.config
    points = grid_points(scenes.room_dims, cfg.grid_size, cfg.heights)
    floor = floor_posterior(model(scenes.signals, scenes.mic_positions, points))
    floor, points = floor.cpu().numpy(), points.cpu().numpy()
    found = np.array([
        from_posterior(f, p[0, 0, :, 0], p[0, :, 0, 1]).position for f, p in zip(floor, points)])
    return np.linalg.norm(found - scenes.source_position[:, :2].cpu().numpy(), axis=1)


class FreshRooms:
    """
    Batches of whole rooms that are simulated while training.

    Every room is simulated with `max_mics` microphones and seen `views` times, each time with
    another choice of `min_mics` or more of them, mirrored and turned at random.

    Parameters
    ----------
    room_config : RoomConfig
        What rooms to draw.
    speech_bank : SpeechBank
        What is said in them.
    batch_size, batches_per_epoch : int
        Scenes in a batch, batches that count as an epoch.
    generator : torch.Generator
        On the device that simulates.
    rooms_at_once : int
        Rooms that are simulated in one call.
    min_mics, max_mics, views : int
        See above.

    """

    def __init__(self, room_config, speech_bank, batch_size, batches_per_epoch, generator,
                 rooms_at_once=256, min_mics=3, max_mics=6, views=2):
        self.room_config, self.speech_bank = room_config, speech_bank
        self.batch_size, self.batches_per_epoch = batch_size, batches_per_epoch
        self.generator, self.rooms_at_once = generator, rooms_at_once
        self.min_mics, self.max_mics, self.views = min_mics, max_mics, views

    def __len__(self):
        """Return the number of batches in an epoch."""
        return self.batches_per_epoch

    def _draw(self, low, high):
        return int(torch.randint(low, high + 1, (1,), generator=self.generator,
                                 device=self.generator.device))

    def _simulated(self):
        """Simulate some rooms and yield their views as batches, each of one number of mics."""
        device = self.generator.device
        scenes = simulate(self.room_config, self.max_mics, self.rooms_at_once, self.speech_bank,
                          self.generator, device)
        for _ in range(self.views):
            order = torch.randperm(len(scenes), generator=self.generator, device=device)
            for index in order.split(self.batch_size):
                some = random_symmetry(take(scenes, index), self.generator)
                mics = torch.randperm(self.max_mics, generator=self.generator, device=device)
                mics = mics[:self._draw(self.min_mics, self.max_mics)]
                yield Scenes(some.signals[:, mics], some.mic_positions[:, mics],
                             some.source_position, some.room_dims, some.sample_rate)

    def __iter__(self):
        """Iterate over the batches of one epoch."""
        return one_epoch(self._simulated, self.batches_per_epoch)


class RoomStage(FreshStage):
    """Fresh rooms as in FreshStage, but seen whole; validation rooms have six microphones."""

    def train_dataloader(self):
        """Start simulating; a resumed run draws other rooms than the first one did."""
        return FreshRooms(PRESETS[self.preset], self.speech, self.batch_size,
                          self.batches_per_epoch, self._generator(2 + self.trainer.global_step),
                          self.rooms_at_once)
