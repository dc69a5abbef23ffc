"""Judge how talkers were followed, by GOSPA and by counting; draw some of it."""

from datetime import datetime
from functools import partial

from nsrp_ros.core.estimate import RIGHT_WITHIN
import numpy as np
from stonesoup.metricgenerator.ospametric import GOSPAMetric
from stonesoup.types.state import State

CUTOFF = 1.0
"""Metres from which on a track is not the talker's; GOSPA's c."""


def judge(steps):
    """
    Judge how talkers were followed.

    Parameters
    ----------
    steps : list of dict
        See `tracking_scenes.follow`.

    Returns
    -------
    dict of list or float
        Of windows: `gospa`, metres, and its `localisation`, `missed` and `false` parts, square
        metres. Counts of talkers: `expected`, `misses`, `false_tracks`, `switches` where a
        talker goes on under another number, `numbers` that there were. `errors` of the standing
        and the walking talker, metres. Of windows in which both talk, `both`: in how many the
        first peak is at one of them, `first_right`, and another peak at the other,
        `second_found`.

    """
    metric, now = GOSPAMetric(p=2, c=CUTOFF), datetime(2000, 1, 1)  # noqa: DTZ001
    result = {name: [] for name in ('gospa', 'localisation', 'missed', 'false')}
    result |= dict.fromkeys(('expected', 'misses', 'false_tracks', 'switches', 'both',
                             'first_right', 'second_found'), 0)
    result['errors'] = [[] for _ in steps[0]['truth']]
    state = partial(State, timestamp=now)
    last, numbers = {}, set()
    for step in steps:
        known, tracks = np.flatnonzero(step['known']), list(step['tracks'].items())
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


def _count_peaks(step, result):
    """Count what a window's peaks say where both talk."""
    if not (step['talking'] > 0.5).all() or not step['peaks']:
        return
    far = np.array([np.linalg.norm(step['truth'] - p.position, axis=1) for p in step['peaks']])
    result['both'] += 1
    result['first_right'] += bool(far[0].min() < RIGHT_WITHIN)
    result['second_found'] += bool((far[1:, 1 - far[0].argmin()] < RIGHT_WITHIN).any())


def summarize(judged):
    """Sum up scenes as a dict of plain numbers."""
    total = {name: sum(scene[name] for scene in judged) for name in (
        'expected', 'misses', 'false_tracks', 'switches', 'both', 'first_right', 'second_found')}
    stands, walks = (np.concatenate([scene['errors'][k] for scene in judged]) for k in (0, 1))
    errors = np.concatenate([stands, walks])

    def mean(name):
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


def _mean(values):
    """Return a mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def draw(scenes, path):
    """Draw the first scenes (pairs of Conversation and steps): truth and tracks over time."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    scenes = scenes[:4]
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
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
