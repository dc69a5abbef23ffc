"""
A training run: its settings, its stages one after the other, and what it leaves behind.

The command line is train.py.
"""

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import timedelta
import json
import logging
import time

import lightning
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.training.backprojection_module import PosteriorLearning
from nsrp_ros.training.callbacks import Rate
from nsrp_ros.training.callbacks import TimedCosine
from nsrp_ros.training.crnn_module import CrnnLearning
from nsrp_ros.training.crnn_targets import TargetConfig
from nsrp_ros.training.curves import draw_curves
from nsrp_ros.training.data_modules import FreshStage
from nsrp_ros.training.data_modules import RoomStage
from nsrp_ros.training.data_modules import stored_scenes
from nsrp_ros.training.data_modules import StoredStage
from nsrp_ros.training.weight_transfer import inherit
import torch

_LOG = logging.getLogger(__name__)
NETWORKS = {
    'neural_srp': (CrnnConfig(), TargetConfig('hyperbolic')),
    'neural_srp_code': (
        CrnnConfig(kernel_time=2, frequency_pooling='max', centred=True),
        TargetConfig('normalised', 0.5, flat=True)),
    'crnn4': (CrnnConfig(n_channels=4), TargetConfig('gaussian')),
    'crnn6': (CrnnConfig(n_channels=6), TargetConfig('gaussian')),
    'backprojection': (BackprojectionConfig(), None),
}
"""
What can be trained, and what it draws: the paper's text, its authors' published code, the
baselines of section V-B, and our own, which draws a posterior and so needs no target. NeuralSRP+
is neural_srp, trained on with --start.
"""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; the defaults are the paper's (section V-C)."""

    method: str = 'neural_srp'
    stages: tuple = ('anechoic_sim', 'reverb_sim')
    """Presets of rooms, in the order in which they are learnt."""
    target: TargetConfig = TargetConfig()
    batch_size: int = 16
    """Of each process."""
    learning_rate: float = 5e-4
    max_epochs: int = 50
    patience: int = 3
    """Epochs without a lower validation loss after which a stage ends."""
    seed: int = 0
    online: bool = False
    """Whether rooms are simulated while training instead of read from data sets; the settings
    below matter only then."""
    minutes: tuple = ()
    """How long each stage lasts, instead of max_epochs and patience; the learning rate falls
    to zero within it."""
    batches_per_epoch: int = 625
    """The paper's 10,000 samples in batches of 16."""
    rooms_at_once: int = 256
    pairs_per_room: int = 15
    n_val: int = 512
    speech: str = 'auto'
    precision: str = '32-true'
    compile_encoder: bool = False
    start: tuple = ()
    """Weights to start from: methods' names or files. Ours takes from each of them what fits and
    the ones before it lack, see weight_transfer.py; other networks start from one that is the
    same."""
    network: tuple = ()
    """Settings of the network that differ from the method's own: (name, value) pairs."""

    def __post_init__(self):
        """Refuse runs that cannot be."""
        unknown = set(self.stages) - set(PRESETS)
        if self.method not in NETWORKS or unknown or not self.stages:
            raise ValueError(f'methods are {sorted(NETWORKS)}, stages {sorted(PRESETS)}; '
                             f'got {self.method!r}, {self.stages}')
        if self.minutes and len(self.minutes) != len(self.stages):
            raise ValueError('minutes must be given for every stage')
        if NETWORKS[self.method][1] is None and not self.online:
            raise ValueError(f'{self.method} learns online, from rooms never seen twice')


RECIPES = {'backprojection': TrainConfig(
    'backprojection', stages=('mixed',), batch_size=128, learning_rate=1.5e-3, online=True,
    minutes=(30.0,), batches_per_epoch=250, rooms_at_once=2048, n_val=128,
    precision='bf16-mixed')}
"""How a method is trained where that is not the paper's way: ours, for half an hour of a GPU."""


