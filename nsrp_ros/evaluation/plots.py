"""Figures of evaluation: error distributions, maps, reliability, robustness, detection."""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.evaluation.detection_metrics import roc_curve
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.curves import show_floor
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nsrp_ros.evaluation.scenarios.conditions import Family


def error_cdfs_figure(errors: Mapping[str, NDArray[np.floating]], title: str) -> Figure:
    """
    Draw the share of scenes below every error.

    Parameters
    ----------
    errors : dict of str to numpy.ndarray
        Methods and their errors (n,), metres.
    title : str
        Of the picture.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each method.

    """
    figure, axes = plt.subplots(figsize=(6, 4.2), layout='constrained')
    for name, values in errors.items():
        axes.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), label=name)
    axes.set(title=title, xlabel='error (m)', ylabel='share of rooms', xlim=(0, 5), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def maps_figure(scenes: Scenes, methods: Sequence[str],
                estimates: Sequence[Sequence[Estimate]]) -> Figure:
    """
    Draw methods' maps of some scenes, like the paper's Fig. 1: a row a scene.

    Parameters
    ----------
    scenes : Scenes
        S scenes of NumPy arrays.
    methods : list of str
        Column titles.
    estimates : list of list of Estimate
        For each scene, each method's.

    Returns
    -------
    matplotlib.figure.Figure
        With S rows of axes, one for each method.

    """
    figure, grid = plt.subplots(len(scenes), len(methods), squeeze=False, layout='constrained',
                                figsize=(3.6 * len(methods), 3.4 * len(scenes)))
    for k, row in enumerate(grid):
        for axes, method, estimate in zip(row, methods, estimates[k], strict=True):
            source = scenes.source_position[k]
            error = np.hypot(*(estimate.position - source[:2]))
            show_floor(axes, estimate.likelihood_map, scenes.room_dims[k],
                       f'{method}: {error:.2f} m')
            axes.plot(*scenes.mic_positions[k][:, :2].T, 'ws', markeredgecolor='k')
            axes.plot(*source[:2], 'r*', markersize=12)
            axes.plot(*estimate.position, 'm+', markersize=12, markeredgewidth=2)
    figure.suptitle('squares: microphones, star: talker, cross: estimate')
    return figure


def reliability_figure(tables: Mapping[str, Sequence[tuple[float, float, int]]]) -> Figure:
    """
    Draw how often estimates of each confidence are right.

    Parameters
    ----------
    tables : dict of str to list of tuple
        For each method, (mean confidence, share right, count) of each bin.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each method, beside that of perfect calibration.

    """
    figure, axes = plt.subplots(figsize=(5, 4.6), layout='constrained')
    axes.plot([0, 1], [0, 1], 'k:', label='perfect')
    for name, table in tables.items():
        mean, right, _ = np.array(table).reshape(-1, 3).T
        axes.plot(mean, right, 'o-', label=name)
    axes.set(xlabel='confidence', ylabel='share within 0.5 m', xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def conditions_figure(
        measured: Sequence[tuple['Family', Sequence[Mapping[str, Any]]]]) -> Figure:
    """
    Draw mean errors with their 95 % intervals against families' conditions, a line a method.

    Parameters
    ----------
    measured : list of tuple
        Families, see conditions.py, each with its rows, see `robustness.score_family`.

    Returns
    -------
    matplotlib.figure.Figure
        With axes for each family.

    """
    columns = min(len(measured), 3)
    n_rows = -(-len(measured) // columns)
    figure, grid = plt.subplots(n_rows, columns, squeeze=False, layout='constrained',
                                figsize=(1.5 + 4.5 * columns, 0.6 + 3.6 * n_rows))
    for axes, (family, rows) in zip(grid.flat, measured):
        _draw_family(axes, family, rows)
    for axes in grid.flat[len(measured):]:
        axes.set_axis_off()
    return figure


def _draw_family(axes: Axes, family: 'Family', rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw one family."""
    for method in dict.fromkeys(method for row in rows for method in row['methods']):
        accepted = [row for row in rows if method in row['methods']]
        value = [row['value'] for row in accepted]
        mean = [row['methods'][method]['mean'] for row in accepted]
        low, high = np.array([row['methods'][method]['interval'] for row in accepted]).T
        if family.axis:
            [line] = axes.plot(value, mean, 'o-', label=Path(method).stem)
            axes.fill_between(value, low, high, color=line.get_color(), alpha=0.2)
        else:  # nothing lies between two kinds of fault
            axes.errorbar(value, mean, [np.subtract(mean, low), np.subtract(high, mean)],
                          fmt='o', capsize=4, label=Path(method).stem)
    axes.set(title=family.title, xlabel=family.axis, ylabel='mean error (m)', ylim=(0, None))
    if family.logarithmic:
        axes.set_xscale('log')
    if family.logarithmic or not family.axis:
        axes.set_xticks([row['value'] for row in rows],
                        [row['label'] for row in rows], minor=False)
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()


def detection_figure(
        confidences: Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating]]]) -> Figure:
    """
    Draw how well talkers are detected: curves of all methods, then each one's histograms.

    Parameters
    ----------
    confidences : dict of str to tuple of numpy.ndarray
        For each method, those of silent and those of talking windows.

    Returns
    -------
    matplotlib.figure.Figure
        With axes for the curves, then for each method.

    """
    figure, row = plt.subplots(1, 1 + len(confidences), layout='constrained',
                               figsize=(4.4 + 3.2 * len(confidences), 3.8))
    for method, (silent, talking) in confidences.items():
        row[0].plot(*roc_curve(silent, talking), label=Path(method).stem)
    row[0].plot([0, 1], [0, 1], 'k:')
    row[0].set(title='talkers against silence', xlabel='share of false alarms',
               ylabel='share of talkers detected', xlim=(0, 1), ylim=(0, 1))
    row[0].legend()
    for axes, (method, both) in zip(row[1:], confidences.items(), strict=True):
        for values, label in zip(both, ('nobody talks', 'somebody talks'), strict=True):
            axes.hist(values, np.linspace(0, 1, 26), density=True, alpha=0.6, label=label)
        axes.set(title=Path(method).stem, xlabel='confidence', yticks=[], xlim=(0, 1))
        axes.legend()
    return figure


def regions_figure(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """
    Draw how many sources are inside credible regions, with 95 % intervals.

    Parameters
    ----------
    found : dict of str to list of dict
        For each set of rooms, what `credible_regions.measure_coverage` returned.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each set, beside that of perfect calibration.

    """
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout='constrained')
    axes.plot([0.4, 1], [0.4, 1], 'k:', label='perfect')
    for k, (title, rows) in enumerate(found.items()):
        level = np.array([row['level'] for row in rows])
        share = np.array([row['inside'] for row in rows])
        low, high = np.array([row['interval'] for row in rows]).T
        # Shifted a little, so that the intervals of one level do not hide each other.
        shift = 0.003 * (k - (len(found) - 1) / 2)
        axes.errorbar(level + shift, share, [share - low, high - share], fmt='o-', capsize=2,
                      markersize=3, linewidth=1, label=title)
    axes.set(xlabel='probability that a region holds', ylabel='share of sources inside',
             xlim=(0.4, 1), ylim=(0.2, 1))
    axes.grid(alpha=0.3)
    axes.legend(bbox_to_anchor=(1, 1), loc='upper left')
    return figure


def bars_figure(values: Mapping[str, Mapping[str, tuple[float, float, float]]],
                label: str) -> Figure:
    """
    Draw groups of bars with intervals, a group for each row, from top to bottom.

    Parameters
    ----------
    values : dict of str to dict of str to tuple of float
        Rows, kinds, and for each the value and the lower and upper end of its interval.
    label : str
        What is drawn, with its unit.

    """
    kinds = list(next(iter(values.values())))
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.55 * len(values)), layout='constrained')
    height = 0.8 / len(kinds)
    for k, kind in enumerate(kinds):
        middle, low, high = np.array([row[kind] for row in values.values()]).T
        axes.barh(np.arange(len(values)) + (k - (len(kinds) - 1) / 2) * height, middle, height,
                  xerr=[middle - low, high - middle], label=kind, error_kw={'lw': 0.8})
    axes.set_yticks(np.arange(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.legend(fontsize='small')
    return figure
