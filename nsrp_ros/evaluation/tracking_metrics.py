"""Metrics of tracking: GOSPA, misses, false tracks and identity switches; and a figure."""

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from functools import partial
import os
from typing import Any
from typing import TYPE_CHECKING

from nsrp_ros.core.estimate import RIGHT_WITHIN
import numpy as np
from numpy.typing import NDArray
from stonesoup.metricgenerator.ospametric import GOSPAMetric
from stonesoup.types.state import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from nsrp_ros.simulation.conversations import Conversation

CUTOFF = 1.0
"""Distance in metres from which on a track does not belong to a talker; GOSPA's c."""


def judge(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Compare the tracks of one scene with the truth.

    Parameters
    ----------
    steps : list of dict
        See `tracking.track_talkers`.

    Returns
    -------
    dict of list or float
        For each window: `gospa`, metres, and its `localisation`, `missed` and `false` parts,
        square metres. Counts: of `expected` talkers, `misses`, `false_tracks`, `switches` of a
        talker to another track number, and track `numbers`. `errors` of the standing and the
        walking talker, metres. Of the windows in which both talk, `both`: in how many the first
        peak is at one of them, `first_right`, and another peak at the other, `second_found`.

    """
    metric, now = GOSPAMetric(p=2, c=CUTOFF), datetime(2000, 1, 1)  # noqa: DTZ001
    result: dict[str, Any] = {name: [] for name in ('gospa', 'localisation', 'missed', 'false')}
    result |= dict.fromkeys(('expected', 'misses', 'false_tracks', 'switches', 'both',
                             'first_right', 'second_found'), 0)
    result['errors'] = [[] for _ in steps[0]['truth']]
    state = partial(State, timestamp=now)
    last: dict[int, int] = {}
    numbers: set[int] = set()
    for step in steps:
        known, tracks = np.flatnonzero(step['known']).tolist(), list(step['tracks'].items())
        numbers |= set(step['tracks'])
        _count_peaks(step, result)
        if not len(known) and not tracks:
            continue
        value, assigned = metric.compute_gospa_metric(
            [state(place[:, None]) for _, place in tracks],
            [state(step['truth'][k][:, None]) for k in known])
        result['gospa'].append(float(value.value['distance']))
        for name in ('localisation', 'missed', 'false'):
            result[name].append(float(value.value[name]))
        result['expected'] += len(known)
        result['misses'] += round(value.value['missed'] / (CUTOFF ** 2 / 2))
        result['false_tracks'] += round(value.value['false'] / (CUTOFF ** 2 / 2))
        for talker, track in zip(known, assigned, strict=False):
            if track == -1:
                continue
            number, place = tracks[track]
            result['errors'][talker].append(float(np.linalg.norm(place - step['truth'][talker])))
            result['switches'] += last.get(talker, number) != number
            last[talker] = number
    result['numbers'] = len(numbers)
    return result


def _count_peaks(step: Mapping[str, Any], result: dict[str, Any]) -> None:
    """Count the right peaks of a window in which both talk."""
    if not (step['talking'] > 0.5).all() or not step['peaks']:
        return
    far = np.array([np.linalg.norm(step['truth'] - p.position, axis=1) for p in step['peaks']])
    result['both'] += 1
    result['first_right'] += bool(far[0].min() < RIGHT_WITHIN)
    result['second_found'] += bool((far[1:, 1 - far[0].argmin()] < RIGHT_WITHIN).any())


def summarize(judged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarize scenes, each of them from `judge`, as a dict of plain numbers."""
    total = {name: sum(scene[name] for scene in judged) for name in (
        'expected', 'misses', 'false_tracks', 'switches', 'both', 'first_right', 'second_found')}
    stands, walks = (np.concatenate([scene['errors'][k] for scene in judged]) for k in (0, 1))
    errors = np.concatenate([stands, walks])

    def mean(name: str) -> float | None:
        return _mean(np.concatenate([scene[name] for scene in judged]))

    return {
        'scenes': len(judged), 'gospa_m': mean('gospa'),
        'gospa_squared_m2': {name: mean(name) for name in ('localisation', 'missed', 'false')},
        'error_m': _mean(errors),
        'error_median_m': float(np.median(errors)) if len(errors) else None,
        'error_standing_m': _mean(stands), 'error_walking_m': _mean(walks),
        'missed_share': total['misses'] / total['expected'],
        'false_share': total['false_tracks'] / total['expected'],
        'switches': total['switches'],
        'scenes_without_switch': sum(scene['switches'] == 0 for scene in judged),
        'numbers_a_scene': float(np.mean([scene['numbers'] for scene in judged])),
        'windows_with_two': total['both'],
        'first_peak_right': total['first_right'] / max(total['both'], 1),
        'second_peak_found': total['second_found'] / max(total['both'], 1)}


def _mean(values: NDArray[np.floating]) -> float | None:
    """Return the mean of an array, or None where it is empty."""
    return float(np.mean(values)) if len(values) else None


def tracks_figure(scenes: 'Sequence[tuple[Conversation, Sequence[Mapping[str, Any]]]]',
                  ) -> 'Figure':
    """
    Draw truth and tracks over time.

    Parameters
    ----------
    scenes : list of tuple
        Conversations and their steps, see `tracking.track_talkers`.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each scene: x on the left, y on the right. Thin lines are where talkers are,
        broad ones where they talk, dots are tracks.

    """
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(len(scenes), 2, figsize=(12, 3 * len(scenes)), squeeze=False,
                                   sharex='col', layout='constrained')
    for row, (conversation, steps) in zip(axes, scenes, strict=True):
        for axis, side, name in ((row[0], 0, 'x (m)'), (row[1], 1, 'y (m)')):
            time = [step['time'] for step in steps]
            for k, turns in enumerate(conversation.turns):
                axis.plot(time, [step['truth'][k][side] for step in steps], 'k-', lw=0.8)
                for begin, end in turns:
                    at = np.linspace(begin, end, 20)
                    axis.plot(at, [conversation.positions(t)[k][side] for t in at], 'k-', lw=4,
                              alpha=0.25)
            for number in sorted({n for step in steps for n in step['tracks']}):
                dots = [(step['time'], step['tracks'][number][side]) for step in steps
                        if number in step['tracks']]
                axis.plot(*zip(*dots, strict=True), '.', ms=5, color=f'C{(number - 1) % 10}',
                          label=f'talker {number}')
            axis.set_ylabel(name)
        if row[0].get_legend_handles_labels()[0]:
            row[0].legend(loc='upper right', fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel('time (s); broad: talks')
    return figure


def draw(scenes: 'Sequence[tuple[Conversation, Sequence[Mapping[str, Any]]]]',
         path: str | os.PathLike[str]) -> None:
    """Save the figure of the first four scenes; see `tracks_figure`."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure = tracks_figure(scenes[:4])
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
