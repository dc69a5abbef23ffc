"""Live scenes: turns, positions and reverberation of the rendered signals."""

from dataclasses import replace

from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
from nsrp_ros.simulation.live_scene import render
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
import numpy as np
import pytest

DRY = replace(DEFAULT_SCENE, rt60=0.0, turn_seconds=1.0, pause_seconds=0.5)


@pytest.fixture
def utterances():
    """Make two bursts of noise in place of speech."""
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(12000).astype(np.float32) for _ in range(2)]


def test_talkers_are_active_in_their_turns_alone(utterances):
    """The level of each turn is the signal-to-noise ratio above that of the pause after it."""
    signals, turns = render(DRY, utterances, np.random.default_rng(1))
    assert signals.shape == (4 * 24000, 6) and signals.dtype == np.float32
    for turn in turns:
        talk = signals[turn.start + 1000:turn.stop].std()
        pause = signals[turn.stop + 1000:turn.stop + 7000].std()
        assert 20 * np.log10(talk / pause) == pytest.approx(31.8, abs=1.5)  # 30 dB of the mean


def test_each_turn_is_localized_at_its_position(utterances):
    """In free field SRP-PHAT finds every talker."""
    signals, turns = render(DRY, utterances, np.random.default_rng(1))
    localizer = Localizer.load('srp_phat')
    for turn in turns:
        window = signals[turn.start + 4000:turn.start + 12000].T
        estimate = localizer.locate(np.ascontiguousarray(window), SAMPLE_RATE, DRY.mic_positions,
                                    DRY.room_dims)
        assert np.linalg.norm(estimate.position - turn.position[:2]) < 0.15


def test_room_has_its_reverberation_time(utterances):
    """After a click the level falls by 60 dB in about rt60 seconds."""
    click = [np.concatenate([[1.0], np.zeros(31999)]).astype(np.float32)]
    scene = replace(DEFAULT_SCENE, rt60=0.3, turn_seconds=2.0, pause_seconds=0.0, snr_db=100.0)
    signals, _ = render(scene, click, np.random.default_rng(0))
    energy = np.cumsum(signals[:24000, 0][::-1].astype(np.float64) ** 2)[::-1]
    decay_db = 10 * np.log10(energy / energy[0])
    t5, t25 = (np.flatnonzero(decay_db < level)[0] / SAMPLE_RATE for level in (-5, -25))
    assert 3 * (t25 - t5) == pytest.approx(0.3, rel=0.35)  # Sabine's formula is itself rough


@pytest.mark.parametrize('change, message', [
    ({'room_dims': (6.0, 5.0)}, 'room_dims'),
    ({'mic_positions': DRY.mic_positions[:1]}, '2 or more'),
    ({'talker_positions': np.array([[7.0, 1.0, 1.0]])}, 'inside the room'),
])
def test_impossible_scenes_are_refused(change, message):
    """The message names what is wrong."""
    with pytest.raises(ValueError, match=message):
        replace(DRY, **change)


def test_impossible_reverberation_time_is_refused(utterances):
    """Even fully absorbing walls give a large room a longer reverberation time."""
    with pytest.raises(ValueError, match='cannot have an rt60'):
        render(replace(DRY, rt60=0.01), utterances, np.random.default_rng(0))
