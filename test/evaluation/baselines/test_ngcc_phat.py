"""The baseline names what is missing, fuses delays by geometry, and finds an anechoic talker."""

import os

from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.evaluation.baselines.ngcc_checkout import load_network
from nsrp_ros.evaluation.baselines.ngcc_checkout import NgccError
from nsrp_ros.evaluation.baselines.ngcc_checkout import VARIABLE
from nsrp_ros.evaluation.baselines.ngcc_phat import NgccPhat
from nsrp_ros.evaluation.baselines.ngcc_phat import smoothed_log_probabilities
from nsrp_ros.evaluation.baselines.ngcc_phat import sum_at_tdoas
from nsrp_ros.localization.localizer import Localizer
import numpy as np
import pytest


@pytest.fixture(scope='module')
def method():
    """Return the method with the user's clone, or skip."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f'{VARIABLE} names no clone of https://github.com/axeber01/ngcc')
    return NgccPhat(load_network())


def test_without_a_clone_the_error_says_how_to_get_one(monkeypatch):
    """Nothing is downloaded."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(NgccError, match='https://github.com/axeber01/ngcc; NGCC_PHAT names'):
        load_network()


def test_a_clone_without_weights_is_named(monkeypatch, tmp_path):
    """The error says which file is missing where."""
    (tmp_path / 'model.py').touch()
    (tmp_path / 'dnn_models.py').touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(NgccError, match=f'{tmp_path} .*model.pth is missing'):
        load_network()


def test_another_repository_is_refused(tmp_path):
    """Files of the right names do not make it the right network."""
    for name in ('model.py', 'dnn_models.py', 'experiments/ngccphat/model.pth'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(NgccError, match='cannot make NGCC-PHAT from'):
        load_network(tmp_path)


def test_the_uniform_share_bounds_a_veto():
    """A delay that the network excludes keeps its uniform share; the sum stays one."""
    certain = np.zeros(101)
    certain[30] = 1
    for blur in (0, 2):
        row = np.exp(smoothed_log_probabilities(certain, blur, 0.1).astype(np.float64))
        assert row.sum() == pytest.approx(1, abs=1e-5)
        assert row.min() == pytest.approx(0.1 / 101, rel=1e-4)
        assert row.argmax() == 30


def test_sharp_posteriors_meet_at_the_source(anechoic):
    """Rows that peak at the true delays have their highest sum in the source's cell."""
    pairs = microphone_pairs(6)
    grid = Grid.over_room(anechoic.room_dims, 60, 50, 30)
    lags = 16000 * tdoa(anechoic.source_position, anechoic.mic_positions, pairs)
    axis = np.arange(-400, 401)
    rows = [-0.5 * ((axis - lag) / 4).astype(np.float32) ** 2 for lag in lags]
    total = sum_at_tdoas(rows, pairs, anechoic.mic_positions, grid, 16000)
    z, y, x = np.unravel_index(total.argmax(), total.shape)
    found = np.array([grid.x[x], grid.y[y], grid.z[z]])
    assert np.all(np.abs(found - anechoic.source_position) <= 0.11)


def test_the_network_has_this_packages_sign(method, anechoic):
    """An anechoic talker's delays are the likeliest, far beyond the trained 23 lags."""
    pairs = microphone_pairs(6)
    posteriors = method.delay_posteriors(anechoic.signals(), anechoic.mic_positions, pairs)
    lags = 16000 * tdoa(anechoic.source_position, anechoic.mic_positions, pairs)
    found = [row.argmax() - len(row) // 2 for row in posteriors]
    assert np.abs(lags).max() > 100
    assert np.median(np.abs(found - lags)) <= 1
    assert all(row.sum() == pytest.approx(1, abs=1e-4) for row in posteriors)


def test_an_anechoic_talker_is_found(method, anechoic):
    """Through `Localizer`; the map is a posterior."""
    estimate = Localizer(method).locate(anechoic.signals(), 16000, anechoic.mic_positions,
                                        anechoic.room_dims)
    assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.15
    assert estimate.likelihood_map.sum() == pytest.approx(1)


def test_gains_have_no_effect(method, anechoic):
    """Each microphone is scaled to one level."""
    signals = anechoic.signals()
    gains = np.array([1, 0.01, 10, 3, 0.2, 1], dtype=np.float32)
    one, other = (method.estimate(s, anechoic.mic_positions, anechoic.room_dims)
                  for s in (signals, gains[:, None] * signals))
    np.testing.assert_allclose(one.position, other.position, atol=1e-3)


def test_windows_too_short_for_the_room_are_refused(method, anechoic):
    """A window must hold the longest delay."""
    with pytest.raises(ValueError, match='200 samples are too short'):
        method.estimate(anechoic.signals()[:, :200], anechoic.mic_positions, anechoic.room_dims)
