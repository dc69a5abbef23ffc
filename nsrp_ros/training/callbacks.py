"""Callbacks of the trainer: a learning rate that follows the clock, and the throughput."""

import math
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import Timer
import torch


class TimedCosineSchedule(Callback):
    """
    Let the learning rate rise over some steps and fall as a cosine until the time is up.

    Parameters
    ----------
    timer : lightning.pytorch.callbacks.Timer
        Measures the time that has passed, including that of runs which this one resumes.
    minutes : float
        The whole time.
    learning_rate : float
        The highest rate.
    warmup : int
        Steps over which the rate rises.

    """

    EVERY = 50  # steps between updates, which processes have to agree upon

    def __init__(self, timer: Timer, minutes: float, learning_rate: float,
                 warmup: int = 300) -> None:
        self.timer, self.minutes, self.warmup = timer, minutes, warmup
        self.learning_rate = learning_rate
        self._done: float | None = None

    def on_train_batch_start(self, trainer: lightning.Trainer,
                             pl_module: lightning.LightningModule, batch: Any,
                             batch_idx: int) -> None:
        """Set the rate of this step."""
        step = trainer.global_step
        if self._done is None or step % self.EVERY == 0:
            done = min(self.timer.time_elapsed('train') / (60 * self.minutes), 1.0)
            self._done = trainer.strategy.broadcast(done)
        rate = (self.learning_rate * min(1.0, (step + 1) / self.warmup)
                * (0.5 + 0.5 * math.cos(math.pi * self._done)))
        for group in trainer.optimizers[0].param_groups:
            group['lr'] = rate


class Throughput(Callback):
    """Measures how many training samples are processed a second, after the first steps."""

    WARMUP = 20

    def on_train_start(self, trainer: lightning.Trainer,
                       pl_module: lightning.LightningModule) -> None:
        """Reset the counters."""
        self.samples, self.steps, self.seconds = 0, 0, 0.0
        self._since: float | None = None

    def on_train_epoch_start(self, trainer: lightning.Trainer,
                             pl_module: lightning.LightningModule) -> None:
        """Leave out the time of validation."""
        self._since = None

    def on_train_batch_end(self, trainer: lightning.Trainer,
                           pl_module: lightning.LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        """Count a batch of every process."""
        self.steps += 1
        if self.steps <= self.WARMUP:
            return
        if self._since is None:
            self._synchronise(pl_module.device)
            self._since = time.perf_counter()
            return
        self.samples += len(batch) * trainer.world_size

    def on_validation_start(self, trainer: lightning.Trainer,
                            pl_module: lightning.LightningModule) -> None:
        """Stop the clock: lightning validates within the training epoch."""
        if self._since is not None:
            self._synchronise(pl_module.device)
            self.seconds += time.perf_counter() - self._since
            self._since = None

    @staticmethod
    def _synchronise(device: torch.device) -> None:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    @property
    def per_second(self) -> float:
        """Return the training samples a second, 0 when too few were processed."""
        return self.samples / self.seconds if self.seconds else 0.0
