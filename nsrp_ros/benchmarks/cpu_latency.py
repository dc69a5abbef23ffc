"""
How long an answer takes, how near that is to what the machine allows, and what haste costs.

    python -m nsrp_ros.benchmarks.cpu_latency --threads 2

times the methods in turn on the same windows, so that their ratios hold on a busy machine too;
takes the shortcuts of torch_cpu/network.py away one by one; counts operations and bytes and
divides them by this machine's own speeds; locates frozen validation rooms with and without
shortcuts; and lets the whole node hear six microphones in real time, ten windows a second
(`nsrp_ros.apps.soak_test.main`).
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from importlib.util import find_spec
import json
from pathlib import Path
import platform
import subprocess
import sys

from nsrp_ros.benchmarks.hardware import count
from nsrp_ros.benchmarks.hardware import machine_speeds
from nsrp_ros.benchmarks.hardware import timed
from nsrp_ros.benchmarks.latency_report import draw_gains
from nsrp_ros.benchmarks.latency_report import draw_latency
from nsrp_ros.benchmarks.latency_report import tables
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.datasets.storage import load
from nsrp_ros.localization.backprojection.approximations import bfloat16_pays
from nsrp_ros.localization.backprojection.approximations import Shortcuts
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import torch
from torch.profiler import profile
from torch.profiler import ProfilerActivity
from tqdm import tqdm

WITHOUT = {
    'all shortcuts': {},
    'without looking coarsely first': {'doubt': 0.0},
    'without sixteen bits': {'bfloat16': False},
    'without remembering geometry': {'remember': False},
    'with all pairs': {'partners': None},
    'with lags cut to each pair + 64': {'lag_margin': 64},
    'no shortcut': {'doubt': 0.0, 'bfloat16': False, 'remember': False, 'partners': None},
}
"""What is changed of `Shortcuts()` to see what each part gains."""
NETWORKS = ('backprojection',)
ONNX = [f'{name}.onnx' for name in NETWORKS if find_spec('onnxruntime') is not None]
PLAIN = '{}, plain'
PAIR_BY_PAIR = 'neural_srp, pair by pair'


class PairByPair:
    """
    A method that hears two microphones at a time: how the paper's cost is counted.

    Parameters
    ----------
    localizer : Localizer
        What is asked of every pair; the maps would be summed, which costs next to nothing.

    """

    def __init__(self, localizer):
        self._localizer = localizer

    def locate(self, signals, sample_rate, mic_positions, room_dims):
        """Ask every pair: a list of estimates."""
        return [self._localizer.locate(signals[pair], sample_rate, mic_positions[pair], room_dims)
                for pair in microphone_pairs(len(signals))]


def the_node(network, minutes, folder):
    """Run the node in real time at ten windows a second; None where there is no ROS."""
    if find_spec('rclpy') is None:
        return None
    # Hardly a pause: silent windows would cost nothing.
    subprocess.run([sys.executable, '-m', 'nsrp_ros.apps.soak_test.main', '--speed', '1',
                    '--hop', '0.1', '--minutes', str(minutes), '--pause', '0.2',
                    '--fault-every', '0',
                    '--max-growth', '1000', '--method', network, '--output', str(folder)],
                   check=True, stdout=subprocess.DEVNULL)
    said = json.loads((folder / 'endurance.json').read_text())
    localizer = said['whole']['processes']['localizer']
    return {'network': network, 'windows': said['windows'], 'fates': said['fates'],
            'cores': localizer['cores'], 'peak_mb': said['memory']['localizer']['peak_mb'],
            'p50_ms': said['whole']['latency_ms_p50'], 'p95_ms': said['whole']['latency_ms_p95'],
            'first_pose_s': said['first_pose_s']}


def accuracy(folders, numbers, limit, network, model):
    """Locate validation rooms with all shortcuts and with none."""
    ways = {'plain': Localizer(Backprojector(model, shortcuts=None)),
            'quick': Localizer(Backprojector(model))}
    rows = []
    for folder in folders:
        for n_mics in numbers:
            if n_mics > json.loads((folder / 'manifest.json').read_text())['n_mics']:
                continue
            scenes = load(folder, n_mics)
            found = defaultdict(list)
            n_rooms = min(limit, len(scenes))
            for k in tqdm(range(n_rooms), desc=f'{network}, {folder.name}, {n_mics}',
                          leave=False):
                for name, localizer in ways.items():
                    found[name].append(localizer.locate(
                        scenes.signals[k], scenes.sample_rate, scenes.mic_positions[k],
                        scenes.room_dims[k]))
            where = {name: np.array([e.position for e in f]) for name, f in found.items()}
            truth = scenes.source_position[:n_rooms, :2]
            errors = {name: np.linalg.norm(w - truth, axis=1) for name, w in where.items()}
            apart = errors['quick'] - errors['plain']
            moved = np.linalg.norm(where['quick'] - where['plain'], axis=1)
            rows.append({'network': network, 'set': folder.name, 'n_mics': n_mics,
                         'rooms': n_rooms,
                         'plain_m': errors['plain'].mean(), 'quick_m': errors['quick'].mean(),
                         'difference_m': apart.mean(),
                         'standard_error_m': apart.std() / n_rooms ** 0.5,
                         'moved_m': float(np.median(moved))})
    return rows


def hot_path(call, repeats=20, rows=12):
    """Profile a call: the shares of its operations, largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(repeats):
            call()
    events = record.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    events = sorted(events, key=lambda event: -event.self_cpu_time_total)[:rows]
    return [{'operation': event.key, 'share': event.self_cpu_time_total / whole,
             'calls': event.count / repeats} for event in events]


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.benchmarks.cpu_latency', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--mics', type=int, nargs='+', default=[2, 4, 6, 8, 16, 32])
    add('--networks', nargs='+', default=list(NETWORKS), choices=NETWORKS,
        help='ours, whose shortcuts are taken away (%(default)s)')
    add('--methods', nargs='+', default=['srp_phat', 'neural_srp', PAIR_BY_PAIR, *ONNX],
        help='what they are compared with (%(default)s)')
    add('--gains', type=int, nargs='*', default=[6, 16],
        help='numbers of microphones to take shortcuts away at (%(default)s)')
    add('--repeats', type=int, default=25, help='timings of each (%(default)s)')
    add('--threads', type=int, default=torch.get_num_threads(), help='(%(default)s)')
    add('--rooms', type=int, default=100, help='validation rooms of each set (%(default)s)')
    add('--sets', type=Path, nargs='*', help='folders of validation rooms (data/*-val)')
    add('--node-minutes', type=float, default=1.0,
        help='how long the node runs in real time, 0 for not at all (%(default)s)')
    add('--out', type=Path, default=Path('runs/bench'), help='folder (%(default)s)')
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    models = {name: load_checkpoint(find_weights(name)) for name in options.networks}
    quick = {name: Localizer(Backprojector(model)) for name, model in models.items()}
    plain = {PLAIN.format(name): Localizer(Backprojector(model, shortcuts=None))
             for name, model in models.items()}
    others = {name: PairByPair(Localizer.load('neural_srp')) if name == PAIR_BY_PAIR
              else Localizer.load(name, threads=options.threads) for name in options.methods}

    # One room, so that fewer microphones are some of those of the others.
    speech, _ = find_speech('synthetic')
    most = max([*options.mics, *options.gains])
    scene = simulate(PRESETS['reverb_sim'], most, 1, speech, torch.Generator().manual_seed(1))
    signals, mics, dims = (a[0].numpy() for a in (scene.signals, scene.mic_positions,
                                                  scene.room_dims))

    def call_of(localizer, n_mics):
        return lambda: localizer.locate(signals[:n_mics], scene.sample_rate, mics[:n_mics], dims)

    results = {'machine': platform.processor() or platform.machine(), 'threads': options.threads,
               'torch': torch.__version__, 'bfloat16': bfloat16_pays(),
               'networks': options.networks, 'speeds': machine_speeds(), 'latency': [],
               'gains': [], 'floor': [], 'profile': {}, 'accuracy': [], 'node': []}
    for n_mics in options.mics:
        row = timed({name: call_of(localizer, n_mics)
                     for name, localizer in {**quick, **others, **plain}.items()},
                    options.repeats, f'{n_mics} microphones')
        results['latency'] += [{'n_mics': n_mics, 'method': name, **times}
                               for name, times in row.items()]
    speed = results['speeds']['bfloat16' if results['bfloat16'] else 'float32']
    folders = options.sets if options.sets is not None else sorted(Path('data').glob('*-val'))
    for network, model in models.items():
        for n_mics in options.gains:
            ways = {name: Localizer(Backprojector(model, shortcuts=replace(Shortcuts(), **change)))
                    for name, change in WITHOUT.items()}
            row = timed({name: call_of(way, n_mics) for name, way in ways.items()},
                        options.repeats, f'{network}, gains at {n_mics} microphones')
            results['gains'] += [{'network': network, 'n_mics': n_mics, 'way': name, **times}
                                 for name, times in row.items()]
        for n_mics in options.mics:
            call = call_of(quick[network], n_mics)
            call()
            flops, moved = count(call)
            results['floor'].append({'network': network, 'n_mics': n_mics, 'flops': flops,
                                     'bytes': moved, 'flops_ms': 1e3 * flops / speed,
                                     'bytes_ms': 1e3 * moved / results['speeds']['copy']})
        results['profile'][network] = hot_path(call_of(quick[network], 6))
        results['accuracy'] += accuracy(folders, options.mics[1:], options.rooms, network, model)
        if options.node_minutes:
            results['node'].append(the_node(network, options.node_minutes, options.out / network))

    (options.out / 'results.json').write_text(json.dumps(results, indent=1))
    text = tables(results)
    (options.out / 'tables.md').write_text(text)
    draw_latency(results, options.out / 'latency.png')
    draw_gains(results, options.out / 'gains.png')
    print(text + f'\nwrote {options.out}/results.json, tables.md and pictures')


if __name__ == '__main__':
    main()
