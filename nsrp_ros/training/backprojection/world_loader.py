"""Batches of whole scenes from all worlds, simulated during training."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from nsrp_ros.simulation.rooms.told import tell
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.rooms.worlds import World
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.training.augmentation import random_symmetry
from nsrp_ros.training.loaders import MEMORY
from nsrp_ros.training.loaders import one_epoch
import numpy as np
import torch

MICROPHONE_SHARES = {2: 0.04, 3: 0.08, 4: 0.26, 5: 0.12, 6: 0.26, 8: 0.14, 10: 0.06, 12: 0.04}
"""Share of the training batches that have so many microphones; most have few, as robots do."""


class FreshWorlds:
    """
    Batches of scenes that are simulated during training, never the same twice.

    Every block of scenes comes from one world, and is used `repeats` times, each time with other
    microphones where a world has them to choose from, in another frame and with other knowledge
    of the walls. All processes draw the same worlds and numbers of microphones, so that none waits
    for another; their scenes differ.

    Parameters
    ----------
    worlds : sequence of World
        What to draw from.
    told : ToldWalls or None
        What the network is told of walls; None leaves scenes in the frames of their rooms, which
        are mirrored and their axes exchanged, and known exactly.
    speech_bank : SpeechBank
        Speech of the talkers.
    batch_size, batches_per_epoch : int
        Scenes in a batch of six microphones, batches that count as an epoch.
    generator : torch.Generator
        On the device that simulates; each process has its own.
    seed : int
        Of what all processes draw alike.
    rooms_at_once : int
        Scenes that are simulated in one call.
    microphones : dict of int to float
        Share of the batches that have so many microphones, in worlds of scattered ones.
    repeats : int
        See above.

    """

    def __init__(self, worlds: Sequence[World], told: ToldWalls | None, speech_bank: SpeechBank,
                 batch_size: int, batches_per_epoch: int, generator: torch.Generator, seed: int,
                 rooms_at_once: int = 256, microphones: Mapping[int, float] = MICROPHONE_SHARES,
                 repeats: int = 4) -> None:
        self.worlds, self.told, self.speech_bank = worlds, told, speech_bank
        self.batch_size, self.batches_per_epoch = batch_size, batches_per_epoch
        self.generator, self.rooms_at_once = generator, rooms_at_once
        self.microphones, self.repeats = dict(microphones), repeats
        self._draws = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.batches_per_epoch

    def _pick(self, shares: Sequence[float]) -> int:
        return int(self._draws.choice(len(shares), p=np.array(shares) / sum(shares)))

    def simulate(self) -> Iterator[Scenes[torch.Tensor]]:
        """Simulate scenes of one world and yield batches of them."""
        device = self.generator.device
        world = self.worlds[self._pick([world.share for world in self.worlds])]
        scenes = simulate(world.rooms, world.n_mics, self.rooms_at_once, self.speech_bank,
                          self.generator, device, MEMORY[device.type])
        for _ in range(self.repeats):
            order = torch.randperm(len(scenes), generator=self.generator, device=device)
            at = 0
            while at < len(scenes):
                n_mics = world.n_mics
                if world.scattered:
                    n_mics = list(self.microphones)[self._pick(list(self.microphones.values()))]
                # As many pairs in all as in a batch of six microphones: they take the memory.
                n_scenes = min(2 * self.batch_size,
                               max(1, 15 * self.batch_size // (n_mics * (n_mics - 1) // 2)))
                index = order[at:at + n_scenes]
                at += n_scenes
                if len(index) < n_scenes // 3 and len(scenes) > n_scenes:
                    break  # too few for a step
                some = scenes.take(index)
                if world.scattered:
                    mics = torch.randperm(world.n_mics, generator=self.generator, device=device)
                    some = some.with_microphones(mics[:n_mics])
                yield (random_symmetry(some, self.generator) if self.told is None
                       else tell(some, self.told, self.generator))

    def __iter__(self) -> Iterator[Scenes[torch.Tensor]]:
        """Iterate over the batches of one epoch."""
        return one_epoch(self.simulate, self.batches_per_epoch)
