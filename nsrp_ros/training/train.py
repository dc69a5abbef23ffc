r"""
Train a network, as the paper does or on rooms that are simulated during training.

    python -m nsrp_ros.training.train neural_srp runs/paper
    python -m nsrp_ros.training.train neural_srp runs/online --online --minutes 2 8
    python -m nsrp_ros.training.train backprojection runs/ours

The paper's recipe is the default for its networks: Adam at 5e-4, batches of 16, at most 50 epochs,
patience 3, first on anechoic rooms, then on reverberant ones. Back-projection has its own, for one
GPU. Every run leaves its configuration, curves, checkpoints and METHOD.safetensors in its folder,
and goes on where it stopped with --resume.
"""

import argparse
import ast
from collections.abc import Sequence
from dataclasses import replace
import json
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from nsrp_ros.training.config import NETWORKS
from nsrp_ros.training.config import RECIPES
from nsrp_ros.training.config import STAGES
from nsrp_ros.training.config import TrainConfig
from nsrp_ros.training.crnn_targets import TargetConfig
from nsrp_ros.training.experiment import run


def _setting(text: str) -> tuple[str, object]:
    """Read NAME=VALUE, the value being a Python literal."""
    name, _, value = text.partition('=')
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError) as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE') from error


def _parser() -> argparse.ArgumentParser:
    """Describe the command line; settings that are not given are absent from its result."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.training.train', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('method', choices=sorted(NETWORKS), help='which network')
    add('out', type=Path, help='folder of the run')
    add('--data', type=Path, default=Path('data'), help='folder of the data sets')
    add('--resume', action='store_true', help='go on where the run in this folder stopped')
    add('--devices', type=int, default=1, help='GPUs (or processes), by lightning DDP')
    add('--compare', type=Path, metavar='RUN',
        help='print the speed-up over this run, the one-GPU run of the same settings')
    add('--target', choices=('hyperbolic', 'normalised', 'gaussian'),
        help="map to predict (default: the method's own)")
    add('--sigma', type=float, help='width of the target, see crnn_targets.TargetConfig')
    recipe = parser.add_argument_group(
        'recipe', "the paper's unless the method has its own: see config.TrainConfig and RECIPES",
        argument_default=argparse.SUPPRESS)
    add = recipe.add_argument
    add('--stages', nargs='+', choices=sorted(STAGES),
        help='kinds of rooms of the training phases, in their order')
    add('--start', metavar='WEIGHTS', nargs='+',
        help='start from these weights, names in models/ or files; with --stages libri_adhoc '
             'this makes NeuralSRP+; backprojection takes from each what fits')
    add('--seed', type=int)
    add('--network', nargs='+', type=_setting, metavar='NAME=VALUE',
        help="settings of the network that differ from the method's own, as in core/config.py")
    add('--batch-size', type=int)
    add('--learning-rate', type=float)
    add('--max-epochs', type=int)
    add('--patience', type=int, help='epochs without improvement that end a phase')
    fresh = parser.add_argument_group('online training', argument_default=argparse.SUPPRESS)
    add = fresh.add_argument
    add('--online', action='store_true', help='simulate fresh rooms instead of reading data sets')
    add('--minutes', type=float, nargs='+',
        help='how long each phase lasts; the learning rate falls to zero within it')
    add('--batches-per-epoch', type=int, help='batches between validations')
    add('--rooms-at-once', type=int, help='rooms that are simulated in one call')
    add('--pairs-per-room', type=int, help='pairs that are taken from each room')
    add('--n-val', type=int, help='validation rooms')
    add('--speech', help="'auto', 'prompts', 'synthetic' or a folder")
    add('--precision', choices=('32-true', 'bf16-mixed'), help='of the convolutions')
    add('--compile', action='store_true', dest='compile_encoder',
        help='compile the convolutions, worth it for runs of many minutes on a GPU')
    return parser


def _target(method: str, kind: str | None, sigma: float | None) -> TargetConfig:
    """Return the method's own target, or what the options make of it."""
    target = NETWORKS[method].target
    if target is None:
        target = TargetConfig()  # not used
    elif kind and kind != target.kind:
        target = TargetConfig(kind, 0.5 if kind == 'normalised' else 1.0)
    return replace(target, sigma=sigma) if sigma else target


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = vars(_parser().parse_args(arguments))
    method, kind, sigma = (options.pop(name) for name in ('method', 'target', 'sigma'))
    out, data, compare = (options.pop(name) for name in ('out', 'data', 'compare'))
    devices, resume = options.pop('devices'), options.pop('resume')
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in options.items()}
    config = replace(RECIPES.get(method, TrainConfig()), method=method,
                     target=_target(method, kind, sigma), **given)
    # Silences lightning's notices about hardware and products.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    summaries = run(config, out, data, devices, resume)
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]  # set by lightning
        return
    for summary in summaries:
        print('{stage}: {epochs} epochs, {steps} steps, {minutes:.1f} min, best validation loss '
              '{best_val_loss:.4f}, {samples_per_second:.0f} samples/s on {devices} device(s)'
              .format(**summary))
    if compare:
        last = json.loads((compare / f'{len(summaries)}-{config.stages[-1]}/summary.json')
                          .read_text())
        print('speed-up over {}: {:.2f} on {} devices against {}'.format(
            compare, summaries[-1]['samples_per_second'] / last['samples_per_second'],
            devices, last['devices']))


if __name__ == '__main__':
    main()
