"""
Ablation study: train the back-projection network without one of its components at a time.

    python -m nsrp_ros.evaluation.ablation --minutes 2 --out runs/ablate

Every variant is trained from scratch for the same time on the same kind of rooms, with the same
seed, and measured on the same validation rooms. A variant whose weights are there is not trained
again, so that a broken run goes on where it stopped. The full network is also measured with
shorter windows. It leaves results.json, tables.md and a picture.
"""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import json
import logging
from pathlib import Path
from typing import Any

from nsrp_ros.evaluation.metrics import bootstrap_interval
from nsrp_ros.evaluation.plots import bars_figure
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.backprojection.module import position_errors
from nsrp_ros.training.config import TrainConfig
from nsrp_ros.training.curves import save_figure
from nsrp_ros.training.experiment import run
import numpy as np
from numpy.typing import NDArray
import torch
from tqdm import tqdm

FULL = 'all of it'
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    'no echoes of walls': {'echo_channels': 0},
    'no learnt weightings': {'learned_weightings': 0},
    'plain weighting alone': {'learned_weightings': 0, 'weightings': ('plain',)},
    'no whole-window correlation': {'whole_window': False},
    'mean over pairs, no attention': {'heads': 0},
}
"""Settings that differ from SMALL, by the title of the variant."""
SMALL: dict[str, Any] = {
    'channels': 48, 'hidden_channels': 48, 'map_channels': 48, 'map_hidden_channels': 48,
    'whole_window': True}
"""Settings of the trained networks, which are smaller than `backprojection`, to save time."""
SIZES: dict[str, dict[str, Any]] = {
    'frames half as often': {'hop_length': 1024},
    'two thirds of the channels': {
        'channels': 32, 'hidden_channels': 32, 'map_channels': 32, 'map_hidden_channels': 32},
    'four thirds of the channels': {
        'channels': 64, 'hidden_channels': 64, 'map_channels': 64, 'map_hidden_channels': 64,
        'map_blocks': 4,
        'weightings': ('plain', 'loud', 'onset')},
}
"""Other sizes, trained only on demand."""
QUARTER = 'a quarter of the training'
WINDOWS = (0.25, 0.125)
"""Seconds of shorter windows, with which the full network is measured too."""
SETS = ('hard', 'real')
MICS = (4, 6)
METHOD = 'backprojection'
_BATCH = 32


def folder_name(title: str) -> str:
    """Make a folder's name of a variant's title."""
    return title.replace(' ', '-').replace(',', '')


def train_variant(title: str, options: argparse.Namespace, out: Path) -> Path:
    """Train one variant unless that has been done; return the path of its weights."""
    folder = out / folder_name(title)
    weights, variants = folder / f'{METHOD}.safetensors', {**VARIANTS, **SIZES}
    if not weights.is_file():
        minutes = options.minutes / (4 if title == QUARTER else 1)
        run(TrainConfig(
            METHOD, stages=(options.stage,), batch_size=options.batch_size,
            learning_rate=options.learning_rate, seed=options.seed, online=True,
            minutes=(minutes,), batches_per_epoch=options.batches_per_epoch,
            rooms_at_once=options.rooms_at_once, n_val=16, speech=options.speech,
            precision=options.precision,
            network=tuple((SMALL | dict(options.network) | variants.get(title, {})).items())),
            folder, None, options.devices, resume=(folder / 'config.json').is_file())
    return weights


def validation_rooms(options: argparse.Namespace, device: str) -> dict[str, Scenes]:
    """Simulate the rooms in which variants are measured, by the name of their preset."""
    bank, _ = find_speech(options.speech, TALKERS['val'])
    return {name: simulate(PRESETS[name], max(MICS), options.rooms, bank,
                           torch.Generator(device).manual_seed(1000 + k), device)
            for k, name in enumerate(SETS)}


