"""Simulated conversations: trajectories, turns, and the signals they give."""

from dataclasses import replace

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.conversations import ConversationConfig
from nsrp_ros.simulation.conversations import simulate_conversation
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import pytest

ANECHOIC = ConversationConfig(
    rooms=RoomConfig(min_dims=(5.0, 5.0, 2.4), max_dims=(7.0, 7.0, 3.0), margin=0.1,
                     max_order=0, snr_db=60.0), seconds=6.0)


@pytest.fixture(scope='module')
def bank():
    """Return synthetic speech."""
    return find_speech('synthetic')[0]


@pytest.fixture(scope='module')
def conversation(bank):
    """Return six seconds in free field."""
    return simulate_conversation(ANECHOIC, 4, bank, 3)


def test_one_talker_stands_and_one_walks(conversation):
    """They keep apart, stay in the room, and the walk has the reported speed."""
    times = np.linspace(0, 6, 61)
    places = np.stack([conversation.positions(t) for t in times])  # (T, K, 3)
    assert np.ptp(places[:, 0], axis=0).max() == 0
    steps = np.linalg.norm(np.diff(places[:, 1], axis=0), axis=1)
    assert steps.max() == pytest.approx(conversation.speeds[1] * 0.1)
    assert np.linalg.norm((places[:, 0] - places[:, 1])[:, :2], axis=1).min() >= 1.0
    assert (places > 0).all() and (places < conversation.room_dims).all()


def test_turns_lie_inside_the_recording(conversation):
    """Turns are in order, end with the recording, and talking() is their share of time."""
    for k, turns in enumerate(conversation.turns):
        assert (np.diff(turns.ravel()) > 0).all() and turns.max() <= 6.0
        begin, end = turns[0]
        assert conversation.talking(begin, end)[k] == pytest.approx(1.0)
        assert conversation.talking(0, 6)[k] == pytest.approx(np.diff(turns).sum() / 6)


def test_only_sensor_noise_precedes_the_first_turn(conversation):
    """Before any talker is active, the level is that of the sensor noise."""
    first = min(turns[0, 0] for turns in conversation.turns)
    before = conversation.signals[:, :int(first * 16000) - 10]
    after = conversation.signals[:, int(first * 16000):]
    assert before.shape[1] > 1000 and before.std() < 0.05 * after.std()


def test_time_difference_of_the_standing_talker(bank):
    """Between two microphones it is the difference of the distances, to a sample."""
    config = replace(ANECHOIC, pause=(5.0, 6.0), turn=(3.0, 3.0))
    seed = next(s for s in range(50) if _alone(simulate_conversation(config, 2, bank, s)))
    scene = simulate_conversation(config, 2, bank, seed)
    begin, end = scene.turns[0][0]
    one, other = scene.signals[:, int(begin * 16000):int(end * 16000)].astype(float)
    correlation = np.fft.irfft(np.fft.rfft(one, 2 ** 18) * np.fft.rfft(other, 2 ** 18).conj())
    lag = (int(correlation.argmax()) + 2 ** 17) % 2 ** 18 - 2 ** 17
    near, far = np.linalg.norm(scene.mic_positions - scene.starts[0], axis=1)
    assert lag == pytest.approx((near - far) / SPEED_OF_SOUND * 16000, abs=1)


def _alone(scene):
    """Return whether the other talker is silent in the standing talker's first turn."""
    begin, end = scene.turns[0][0]
    return end - begin > 1 and scene.talking(begin, end)[1] == 0


def test_seed_decides_the_scene(bank, conversation):
    """The same seed gives the same samples, another seed another room."""
    again = simulate_conversation(ANECHOIC, 4, bank, 3)
    np.testing.assert_array_equal(again.signals, conversation.signals)
    other = simulate_conversation(ANECHOIC, 4, bank, 4)
    assert not np.array_equal(other.room_dims, conversation.room_dims)


def test_impossible_conversations_are_refused(bank):
    """A walk that does not fit into the room, and invalid settings."""
    with pytest.raises(ValueError, match='no walk'):
        simulate_conversation(replace(ANECHOIC, least_walk=20.0), 4, bank, 0)
    for change in ({'speed': (0.0, 1.0)}, {'turn': (2.0, 1.0)}, {'seconds': 0.0},
                   {'apart': -1.0}):
        with pytest.raises(ValueError):
            replace(ANECHOIC, **change)
