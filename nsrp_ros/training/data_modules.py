"""
Where the scenes of a training phase come from: a stored data set, or rooms simulated on the fly.

Both are lightning data modules, because only the trainer knows on which device and as which of
several processes they run.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning
from nsrp_ros.datasets.storage import load
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.loaders import FreshScenes
from nsrp_ros.training.loaders import StoredScenes
from nsrp_ros.training.loaders import to_device
import numpy as np
import torch

VALIDATION_BATCH = 16


def stored_scenes(folder: Path, preset: str, split: str, n_mics: int) -> Scenes:
    """
    Open the data set with the most microphones, which has to have at least `n_mics`.

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


class _PhaseData(lightning.LightningDataModule):
    """What the data modules share: they make loaders for the process of their trainer."""

    @property
    def _own_trainer(self) -> lightning.Trainer:
        if self.trainer is None:
            raise RuntimeError('only a trainer can ask for loaders')
        return self.trainer


class StoredScenesModule(_PhaseData):
    """
    The paper's way: a training and a validation set, used again in every epoch.

    Parameters
    ----------
    train, val : Scenes
        Of NumPy arrays, memory-mapped or not.
    n_channels : int
        The network's; training uses that many first microphones of each scene, so that a pair
        network is trained on one pair of each room.
    batch_size, seed : int
        Of the batches and their order.

    """

    def __init__(self, train: Scenes, val: Scenes, n_channels: int, batch_size: int,
                 seed: int) -> None:
        super().__init__()
        self.train, self.val = train, val
        self.n_channels = n_channels
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> StoredScenes:
        """Copy the training set to this process's device."""
        trainer = self._own_trainer
        scenes = to_device(self.train, self.n_channels, trainer.strategy.root_device)
        return StoredScenes(scenes, self.batch_size, self.seed, trainer.global_rank,
                            trainer.world_size)

    def val_dataloader(self) -> StoredScenes:
        """Copy the validation set to this process's device."""
        trainer = self._own_trainer
        scenes = to_device(self.val, self.val.mic_positions.shape[1],
                           trainer.strategy.root_device)
        return StoredScenes(scenes, VALIDATION_BATCH, None, trainer.global_rank,
                            trainer.world_size)

    def describe(self) -> dict[str, Any]:
        """Describe the data of this phase for its summary."""
        return {'rooms': len(self.train), 'validation_rooms': len(self.val)}


class FreshScenesModule(_PhaseData):
    """
    Rooms that are simulated during training; only the validation rooms stay the same.

    Parameters
    ----------
    preset : str
        Of presets.PRESETS.
    speech : str
        Where speech comes from, see `find_speech`; training and validation have different
        talkers.
    n_channels, batch_size, seed : int
        As in StoredScenesModule; the batch is each process's own.
    batches_per_epoch, rooms_at_once, pairs_per_room : int
        As in FreshScenes.
    n_val : int
        Validation rooms, of six microphones or the network's fixed number.

    """

    def __init__(self, preset: str, speech: str, n_channels: int, batch_size: int, seed: int,
                 batches_per_epoch: int, rooms_at_once: int, pairs_per_room: int,
                 n_val: int) -> None:
        super().__init__()
        self.preset = preset
        self.n_channels = n_channels
        self.batch_size, self.seed, self.n_val = batch_size, seed, n_val
        self.batches_per_epoch = batches_per_epoch
        self.rooms_at_once, self.pairs_per_room = rooms_at_once, pairs_per_room
        self.speech, self.description = find_speech(speech, TALKERS['train'])
        self.val_speech, self.val_description = find_speech(speech, TALKERS['val'])

    def _generator(self, stream: int) -> torch.Generator:
        """Seed a stream of random numbers that is this process's own."""
        trainer = self._own_trainer
        words = np.random.SeedSequence([self.seed, trainer.global_rank, stream])
        return torch.Generator(trainer.strategy.root_device).manual_seed(
            int(words.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _train_generator(self) -> torch.Generator:
        """Seed the training rooms; a resumed run draws other rooms than the first one did."""
        return self._generator(2 + self._own_trainer.global_step)

    def train_dataloader(self) -> Iterable[Scenes]:
        """Start simulating."""
        return FreshScenes(
            PRESETS[self.preset], self.speech, self.n_channels, self.batch_size,
            self.batches_per_epoch, self._train_generator(), self.rooms_at_once,
            self.pairs_per_room)

    def val_dataloader(self) -> Iterable[Scenes]:
        """Simulate this process's share of the validation rooms."""
        trainer = self._own_trainer
        n_mics = 6 if self.n_channels == 2 else self.n_channels
        scenes = simulate(PRESETS[self.preset], n_mics, self.n_val // trainer.world_size,
                          self.val_speech, self._generator(1), trainer.strategy.root_device)
        return StoredScenes(scenes, VALIDATION_BATCH)

    def describe(self) -> dict[str, Any]:
        """Describe the data of this phase for its summary."""
        return {'rooms': f'{self.preset}, simulated while training', 'speech': self.description,
                'validation_rooms': self.n_val, 'validation_speech': self.val_description,
                'pairs_per_room': self.pairs_per_room}
