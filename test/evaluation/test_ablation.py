"""Ablations: every variant is a network that can be trained, and the table says what came out."""

from argparse import Namespace
from dataclasses import replace

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.evaluation.ablation import ablate
from nsrp_ros.evaluation.ablation import FULL
from nsrp_ros.evaluation.ablation import SMALL
from nsrp_ros.evaluation.ablation import VARIANTS
from nsrp_ros.networks.backprojection import Backprojection
import pytest

TINY = {'channels': 8, 'map_channels': 8, 'dilations': (1, 4), 'map_blocks': 1}


@pytest.mark.parametrize('title', [title for title in VARIANTS if title != FULL])
def test_every_variant_is_a_smaller_network(title):
    full = replace(BackprojectionConfig(), **SMALL)
    assert (sum(p.numel() for p in Backprojection(replace(full, **VARIANTS[title])).parameters())
            < sum(p.numel() for p in Backprojection(full).parameters()))


def test_ablations_end_in_a_table(tmp_path):
    """Two tiny variants are trained, measured and drawn; a second run trains nothing."""
    options = Namespace(
        out=tmp_path, minutes=0.02, variants=[FULL, 'no echoes of walls'],
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
    assert (tmp_path / 'ablations.png').stat().st_size > 1000
    weights = tmp_path / 'all-of-it/backprojection.safetensors'
    made = weights.stat().st_mtime_ns
    assert ablate(options) == results and weights.stat().st_mtime_ns == made
