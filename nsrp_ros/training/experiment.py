"""
A training run: its phases one after the other, and the files that it leaves.

The command line is train.py.
"""

from dataclasses import asdict
from dataclasses import replace
from datetime import timedelta
import json
from pathlib import Path
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.training.backprojection.module import BackprojectionModule
from nsrp_ros.training.callbacks import Throughput
from nsrp_ros.training.callbacks import TimedCosineSchedule
from nsrp_ros.training.config import NETWORKS
from nsrp_ros.training.config import TrainConfig
from nsrp_ros.training.crnn_module import CrnnModule
from nsrp_ros.training.curves import curves_figure
from nsrp_ros.training.curves import save_figure
from nsrp_ros.training.data_modules import FreshScenesModule
from nsrp_ros.training.data_modules import stored_scenes
from nsrp_ros.training.data_modules import StoredScenesModule
from nsrp_ros.training.network_kinds import NETWORK_KINDS
import torch


def run_phase(config: TrainConfig, module: CrnnModule | BackprojectionModule,
              data: StoredScenesModule | FreshScenesModule, folder: Path,
              minutes: float | None, devices: int, resume: bool) -> dict[str, Any]:
    """
    Train through one phase and leave the best weights in the network.

    Parameters
    ----------
    config : TrainConfig
        See there.
    module : CrnnModule or BackprojectionModule
        Trained in place.
    data : StoredScenesModule or FreshScenesModule
        The scenes of this phase.
    folder : pathlib.Path
        Where curves and checkpoints go.
    minutes : float or None
        How long the phase lasts; None ends it as the paper does.
    devices : int
        Processes, one a GPU where there are GPUs.
    resume : bool
        Whether to go on from the folder's last checkpoint.

    Returns
    -------
    dict
        Epochs, steps, best validation loss, samples a second and minutes of this phase.

    """
    summary = folder / 'summary.json'
    best = ModelCheckpoint(folder, 'best', monitor='val_loss', save_weights_only=True,
                           enable_version_counter=False)
    last = ModelCheckpoint(folder, 'last', enable_version_counter=False)
    throughput = Throughput()
    callbacks: list[Callback] = [best, last, throughput, TQDMProgressBar(refresh_rate=25)]
    if minutes:
        timer = Timer(timedelta(minutes=minutes), interval='epoch')
        callbacks += [timer, TimedCosineSchedule(timer, minutes, config.learning_rate)]
    else:
        callbacks.append(EarlyStopping('val_loss', patience=config.patience))
    checkpoint = folder / 'last.ckpt'
    # A resumed phase writes beside the curves of its first part, which lightning would delete.
    parts = sorted(folder.glob('curves-*/metrics.csv')) if resume else []
    curves = f'curves-{1 + len(parts)}'
    if not (resume and summary.is_file()):
        kind = NETWORK_KINDS[type(module.model.config)]
        trainer = lightning.Trainer(
            accelerator='auto', devices=devices, strategy='ddp' if devices > 1 else 'auto',
            precision=config.precision, max_epochs=-1 if minutes else config.max_epochs,
            callbacks=callbacks, logger=CSVLogger(folder, name='', version=curves),
            num_sanity_val_steps=0, enable_model_summary=False, log_every_n_steps=1,
            use_distributed_sampler=False, benchmark=kind.same_lengths)
        start = time.perf_counter()
        trainer.fit(module, data, weights_only=True, ckpt_path=(
            str(checkpoint) if resume and checkpoint.is_file() else None))
        if trainer.is_global_zero:
            assert best.best_model_score is not None  # a phase ends with a validation
            summary.write_text(json.dumps({
                'stage': folder.name, 'epochs': trainer.current_epoch,
                'steps': trainer.global_step, 'best_val_loss': float(best.best_model_score),
                'samples_per_second': throughput.per_second, 'devices': devices,
                'minutes': (time.perf_counter() - start) / 60, **data.describe()}, indent=1))
            save_figure(curves_figure([*parts, folder / curves / 'metrics.csv']),
                        folder / 'curves.png')
        trainer.strategy.barrier()
    # A timed run ends at a learning rate of zero: its last weights are its best.
    weights = checkpoint if minutes else folder / 'best.ckpt'
    state = torch.load(weights, map_location='cpu', weights_only=True)['state_dict']
    module.load_state_dict(state)
    return json.loads(summary.read_text())


def run(config: TrainConfig, out: Path, data: Path | None, devices: int = 1,
        resume: bool = False) -> list[dict[str, Any]]:
    """
    Train through all phases and write the weights.

    Parameters
    ----------
    config : TrainConfig
        See there.
    out : pathlib.Path
        The run's folder.
    data : pathlib.Path or None
        Where data sets lie; not used online.
    devices : int
        Processes, one a GPU where there are GPUs.
    resume : bool
        Whether to go on where this folder's run stopped.

    Returns
    -------
    list of dict
        What `run_phase` returns, for each phase.

    Raises
    ------
    ValueError
        If the weights to start from do not fit, or data sets are needed and no folder is named.

    """
    lightning.seed_everything(config.seed, verbose=False)
    torch.set_float32_matmul_precision('high')  # TF32 on GPUs that have it
    settings = replace(NETWORKS[config.method].config, **dict(config.network))
    kind = NETWORK_KINDS[type(settings)]
    model = kind.build(settings)
    if config.start:
        model = kind.start(model, config.start)
    module = kind.module(model, config)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'config.json').write_text(json.dumps(
        {'train': asdict(config), 'network': asdict(model.config)}, indent=1))
    summaries = []
    for number, preset in enumerate(config.stages, 1):
        folder = out / f'{number}-{preset}'
        phase_data = _phase_data(config, preset, config.seed + number, settings.n_channels, data)
        folder.mkdir(exist_ok=True)
        minutes = config.minutes[number - 1] if config.minutes else None
        summaries.append(run_phase(config, module, phase_data, folder, minutes, devices, resume))
    if module.global_rank == 0:
        save_checkpoint(out / f'{config.method}.safetensors', model, config.method)
    return summaries


def _phase_data(config: TrainConfig, preset: str, seed: int, n_channels: int,
                folder: Path | None) -> StoredScenesModule | FreshScenesModule:
    """Make the data module of one phase."""
    if config.online:
        fresh_data = NETWORK_KINDS[type(NETWORKS[config.method].config)].fresh_data
        return fresh_data(preset, config.speech, n_channels, config.batch_size, seed,
                          config.batches_per_epoch, config.rooms_at_once, config.pairs_per_room,
                          config.n_val)
    if folder is None:
        raise ValueError('training offline needs the folder of the data sets')
    return StoredScenesModule(stored_scenes(folder, preset, 'train', n_channels),
                              stored_scenes(folder, preset, 'val', n_channels),
                              n_channels, config.batch_size, seed)
