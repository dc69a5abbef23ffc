"""The demo's pictures: each method's map with microphones, truth and estimate, as in Fig. 1."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nsrp_ros.localization.occupancy_grid import PEAK
import numpy as np
from PIL import Image
from tqdm import tqdm

TITLES = {'srp_phat': 'SRP-PHAT', 'srp_phat_2d': 'SRP-PHAT, 25 x 25, 2-D',
          'neural_srp': 'Neural-SRP', 'backprojection': 'back-projection network'}


class _Panel:
    """One method's map, drawn once and updated from window to window."""

    def __init__(self, axes, method, observer):
        self.method = method
        width, height = observer.room_dims[:2]
        self._room = (width, height)
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

    def show(self, truth, answer):
        """Draw one window; without an answer the map goes dark."""
        located = answer is not None and answer.position is not None
        title = self._title
        if answer is not None and answer.grid is not None:
            self._image.set_data(np.where(answer.grid < 0, np.nan, answer.grid.astype(float)))
        else:
            self._image.set_data(np.zeros((1, 1)))
        self._estimate.set_data(*(answer.position[:, None] if located else ([], [])))
        self._truth.set_data(*(truth[:, None] if truth is not None else ([], [])))
        if located and truth is not None:
            title += f':  off by {np.linalg.norm(answer.position - truth):.2f} m'
        elif not located:
            title += ':  silence'
        self._axes.set_title(title)
        return self._image, self._estimate, self._truth


def _figure(observer, n_rows, n_columns, methods, above=0.0):
    """Lay out panels, one of `methods` each, `above` inches being left above them."""
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


def _representatives(observer):
    """Choose one window a talker: the one whose errors are the most ordinary of that turn."""
    by_talker = {}
    for _, truth, answers in observer.windows():
        answered = all(m in answers and answers[m].grid is not None
                       and answers[m].position is not None for m in observer.methods)
        if truth is not None and answered:
            errors = [np.linalg.norm(answers[m].position - truth) for m in observer.methods]
            by_talker.setdefault(tuple(truth), []).append((errors, truth, answers))
    chosen = []
    for windows in by_talker.values():
        errors = np.array([w[0] for w in windows])
        k = int(np.abs(errors - np.median(errors, axis=0)).sum(axis=1).argmin())
        chosen.append(windows[k][1:])
    return chosen


def draw_still(path, observer):
    """Draw an ordinary window of each talker, a row a method; nothing if none was located."""
    windows = _representatives(observer)
    if not windows:
        return
    methods = [m for m in observer.methods for _ in windows]
    figure, panels = _figure(observer, len(observer.methods), len(windows), methods)
    for panel, (truth, answers) in zip(panels, windows * len(observer.methods)):
        panel.show(truth, answers[panel.method])
    figure.savefig(path, dpi=110)


def draw_animation(path, observer, dpi=75):
    """Animate every window at the rate they were heard; nothing if there were none."""
    windows = observer.windows()
    if not windows:
        return
    figure, panels = _figure(observer, 1, len(observer.methods), observer.methods, above=0.5)
    figure.set_dpi(dpi)
    stamps = np.array([w[0] for w in windows])
    clock = figure.suptitle('0.0 s')
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine('none')  # laid out once: every frame has the same sizes

    pictures = []
    for stamp, truth, answers in tqdm(windows, desc='animation', unit='frame', leave=False):
        clock.set_text(f'{(stamp - stamps[0]) * 1e-9:5.1f} s')
        for panel in panels:
            panel.show(truth, answers.get(panel.method))
        figure.canvas.draw()
        pictures.append(np.array(figure.canvas.buffer_rgba())[..., :3])
    # Few colours, the same in all frames and without dithering, compress several times better;
    # they are chosen so that the talker's few pixels keep theirs.
    mosaic = Image.fromarray(np.concatenate(pictures[::max(1, len(pictures) // 8)]))
    palette = mosaic.quantize(96, method=Image.Quantize.MAXCOVERAGE)
    frames = [Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
              for picture in pictures]
    period_ms = float(np.median(np.diff(stamps))) * 1e-6 if len(stamps) > 1 else 250.0
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(period_ms),
                   loop=0, optimize=True)
