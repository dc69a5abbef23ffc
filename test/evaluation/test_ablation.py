"""Ablation study: every variant can be trained, and the table and the figure have its errors."""

from argparse import Namespace
from dataclasses import replace

from matplotlib import pyplot as plt
from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.evaluation import ablation
from nsrp_ros.evaluation import metrics
from nsrp_ros.evaluation.ablation import ablate
from nsrp_ros.evaluation.ablation import FULL
from nsrp_ros.evaluation.ablation import SMALL
from nsrp_ros.evaluation.ablation import VARIANTS
from nsrp_ros.networks.backprojection import Backprojection
import pytest

TINY = {'n_fft': 1024, 'channels': 8, 'hidden_channels': 8, 'weighting_channels': 4,
        'dilations': (1, 4), 'map_channels': 8, 'map_hidden_channels': 8, 'map_blocks': 1,
        'grid_size': 9, 'heights': 2}


@pytest.mark.parametrize('title', [title for title in VARIANTS if title != FULL])
def test_every_variant_is_a_smaller_network(title):
    full = replace(BackprojectionConfig(), **SMALL)
    smaller = replace(full, **VARIANTS[title])
    assert (sum(p.numel() for p in Backprojection(smaller).parameters())
            < sum(p.numel() for p in Backprojection(full).parameters()))


def test_ablations_end_in_a_table(tmp_path, monkeypatch):
    """Two tiny variants are trained, measured and drawn; a second run trains nothing."""
    monkeypatch.setattr(metrics, 'N_RESAMPLES', 200)  # saves time
    drawn = []
    monkeypatch.setattr(ablation, 'save_figure',
                        lambda figure, path: drawn.append((figure, path)))
    options = Namespace(
        out=tmp_path, minutes=1e-3, variants=[FULL, 'no echoes of walls'],
        stage='anechoic_sim', rooms=3, devices=1, batch_size=4, learning_rate=1e-3,
        batches_per_epoch=2, rooms_at_once=4, precision='32-true', speech='synthetic', seed=0,
        network=tuple(TINY.items()))
    results = ablate(options)
    assert list(results) == [FULL, f'{FULL}, windows of 0.25 s', f'{FULL}, windows of 0.125 s',
                             'no echoes of walls']
    assert set(results[FULL]['errors']) == {'hard 4', 'hard 6', 'real 4', 'real 6'}
    assert all(row['interval'][0] <= row['mean'] <= row['interval'][1]
               for result in results.values() for row in result['errors'].values())
    assert '| no echoes of walls |' in (tmp_path / 'tables.md').read_text()
    (figure, picture), = drawn
    assert picture == tmp_path / 'ablations.png'
    axes, = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(results)
    for bars in axes.containers[1::2]:  # each after its whiskers
        assert [bar.get_width() for bar in bars] == [
            result['errors'][bars.get_label()]['mean'] for result in results.values()]
    plt.close(figure)
    weights = tmp_path / 'all-of-it/backprojection.safetensors'
    made = weights.stat().st_mtime_ns
    assert ablate(options) == results and weights.stat().st_mtime_ns == made
