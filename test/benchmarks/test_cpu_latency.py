"""The bench counts what is done, and its one command leaves a whole report."""

import json

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
import pytest
import torch


def test_products_are_counted():
    """A product of (a, b) and (b, c) has 2 a b c operations and moves its three matrices."""
    left, right = torch.ones(30, 40), torch.ones(40, 50)
    flops, moved = count(lambda: left @ right)
    assert flops == 2 * 30 * 40 * 50
    assert moved == 4 * (30 * 40 + 40 * 50 + 30 * 50)


def test_views_move_nothing():
    """What only looks at the same memory in another way is free; what writes in place is not."""
    values = torch.ones(10, 20)
    with ByteCounter() as moved:
        values.view(200)[:100].unflatten(0, (10, 10)).transpose(0, 1)
    assert moved.total == 0
    with ByteCounter() as moved:
        values.add_(1)
    assert moved.total == 2 * 4 * 200


def test_slow_calls_are_told_from_fast_ones():
    """Medians follow the work that is done; each call is made in every turn."""
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


def test_one_command_leaves_a_report(tmp_path):
    """Every method, every shortcut, the floor and the profile are there, and the pictures."""
    network = 'backprojection'
    main(['--mics', '2', '4', '--networks', network, '--methods', 'srp_phat_2d', PAIR_BY_PAIR,
          '--gains', '3', '--repeats', '1', '--threads', '1', '--sets', '--node-minutes', '0',
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
    assert (tmp_path / 'latency.png').stat().st_size > 5000
    assert (tmp_path / 'gains.png').stat().st_size > 5000


def test_the_card_s_bench_can_be_tried_without_a_card():
    """On the CPU it times, counts and compares the same; both ways give the same answers there."""
    results = bench('backprojection', [1, 2], n_mics=2, device='cpu', repeats=3, compared=2)
    assert [row['windows'] for row in results['batches']] == [1, 2]
    assert results['flops'] > 1e8 and results['apart_m'] == 0
    one = results['batches'][0]
    assert one['rooms'] == pytest.approx(1000 / one['ms'] / 4)
    assert '| 2 |' in table(results) and 'of the limit' in table(results)
