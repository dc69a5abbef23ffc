"""The results of a soak test as numbers: outcomes, latency, error, memory and processor time."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TYPE_CHECKING

from nsrp_ros.apps.process_metrics import ProcessUsage
from nsrp_ros.apps.soak_test.ledger import Ledger
import numpy as np

if TYPE_CHECKING:
    from nsrp_ros.simulation.live_scene import Turn

PARTS = 6
"""The run is evaluated in sixths; the first is the warm-up."""


@dataclass(frozen=True)
class Sample:
    """The usage of each process after `audio` seconds of audio and `wall` seconds of the run."""

    audio: float
    wall: float
    usage: dict[str, ProcessUsage]


@dataclass
class Measurements:
    """
    What was measured of the processes, which are named as their nodes.

    Attributes
    ----------
    ready_after, first_pose_after : float
        Seconds from the start of the localizer's process until it was connected, and until its
        first pose arrived.
    wall : float
        Seconds of playing.
    samples : list of Sample
        In the order of time.
    peaks : dict
        Peak memory of each process, MB.
    counted : dict
        The values of each node's latest diagnostics.
    n_tracks : int
        Number of messages of the tracker.

    """

    ready_after: float
    first_pose_after: float = float('nan')
    wall: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)
    counted: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_tracks: int = 0


def summarize(ledger: Ledger, turns: Sequence['Turn'], scene_length: int,
              measured: Measurements, options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Summarize a run.

    Parameters
    ----------
    ledger : nsrp_ros.apps.soak_test.ledger.Ledger
        Of its windows.
    turns : list of nsrp_ros.simulation.live_scene.Turn
        Ground truth.
    scene_length : int
        Samples after which the live scene repeats.
    measured : Measurements
        Of its processes.
    options : dict
        The command's options; `minutes` and `max_growth` (MB) are evaluated here.

    Returns
    -------
    dict
        Numbers for `report.table` and for JSON; `failures` has a sentence for each failed check.

    """
    counted = measured.counted['localizer']
    edges = np.linspace(0, 60 * options['minutes'], PARTS + 1)
    parts: list[dict[str, Any]] = []
    cuts = [len(ledger.windows) * k // PARTS for k in range(PARTS + 1)]
    for k in range(PARTS):
        windows = ledger.windows[cuts[k]:cuts[k + 1]]
        samples = [s for s in measured.samples if edges[k] <= s.audio < edges[k + 1]]
        parts.append({'windows': len(windows),
                      'poses': sum(w.pose_time is not None for w in windows),
                      **_latency(ledger.latencies(windows)),
                      'error_m': _median(ledger.errors(windows, turns, scene_length)),
                      'processes': {name: _usage(samples, name) for name in measured.peaks}})
    memory = {name: _memory([p['processes'][name]['memory_mb'] for p in parts],
                            measured.samples, name, float(edges[1]))
              | {'peak_mb': peak} for name, peak in measured.peaks.items()}
    failures = ledger.discrepancies(counted)
    for name, grown in memory.items():
        if grown['growth_mb'] > options['max_growth']:
            failures.append(f"the {name}'s memory grew by {grown['growth_mb']:.1f} MB, more than "
                            f"{options['max_growth']:g} MB")
    if 'tracker' in measured.peaks:
        failures += _tracker_failures(ledger, measured)
    # The keys are those of endurance.json, which the benchmark of latency reads.
    return {'options': dict(options), 'windows': len(ledger.windows),
            'fates': ledger.outcomes(counted),
            'faults': ledger.faults, 'counted': measured.counted, 'parts': parts, 'memory': memory,
            'whole': {**_latency(ledger.latencies(ledger.windows)),
                      'error_m': _median(ledger.errors(ledger.windows, turns, scene_length)),
                      'processes': {name: _usage(measured.samples, name)
                                    for name in measured.peaks}},
            'wall_s': measured.wall, 'listening_s': measured.ready_after,
            'first_pose_s': measured.first_pose_after, 'n_tracks': measured.n_tracks,
            'failures': failures}


def _tracker_failures(ledger: Ledger, measured: Measurements) -> list[str]:
    posed = sum(w.pose_time is not None for w in ledger.windows)
    used = measured.counted['tracker'].get('used', 0)
    return [f'{posed} poses were published, but the tracker {what}' for n, what in (
        (used, f'used {used}'), (measured.n_tracks, f'sent {measured.n_tracks} messages'))
        if n != posed]


def _latency(seconds: np.ndarray) -> dict[str, float | None]:
    if not len(seconds):
        return {'latency_ms_p50': None, 'latency_ms_p95': None, 'latency_ms_max': None}
    p50, p95 = np.percentile(seconds, (50, 95))
    return {'latency_ms_p50': 1e3 * float(p50), 'latency_ms_p95': 1e3 * float(p95),
            'latency_ms_max': 1e3 * float(seconds.max())}


def _median(values: Sequence[float] | np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _usage(samples: Sequence[Sample], name: str) -> dict[str, float | None]:
    """Return the median memory of a process, and its share of one core."""
    usage = [s.usage[name] for s in samples]
    share = None
    if len(samples) > 1 and samples[-1].wall > samples[0].wall:
        share = (usage[-1].cpu - usage[0].cpu) / (samples[-1].wall - samples[0].wall)
    return {'memory_mb': _median([u.memory_mb for u in usage]), 'cores': share}


def _memory(medians: Sequence[float | None], samples: Sequence[Sample], name: str,
            warm: float) -> dict[str, float]:
    """Return the growth from the second sixth to the last, and the slope per hour of audio."""
    late = [(s.audio / 3600, s.usage[name].memory_mb) for s in samples if s.audio >= warm]
    slope = float('nan')
    if len(late) > 2:
        hours, megabytes = np.transpose(late)
        slope = float(np.polyfit(hours, megabytes, 1)[0])
    known = [m for m in medians[1:] if m is not None]
    return {'growth_mb': known[-1] - known[0] if known else float('nan'), 'slope_mb_h': slope}
