"""What happens beside training: the learning rate over time, and how fast it goes."""

import math
import time

from lightning.pytorch.callbacks import Callback
import torch


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
