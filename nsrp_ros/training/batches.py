"""
Batches for training: scenes of a data set held in memory, or rooms simulated on the way.

Every loader yields `Scenes` of torch tensors with as many microphones as the network has
channels, so that a pair of microphones is simply a scene with two.
"""

from dataclasses import replace
from itertools import chain
from itertools import count
from itertools import islice

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.training.scenes import Scenes
from nsrp_ros.training.simulation import simulate
import numpy as np
import torch


def to_device(scenes, n_mics, device, chunk=256):
    """
    Copy NumPy scenes, perhaps memory-mapped, to a device as float32 tensors.

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
    def tensor(array):
        # A copy, because memory-mapped arrays are read-only, which torch warns about.
        return torch.as_tensor(np.array(array), dtype=torch.float32, device=device)

    signals = torch.cat([tensor(scenes.signals[k:k + chunk][:, :n_mics])
                         for k in range(0, len(scenes), chunk)])
    return Scenes(signals, tensor(scenes.mic_positions[:, :n_mics]),
                  tensor(scenes.source_position), tensor(scenes.room_dims), scenes.sample_rate)


def random_pairs(scenes, n_pairs, generator):
    """
    Draw pairs from every scene, without repetition and in either order.

    Parameters
    ----------
    scenes : Scenes
        B scenes of M microphones, tensors.
    n_pairs : int
        Pairs from each scene, at most M (M - 1) / 2.
    generator : torch.Generator
        On the scenes' device.

    Returns
    -------
    Scenes
        n_pairs times B scenes of two microphones.

    """
    device = scenes.signals.device
    n_scenes = len(scenes)
    pairs = torch.from_numpy(microphone_pairs(scenes.signals.shape[1])).to(device)
    chance = torch.rand(n_scenes, len(pairs), generator=generator, device=device)
    chosen = pairs[chance.argsort(dim=1)[:, :n_pairs].flatten()]  # (B n_pairs, 2)
    swapped = torch.rand(len(chosen), generator=generator, device=device) < 0.5
    chosen = torch.where(swapped[:, None], chosen.flip(1), chosen)
    scene = torch.arange(n_scenes, device=device).repeat_interleave(n_pairs)
    return Scenes(scenes.signals[scene[:, None], chosen],
                  scenes.mic_positions[scene[:, None], chosen],
                  scenes.source_position[scene], scenes.room_dims[scene], scenes.sample_rate)


def shuffle_microphones(scenes, generator):
    """Permute each scene's microphones at random."""
    shape = scenes.signals.shape[:2]
    order = torch.rand(shape, generator=generator, device=scenes.signals.device).argsort(dim=1)
    scene = torch.arange(len(scenes), device=order.device)[:, None]
    return Scenes(scenes.signals[scene, order], scenes.mic_positions[scene, order],
                  scenes.source_position, scenes.room_dims, scenes.sample_rate)


def random_symmetry(scenes, generator):
    """
    Mirror rooms along x and y and exchange the axes, each with probability one half.

    A mirrored room carries the same sounds to mirrored microphones, so the signals stay: each
    simulated room stands for eight.
    """
    device = scenes.signals.device
    coins = torch.rand(3, len(scenes), generator=generator, device=device) < 0.5
    room = scenes.room_dims

    def image(points):
        """Apply each scene's symmetry to its points, shape (B, ..., 3)."""
        extra = (1,) * (points.dim() - 2)
        size, coin = room.reshape(len(room), *extra, 3), coins.reshape(3, len(room), *extra)
        x = torch.where(coin[0], size[..., 0] - points[..., 0], points[..., 0])
        y = torch.where(coin[1], size[..., 1] - points[..., 1], points[..., 1])
        x, y = torch.where(coin[2], y, x), torch.where(coin[2], x, y)
        return torch.stack([x, y, points[..., 2]], dim=-1)

    swapped = torch.where(coins[2, :, None], room[:, [1, 0, 2]], room)
    return replace(scenes, mic_positions=image(scenes.mic_positions),
                   source_position=image(scenes.source_position), room_dims=swapped,
                   true_mic_positions=None, true_room_dims=None)


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
    rank, world : int
        Which share of every pass this process sees, of how many equal ones.

    """

    def __init__(self, scenes, batch_size, seed=None, rank=0, world=1):
        self.scenes = scenes
        self.batch_size = batch_size
        self.n_own = len(scenes) // world
        self.rank, self.world = rank, world
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self):
        """Return the number of batches in a pass."""
        return -(-self.n_own // self.batch_size)

    def __iter__(self):
        """Yield one pass of batches."""
        if self.generator is None:
            order = torch.arange(len(self.scenes))
        else:  # the same on every rank
            order = torch.randperm(len(self.scenes), generator=self.generator)
        order = order[self.rank::self.world][:self.n_own].to(self.scenes.signals.device)
        for index in order.split(self.batch_size):
            yield self.scenes.take(index)


def one_epoch(simulate, n_batches):
    """Yield `n_batches` batches, calling `simulate` for more as often as it takes."""
    rounds = chain.from_iterable(simulate() for _ in count())
    yield from islice(rounds, n_batches)


class FreshScenes:
    """
    Rooms that are simulated while training, never the same twice.

    Parameters
    ----------
    room_config : RoomConfig
        What rooms to draw.
    speech_bank : SpeechBank
        What is said in them.
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

    def __init__(self, room_config, speech_bank, n_channels, batch_size, batches_per_epoch,
                 generator, rooms_at_once=256, pairs_per_room=15):
        self.room_config, self.speech_bank = room_config, speech_bank
        self.n_channels = n_channels
        self.batch_size, self.batches_per_epoch = batch_size, batches_per_epoch
        self.generator = generator
        self.rooms_at_once, self.pairs_per_room = rooms_at_once, pairs_per_room

    def __len__(self):
        """Return the number of batches in an epoch."""
        return self.batches_per_epoch

    def simulate(self):
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

    def __iter__(self):
        """Iterate over the batches of one epoch."""
        return one_epoch(self.simulate, self.batches_per_epoch)
