"""What cpu_latency.py has measured, as tables and pictures."""

from matplotlib import pyplot as plt
import numpy as np

GOALS = {4: 8.0, 6: 15.0, 16: 60.0, 32: 200.0}
"""Milliseconds that a window may take on two quiet cores, by number of microphones."""


def by_method(results):
    """Arrange the latencies: {method: {number of microphones: times}}."""
    arranged = {}
    for row in results['latency']:
        arranged.setdefault(row['method'], {})[row['n_mics']] = row
    return arranged


def exponent(times):
    """Fit how time (ms) grows with microphones, {M: ms}: the slope of its logarithms."""
    if len(times) < 2:
        return float('nan')
    return float(np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0])


def tables(results):
    """Write all that was measured as Markdown."""
    methods = by_method(results)
    numbers = sorted({row['n_mics'] for row in results['latency']})
    lines = [f'{results["machine"]}, threads: {results["threads"]}, torch {results["torch"]}, '
             f'bfloat16 {"used" if results["bfloat16"] else "not used"}.', '',
             'Milliseconds for one window, medians: elapsed (processor time of all threads).', '',
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
    lines.append('| goal on two quiet cores | '
                 + ' | '.join(f'{GOALS[n]:g}' if n in GOALS else '' for n in numbers) + ' | |')

    lines += ['', 'What each shortcut gains, processor time in milliseconds.', '',
              '| network | microphones | way | time | relative |',
              '| --- | --- | --- | --- | --- |']
    for row in results['gains']:
        base = next(r for r in results['gains']
                    if (r['network'], r['n_mics']) == (row['network'], row['n_mics']))
        lines.append(f'| {row["network"]} | {row["n_mics"]} | {row["way"]} | {row["cpu_ms"]:.1f} '
                     f'| {row["cpu_ms"] / base["cpu_ms"]:.2f} |')

    speeds = results['speeds']
    lines += ['', "The floor, from this machine's speeds: "
              f'{speeds["float32"] / 1e9:.0f} '
              f'Gflop/s in float32, {speeds["bfloat16"] / 1e9:.0f} in bfloat16, '
              f'{speeds["copy"] / 1e9:.1f} GB/s copied. Products alone are the floor; traffic is '
              'what all operations would move if no cache kept anything.', '',
              '| network | microphones | Gflop | GB | products, ms | traffic, ms '
              '| measured / products |',
              '| --- | --- | --- | --- | --- | --- | --- |']
    for row in results['floor']:
        taken = methods[row['network']][row['n_mics']]['cpu_ms']
        lines.append(f'| {row["network"]} | {row["n_mics"]} | {row["flops"] / 1e9:.2f} '
                     f'| {row["bytes"] / 1e9:.2f} | {row["flops_ms"]:.1f} '
                     f'| {row["bytes_ms"]:.1f} | {taken / row["flops_ms"]:.1f} |')

    lines += ['', 'Accuracy on frozen validation rooms, mean error in metres.', '',
              '| network | rooms | microphones | plain | quick | difference '
              '| typically moved by |', '| --- | --- | --- | --- | --- | --- | --- |']
    for row in results['accuracy']:
        lines.append(f'| {row["network"]} | {row["rooms"]} of {row["set"]} | {row["n_mics"]} '
                     f'| {row["plain_m"]:.3f} | {row["quick_m"]:.3f} '
                     f'| {row["difference_m"]:+.4f} ± {row["standard_error_m"]:.4f} '
                     f'| {row["moved_m"]:.3f} |')

    lines += ['', 'The whole node: six microphones in real time, ten windows a second, one '
              "thread; latency from the last sample's publication to the estimate's arrival.", '',
              '| network | windows | cores | latency, median | latency, 95 % | most memory '
              '| first pose after |', '| --- | --- | --- | --- | --- | --- | --- |']
    lines += [f'| {row["network"]} | {row["windows"]}, of which {_fates(row["fates"])} '
              f'| {row["cores"]:.2f} | {row["p50_ms"]:.0f} ms | {row["p95_ms"]:.0f} ms '
              f'| {row["peak_mb"]:.0f} MB | {row["first_pose_s"]:.1f} s |'
              for row in results['node'] if row]

    for network, operations in results['profile'].items():
        lines += ['', f'The hot path of {network} with six microphones.', '',
                  '| operation | share of time | calls a window |', '| --- | --- | --- |']
        lines += [f'| {row["operation"]} | {row["share"]:.1%} | {row["calls"]:.0f} |'
                  for row in operations]
    return '\n'.join(lines) + '\n'


def _fates(fates):
    """Say what became of windows."""
    return ', '.join(f'{number} {fate}' for fate, number in fates.items() if number)


def draw_latency(results, picture):
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
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def draw_gains(results, picture):
    """Draw what happens without each shortcut."""
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
    figure.savefig(picture, dpi=120)
    plt.close(figure)
