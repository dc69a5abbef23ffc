"""The results of cpu_latency.py as tables and pictures."""

from collections.abc import Mapping
import os
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
import numpy as np

GOALS = {4: 8.0, 6: 15.0, 16: 60.0, 32: 200.0}
"""Milliseconds that a window may take on two idle cores, by number of microphones."""

Results = Mapping[str, Any]
"""The content of results.json."""


def by_method(results: Results) -> dict[str, dict[int, dict[str, Any]]]:
    """Arrange the latencies: {method: {number of microphones: times}}."""
    arranged: dict[str, dict[int, dict[str, Any]]] = {}
    for row in results['latency']:
        arranged.setdefault(row['method'], {})[row['n_mics']] = row
    return arranged


def exponent(times: Mapping[int, float]) -> float:
    """Fit how time (ms) grows with microphones, {M: ms}: the slope of its logarithms."""
    if len(times) < 2:
        return float('nan')
    return float(np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0])


def tables(results: Results) -> str:
    """Format all results as Markdown."""
    lines = [f'{results["machine"]}, threads: {results["threads"]}, torch {results["torch"]}, '
             f'bfloat16 {"used" if results["bfloat16"] else "not used"}.', '',
             *_latency_table(results), '', *_gains_table(results), '', *_floor_table(results), '',
             *_accuracy_table(results)]
    for network, operations in results['profile'].items():
        lines += ['', f'The operations of {network} with six microphones that take most time.', '',
                  '| operation | share of time | calls a window |', '| --- | --- | --- |']
        lines += [f'| {row["operation"]} | {row["share"]:.1%} | {row["calls"]:.0f} |'
                  for row in operations]
    return '\n'.join(lines) + '\n'


def _latency_table(results: Results) -> list[str]:
    methods = by_method(results)
    numbers = sorted({row['n_mics'] for row in results['latency']})
    lines = ['Milliseconds for one window, medians: elapsed (processor time of all threads).', '',
             '| method | ' + ' | '.join(f'{n} microphones' for n in numbers) + ' | grows as |',
             '| --- |' + ' --- |' * (len(numbers) + 1)]
    for method, times in methods.items():
        cells = [f'{times[n]["wall_ms"]:.1f} ({times[n]["cpu_ms"]:.1f})' for n in numbers]
        power = exponent({n: times[n]['cpu_ms'] for n in numbers})
        lines.append(f'| `{method}` | ' + ' | '.join(cells) + f' | M^{power:.2f} |')
    for network in results['networks']:
        ours = methods[network]
        for method, times in methods.items():
            if method.split(',')[0] not in results['networks']:
                cells = [f'{times[n]["cpu_ms"] / ours[n]["cpu_ms"]:.1f}' for n in numbers]
                lines.append(f'| `{method}` / `{network}` | ' + ' | '.join(cells) + ' | |')
    return [*lines, '| goal on two idle cores | '
            + ' | '.join(f'{GOALS[n]:g}' if n in GOALS else '' for n in numbers) + ' | |']


def _gains_table(results: Results) -> list[str]:
    lines = ['What each approximation saves, processor time in milliseconds.', '',
             '| network | microphones | variant | time | relative |',
             '| --- | --- | --- | --- | --- |']
    for row in results['gains']:
        base = next(r for r in results['gains']
                    if (r['network'], r['n_mics']) == (row['network'], row['n_mics']))
        lines.append(f'| {row["network"]} | {row["n_mics"]} | {row["way"]} | {row["cpu_ms"]:.1f} '
                     f'| {row["cpu_ms"] / base["cpu_ms"]:.2f} |')
    return lines


