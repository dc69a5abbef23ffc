"""Families of conditions: the same rooms under every condition, which is as described."""

from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.conditions import families
from nsrp_ros.evaluation.scenarios.conditions import SNRS
from nsrp_ros.evaluation.scenarios.paired_scenes import simulate_scenes
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import pytest


@pytest.fixture(scope='module')
def bank():
    return find_speech('synthetic')[0]


def made(family, bank, count=2):
    return [condition.make(4, count, bank, 0) for condition in family.conditions]


@pytest.mark.parametrize('base', sorted(BASES))
@pytest.mark.parametrize('name', sorted(families()))
def test_scenes_differ_only_by_the_condition(base, name, bank):
    family = families(base)[name]
    scenes = made(family, bank, 1)
    for one in scenes:
        np.testing.assert_array_equal(one.source_position, scenes[0].source_position)
        assert np.isfinite(one.signals).all() and one.signals.dtype == np.float32
        reported, true = one.mic_positions[:, :3], scenes[0].mic_positions[:, :3]
        assert np.abs(reported - true).max() < (1.0 if name == 'positions' else 1e-6)
    values = [condition.value for condition in family.conditions]
    assert values == sorted(values)
    # Every step changes the signals or the reported geometry.
    distinct = {(s.signals.tobytes(), s.mic_positions.tobytes(), s.room_dims.tobytes())
                for s in scenes}
    assert len(distinct) == len(scenes)


def test_white_noise_has_the_stated_ratio(bank):
    scenes = made(families()['snr'], bank)
    clean = scenes[SNRS.index(30)].signals
    for snr_db, one in zip(SNRS[:4], scenes, strict=False):
        noise = np.mean((one.signals - clean) ** 2)
        assert 10 * np.log10(np.mean(clean ** 2) / noise) == pytest.approx(snr_db, abs=1.0)


def test_the_easiest_condition_of_hard_families_is_the_base_itself(bank):
    base = simulate_scenes(BASES['hard'], 4, 2, bank)
    for name, at in (('snr', -1), ('positions', 0), ('faults', 0), ('dimensions', 0)):
        easiest = families()[name].conditions[at].make(4, 2, bank, 0)
        np.testing.assert_array_equal(easiest.signals, base.signals)


def test_longer_reverberation_decays_more_slowly(bank):
    scenes = made(families()['rt60'], bank)
    loudness = [np.mean(one.signals ** 2) for one in scenes]
    assert loudness == sorted(loudness) and loudness[-1] > 1.5 * loudness[0]
