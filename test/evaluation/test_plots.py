"""Figures show the numbers that they were given, where their axes say."""

from matplotlib import pyplot as plt
from matplotlib.container import BarContainer
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Rectangle
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.evaluation.plots import bars_figure
from nsrp_ros.evaluation.plots import conditions_figure
from nsrp_ros.evaluation.plots import detection_figure
from nsrp_ros.evaluation.plots import error_cdfs_figure
from nsrp_ros.evaluation.plots import maps_figure
from nsrp_ros.evaluation.plots import regions_figure
from nsrp_ros.evaluation.plots import reliability_figure
from nsrp_ros.evaluation.scenarios.conditions import families
from nsrp_ros.evaluation.tracking_metrics import tracks_figure
from nsrp_ros.simulation.conversations import Conversation
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.curves import save_figure
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def closed_figures():
    """Close all figures after a test."""
    yield
    plt.close('all')


def legend(axes):
    """Return the texts of a legend."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_error_distributions_rise_to_one_at_the_largest_error():
    """Half of the errors are at or below the median."""
    figure = error_cdfs_figure({'srp_phat': np.array([0.4, 0.1, 0.3, 0.2])}, 'a title')
    axes, = figure.axes
    line, = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(line.get_ydata(), [0.25, 0.5, 0.75, 1])
    assert axes.get_title() == 'a title' and axes.get_xlabel() == 'error (m)'
    assert legend(axes) == ['srp_phat'] and axes.get_ylim() == (0, 1)


def test_maps_lie_over_their_rooms_with_all_devices():
    """A row a scene, a column a method; the title has the error."""
    rng = np.random.default_rng(0)
    dims = np.array([[6.0, 4.0, 3.0], [5.0, 8.0, 2.5]])
    scenes = Scenes(np.zeros((2, 3, 8)), rng.random((2, 3, 3)) * dims[:, None],
                    np.array([[1.0, 2.0, 1.5], [4.0, 3.0, 1.0]]), dims)
    estimates = [[Estimate(scenes.source_position[k, :2] + [0.3, 0.4], rng.random((5, 7)),
                           np.arange(7.0), np.arange(5.0), 0.5) for _ in range(2)]
                 for k in range(2)]
    figure = maps_figure(scenes, ['one', 'other'], estimates)
    for k, row in enumerate((figure.axes[:2], figure.axes[2:])):
        assert [axes.get_title() for axes in row] == ['one: 0.50 m', 'other: 0.50 m']
        for axes, estimate in zip(row, estimates[k], strict=True):
            image, = axes.images
            np.testing.assert_array_equal(image.get_array(), estimate.likelihood_map)
            assert tuple(image.get_extent()) == (0, dims[k, 0], 0, dims[k, 1])
            assert image.origin == 'lower'  # y points upwards
            microphones, talker, position = (line.get_xydata() for line in axes.lines)
            np.testing.assert_array_equal(microphones, scenes.mic_positions[k][:, :2])
            np.testing.assert_array_equal(talker, scenes.source_position[k:k + 1, :2])
            np.testing.assert_array_equal(position, estimate.position[None])


def test_reliability_is_drawn_beside_the_diagonal():
    """A method's points are the bins of its table."""
    figure = reliability_figure({'srp_phat': [(0.2, 0.1, 5), (0.9, 0.7, 5)]})
    axes, = figure.axes
    diagonal, line = axes.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(line.get_xydata(), [[0.2, 0.1], [0.9, 0.7]])
    assert legend(axes) == ['perfect', 'srp_phat']
    assert axes.get_xlim() == axes.get_ylim() == (0, 1)


def test_conditions_have_a_line_a_method_within_its_interval():
    """Numbers are on an axis, logarithmic where the family says so; faults have labels."""
    def rows(values, labels, methods):
        return [{'value': value, 'label': label, 'methods': {
            method: {'mean': mean + value, 'interval': (mean + value - 0.1, mean + value + 0.2)}
            for mean, method in enumerate(methods, 1)}}
            for value, label in zip(values, labels, strict=True)]

    every = families()
    measured = [(every['snr'], rows([0, 10], ['0 dB', '10 dB'], ['srp_phat', 'neural_srp'])),
                (every['rt60'], rows([0.1, 1.0], ['0.1 s', '1 s'], ['srp_phat'])),
                (every['faults'], rows([0, 1], ['none', 'deaf'], ['srp_phat'])),
                (every['walking'], rows([0, 1], ['0 m/s', '1 m/s'], ['srp_phat']))]
    figure = conditions_figure(measured)
    snr, rt60, faults, walking, *unused = figure.axes
    assert [axes.get_title() for axes in (snr, rt60, faults, walking)] == [
        family.title for family, _ in measured]
    assert not any(axes.axison for axes in unused)
    one, other = snr.lines
    np.testing.assert_array_equal(one.get_xydata(), [[0, 1], [10, 11]])
    np.testing.assert_array_equal(other.get_xydata(), [[0, 2], [10, 12]])
    band = np.asarray(snr.collections[0].get_paths()[0].vertices)
    assert band[:, 1].min() == pytest.approx(0.9) and band[:, 1].max() == pytest.approx(11.2)
    assert legend(snr) == ['srp_phat', 'neural_srp'] and snr.get_ylim()[0] == 0
    assert snr.get_xlabel() == every['snr'].axis
    assert rt60.get_xscale() == 'log' and snr.get_xscale() == 'linear'
    assert [label.get_text() for label in rt60.get_xticklabels()] == ['0.1 s', '1 s']
    assert [label.get_text() for label in faults.get_xticklabels()] == ['none', 'deaf']


