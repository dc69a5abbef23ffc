"""The demo's pictures: each method's map with microphones, truth and estimate, as in Fig. 1."""

import os
from typing import TYPE_CHECKING
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nsrp_ros.localization.occupancy_grid import PEAK
import numpy as np
from PIL import Image
from tqdm import tqdm

if TYPE_CHECKING:
    from nsrp_ros.apps.demo.observer import Answer
    from nsrp_ros.apps.demo.observer import Observer

TITLES = {'srp_phat': 'SRP-PHAT', 'srp_phat_2d': 'SRP-PHAT, 25 x 25, 2-D',
          'neural_srp': 'Neural-SRP', 'backprojection': 'back-projection network'}

_Scored: TypeAlias = 'tuple[list[float], np.ndarray, dict[str, Answer]]'


class _Panel:
    """One method's map, drawn once and updated from window to window."""

    def __init__(self, axes: Axes, method: str, observer: 'Observer') -> None:
        self.method = method
        width, height = observer.room_dims[:2]
        self._title = TITLES.get(method, method)
        self._image = axes.imshow(
            np.zeros((1, 1)), origin='lower', extent=(0, width, 0, height), vmin=0, vmax=PEAK,
            cmap='magma')
        mics = observer.mic_positions
        axes.plot(mics[:, 0], mics[:, 1], 'v', color='#7fd8ff', markersize=9, mec='black',
                  label='microphones', clip_on=False, linestyle='none')
        self._truth, = axes.plot([], [], 'o', mfc='none', mec='#57ff7a', markersize=17, mew=2.5,
                                 label='talker', linestyle='none')
        self._estimate, = axes.plot([], [], 'x', color='white', markersize=11, mew=2.5,
                                    label='estimate', linestyle='none')
        axes.set(xlim=(0, width), ylim=(0, height), xlabel='x (m)', aspect='equal')
        self._axes = axes

    def show(self, truth: np.ndarray | None, answer: 'Answer | None') -> None:
        """Draw one window; without an answer the map is dark."""
        position = None if answer is None else answer.position
        title = self._title
        if answer is not None and answer.grid is not None:
            self._image.set_data(np.where(answer.grid < 0, np.nan, answer.grid.astype(float)))
        else:
            self._image.set_data(np.zeros((1, 1)))
        self._estimate.set_data(*(position[:, None] if position is not None else ([], [])))
        self._truth.set_data(*(truth[:, None] if truth is not None else ([], [])))
        if position is None:
            title += ':  silence'
        elif truth is not None:
            title += f':  error {np.linalg.norm(position - truth):.2f} m'
        self._axes.set_title(title)


def _figure(observer: 'Observer', n_rows: int, n_columns: int, methods: list[str],
            above: float = 0.0) -> tuple[Figure, list[_Panel]]:
    """Lay out a panel for each of `methods`, with `above` inches of space above them."""
    width, height = observer.room_dims[:2]
    size = 4.2 if n_columns <= 2 else 3.4
    figure = Figure(layout='constrained', figsize=(
        size * n_columns + 0.4, (size * height / width + 0.3) * n_rows + 0.6 + above))
    FigureCanvasAgg(figure)  # a robot has no screen
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    panels = [_Panel(ax, method, observer) for ax, method in zip(axes.flat, methods)]
    for ax in axes.flat:
        ax.set_ylabel('y (m)')
        ax.label_outer()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=3, frameon=True,
                  facecolor='#555555', labelcolor='white')
    return figure, panels


def _representatives(observer: 'Observer') -> list[tuple[np.ndarray, dict[str, 'Answer']]]:
    """Choose one window for each talker: that whose errors are nearest to their medians."""
    by_talker: dict[tuple[float, ...], list[_Scored]] = {}
    for _, truth, answers in observer.windows():
        if truth is None or any(m not in answers or answers[m].grid is None
                                for m in observer.methods):
            continue
        positions = [answers[m].position for m in observer.methods]
        errors = [float(np.linalg.norm(p - truth)) for p in positions if p is not None]
        if len(errors) == len(observer.methods):
            by_talker.setdefault(tuple(truth), []).append((errors, truth, answers))
    chosen = []
    for windows in by_talker.values():
        errors_of_all = np.array([w[0] for w in windows])
        deviation = np.abs(errors_of_all - np.median(errors_of_all, axis=0)).sum(axis=1)
        _, truth, answers = windows[int(deviation.argmin())]
        chosen.append((truth, answers))
    return chosen


def make_still(observer: 'Observer') -> Figure | None:
    """
    Plot a representative window of each talker, one row for each method.

    Parameters
    ----------
    observer : nsrp_ros.apps.demo.observer.Observer
        With recorded windows.

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no window was located by all methods.

    """
    windows = _representatives(observer)
    if not windows:
        return None
    methods = [m for m in observer.methods for _ in windows]
    figure, panels = _figure(observer, len(observer.methods), len(windows), methods)
    for panel, (truth, answers) in zip(panels, windows * len(observer.methods)):
        panel.show(truth, answers[panel.method])
    return figure


def draw_still(path: str | os.PathLike[str], observer: 'Observer') -> None:
    """Save the picture of `make_still`, if there is one."""
    figure = make_still(observer)
    if figure is not None:
        figure.savefig(path, dpi=110)


def draw_animation(path: str | os.PathLike[str], observer: 'Observer', dpi: int = 75) -> None:
    """
    Animate every window at the original rate; nothing if there were none.

    Parameters
    ----------
    path : path
        Of the GIF.
    observer : nsrp_ros.apps.demo.observer.Observer
        With recorded windows.
    dpi : int
        Resolution.

    """
    windows = observer.windows()
    if not windows:
        return
    figure, panels = _figure(observer, 1, len(observer.methods), observer.methods, above=0.5)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    stamps = np.array([w[0] for w in windows])
    clock = figure.suptitle('0.0 s')
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine('none')  # laid out once: every frame has the same layout

    pictures = []
    for stamp, truth, answers in tqdm(windows, desc='animation', unit='frame', leave=False):
        clock.set_text(f'{(stamp - stamps[0]) * 1e-9:5.1f} s')
        for panel in panels:
            panel.show(truth, answers.get(panel.method))
        canvas.draw()
        pictures.append(np.array(canvas.buffer_rgba())[..., :3])
    # Few colours, the same in all frames and without dithering, compress several times better.
    # This quantization keeps the colour of the talker's few pixels.
    mosaic = Image.fromarray(np.concatenate(pictures[::max(1, len(pictures) // 8)]))
    palette = mosaic.quantize(96, method=Image.Quantize.MAXCOVERAGE)
    frames = [Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
              for picture in pictures]
    period_ms = float(np.median(np.diff(stamps))) * 1e-6 if len(stamps) > 1 else 250.0
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(period_ms),
                   loop=0, optimize=True)
