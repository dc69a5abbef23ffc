"""The results of a soak test for people: a table and a picture."""

import os
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nsrp_ros.apps.soak_test.ledger import FAULTS
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.apps.soak_test.summary import Measurements

MIN_SLOPE_MINUTES = 15
"""Minutes of audio below which a slope per hour would mostly show the warm-up."""


def table(summary: dict[str, Any]) -> str:
    """
    Format a summary as text.

    Parameters
    ----------
    summary : dict
        See `summary.summarize`.

    Returns
    -------
    str
        Lines.

    """
    options, outcomes, whole = summary['options'], summary['fates'], summary['whole']
    counted, minutes = summary['counted']['localizer'], options['minutes']
    lines = [f"{minutes:g} min of audio in {summary['wall_s']:.0f} s "
             f"({60 * minutes / summary['wall_s']:.1f} times real time); {options['method']}, "
             f"a window every {options['hop']:g} s", '',
             _row('windows that the audio held', summary['windows'])]
    lines += [_row(f'  {outcome}', n) for outcome, n in outcomes.items()]
    lines += [_row('  unaccounted for', summary['windows'] - sum(outcomes.values())),
              'faulty chunks: ' + ', '.join(f'{n} {kind}' for kind, n in summary['faults'].items())
              + '; reported by the localizer: ' + (', '.join(
                  f'{counted[key]} {reason}' for reason in FAULTS.values()
                  if (key := f'skipped: {reason}') in counted) or 'none'), '',
              _columns('sixth', 'windows', 'poses', 'error', 'latency p50', 'p95', 'max', *[
                  f'{name} {what}' for name in summary['memory'] for what in ('memory', 'CPU')])]
    for k, part in enumerate([*summary['parts'], whole], 1):
        last = part is whole
        lines.append(_columns(
            'all' if last else str(k), summary['windows'] if last else part['windows'],
            outcomes['poses'] if last else part['poses'], _unit(part['error_m'], '.2f', 'm'),
            *(_unit(part[f'latency_ms_{p}'], '.0f', 'ms') for p in ('p50', 'p95', 'max')),
            *(_unit(part['processes'][name][what], *how) for name in summary['memory']
              for what, how in (('memory_mb', ('.1f', 'MB')), ('cores', ('.2f', 'cores'))))))
    lines.append('')
    for name, memory in summary['memory'].items():
        lines.append(f"{name}: at most {memory['peak_mb']:.0f} MB, grew by "
                     f"{memory['growth_mb']:+.1f} MB from the second sixth to the last "
                     f"(allowed: {options['max_growth']:g})"
                     + (f", slope {memory['slope_mb_h']:+.1f} MB an hour of audio after the first"
                        if minutes >= MIN_SLOPE_MINUTES else ''))
    lines.append(f"the localizer was ready {summary['listening_s']:.1f} s after its start, its "
                 f"first pose came after {summary['first_pose_s']:.1f} s")
    if 'tracker' in summary['memory']:
        lines.append(f"the tracker sent {summary['n_tracks']} messages for {outcomes['poses']} "
                     'poses')
    return '\n'.join(lines)


def _row(name: str, n: int) -> str:
    return f'{name:32s}{n:8d}'


def _columns(first: str, *cells: int | str) -> str:
    # The first six are the localizer's; names of processes need more room.
    return f'{first:>5s}' + ''.join(
        f'{cell!s:>{13 if k < 6 else 18}s}' for k, cell in enumerate(cells))


def _unit(value: float | None, how: str, unit: str) -> str:
    return '-' if value is None else f'{value:{how}} {unit}'


def make_figure(ledger: Ledger, measured: Measurements, method: str) -> Figure:
    """
    Plot latency and memory over the audio's time.

    Parameters
    ----------
    ledger : nsrp_ros.apps.soak_test.ledger.Ledger
        Of the windows.
    measured : nsrp_ros.apps.soak_test.summary.Measurements
        Of the processes.
    method : str
        For the title.

    Returns
    -------
    matplotlib.figure.Figure
        Two axes: the latency of every answered window, and the memory of every process.

    """
    figure = Figure(figsize=(9, 5.5), layout='constrained')
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    answered = [w for w in ledger.windows if w.pose_time is not None or w.map_time is not None]
    if answered:
        minutes = [(w.stamp_ns - ledger.windows[0].stamp_ns) / 60e9 for w in answered]
        top.plot(minutes, 1e3 * ledger.latencies(answered), '.', markersize=2, alpha=0.4)
    top.set(ylabel='latency (ms)', ylim=(0, None),
            title=f"{method}: from a window's last sample to its estimate")
    for name in measured.peaks:
        bottom.plot([s.audio / 60 for s in measured.samples],
                    [s.usage[name].memory_mb for s in measured.samples], label=name)
    bottom.set(xlabel='minutes of audio', ylabel='memory (MB)', ylim=(0, None))
    bottom.legend()
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    return figure


def draw(path: str | os.PathLike[str], ledger: Ledger, measured: Measurements,
         method: str) -> None:
    """Save the picture of `make_figure`."""
    make_figure(ledger, measured, method).savefig(path, dpi=110)