def test_detection_curve_of_a_perfect_detector_passes_the_corner():
    """Beside the curves are the histograms of silent and of talking windows."""
    silent, talking = np.array([0.1, 0.1, 0.3, 0.2]), np.array([0.8, 0.9, 0.9, 0.7])
    figure = detection_figure({'srp_phat': (silent, talking)})
    curves, histograms = figure.axes
    curve, diagonal = (np.asarray(line.get_xydata()) for line in curves.lines)
    assert [0, 1] in curve.tolist()  # no false alarms, all talkers detected
    np.testing.assert_array_equal(diagonal, [[0, 0], [1, 1]])
    assert histograms.get_title() == 'srp_phat'
    assert legend(histograms) == ['nobody talks', 'somebody talks']
    bars = np.array([
        (bar.get_x(), bar.get_width(), bar.get_height())
        for bar in histograms.patches if isinstance(bar, Rectangle)]).reshape(2, 25, 3)
    for drawn, values in zip(bars, (silent, talking), strict=True):
        x, width, height = drawn.T
        assert (width * height).sum() == pytest.approx(1)  # a density
        full = x[height > 0]
        assert values.min() - 0.04 < full.min() <= full.max() <= values.max()


def test_regions_of_every_set_are_drawn_at_their_levels():
    """Lines are shifted against each other by less than their levels differ."""
    def rows(share):
        return [{'level': level, 'inside': share, 'interval': (share - 0.1, share + 0.05)}
                for level in (0.5, 0.8)]

    figure = regions_figure({'hard': rows(0.6), 'easy': rows(0.7)})
    axes, = figure.axes
    assert sorted(legend(axes)) == ['easy', 'hard', 'perfect']
    lines = [container.lines for container in axes.containers
             if isinstance(container, ErrorbarContainer)]
    for (line, _, (bars,)), share in zip(lines, (0.6, 0.7), strict=True):
        np.testing.assert_allclose(np.asarray(line.get_xdata()), [0.5, 0.8], atol=0.005)
        np.testing.assert_array_equal(line.get_ydata(), [share, share])
        for segment in bars.get_segments():
            np.testing.assert_allclose(segment[:, 1], [share - 0.1, share + 0.05])


def test_bars_are_as_long_as_their_values():
    """The first row is on top, each of its kinds in one colour."""
    figure = bars_figure({'full': {'hard 4': (0.5, 0.4, 0.7), 'hard 6': (0.3, 0.2, 0.4)},
                          'smaller': {'hard 4': (0.6, 0.5, 0.7), 'hard 6': (0.4, 0.3, 0.5)}},
                         'mean error (m)')
    axes, = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ['full', 'smaller']
    assert axes.yaxis_inverted() and axes.get_xlabel() == 'mean error (m)'
    four, six = (container for container in axes.containers
                 if isinstance(container, BarContainer))
    assert [bar.get_width() for bar in four] == [0.5, 0.6]
    assert [bar.get_width() for bar in six] == [0.3, 0.4]
    assert four.errorbar is not None
    whiskers = four.errorbar.lines[2][0].get_segments()
    np.testing.assert_allclose(whiskers[0][:, 0], [0.4, 0.7])
    assert legend(axes) == ['hard 4', 'hard 6']


def test_tracks_lie_over_the_truth():
    """Thin lines are where talkers are, broad ones where they talk, and dots are tracks."""
    conversation = Conversation(
        np.zeros((2, 8), np.float32), 16000, np.zeros((2, 3)), np.array([5.0, 4.0, 3.0]),
        starts=np.array([[1.0, 1.0, 1.5], [2.0, 3.0, 1.5]]),
        ends=np.array([[1.0, 1.0, 1.5], [4.0, 3.0, 1.5]]), departures=np.zeros(2),
        speeds=np.ones(2), turns=(np.array([[0.0, 0.9]]), np.array([[1.0, 1.4], [1.6, 2.0]])))
    times = [0.5, 1.0, 1.5]
    steps = [{'time': time, 'truth': conversation.positions(time)[:, :2],
              'tracks': {3: np.array([time, 2.0])}} for time in times]
    figure = tracks_figure([(conversation, steps)])
    truth = {'x (m)': ([1, 1, 1], [2.5, 3, 3.5]), 'y (m)': ([1, 1, 1], [3, 3, 3])}
    track = {'x (m)': times, 'y (m)': [2, 2, 2]}
    assert [axes.get_ylabel() for axes in figure.axes] == list(truth)
    for axes in figure.axes:
        side = axes.get_ylabel()
        thin = [np.asarray(line.get_xydata()) for line in axes.lines
                if line.get_linewidth() == 0.8]
        for drawn, expected in zip(thin, truth[side], strict=True):
            np.testing.assert_allclose(drawn, np.transpose([times, expected]))
        broad = [np.asarray(line.get_xydata()) for line in axes.lines
                 if line.get_linewidth() == 4]
        assert [(line[0, 0], line[-1, 0]) for line in broad] == [(0, 0.9), (1, 1.4), (1.6, 2)]
        dots, = (line for line in axes.lines if line.get_label() == 'talker 3')
        np.testing.assert_array_equal(dots.get_xydata(), np.transpose([times, track[side]]))


def test_pictures_are_the_drawn_figures(tmp_path):
    """A saved file has the figure's pixels; its folder is made."""
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.set_position((0, 0, 1, 1))
    axes.imshow([[0, 1], [1, 0]], cmap='gray', aspect='auto')
    axes.set_axis_off()
    save_figure(figure, tmp_path / 'new/folder/picture.png')
    pixels = plt.imread(tmp_path / 'new/folder/picture.png')
    assert pixels.shape == (120, 120, 4)
    quarter = [pixels[y, x, 0] for y in (30, 90) for x in (30, 90)]
    assert quarter == [0, 1, 1, 0]
    assert figure.number not in plt.get_fignums()