def measure_errors(model: Backprojection, scenes: Scenes, n_mics: int,
                   seconds: float | None = None) -> NDArray[np.float64]:
    """Return the errors in metres with the first microphones, and the last seconds if given."""
    errors = []
    for at in range(0, len(scenes), _BATCH):
        some = scenes.take(slice(at, at + _BATCH)).with_microphones(slice(n_mics))
        if seconds:
            last = round(seconds * scenes.sample_rate)
            some = replace(some, signals=some.signals[..., -last:])
        errors.append(position_errors(model, some))
    return np.concatenate(errors)


def summary(errors: NDArray[np.floating]) -> dict[str, Any]:
    """Return the mean error with its interval, the median, and the share below half a metre."""
    low, high = bootstrap_interval(errors, np.random.default_rng(0))
    return {'mean': float(errors.mean()), 'interval': [low, high],
            'median': float(np.median(errors)), 'below_half': float((errors < 0.5).mean())}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the results as a Markdown table."""
    kinds = list(next(iter(results.values()))['errors'])
    lines = ['| | steps | ' + ' | '.join(kinds) + ' |', '| ---' * (2 + len(kinds)) + ' |']
    for title, result in results.items():
        cells = ['{mean:.2f} ({0:.2f} to {1:.2f}), {below_half:.0%}'.format(
            *row['interval'], **row) for row in result['errors'].values()]
        lines.append(f'| {title} | {result["steps"]:,} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.ablation', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--out', type=Path, default=Path('runs/ablate'), help='folder (%(default)s)')
    add('--minutes', type=float, default=2.0, help='of training each (%(default)s)')
    add('--variants', nargs='+', choices=[*VARIANTS, QUARTER, *SIZES],
        default=[*VARIANTS, QUARTER])
    add('--stage', default='mixed', choices=sorted(PRESETS), help='rooms (%(default)s)')
    add('--rooms', type=int, default=1000, help='validation rooms of each kind (%(default)s)')
    add('--devices', type=int, default=1, help='GPUs (or processes)')
    add('--batch-size', type=int, default=128, help='default %(default)s')
    add('--learning-rate', type=float, default=1.5e-3, help='default %(default)s')
    add('--batches-per-epoch', type=int, default=100, help='default %(default)s')
    add('--rooms-at-once', type=int, default=2048, help='default %(default)s')
    add('--precision', default='bf16-mixed', choices=('32-true', 'bf16-mixed'))
    add('--speech', default='auto', help="'auto', 'prompts', 'synthetic' or a folder")
    add('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    ablate(options)


def ablate(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """
    Train and measure all variants.

    Parameters
    ----------
    options : argparse.Namespace
        Those of the command line; `network`, if it is there, holds more settings of all networks
        as (name, value) pairs.

    Returns
    -------
    dict of str to dict
        For each row of the table its training steps and summaries of errors.

    """
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    options.network = getattr(options, 'network', ())
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    weights = {title: train_variant(title, options, options.out)
               for title in tqdm(options.variants, desc='variants')}
    rooms = validation_rooms(options, device)
    results: dict[str, dict[str, Any]] = {}
    for title, path in weights.items():
        model = load_checkpoint(path).to(device).eval()
        steps = json.loads((path.parent / f'1-{options.stage}/summary.json').read_text())['steps']
        for seconds in (None, *WINDOWS) if title == FULL else (None,):
            row = title if seconds is None else f'{title}, windows of {seconds:g} s'
            results[row] = {'steps': steps, 'errors': {
                f'{name} {n_mics}': summary(measure_errors(model, scenes, n_mics, seconds))
                for name, scenes in rooms.items() for n_mics in MICS}}
    text = table(results)
    (options.out / 'tables.md').write_text(text)
    (options.out / 'results.json').write_text(json.dumps(results, indent=1))
    bars = {title: {kind: (row['mean'], *row['interval'])
                    for kind, row in result['errors'].items()}
            for title, result in results.items()}
    save_figure(bars_figure(bars, 'mean error in validation rooms (m)'),
                options.out / 'ablations.png')
    print(text)
    return results


if __name__ == '__main__':
    main()