def _floor_table(results: Results) -> list[str]:
    methods, speeds = by_method(results), results['speeds']
    lines = ["The lower limit from this machine's speeds: "
             f'{speeds["float32"] / 1e9:.0f} '
             f'Gflop/s in float32, {speeds["bfloat16"] / 1e9:.0f} in bfloat16, '
             f'{speeds["copy"] / 1e9:.1f} GB/s copied. Products alone are the limit; traffic is '
             'what all operations would move without caches.', '',
             '| network | microphones | Gflop | GB | products, ms | traffic, ms '
             '| measured / products |',
             '| --- | --- | --- | --- | --- | --- | --- |']
    for row in results['floor']:
        taken = methods[row['network']][row['n_mics']]['cpu_ms']
        lines.append(f'| {row["network"]} | {row["n_mics"]} | {row["flops"] / 1e9:.2f} '
                     f'| {row["bytes"] / 1e9:.2f} | {row["flops_ms"]:.1f} '
                     f'| {row["bytes_ms"]:.1f} | {taken / row["flops_ms"]:.1f} |')
    return lines


def _accuracy_table(results: Results) -> list[str]:
    lines = ['Accuracy in frozen validation rooms, mean error in metres.', '',
             '| network | rooms | microphones | without approximations | with | difference '
             '| moved by (median) |', '| --- | --- | --- | --- | --- | --- | --- |']
    for row in results['accuracy']:
        lines.append(f'| {row["network"]} | {row["rooms"]} of {row["set"]} | {row["n_mics"]} '
                     f'| {row["plain_m"]:.3f} | {row["quick_m"]:.3f} '
                     f'| {row["difference_m"]:+.4f} ± {row["standard_error_m"]:.4f} '
                     f'| {row["moved_m"]:.3f} |')
    return lines


def latency_figure(results: Results) -> Figure:
    """Draw elapsed and processor time over microphones, and the goals."""
    figure, row = plt.subplots(1, 2, figsize=(12, 4.2), layout='constrained', sharey=True)
    for axes, kind, title in zip(row, ('wall_ms', 'cpu_ms'), ('elapsed', 'processor time'),
                                 strict=True):
        for method, times in by_method(results).items():
            points = np.array([(n, t[kind]) for n, t in sorted(times.items())])
            axes.loglog(*points.T, 'o-', label=method)
        axes.loglog(list(GOALS), list(GOALS.values()), 'k_', markersize=14, label='goal')
        numbers = sorted({r['n_mics'] for r in results['latency']})
        axes.set_xticks(numbers, [str(n) for n in numbers])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.set(xlabel='microphones', title=f'{title}, threads: {results["threads"]}')
    row[0].set_ylabel('milliseconds a window')
    # Beside the axes: lines go from one corner to the other.
    figure.legend(*row[0].get_legend_handles_labels(), loc='outside right center')
    return figure


def gains_figure(results: Results) -> Figure:
    """Draw the time without each approximation."""
    numbers = sorted({row['n_mics'] for row in results['gains']})
    figure, axes = plt.subplots(1, max(len(numbers), 1), figsize=(11, 4.4), squeeze=False,
                                sharey=True, layout='constrained')
    for n_mics, axis in zip(numbers, axes[0], strict=False):
        thick = 0.8 / len(results['networks'])
        for k, network in enumerate(results['networks']):
            rows = [row for row in results['gains']
                    if (row['network'], row['n_mics']) == (network, n_mics)]
            bars = axis.barh(np.arange(len(rows)) + k * thick, [row['cpu_ms'] for row in rows],
                             thick, label=network)
            axis.bar_label(bars, fmt='%.0f', padding=2)
            middle = thick * (len(results['networks']) - 1) / 2
            axis.set_yticks(np.arange(len(rows)) + middle, [row['way'] for row in rows])
        axis.set(xlabel='processor time a window (ms)', title=f'{n_mics} microphones')
        axis.margins(x=0.12)
    if numbers:
        axes[0, 0].invert_yaxis()
        axes[0, 0].legend()
    return figure


def save(figure: Figure, picture: str | os.PathLike[str]) -> None:
    """Write a figure to a file and close it."""
    figure.savefig(picture, dpi=120)
    plt.close(figure)
