"""Figures of training: targets, losses and validation errors."""

from collections.abc import Mapping
from collections.abc import Sequence
import csv
import os
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
import numpy as np
from numpy.typing import NDArray


def save_figure(figure: Figure, picture: str | os.PathLike[str]) -> None:
    """Write a figure to a file, whose folder is made if need be, and close it."""
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def show_floor(axes: Axes, likelihood_map: NDArray[np.floating],
               room_dims: NDArray[np.floating], title: str) -> AxesImage:
    """Show a map (ny, nx) over its room, and label the axes."""
    image = axes.imshow(likelihood_map, origin='lower', aspect='equal',
                        extent=(0, room_dims[0], 0, room_dims[1]))
    axes.set(title=title, xlabel='x (m)', ylabel='y (m)')
    return image


def targets_figure(maps: Mapping[str, NDArray[np.floating]],
                   mic_positions: NDArray[np.floating], source_position: NDArray[np.floating],
                   room_dims: NDArray[np.floating]) -> Figure:
    """
    Draw targets side by side, like the paper's Fig. 4.

    Parameters
    ----------
    maps : dict of str to numpy.ndarray
        Titles and maps (G, G); two or more.
    mic_positions, source_position, room_dims : numpy.ndarray
        Shapes (C, 3), (3,), (3,), metres.

    Returns
    -------
    matplotlib.figure.Figure
        With one pair of axes for each map, and a colour bar.

    """
    figure, row = plt.subplots(1, len(maps), figsize=(4 * len(maps), 3.6), layout='constrained')
    for axes, (title, target) in zip(row, maps.items(), strict=True):
        image = show_floor(axes, target, room_dims, title)
        axes.plot(*mic_positions[:, :2].T, 'ws', markeredgecolor='k', label='microphones')
        axes.plot(*source_position[:2], 'r*', markersize=12, label='talker')
    row[0].legend(loc='upper left')
    figure.colorbar(image, ax=list(row))
    return figure


def curves_figure(metrics_csvs: Sequence[str | os.PathLike[str]]) -> Figure:
    """
    Draw the losses and the validation error of a training phase over its epochs.

    Parameters
    ----------
    metrics_csvs : sequence of path
        What lightning's CSVLogger wrote, one file each time that the phase was resumed.

    Returns
    -------
    matplotlib.figure.Figure
        Losses on the left, errors in metres on the right.

    """
    rows: list[dict[str, str]] = []
    for path in metrics_csvs:
        with open(path, newline='') as file:
            rows += csv.DictReader(file)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout='constrained')
    for axes, name, label in ((left, 'train_loss', 'training'), (left, 'val_loss', 'validation'),
                              (right, 'val_error', 'all microphones'),
                              (right, 'val_error_4', 'four of them')):
        points = [(int(r['epoch']), float(r[name])) for r in rows if r.get(name)]
        if points:
            axes.plot(*np.array(points).T, '.-', label=label)
    left.set(xlabel='epoch', ylabel='loss')
    right.set(xlabel='epoch', ylabel='mean error in validation rooms (m)', ylim=(0, None))
    left.legend()
    right.legend()
    return figure
