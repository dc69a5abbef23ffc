"""
How one network learns: its loss, its optimiser, and what is measured while it learns.

The loss is the mean absolute error between drawn and target maps (the paper's eq. 10), the
optimiser Adam. A pair network learns from single pairs; its maps are summed only to locate.
"""

import math
import time

import lightning
from lightning.pytorch.callbacks import Callback
from nsrp_ros.core.neural_srp import locate_maps
from nsrp_ros.training.targets import target_maps
import torch

LOCATED_BATCHES = 32
"""How many validation batches are also located with all microphones, which is the dear part."""


class CrnnLearning(lightning.LightningModule):
    """
    Training and validation of one Crnn.

    Parameters
    ----------
    model : Crnn
        Trained in place.
    target : TargetConfig
        What it learns to draw.
    learning_rate : float
        Of Adam.
    compile_encoder : bool
        Whether to compile the convolutions, which pays for itself after some minutes on a GPU.

    """

    def __init__(self, model, target, learning_rate=5e-4, compile_encoder=False):
        super().__init__()
        self.model = model
        self.target = target
        self.learning_rate = learning_rate
        # Held in a tuple: a compiled copy must not become a sub-module with weights of its own.
        self._encode = (torch.compile(model.encode) if compile_encoder else model.encode,)

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        """Return the batch: the loaders make it where it is needed."""
        return batch

    def configure_optimizers(self):
        """Make Adam."""
        return torch.optim.Adam(self.model.parameters(), self.learning_rate)

    def draw(self, scenes, encode):
        """
        Map scenes that have as many microphones as the network has channels.

        Only the convolutions run in the trainer's precision: phases and metadata in metres need
        more than the eight bits of bfloat16.
        """
        kind = scenes.signals.device.type
        with torch.autocast(kind, enabled=False), torch.no_grad():
            phases = self.model.phases(scenes.signals)
        features = encode(phases)
        metadata = torch.cat([scenes.mic_positions.flatten(1), scenes.room_dims], dim=1)
        with torch.autocast(kind, enabled=False):
            return self.model.draw(features.float(), metadata)

    def loss(self, scenes, encode):
        """Return the mean absolute error of eq. 10."""
        with torch.no_grad():
            target = target_maps(self.target, self.model.config.grid_size,
                                 scenes.mic_positions, scenes.source_position, scenes.room_dims)
        return (self.draw(scenes, encode) - target).abs().mean()

    def training_step(self, scenes, _):
        """Learn from one batch."""
        loss = self.loss(scenes, self._encode[0])
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes, index):
        """Measure the loss, and on the first batches the mean error in metres."""
        first = scenes.with_microphones(slice(self.model.config.n_channels))
        self.log('val_loss', self.loss(first, self.model.encode), prog_bar=True, sync_dist=True,
                 batch_size=len(scenes))
        if index < LOCATED_BATCHES:
            seen = first if self.model.config.n_channels > 2 else scenes
            self.log('val_error', position_errors(self.model, seen).mean(), prog_bar=True,
                     sync_dist=True, batch_size=len(scenes))


@torch.no_grad()
def position_errors(model, scenes):
    """
    Locate scenes with all their microphones at once.

    Parameters
    ----------
    model : Crnn
        On the scenes' device.
    scenes : Scenes
        B scenes of tensors.

    Returns
    -------
    torch.Tensor
        Shape (B,), metres between the highest cell's centre and the source, on the floor plan.

    """
    side = model.config.grid_size
    maps = locate_maps(model, scenes.signals, scenes.mic_positions, scenes.room_dims)
    best = maps.flatten(1).argmax(dim=1)
    cell = torch.stack([best % side, best // side], dim=1)  # x, y
    position = (cell + 0.5) / side * scenes.room_dims[:, :2]
    return torch.linalg.vector_norm(position - scenes.source_position[:, :2], dim=1)


class TimedCosine(Callback):
    """
    Let the learning rate rise over some steps and fall as a cosine until the time is up.

    Parameters
    ----------
    timer : lightning.pytorch.callbacks.Timer
        Knows the time that has passed, also in the runs that this one resumes.
    minutes : float
        The whole time.
    warmup : int
        Steps over which the rate rises.

    """

    EVERY = 50  # steps between updates, which processes have to agree upon

    def __init__(self, timer, minutes, warmup=300):
        self.timer, self.minutes, self.warmup = timer, minutes, warmup
        self._done = None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Set the rate of this step."""
        step = trainer.global_step
        if self._done is None or step % self.EVERY == 0:
            done = min(self.timer.time_elapsed('train') / (60 * self.minutes), 1.0)
            self._done = trainer.strategy.broadcast(done)
        rate = (pl_module.learning_rate * min(1.0, (step + 1) / self.warmup)
                * (0.5 + 0.5 * math.cos(math.pi * self._done)))
        for group in trainer.optimizers[0].param_groups:
            group['lr'] = rate


class Rate(Callback):
    """Measures how many samples a second are learnt, after the first steps."""

    WARMUP = 20

    def on_train_start(self, trainer, pl_module):
        """Start afresh."""
        self.samples, self.steps, self.seconds, self._since = 0, 0, 0.0, None

    def on_train_epoch_start(self, trainer, pl_module):
        """Let validation not count."""
        self._since = None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """Count a batch of every process."""
        self.steps += 1
        if self.steps <= self.WARMUP:
            return
        if self._since is None:
            self._wait(pl_module.device)
            self._since = time.perf_counter()
            return
        self.samples += len(batch) * trainer.world_size

    def on_validation_start(self, trainer, pl_module):
        """Stop the clock: lightning validates within the training epoch."""
        if self._since is not None:
            self._wait(pl_module.device)
            self.seconds += time.perf_counter() - self._since
            self._since = None

    @staticmethod
    def _wait(device):
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    @property
    def per_second(self):
        """Return the samples learnt a second, 0 when too few were."""
        return self.samples / self.seconds if self.seconds else 0.0
