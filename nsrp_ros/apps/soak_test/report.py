"""What a long run comes to: its numbers, their table and their picture."""

from dataclasses import dataclass
from dataclasses import field

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nsrp_ros.apps.soak_test.ledger import FAULTS
import numpy as np

PARTS = 6
"""The run is looked at in sixths; the first is the warming up."""

LONG_ENOUGH = 15
"""Minutes of audio from which on a slope per hour says more than how a process warms up."""


@dataclass(frozen=True)
class Sample:
    """A look at the processes, `audio` seconds into the audio and `wall` seconds into the run."""

    audio: float
    wall: float
    readings: dict


@dataclass
class Measured:
    """
    What was seen of the processes.

    Attributes
    ----------
    listening, first_pose : float
        Seconds from the localizer's start as a process until it listened, and until its first
        pose arrived.
    wall : float
        Seconds that the playing took.
    samples : list of Sample
        Looks at the processes.
    peaks : dict
        The most memory that each has held, MB.
    counted : dict
        The values of each one's last diagnostics.
    n_tracks : int
        How many messages the tracker has sent.

    """

    listening: float
    first_pose: float = float('nan')
    wall: float = 0.0
    samples: list = field(default_factory=list)
    peaks: dict = field(default_factory=dict)
    counted: dict = field(default_factory=dict)
    n_tracks: int = 0


