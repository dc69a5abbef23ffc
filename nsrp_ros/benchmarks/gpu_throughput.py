"""
The rooms that one graphics card serves: the throughput of batches, and the card's limit.

    python -m nsrp_ros.benchmarks.gpu_throughput

times `Localizer.locate_all` from arrays in memory to estimates, for batches of windows of six
microphones in as many rooms; prints which part of that the network takes and how far it is from
what the card could multiply and copy; and compares the estimates with those of the CPU. Data sets
(`evaluate`) and bags (`localize_bag --device cuda`) are localized by the same call.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import json
import os
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from nsrp_ros.benchmarks.hardware import count
from nsrp_ros.benchmarks.hardware import machine_speeds
from nsrp_ros.benchmarks.hardware import timed
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.approximations import REFINEMENT_CELLS
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import whole_room
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import torch

WINDOWS_A_SECOND = 4
"""Of each room."""


def network_call(model: Backprojection, scenes: Scenes[torch.Tensor],
                 device: str | torch.device) -> Callable[[], None]:
    """Return a call that evaluates the network on both grids, and waits for the card."""
    cfg = model.config
    signals, mics, dims = (torch.as_tensor(of, device=device) for of in (
        scenes.signals, scenes.mic_positions, scenes.room_dims))
    area = whole_room(dims)

    @torch.inference_mode()
    def call() -> None:
        features = model.encode(signals, mics)
        model.evaluate_grid(features, dims, area, cfg.shape)
        model.evaluate_grid(features, dims, area,
                            (cfg.heights, REFINEMENT_CELLS, REFINEMENT_CELLS))
        if torch.device(device).type == 'cuda':
            torch.cuda.synchronize(device)
    return call


def bench(method: str, batches: Sequence[int], n_mics: int, device: str, repeats: int,
          compared: int = 64) -> dict[str, Any]:
    """
    Measure throughput, the network's share of the time, its operations and the error.

    Parameters
    ----------
    method : str
        A back-projection network.
    batches : sequence of int
        Windows at once.
    n_mics, repeats : int
        Microphones in every window, and timings of each batch.
    device : str
        Such as 'cuda' (or 'cpu', where windows are located one by one).
    compared : int
        Windows in the batch whose operations are counted; they are located on the CPU, too.

    Returns
    -------
    dict
        What `table` formats.

    """
    speech, _ = find_speech('synthetic')
    scenes = simulate(PRESETS['hard'], n_mics, max(*batches, compared), speech,
                      torch.Generator(device).manual_seed(1), device)
    signals, mics, dims = (of.cpu().numpy() for of in (
        scenes.signals, scenes.mic_positions, scenes.room_dims))
    windows = [(signals[k], scenes.sample_rate, mics[k], dims[k]) for k in range(len(scenes))]
    localizer = Localizer.load(method, device)
    some = scenes.take(slice(compared))
    network = network_call(load_checkpoint(find_weights(method)).to(device).eval(), some, device)
    flops, moved = count(network)
    speeds = machine_speeds(device)
    cuda = torch.device(device).type == 'cuda'
    results: dict[str, Any] = {
        'method': method, 'n_mics': n_mics, 'speeds': speeds, 'torch': torch.__version__,
        'device': torch.cuda.get_device_name(device) if cuda else 'CPU',
        'flops': flops / compared, 'bytes': moved / compared,
        'network_ms': timed({'': network}, repeats, 'network')['']['wall_ms'] / compared,
        'compared': compared,
        'batches': []}
    for n_windows in batches:
        if cuda:
            torch.cuda.reset_peak_memory_stats(device)

        def call(n_windows: int = n_windows) -> object:
            return localizer.locate_all(windows[:n_windows])
        taken = timed({'': call}, repeats, f'{n_windows} windows')['']['wall_ms']
        results['batches'].append({
            'windows': n_windows, 'ms': taken, 'rooms': 1e3 * n_windows / taken / WINDOWS_A_SECOND,
            'gb': torch.cuda.max_memory_allocated(device) / 1e9 if cuda else None})
    here, there = (np.array([e.position for e in of.locate_all(windows[:compared])])
                   for of in (localizer, Localizer.load(method)))
    truth = some.source_position[:, :2].cpu().numpy()
    results['apart_m'] = float(np.linalg.norm(here - there, axis=1).mean())
    results['error_m'], results['error_on_cpu_m'] = (
        float(np.linalg.norm(of - truth, axis=1).mean()) for of in (here, there))
    return results


def table(results: dict[str, Any]) -> str:
    """Format results as Markdown."""
    lines = [f'{results["device"]}, torch {results["torch"]}: `{results["method"]}`, windows of '
             f'{results["n_mics"]} microphones, medians.', '',
             '| windows at once | milliseconds | each | rooms at '
             f'{WINDOWS_A_SECOND} windows a second | memory |', '| --- | --- | --- | --- | --- |']
    for row in results['batches']:
        memory = '' if row['gb'] is None else f'{row["gb"]:.1f} GB'
        lines.append(f'| {row["windows"]} | {row["ms"]:.1f} | {row["ms"] / row["windows"]:.2f} '
                     f'| {row["rooms"]:.0f} | {memory} |')
    speeds, best = results['speeds'], min(r['ms'] / r['windows'] for r in results['batches'])
    products = 1e3 * results['flops'] / speeds['float32']
    traffic = 1e3 * results['bytes'] / speeds['copy']
    lines += ['', f'Of each window the network takes {results["network_ms"]:.2f} ms (both grids, '
              f'{results["compared"]} at once). It needs {results["flops"] / 1e9:.2f} Gflop '
              f'and moves {results["bytes"] / 1e9:.2f} GB; this card multiplies '
              f'{speeds["float32"] / 1e12:.0f} Tflop/s in float32 '
              f'({speeds["bfloat16"] / 1e12:.0f} in bfloat16) and copies '
              f'{speeds["copy"] / 1e12:.2f} TB/s, so products alone would take {products:.3f} ms '
              f'and traffic {traffic:.3f}: the network runs at '
              f'{max(products, traffic) / results["network_ms"]:.0%} of the limit, all of it at '
              f'{max(products, traffic) / best:.0%}.', '',
              f'Mean error {results["error_m"]:.3f} m, {results["error_on_cpu_m"]:.3f} m on the '
              f'CPU with its approximations; estimates are {results["apart_m"]:.3f} m apart.']
    return '\n'.join(lines) + '\n'


def draw(results: dict[str, Any], picture: str | os.PathLike[str]) -> None:
    """Draw how many rooms are served, over windows at once."""
    figure, axes = plt.subplots(figsize=(6, 3.8), layout='constrained')
    points = np.array([(row['windows'], row['rooms']) for row in results['batches']])
    axes.semilogx(*points.T, 'o-', base=2)
    for windows, rooms in points:
        axes.annotate(f'{rooms:.0f}', (windows, rooms), (0, 6), textcoords='offset points',
                      ha='center')
    axes.set_xticks(points[:, 0], [f'{n:.0f}' for n in points[:, 0]])
    axes.margins(y=0.15)
    axes.grid(alpha=0.3)
    axes.set(xlabel='windows at once', ylabel=f'rooms at {WINDOWS_A_SECOND} windows a second',
             title=f'{results["device"]}, {results["n_mics"]} microphones')
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.benchmarks.gpu_throughput', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--method', default='backprojection', help='(%(default)s)')
    add('--device', default='cuda', help='(%(default)s)')
    add('--mics', type=int, default=6, help='in every window (%(default)s)')
    add('--batches', type=int, nargs='+', default=[1, 4, 16, 64, 128, 256],
        help='windows at once (%(default)s)')
    add('--repeats', type=int, default=7, help='timings of each (%(default)s)')
    add('--out', type=Path, default=Path('runs/bench_gpu'), help='folder (%(default)s)')
    options = parser.parse_args(arguments)
    results = bench(options.method, options.batches, options.mics, options.device,
                    options.repeats)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'results.json').write_text(json.dumps(results, indent=1))
    text = table(results)
    (options.out / 'tables.md').write_text(text)
    draw(results, options.out / 'rooms.png')
    print(text + f'\nwrote {options.out}/results.json, tables.md and rooms.png')


if __name__ == '__main__':
    main()
