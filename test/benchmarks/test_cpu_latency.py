"""The bench counts operations right, and its command writes a whole report."""

import json

from matplotlib import image
from matplotlib import pyplot as plt
from nsrp_ros.benchmarks.cpu_latency import main
from nsrp_ros.benchmarks.cpu_latency import PAIR_BY_PAIR
from nsrp_ros.benchmarks.cpu_latency import PLAIN
from nsrp_ros.benchmarks.cpu_latency import WITHOUT
from nsrp_ros.benchmarks.gpu_throughput import bench
from nsrp_ros.benchmarks.gpu_throughput import table
from nsrp_ros.benchmarks.hardware import ByteCounter
from nsrp_ros.benchmarks.hardware import count
from nsrp_ros.benchmarks.hardware import timed
from nsrp_ros.benchmarks.latency_report import exponent
from nsrp_ros.benchmarks.latency_report import gains_figure
from nsrp_ros.benchmarks.latency_report import GOALS
from nsrp_ros.benchmarks.latency_report import latency_figure
import numpy as np
import pytest
import torch


def test_products_are_counted():
    """A product of (a, b) and (b, c) has 2 a b c operations and moves its three matrices."""
    left, right = torch.ones(30, 40), torch.ones(40, 50)
    flops, moved = count(lambda: left @ right)
    assert flops == 2 * 30 * 40 * 50
    assert moved == 4 * (30 * 40 + 40 * 50 + 30 * 50)


def test_views_move_nothing():
    """Views of the same memory are free; operations that write in place are not."""
    values = torch.ones(10, 20)
    with ByteCounter() as moved:
        values.view(200)[:100].unflatten(0, (10, 10)).transpose(0, 1)
    assert moved.total == 0
    with ByteCounter() as moved:
        values.add_(1)
    assert moved.total == 2 * 4 * 200


def test_slow_calls_take_longer_than_fast_ones():
    """Medians follow the work that is done; each call is made in every repeat."""
    calls = {'fast': 0, 'slow': 0}
    matrix = torch.ones(200, 200)

    def work(name, products):
        calls[name] += 1
        for _ in range(products):
            matrix @ matrix

    times = timed({'fast': lambda: work('fast', 1), 'slow': lambda: work('slow', 60)}, 5, 'test')
    assert calls == {'fast': 7, 'slow': 7}
    assert times['slow']['cpu_ms'] > 5 * times['fast']['cpu_ms'] > 0
    assert times['slow']['least_ms'] <= times['slow']['wall_ms']


def test_growth_is_the_exponent_of_a_power():
    """Time that is proportional to M^1.7 grows as M^1.7."""
    assert exponent({n: 3.0 * n ** 1.7 for n in (2, 4, 16)}) == pytest.approx(1.7)


def test_one_command_writes_a_report(tmp_path, capsys):
    """Every method, every approximation, the limit and the profile are there, and pictures."""
    network = 'backprojection'
    main(['--mics', '2', '4', '--networks', network, '--methods', 'srp_phat_2d', PAIR_BY_PAIR,
          '--gains', '3', '--repeats', '1', '--threads', '1', '--sets', '--node-minutes', '1',
          '--out', str(tmp_path)])
    results = json.loads((tmp_path / 'results.json').read_text())
    assert {row['method'] for row in results['latency']} == {
        network, 'srp_phat_2d', PAIR_BY_PAIR, PLAIN.format(network)}
    assert [row['way'] for row in results['gains']] == list(WITHOUT)
    assert all(row['cpu_ms'] > 0 for row in results['latency'] + results['gains'])
    two, four = results['floor']
    assert 0 < two['flops'] < four['flops'] and 0 < two['bytes'] < four['bytes']
    assert sum(row['share'] for row in results['profile'][network]) <= 1
    text = (tmp_path / 'tables.md').read_text()
    assert '| `srp_phat_2d` / `backprojection` |' in text and 'aten::' in text
    assert 'nsrp_ros.apps.soak_test.node_timing' in capsys.readouterr().err
    for name in ('latency', 'gains'):
        picture = image.imread(tmp_path / f'{name}.png')
        assert picture.shape[:2] > (400, 1000) and np.ptp(picture[..., :3]) == 1


def results(methods=('backprojection', 'srp_phat')):
    """Return made-up results: the n-th method takes n times 3 M^1.5 milliseconds."""
    return {
        'threads': 2, 'networks': ['backprojection'],
        'latency': [{'n_mics': m, 'method': method, 'wall_ms': n * m ** 1.5,
                     'cpu_ms': 3 * n * m ** 1.5}
                    for n, method in enumerate(methods, 1) for m in (2, 4, 16)],
        'gains': [{'network': 'backprojection', 'n_mics': m, 'way': way, 'cpu_ms': m * k}
                  for m in (6, 16) for k, way in enumerate(WITHOUT, 1)]}


def test_latency_is_drawn_over_microphones():
    """A line for each method, elapsed and processor time apart, and the goals."""
    figure = latency_figure(results())
    for axes, factor in zip(figure.axes, (1, 3), strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        assert set(lines) == {'backprojection', 'srp_phat', 'goal'}
        np.testing.assert_allclose(lines['srp_phat'].get_xdata(), [2, 4, 16])
        np.testing.assert_allclose(lines['srp_phat'].get_ydata(),
                                   [factor * 2 * m ** 1.5 for m in (2, 4, 16)])
        assert dict(zip(*lines['goal'].get_data())) == GOALS
        assert axes.get_xscale() == axes.get_yscale() == 'log'
    plt.close(figure)


def test_every_approximation_has_a_bar():
    """As long as the time without it, the first at the top, one plot a number of microphones."""
    figure = gains_figure(results())
    for axes, n_mics in zip(figure.axes, (6, 16), strict=True):
        assert axes.get_title() == f'{n_mics} microphones'
        assert [bar.get_width() for bar in axes.patches] == [
            n_mics * k for k in range(1, len(WITHOUT) + 1)]
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(WITHOUT)
        assert axes.yaxis_inverted()
    plt.close(figure)


def test_the_bench_of_cards_runs_without_a_card():
    """On the CPU it times, counts and compares the same; the estimates are equal there."""
    results = bench('backprojection', [1, 2], n_mics=2, device='cpu', repeats=3, compared=2)
    assert [row['windows'] for row in results['batches']] == [1, 2]
    assert results['flops'] > 1e8 and results['apart_m'] == 0
    one = results['batches'][0]
    assert one['rooms'] == pytest.approx(1000 / one['ms'] / 4)
    assert '| 2 |' in table(results) and 'of the limit' in table(results)
