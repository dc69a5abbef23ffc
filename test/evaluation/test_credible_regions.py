"""Credible regions: those of calibrated posteriors contain the right share of sources."""

import json

from nsrp_ros.datasets import generate
from nsrp_ros.evaluation.credible_regions import inside_region
from nsrp_ros.evaluation.credible_regions import is_posterior
from nsrp_ros.evaluation.credible_regions import LEVELS
from nsrp_ros.evaluation.credible_regions import main
from nsrp_ros.evaluation.credible_regions import measure_coverage
from nsrp_ros.evaluation.credible_regions import rank_in_posterior
from nsrp_ros.evaluation.credible_regions import region_areas
import numpy as np
import pytest

X, Y = np.arange(0.5, 6), np.arange(0.5, 5)


def sources(sharpness, sharpened=1.0, count=4000):
    """Draw sources from posteriors, and rank them in sharper or flatter ones."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        logits = sharpness * rng.normal(size=(len(Y), len(X)))
        true, stated = np.exp(logits), np.exp(sharpened * logits)
        true, stated = true / true.sum(), stated / stated.sum()
        row, column = np.unravel_index(rng.choice(true.size, p=true.ravel()), true.shape)
        source = np.array([X[column] + rng.uniform(-0.5, 0.5), Y[row] + rng.uniform(-0.5, 0.5)])
        rows.append(rank_in_posterior(stated, X, Y, source))
    return np.array(rows).T


@pytest.mark.parametrize('sharpness', [0.5, 2.0, 6.0])
def test_regions_of_calibrated_posteriors_hold_their_level_however_sharp(sharpness):
    likelier, own = sources(sharpness)
    for level in LEVELS:
        assert inside_region(likelier, own, level).mean() == pytest.approx(level, abs=0.025)


def test_overconfident_posteriors_hold_less_and_underconfident_ones_more():
    likelier, own = sources(2.0, sharpened=2.0)
    assert inside_region(likelier, own, 0.8).mean() < 0.7
    likelier, own = sources(2.0, sharpened=0.5)
    assert inside_region(likelier, own, 0.8).mean() > 0.87


def test_areas_grow_with_uncertainty():
    flat = np.full((5, 6), 1 / 30)
    np.testing.assert_allclose(region_areas(flat, X, Y), 30 * np.array(LEVELS))
    certain = np.zeros((5, 6))
    certain[2, 3] = 1
    np.testing.assert_allclose(region_areas(certain, X, Y), LEVELS)
    assert is_posterior(flat) and not is_posterior(2 * flat) and not is_posterior(flat - 0.1)


def test_sources_outside_the_map_count_as_in_its_nearest_cell():
    probabilities = np.zeros((5, 6))
    probabilities[4, 5] = 1
    assert rank_in_posterior(probabilities, X, Y, (6.3, 5.4)) == (0, 1)
    assert rank_in_posterior(probabilities, X, Y, (0.1, 0.1)) == (1, 0)


def test_one_command_measures_posteriors_and_refuses_scores(tmp_path, capsys):
    folder = generate.make('anechoic_sim', 3, 'val', tmp_path, 3, simulator='torch',
                           speech='synthetic')
    assert main(['backprojection', '--data', str(tmp_path), '--sets', folder.name, '--mics', '2',
                 '3', '--out', str(tmp_path)]) == 0
    assert 'anechoic_sim-3-val, 2 mics | 3 |' in capsys.readouterr().out
    found = json.loads((tmp_path / 'results.json').read_text())['backprojection']
    assert [row['level'] for row in found[f'{folder.name}, 3 mics']] == list(LEVELS)
    assert (tmp_path / 'regions-backprojection.png').is_file()
    with pytest.raises(ValueError, match='not posteriors'):
        measure_coverage('srp_phat_2d', folder, 2)
