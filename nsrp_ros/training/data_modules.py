"""
Where the scenes of a training stage come from: a data set on disk, or rooms simulated on the way.

Both are lightning data modules, because only the trainer knows on which device and as which of
several processes they run.
"""

import lightning
from nsrp_ros.datasets.storage import load
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.loaders import FreshRooms
from nsrp_ros.training.loaders import FreshScenes
from nsrp_ros.training.loaders import StoredScenes
from nsrp_ros.training.loaders import to_device
import numpy as np
import torch

VALIDATION_BATCH = 16


def stored_scenes(folder, preset, split, n_mics):
    """
    Open a data set that has at least `n_mics` microphones, the most of those that are there.

    Raises
    ------
    FileNotFoundError
        Naming the command that makes the data set.

    """
    found = [(int(path.name.split('-')[1]), path) for path in folder.glob(f'{preset}-*-{split}')]
    fitting = [item for item in found if item[0] >= n_mics]
    if not fitting:
        raise FileNotFoundError(
            f'there is no {split} set of {preset} for {n_mics} microphones in {folder}; make it: '
            f'python -m nsrp_ros.datasets.generate {preset} --mics 6 --split {split} '
            f'--out {folder}')
    return load(max(fitting)[1])


class StoredStage(lightning.LightningDataModule):
    """
    The paper's way: a training and a validation set, seen again in every epoch.

    Parameters
    ----------
    train, val : Scenes
        Of NumPy arrays, memory-mapped or not.
    n_channels : int
        The network's; training uses that many first microphones of each scene, so that a pair
        network sees one pair of each room.
    batch_size, seed : int
        Of the batches and their order.

    """

    def __init__(self, train, val, n_channels, batch_size, seed):
        super().__init__()
        self.train, self.val = train, val
        self.n_channels = n_channels
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self):
        """Copy this process's device a training set."""
        strategy = self.trainer.strategy
        scenes = to_device(self.train, self.n_channels, strategy.root_device)
        return StoredScenes(scenes, self.batch_size, self.seed, strategy.global_rank,
                            strategy.world_size)

    def val_dataloader(self):
        """Copy this process's device a validation set."""
        strategy = self.trainer.strategy
        scenes = to_device(self.val, self.val.mic_positions.shape[1], strategy.root_device)
        return StoredScenes(scenes, VALIDATION_BATCH, None, strategy.global_rank,
                            strategy.world_size)

    def describe(self):
        """Say what this stage learns from."""
        return {'rooms': len(self.train), 'validation_rooms': len(self.val)}


class FreshStage(lightning.LightningDataModule):
    """
    Rooms that are simulated while training; only the validation rooms stay the same.

    Parameters
    ----------
    preset : str
        Of presets.PRESETS.
    speech : str
        Where speech comes from, see `speech.find_speech`; training and validation hear
        different talkers.
    n_channels, batch_size, seed : int
        As in StoredStage; the batch is each process's own.
    batches_per_epoch, rooms_at_once, pairs_per_room : int
        As in FreshScenes.
    n_val : int
        Validation rooms, of six microphones or the network's fixed number.

    """

    def __init__(self, preset, speech, n_channels, batch_size, seed, batches_per_epoch,
                 rooms_at_once, pairs_per_room, n_val):
        super().__init__()
        self.preset = preset
        self.n_channels = n_channels
        self.batch_size, self.seed, self.n_val = batch_size, seed, n_val
        self.batches_per_epoch = batches_per_epoch
        self.rooms_at_once, self.pairs_per_room = rooms_at_once, pairs_per_room
        self.speech, self.description = find_speech(speech, TALKERS['train'])
        self.val_speech, self.val_description = find_speech(speech, TALKERS['val'])

    def _generator(self, stream):
        """Seed a stream of random numbers that is this process's own."""
        strategy = self.trainer.strategy
        words = np.random.SeedSequence([self.seed, strategy.global_rank, stream])
        return torch.Generator(strategy.root_device).manual_seed(
            int(words.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def train_dataloader(self):
        """Start simulating; a resumed run draws other rooms than the first one did."""
        return FreshScenes(
            PRESETS[self.preset], self.speech, self.n_channels, self.batch_size,
            self.batches_per_epoch, self._generator(2 + self.trainer.global_step),
            self.rooms_at_once, self.pairs_per_room)

    def val_dataloader(self):
        """Simulate this process's share of the validation rooms."""
        strategy = self.trainer.strategy
        n_mics = 6 if self.n_channels == 2 else self.n_channels
        scenes = simulate(PRESETS[self.preset], n_mics, self.n_val // strategy.world_size,
                          self.val_speech, self._generator(1), strategy.root_device)
        return StoredScenes(scenes, VALIDATION_BATCH)

    def describe(self):
        """Say what this stage learns from."""
        return {'rooms': f'{self.preset}, simulated while training', 'speech': self.description,
                'validation_rooms': self.n_val, 'validation_speech': self.val_description,
                'pairs_per_room': self.pairs_per_room}


class RoomStage(FreshStage):
    """Fresh rooms as in FreshStage, but seen whole; validation rooms have six microphones."""

    def train_dataloader(self):
        """Start simulating; a resumed run draws other rooms than the first one did."""
        return FreshRooms(PRESETS[self.preset], self.speech, self.batch_size,
                          self.batches_per_epoch, self._generator(2 + self.trainer.global_step),
                          self.rooms_at_once)
