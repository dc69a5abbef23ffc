"""
Batches for training: scenes of a data set held in memory, or rooms simulated during training.

Every loader yields `Scenes` of torch tensors with as many microphones as the network has
channels, so that a pair of microphones is simply a scene with two.
"""

from collections.abc import Callable
from collections.abc import Iterator
from itertools import chain
from itertools import count
from itertools import islice

from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.training.augmentation import random_pairs
from nsrp_ros.training.augmentation import random_symmetry
from nsrp_ros.training.augmentation import shuffle_microphones
import numpy as np
from numpy.typing import ArrayLike
import torch

MEMORY = {'cpu': 2 ** 31, 'cuda': 2 ** 33}
"""Bytes that simulating may take at once, by the kind of device."""


def to_device(scenes: Scenes, n_mics: int, device: torch.device, chunk: int = 256) -> Scenes:
    """
    Copy NumPy scenes, memory-mapped or not, to a device as float32 tensors.

    Parameters
    ----------
    scenes : Scenes
        Of NumPy arrays.
    n_mics : int
        How many of each scene's microphones to keep.
    device : torch.device
        Where to.
    chunk : int
        Scenes that are read at once.

    Returns
    -------
    Scenes
        Of tensors.

    """
    def tensor(array: ArrayLike) -> torch.Tensor:
        # A copy, because memory-mapped arrays are read-only, which torch warns about.
        return torch.as_tensor(np.array(array), dtype=torch.float32, device=device)

    signals = torch.cat([tensor(scenes.signals[k:k + chunk][:, :n_mics])
                         for k in range(0, len(scenes), chunk)])
    return Scenes(signals, tensor(scenes.mic_positions[:, :n_mics]),
                  tensor(scenes.source_position), tensor(scenes.room_dims), scenes.sample_rate)


class StoredScenes:
    """
    A data set on the training device, in shuffled batches; re-iterable, one pass an epoch.

    Parameters
    ----------
    scenes : Scenes
        Of tensors.
    batch_size : int
        Scenes in a batch; the last one may be smaller.
    seed : int or None
        Of the order, which differs in every pass; None keeps the order of the data set.
    rank, world_size : int
        Which share of every pass this process gets, of how many equal ones.

    """

    def __init__(self, scenes: Scenes, batch_size: int, seed: int | None = None, rank: int = 0,
                 world_size: int = 1) -> None:
        self.scenes = scenes
        self.batch_size = batch_size
        self.n_own = len(scenes) // world_size
        self.rank, self.world_size = rank, world_size
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-self.n_own // self.batch_size)

    def __iter__(self) -> Iterator[Scenes]:
        """Yield one pass of batches."""
        if self.generator is None:
            order = torch.arange(len(self.scenes))
        else:  # the same on every rank
            order = torch.randperm(len(self.scenes), generator=self.generator)
        order = order[self.rank::self.world_size][:self.n_own].to(self.scenes.signals.device)
        for index in order.split(self.batch_size):
            yield self.scenes.take(index)


def one_epoch(simulated: Callable[[], Iterator[Scenes]], n_batches: int) -> Iterator[Scenes]:
    """Yield `n_batches` batches, calling `simulated` for more as often as it takes."""
    rounds = chain.from_iterable(simulated() for _ in count())
    yield from islice(rounds, n_batches)


class FreshScenes:
    """
    Rooms that are simulated during training, never the same twice.

    Parameters
    ----------
    room_config : RoomConfig, RealConfig, MixtureConfig or ToldConfig
        The distribution of rooms.
    speech_bank : SpeechBank
        Speech of the talkers.
    n_channels : int
        The network's: 2 takes pairs of six-microphone rooms, otherwise rooms have that many.
    batch_size, batches_per_epoch : int
        Scenes in a batch, batches that count as an epoch.
    generator : torch.Generator
        On the device that simulates.
    rooms_at_once : int
        Rooms that are simulated in one call.
    pairs_per_room : int
        Pairs that are taken from each room, up to 15.

    """

    def __init__(self, room_config: RoomConfig | RealConfig | MixtureConfig | ToldConfig,
                 speech_bank: SpeechBank, n_channels: int, batch_size: int,
                 batches_per_epoch: int, generator: torch.Generator, rooms_at_once: int = 256,
                 pairs_per_room: int = 15) -> None:
        self.room_config, self.speech_bank = room_config, speech_bank
        self.n_channels = n_channels
        self.batch_size, self.batches_per_epoch = batch_size, batches_per_epoch
        self.generator = generator
        self.rooms_at_once, self.pairs_per_room = rooms_at_once, pairs_per_room

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.batches_per_epoch

    def simulate(self) -> Iterator[Scenes]:
        """Simulate some rooms and yield them as shuffled whole batches."""
        n_mics = 6 if self.n_channels == 2 else self.n_channels
        scenes = simulate(self.room_config, n_mics, self.rooms_at_once, self.speech_bank,
                          self.generator, self.generator.device)
        if self.n_channels == 2:
            scenes = random_pairs(scenes, self.pairs_per_room, self.generator)
        else:
            scenes = shuffle_microphones(scenes, self.generator)
        scenes = random_symmetry(scenes, self.generator)
        order = torch.randperm(len(scenes), generator=self.generator,
                               device=self.generator.device)
        for index in order.split(self.batch_size):
            if len(index) == self.batch_size or len(scenes) < self.batch_size:
                yield scenes.take(index)

    def __iter__(self) -> Iterator[Scenes]:
        """Iterate over the batches of one epoch."""
        return one_epoch(self.simulate, self.batches_per_epoch)
