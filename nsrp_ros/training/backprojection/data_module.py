"""The scenes of a training phase of the back-projection network, simulated while it is trained."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.rooms.worlds import MOST_MICROPHONES
from nsrp_ros.simulation.rooms.worlds import TOLD
from nsrp_ros.simulation.rooms.worlds import World
from nsrp_ros.simulation.rooms.worlds import WORLDS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.training.backprojection.world_loader import FreshWorlds
from nsrp_ros.training.data_modules import FreshScenesModule
from nsrp_ros.training.data_modules import VALIDATION_BATCH
from nsrp_ros.training.loaders import StoredScenes

ALL_WORLDS = 'worlds'
"""The phase in which all of `worlds.WORLDS` are simulated; others are presets of rooms."""
_VALIDATION = {ALL_WORLDS: (('told_exact', 6), ('told_rough', 6), ('told_nothing', 6),
                            ('ring_exact', 4), ('two_talkers', 6))}
"""Presets and numbers of microphones of the validation scenes, by phase."""


class _Chain:
    """Several sets of scenes, one after the other."""

    def __init__(self, parts: list[StoredScenes]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        """Return the number of batches."""
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[Scenes]:
        """Yield the batches of all parts."""
        return chain.from_iterable(self.parts)


class FreshWorldsModule(FreshScenesModule):
    """
    Whole scenes with all their microphones; arguments as of FreshScenesModule.

    The phase is `ALL_WORLDS`, or a preset of rooms in which microphones are scattered and walls
    are known exactly.
    """

    def train_dataloader(self) -> FreshWorlds:
        """Start simulating."""
        if self.preset == ALL_WORLDS:
            worlds, told = WORLDS, TOLD
        else:
            rooms: Any = PRESETS[self.preset]
            worlds, told = (World(rooms, MOST_MICROPHONES, 1.0, scattered=True),), None
        step = self._own_trainer.global_step
        return FreshWorlds(worlds, told, self.speech, self.batch_size, self.batches_per_epoch,
                           self._train_generator(), self.seed + step, self.rooms_at_once)

    def val_dataloader(self) -> _Chain:
        """Simulate this process's share of the validation scenes."""
        trainer = self._own_trainer
        kinds = _VALIDATION.get(self.preset, ((self.preset, 6),))
        n_scenes = max(1, self.n_val // trainer.world_size // len(kinds))
        generator, device = self._generator(1), trainer.strategy.root_device
        return _Chain([StoredScenes(simulate(PRESETS[preset], n_mics, n_scenes, self.val_speech,
                                             generator, device), VALIDATION_BATCH)
                       for preset, n_mics in kinds])