def summarize(ledger, turns, n_performance, measured, options):
    """
    Sum a run up.

    Parameters
    ----------
    ledger : nsrp_ros.apps.soak_test.ledger.Ledger
        Of its windows.
    turns : list of nsrp_ros.simulation.live_scene.Turn
        The truth.
    n_performance : int
        Samples after which the performance begins again.
    measured : Measured
        Of its processes.
    options : dict
        What was asked for; `minutes` and `max_growth` (MB) count here.

    Returns
    -------
    dict
        Numbers for `table` and JSON; `failures` has a sentence for each that must not be.

    """
    counted = measured.counted['localizer']
    edges = np.linspace(0, 60 * options['minutes'], PARTS + 1)
    parts = []
    cuts = [len(ledger.windows) * k // PARTS for k in range(PARTS + 1)]
    for k in range(PARTS):
        windows = ledger.windows[cuts[k]:cuts[k + 1]]
        looks = [s for s in measured.samples if edges[k] <= s.audio < edges[k + 1]]
        parts.append({'windows': len(windows),
                      'poses': sum(w.posed is not None for w in windows),
                      **_latency(ledger.latencies(windows)),
                      'error_m': _median(ledger.errors(windows, turns, n_performance)),
                      'processes': {name: _usage(looks, name) for name in measured.peaks}})
    memory = {name: _memory([p['processes'][name]['memory_mb'] for p in parts],
                            measured.samples, name, edges[1])
              | {'peak_mb': peak} for name, peak in measured.peaks.items()}
    failures = ledger.discrepancies(counted)
    for name, grown in memory.items():
        if grown['growth_mb'] > options['max_growth']:
            failures.append(f"the {name}'s memory grew by {grown['growth_mb']:.1f} MB, more than "
                            f"{options['max_growth']:g} MB")
    if 'tracker' in measured.peaks:
        failures += _tracker_failures(ledger, measured)
    return {'options': options, 'windows': len(ledger.windows), 'fates': ledger.fates(counted),
            'faults': ledger.faults, 'counted': measured.counted, 'parts': parts, 'memory': memory,
            'whole': {**_latency(ledger.latencies(ledger.windows)),
                      'error_m': _median(ledger.errors(ledger.windows, turns, n_performance)),
                      'processes': {name: _usage(measured.samples, name)
                                    for name in measured.peaks}},
            'wall_s': measured.wall, 'listening_s': measured.listening,
            'first_pose_s': measured.first_pose, 'n_tracks': measured.n_tracks,
            'failures': failures}


def _tracker_failures(ledger, measured):
    posed = sum(w.posed is not None for w in ledger.windows)
    used = measured.counted['tracker'].get('used', 0)
    return [f'{posed} poses were published, but the tracker {what}' for n, what in (
        (used, f'used {used}'), (measured.n_tracks, f'sent {measured.n_tracks} messages'))
        if n != posed]


def _latency(seconds):
    if not len(seconds):
        return {'latency_ms_p50': None, 'latency_ms_p95': None, 'latency_ms_max': None}
    p50, p95 = np.percentile(seconds, (50, 95))
    return {'latency_ms_p50': 1e3 * float(p50), 'latency_ms_p95': 1e3 * float(p95),
            'latency_ms_max': 1e3 * float(seconds.max())}


def _median(values):
    return float(np.median(values)) if len(values) else None


def _usage(looks, name):
    """Return the median memory of a process, and its share of one core."""
    readings = [s.readings[name] for s in looks]
    share = None
    if len(looks) > 1 and looks[-1].wall > looks[0].wall:
        share = (readings[-1].cpu - readings[0].cpu) / (looks[-1].wall - looks[0].wall)
    return {'memory_mb': _median([r.memory_mb for r in readings]), 'cores': share}


def _memory(medians, samples, name, warm):
    """Return the growth from the second sixth to the last, and the slope per hour of audio."""
    late = [(s.audio / 3600, s.readings[name].memory_mb) for s in samples if s.audio >= warm]
    slope = float(np.polyfit(*np.transpose(late), 1)[0]) if len(late) > 2 else float('nan')
    known = [m for m in medians[1:] if m is not None]
    return {'growth_mb': known[-1] - known[0] if known else float('nan'), 'slope_mb_h': slope}


def table(summary):
    """
    Lay a summary out for people.

    Parameters
    ----------
    summary : dict
        See `summarize`.

    Returns
    -------
    str
        Lines.

    """
    options, fates, whole = summary['options'], summary['fates'], summary['whole']
    counted, minutes = summary['counted']['localizer'], options['minutes']
    lines = [f"{minutes:g} min of audio in {summary['wall_s']:.0f} s "
             f"({60 * minutes / summary['wall_s']:.1f} times real time); {options['method']}, "
             f"a window every {options['hop']:g} s", '',
             _row('windows that the audio held', summary['windows'])]
    lines += [_row(f'  {fate}', n) for fate, n in fates.items()]
    lines += [_row('  unaccounted for', summary['windows'] - sum(fates.values())),
              'chunks spoilt: ' + ', '.join(f'{n} {what}' for what, n in
                                            summary['faults'].items())
              + '; named by the localizer: ' + (', '.join(
                  f'{counted[key]} {reason}' for reason in FAULTS.values()
                  if (key := f'skipped: {reason}') in counted) or 'none'), '',
              _columns('sixth', 'windows', 'poses', 'off by', 'latency p50', 'p95', 'max', *[
                  f'{name} {what}' for name in summary['memory'] for what in ('memory', 'CPU')])]
    for k, part in enumerate([*summary['parts'], whole], 1):
        last = part is whole
        lines.append(_columns(
            'all' if last else k, summary['windows'] if last else part['windows'],
            fates['poses'] if last else part['poses'], _unit(part['error_m'], '.2f', 'm'),
            *(_unit(part[f'latency_ms_{p}'], '.0f', 'ms') for p in ('p50', 'p95', 'max')),
            *(_unit(part['processes'][name][what], *how) for name in summary['memory']
              for what, how in (('memory_mb', ('.1f', 'MB')), ('cores', ('.2f', 'cores'))))))
    lines.append('')
    for name, memory in summary['memory'].items():
        lines.append(f"{name}: at most {memory['peak_mb']:.0f} MB, grew by "
                     f"{memory['growth_mb']:+.1f} MB from the second sixth to the last "
                     f"(allowed: {options['max_growth']:g})"
                     + (f", slope {memory['slope_mb_h']:+.1f} MB an hour of audio after the first"
                        if minutes >= LONG_ENOUGH else ''))
    lines.append(f"from its start the localizer listened after {summary['listening_s']:.1f} s, "
                 f"its first pose came after {summary['first_pose_s']:.1f} s")
    if 'tracker' in summary['memory']:
        lines.append(f"the tracker sent {summary['n_tracks']} messages for {fates['poses']} poses")
    return '\n'.join(lines)


def _row(what, n):
    return f'{what:32s}{n:8d}'


def _columns(first, *cells):
    # The first six are the localizer's; names of processes need more room.
    return f'{first!s:>5s}' + ''.join(
        f'{cell!s:>{13 if k < 6 else 18}s}' for k, cell in enumerate(cells))


def _unit(value, how, unit):
    return '-' if value is None else f'{value:{how}} {unit}'


def draw(path, ledger, measured, summary):
    """
    Draw memory and latency over the audio's time.

    Parameters
    ----------
    path : pathlib.Path
        Of the picture.
    ledger, measured, summary
        See `summarize`.

    """
    figure = Figure(figsize=(9, 5.5), layout='constrained')
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    answered = [w for w in ledger.windows if w.posed is not None or w.mapped is not None]
    if answered:
        minutes = [(w.stamp_ns - ledger.windows[0].stamp_ns) / 60e9 for w in answered]
        top.plot(minutes, 1e3 * ledger.latencies(answered), '.', markersize=2, alpha=0.4)
    top.set(ylabel='latency (ms)', ylim=(0, None), title=(
        f"{summary['options']['method']}: from a window's last sample to its estimate"))
    for name in measured.peaks:
        bottom.plot([s.audio / 60 for s in measured.samples],
                    [s.readings[name].memory_mb for s in measured.samples], label=name)
    bottom.set(xlabel='minutes of audio', ylabel='memory (MB)', ylim=(0, None))
    bottom.legend()
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
