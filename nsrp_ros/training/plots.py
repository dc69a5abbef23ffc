"""Pictures of training and evaluation: targets, curves, error distributions, maps, reliability."""

import csv
from pathlib import Path

from matplotlib import pyplot as plt
import numpy as np


def _save(figure, picture):
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def _floor(axes, likelihood_map, room_dims, title):
    """Show a map (ny, nx) over its room, and label the axes."""
    image = axes.imshow(likelihood_map, origin='lower', aspect='equal',
                        extent=(0, room_dims[0], 0, room_dims[1]))
    axes.set(title=title, xlabel='x (m)', ylabel='y (m)')
    return image


def draw_targets(maps, mic_positions, source_position, room_dims, picture):
    """
    Draw targets side by side, like the paper's Fig. 4.

    Parameters
    ----------
    maps : dict of str to numpy.ndarray
        Titles and maps (G, G).
    mic_positions, source_position, room_dims : numpy.ndarray
        Shapes (C, 3), (3,), (3,), metres.
    picture : path
        File to write.

    """
    figure, row = plt.subplots(1, len(maps), figsize=(4 * len(maps), 3.6), layout='constrained')
    for axes, (title, target) in zip(row, maps.items(), strict=True):
        image = _floor(axes, target, room_dims, title)
        axes.plot(*mic_positions[:, :2].T, 'ws', markeredgecolor='k', label='microphones')
        axes.plot(*source_position[:2], 'r*', markersize=12, label='talker')
    row[0].legend(loc='upper left')
    figure.colorbar(image, ax=list(row))
    _save(figure, picture)


def draw_curves(metrics_csvs, picture):
    """
    Draw a run's losses and validation error over its epochs.

    Parameters
    ----------
    metrics_csvs : list of path
        What lightning's CSVLogger wrote, one file each time that the run was taken up.
    picture : path
        File to write.

    """
    rows = []
    for path in metrics_csvs:
        with open(path, newline='') as file:
            rows += csv.DictReader(file)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout='constrained')
    for axes, name, label in ((left, 'train_loss', 'training'), (left, 'val_loss', 'validation'),
                              (right, 'val_error', 'validation')):
        points = [(int(r['epoch']), float(r[name])) for r in rows if r.get(name)]
        axes.plot(*np.array(points).reshape(-1, 2).T, '.-', label=label)
    left.set(xlabel='epoch', ylabel='mean absolute error of the map')
    right.set(xlabel='epoch', ylabel='mean position error (m)', ylim=(0, None))
    left.legend()
    _save(figure, picture)


def draw_error_cdfs(errors, title, picture):
    """
    Draw the share of scenes below every error.

    Parameters
    ----------
    errors : dict of str to numpy.ndarray
        Methods and their errors (n,), metres.
    title : str
        Of the picture.
    picture : path
        File to write.

    """
    figure, axes = plt.subplots(figsize=(6, 4.2), layout='constrained')
    for name, values in errors.items():
        axes.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), label=name)
    axes.set(title=title, xlabel='error (m)', ylabel='share of rooms', xlim=(0, 5), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, picture)


def draw_maps(scenes, methods, estimates, picture):
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
    picture : path
        File to write.

    """
    figure, grid = plt.subplots(len(scenes), len(methods), squeeze=False, layout='constrained',
                                figsize=(3.6 * len(methods), 3.4 * len(scenes)))
    for k, row in enumerate(grid):
        for axes, method, estimate in zip(row, methods, estimates[k], strict=True):
            source = scenes.source_position[k]
            error = np.hypot(*(estimate.position - source[:2]))
            _floor(axes, estimate.likelihood_map, scenes.room_dims[k],
                   f'{method}: {error:.2f} m')
            axes.plot(*scenes.mic_positions[k][:, :2].T, 'ws', markeredgecolor='k')
            axes.plot(*source[:2], 'r*', markersize=12)
            axes.plot(*estimate.position, 'm+', markersize=12, markeredgewidth=2)
    figure.suptitle('squares: microphones, star: talker, cross: estimate')
    _save(figure, picture)


def draw_reliability(tables, picture):
    """
    Draw how often estimates of each confidence are right.

    Parameters
    ----------
    tables : dict of str to list of tuple
        For each method, (mean confidence, share right, count) of each bin.
    picture : path
        File to write.

    """
    figure, axes = plt.subplots(figsize=(5, 4.6), layout='constrained')
    axes.plot([0, 1], [0, 1], 'k:', label='perfect')
    for name, table in tables.items():
        mean, right, _ = np.array(table).reshape(-1, 3).T
        axes.plot(mean, right, 'o-', label=name)
    axes.set(xlabel='confidence', ylabel='share within 0.5 m', xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, picture)