def run_stage(config, learning, data, folder, minutes, devices, resume):
    """
    Train through one stage and leave the best weights in the network.

    Parameters
    ----------
    config : TrainConfig
        See there.
    learning : CrnnLearning or PosteriorLearning
        Trained in place.
    data : StoredStage or FreshStage
        What it learns from.
    folder : pathlib.Path
        Where curves and checkpoints go.
    minutes : float or None
        How long the stage lasts; None ends it as the paper does.
    devices : int
        Processes, one a GPU where there are GPUs.
    resume : bool
        Whether to go on from the folder's last checkpoint.

    Returns
    -------
    dict
        Epochs, steps, best validation loss, samples a second and minutes of this stage.

    """
    summary = folder / 'summary.json'
    best = ModelCheckpoint(folder, 'best', monitor='val_loss', save_weights_only=True,
                           enable_version_counter=False)
    last = ModelCheckpoint(folder, 'last', enable_version_counter=False)
    rate = Rate()
    callbacks = [best, last, rate, TQDMProgressBar(refresh_rate=25)]
    if minutes:
        timer = Timer(timedelta(minutes=minutes), interval='epoch')
        callbacks += [timer, TimedCosine(timer, minutes)]
    else:
        callbacks.append(EarlyStopping('val_loss', patience=config.patience))
    checkpoint = folder / 'last.ckpt'
    # A resumed stage writes beside the curves of its first part, which lightning would delete.
    parts = sorted(folder.glob('curves-*/metrics.csv')) if resume else []
    curves = f'curves-{1 + len(parts)}'
    if not (resume and summary.is_file()):
        trainer = lightning.Trainer(
            accelerator='auto', devices=devices, strategy='ddp' if devices > 1 else 'auto',
            precision=config.precision, max_epochs=-1 if minutes else config.max_epochs,
            callbacks=callbacks, logger=CSVLogger(folder, name='', version=curves),
            num_sanity_val_steps=0, enable_model_summary=False, log_every_n_steps=1,
            use_distributed_sampler=False,
            # Convolutions of ever other lengths would be measured anew in every step.
            benchmark=isinstance(learning, CrnnLearning))
        start = time.perf_counter()
        trainer.fit(learning, data, weights_only=True, ckpt_path=(
            str(checkpoint) if resume and checkpoint.is_file() else None))
        if trainer.is_global_zero:
            summary.write_text(json.dumps({
                'stage': folder.name, 'epochs': trainer.current_epoch,
                'steps': trainer.global_step, 'best_val_loss': float(best.best_model_score),
                'samples_per_second': rate.per_second, 'devices': devices,
                'minutes': (time.perf_counter() - start) / 60, **data.describe()}, indent=1))
            draw_curves([*parts, folder / curves / 'metrics.csv'], folder / 'curves.png')
        trainer.strategy.barrier()
    # A run with a clock ends at a learning rate of zero: its last weights are its best.
    weights = checkpoint if minutes else folder / 'best.ckpt'
    state = torch.load(weights, map_location='cpu', weights_only=True)['state_dict']
    learning.load_state_dict(state)
    return json.loads(summary.read_text())


def run(config, out, data, devices=1, resume=False):
    """
    Train through all stages and write the weights.

    Parameters
    ----------
    config : TrainConfig
        See there.
    out : pathlib.Path
        The run's folder.
    data : pathlib.Path
        Where data sets lie; not used online.
    devices : int
        Processes, one a GPU where there are GPUs.
    resume : bool
        Whether to go on where this folder's run stopped.

    Returns
    -------
    list of dict
        What `run_stage` returns, for each stage.

    """
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision('high')  # TF32 on GPUs that have it
    settings = replace(NETWORKS[config.method][0], **dict(config.network))
    ours = isinstance(settings, BackprojectionConfig)
    model = Backprojection(settings) if ours else Crnn(settings)
    parents = [load_checkpoint(find_weights(name)) for name in config.start]
    if ours and parents:
        if missing := inherit(model, *parents):
            _LOG.warning('starts from nothing: %s', ', '.join(missing))
    elif parents:
        model, = parents
        if replace(model.config, confidence=settings.confidence) != settings:
            raise ValueError(f'the weights {config.start[0]!r} are not of a {config.method}')
    if ours:
        learning = PosteriorLearning(model, config.learning_rate)
    else:
        learning = CrnnLearning(model, config.target, config.learning_rate,
                                config.compile_encoder)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(
        {'train': asdict(config), 'network': asdict(model.config)}, indent=1))
    summaries = []
    for number, preset in enumerate(config.stages, 1):
        n_channels = 2 if ours else settings.n_channels
        if config.online:
            stage = (RoomStage if ours else FreshStage)(
                preset, config.speech, n_channels, config.batch_size, config.seed + number,
                config.batches_per_epoch, config.rooms_at_once, config.pairs_per_room,
                config.n_val)
        else:
            stage = StoredStage(stored_scenes(data, preset, 'train', n_channels),
                                stored_scenes(data, preset, 'val', n_channels),
                                n_channels, config.batch_size, config.seed + number)
        folder = out / f'{number}-{preset}'
        folder.mkdir(exist_ok=True)
        minutes = config.minutes[number - 1] if config.minutes else None
        summaries.append(run_stage(config, learning, stage, folder, minutes, devices, resume))
    if learning.global_rank == 0:
        save_checkpoint(out / f'{config.method}.safetensors', model, config.method)
    return summaries
