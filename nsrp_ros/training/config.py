"""Settings of a training run: what can be trained, and how. The command line is train.py."""

from dataclasses import dataclass
from typing import Any
from typing import Literal
from typing import NamedTuple

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.training.crnn_targets import TargetConfig

STAGES = {*PRESETS, 'worlds'}
"""What a phase of training can be: a preset of rooms, or all of simulation/rooms/worlds.py."""


class Trainable(NamedTuple):
    """A network that can be trained, and its target; None for one that predicts a posterior."""

    config: CrnnConfig | BackprojectionConfig
    target: TargetConfig | None


NETWORKS = {
    'neural_srp': Trainable(CrnnConfig(), TargetConfig('hyperbolic')),
    'neural_srp_code': Trainable(
        CrnnConfig(kernel_time=2, frequency_pooling='max', centred=True),
        TargetConfig('normalised', 0.5, flat=True)),
    'crnn4': Trainable(CrnnConfig(n_channels=4), TargetConfig('gaussian')),
    'crnn6': Trainable(CrnnConfig(n_channels=6), TargetConfig('gaussian')),
    'backprojection': Trainable(BackprojectionConfig(uncertain_walls=True, least_lags=288), None),
}
"""
By method: the paper's text, its authors' published code, the baselines of section V-B, and our
own network. NeuralSRP+ is neural_srp, trained further with --start.
"""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; the defaults are the paper's (section V-C)."""

    method: str = 'neural_srp'
    stages: tuple[str, ...] = ('anechoic_sim', 'reverb_sim')
    """The phases of training: presets of rooms, in their order."""
    target: TargetConfig = TargetConfig()
    batch_size: int = 16
    """Of each process."""
    learning_rate: float = 5e-4
    max_epochs: int = 50
    patience: int = 3
    """Epochs without a lower validation loss after which a phase ends."""
    seed: int = 0
    online: bool = False
    """Whether rooms are simulated during training instead of read from data sets; the settings
    below matter only then."""
    minutes: tuple[float, ...] = ()
    """How long each phase lasts, instead of max_epochs and patience; the learning rate falls
    to zero within it."""
    batches_per_epoch: int = 625
    """The paper's 10,000 samples in batches of 16."""
    rooms_at_once: int = 256
    pairs_per_room: int = 15
    n_val: int = 512
    speech: str = 'auto'
    precision: Literal['32-true', 'bf16-mixed'] = '32-true'
    compile_encoder: bool = False
    start: tuple[str, ...] = ()
    """Weights to start from: methods' names or files. Back-projection takes from each of them
    what fits and those before it lack, see weight_transfer.py; other networks start from one of
    the same architecture."""
    network: tuple[tuple[str, Any], ...] = ()
    """Settings of the network that differ from the method's own: (name, value) pairs."""

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        unknown = set(self.stages) - STAGES
        if self.method not in NETWORKS or unknown or not self.stages:
            raise ValueError(f'methods are {sorted(NETWORKS)}, stages {sorted(STAGES)}; '
                             f'got {self.method!r}, {self.stages}')
        if self.minutes and len(self.minutes) != len(self.stages):
            raise ValueError('minutes must be given for every stage')
        if NETWORKS[self.method].target is None and not self.online:
            raise ValueError(f'{self.method} is trained online, on rooms that are never repeated')


RECIPES = {'backprojection': TrainConfig(
    'backprojection', stages=('worlds',), batch_size=128, learning_rate=1.5e-3, online=True,
    minutes=(30.0,), batches_per_epoch=250, rooms_at_once=1536, n_val=320,
    precision='bf16-mixed')}
"""Settings of the methods that are not trained as in the paper: back-projection, for half an hour
on one GPU."""
