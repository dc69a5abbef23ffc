"""
The latency of the methods on a processor, its lower limit, and what approximations save and cost.

    python -m nsrp_ros.benchmarks.cpu_latency --threads 2

times the methods in turn on the same windows, so that their ratios hold on a busy machine too;
switches the approximations of torch_cpu/network.py off one by one; counts operations and bytes
and divides them by this machine's own speeds; and locates frozen validation rooms with and without
approximations. `nsrp_ros.apps.soak_test.node_timing` times the whole node.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
import json
from pathlib import Path
import platform
import sys
from typing import Any
from typing import Protocol

from nsrp_ros.benchmarks.hardware import count
from nsrp_ros.benchmarks.hardware import machine_speeds
from nsrp_ros.benchmarks.hardware import timed
from nsrp_ros.benchmarks.latency_report import gains_figure
from nsrp_ros.benchmarks.latency_report import latency_figure
from nsrp_ros.benchmarks.latency_report import save
from nsrp_ros.benchmarks.latency_report import tables
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.datasets.storage import load
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.backprojection.approximations import bfloat16_is_faster
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
from numpy.typing import NDArray
import torch
from torch.profiler import profile
from torch.profiler import ProfilerActivity
from tqdm import tqdm

WITHOUT: dict[str, dict[str, Any]] = {
    'all approximations': {},
    'without a coarse grid': {'refine_below': 0.0},
    'without sixteen bits': {'bfloat16': False},
    'without cached geometry': {'cache_geometry': False},
    'with all pairs': {'pairs_per_microphone': None},
    'with lags cut to each pair + 64': {'lag_margin': 64},
    'no approximation': {'refine_below': 0.0, 'bfloat16': False, 'cache_geometry': False,
                         'pairs_per_microphone': None},
}
"""What is changed of `Approximations()` to measure what each part saves."""
NETWORKS = ('backprojection',)
ONNX = [f'{name}.onnx' for name in NETWORKS if find_spec('onnxruntime') is not None]
PLAIN = '{}, plain'
PAIR_BY_PAIR = 'neural_srp, pair by pair'


class Locates(Protocol):
    """What is timed: a Localizer, or a PairByPair."""

    def locate(self, signals: NDArray[np.float32], sample_rate: float,
               mic_positions: NDArray[np.float32], room_dims: NDArray[np.float32], /) -> object:
        """Locate the talker of one window."""


class PairByPair:
    """
    A method on two microphones at a time, which is how the paper counts the cost.

    Parameters
    ----------
    localizer : Localizer
        Called for every pair; the maps would be summed, which costs next to nothing.

    """

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer

    def locate(self, signals: NDArray[np.float32], sample_rate: float,
               mic_positions: NDArray[np.float32],
               room_dims: NDArray[np.float32]) -> list[Estimate]:
        """Locate with every pair."""
        return [self._localizer.locate(signals[pair], sample_rate, mic_positions[pair], room_dims)
                for pair in microphone_pairs(len(signals))]


def accuracy(folders: Sequence[Path], numbers: Sequence[int], limit: int, network: str,
             model: Backprojection) -> list[dict[str, Any]]:
    """
    Locate validation rooms with all approximations and with none.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Frozen sets.
    numbers : sequence of int
        Numbers of microphones, left out where a set has fewer.
    limit : int
        The most rooms of each set.
    network, model : str, Backprojection
        Its name and the network.

    Returns
    -------
    list of dict
        A row of results.json for each set and number; 'quick' is with approximations.

    """
    ways = {'plain': Localizer(Backprojector(model, approximations=None)),
            'quick': Localizer(Backprojector(model))}
    rows = []
    for folder in folders:
        for n_mics in numbers:
            if n_mics > json.loads((folder / 'manifest.json').read_text())['n_mics']:
                continue
            scenes = load(folder, n_mics)
            found: dict[str, list[Estimate]] = defaultdict(list)
            n_rooms = min(limit, len(scenes))
            for k in tqdm(range(n_rooms), desc=f'{network}, {folder.name}, {n_mics}',
                          leave=False):
                for name, localizer in ways.items():
                    found[name].append(localizer.locate(
                        scenes.signals[k], scenes.sample_rate, scenes.mic_positions[k],
                        scenes.room_dims[k]))
            positions = {name: np.array([e.position for e in f]) for name, f in found.items()}
            truth = scenes.source_position[:n_rooms, :2]
            errors = {name: np.linalg.norm(p - truth, axis=1) for name, p in positions.items()}
            difference = errors['quick'] - errors['plain']
            moved = np.linalg.norm(positions['quick'] - positions['plain'], axis=1)
            rows.append({'network': network, 'set': folder.name, 'n_mics': n_mics,
                         'rooms': n_rooms,
                         'plain_m': errors['plain'].mean(), 'quick_m': errors['quick'].mean(),
                         'difference_m': difference.mean(),
                         'standard_error_m': difference.std() / n_rooms ** 0.5,
                         'moved_m': float(np.median(moved))})
    return rows


def operation_shares(call: Callable[[], object], repeats: int = 20,
                     rows: int = 12) -> list[dict[str, Any]]:
    """Profile a call: the shares of its operations in the time, largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(repeats):
            call()
    events = record.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    events = sorted(events, key=lambda event: -event.self_cpu_time_total)[:rows]
    return [{'operation': event.key, 'share': event.self_cpu_time_total / whole,
             'calls': event.count / repeats} for event in events]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.benchmarks.cpu_latency', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--mics', type=int, nargs='+', default=[2, 4, 6, 8, 16, 32])
    add('--networks', nargs='+', default=list(NETWORKS), choices=NETWORKS,
        help='ours, whose approximations are switched off (%(default)s)')
    add('--methods', nargs='+', default=['srp_phat', 'neural_srp', PAIR_BY_PAIR, *ONNX],
        help='what they are compared with (%(default)s)')
    add('--gains', type=int, nargs='*', default=[6, 16],
        help='numbers of microphones to switch approximations off at (%(default)s)')
    add('--repeats', type=int, default=25, help='timings of each (%(default)s)')
    add('--threads', type=int, default=torch.get_num_threads(), help='(%(default)s)')
    add('--rooms', type=int, default=100, help='validation rooms of each set (%(default)s)')
    add('--sets', type=Path, nargs='*', help='folders of validation rooms (data/*-val)')
    add('--node-minutes', type=float, help=argparse.SUPPRESS)
    add('--out', type=Path, default=Path('runs/bench'), help='folder (%(default)s)')
    options = parser.parse_args(arguments)
    if options.node_minutes:
        print('--node-minutes is ignored: the whole node is timed by `python -m '
              'nsrp_ros.apps.soak_test.node_timing --minutes ...`', file=sys.stderr)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    models = {name: load_checkpoint(find_weights(name)) for name in options.networks}
    fast = {name: Localizer(Backprojector(model)) for name, model in models.items()}
    plain = {PLAIN.format(name): Localizer(Backprojector(model, approximations=None))
             for name, model in models.items()}
    others: dict[str, Locates] = {
        name: PairByPair(Localizer.load('neural_srp')) if name == PAIR_BY_PAIR
        else Localizer.load(name, threads=options.threads) for name in options.methods}

    # One room, so that fewer microphones are some of those of the others.
    speech, _ = find_speech('synthetic')
    most = max([*options.mics, *options.gains])
    scene = simulate(PRESETS['reverb_sim'], most, 1, speech, torch.Generator().manual_seed(1))
    signals, mics, dims = (a[0].numpy() for a in (scene.signals, scene.mic_positions,
                                                  scene.room_dims))

    def call_of(localizer: Locates, n_mics: int) -> Callable[[], object]:
        return lambda: localizer.locate(signals[:n_mics], scene.sample_rate, mics[:n_mics], dims)

    results: dict[str, Any] = {
        'machine': platform.processor() or platform.machine(), 'threads': options.threads,
        'torch': torch.__version__, 'bfloat16': bfloat16_is_faster(),
        'networks': options.networks, 'speeds': machine_speeds(), 'latency': [], 'gains': [],
        'floor': [], 'profile': {}, 'accuracy': []}
    for n_mics in options.mics:
        row = timed({name: call_of(localizer, n_mics)
                     for name, localizer in {**fast, **others, **plain}.items()},
                    options.repeats, f'{n_mics} microphones')
        results['latency'] += [{'n_mics': n_mics, 'method': name, **times}
                               for name, times in row.items()]
    speed = results['speeds']['bfloat16' if results['bfloat16'] else 'float32']
    folders = options.sets if options.sets is not None else sorted(Path('data').glob('*-val'))
    for network, model in models.items():
        for n_mics in options.gains:
            ways = {name: Localizer(Backprojector(
                model, approximations=replace(Approximations(), **change)))
                for name, change in WITHOUT.items()}
            row = timed({name: call_of(way, n_mics) for name, way in ways.items()},
                        options.repeats, f'{network}, gains at {n_mics} microphones')
            results['gains'] += [{'network': network, 'n_mics': n_mics, 'way': name, **times}
                                 for name, times in row.items()]
        for n_mics in options.mics:
            call = call_of(fast[network], n_mics)
            call()
            flops, moved = count(call)
            results['floor'].append({'network': network, 'n_mics': n_mics, 'flops': flops,
                                     'bytes': moved, 'flops_ms': 1e3 * flops / speed,
                                     'bytes_ms': 1e3 * moved / results['speeds']['copy']})
        results['profile'][network] = operation_shares(call_of(fast[network], 6))
        results['accuracy'] += accuracy(folders, options.mics[1:], options.rooms, network, model)

    (options.out / 'results.json').write_text(json.dumps(results, indent=1))
    text = tables(results)
    (options.out / 'tables.md').write_text(text)
    save(latency_figure(results), options.out / 'latency.png')
    save(gains_figure(results), options.out / 'gains.png')
    print(text + f'\nwrote {options.out}/results.json, tables.md and pictures')


if __name__ == '__main__':
    main()
