"""dEchorate: reading measured responses and convolving speech with them, on a synthetic file."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets.dechorate import correct_polarity
from nsrp_ros.datasets.dechorate import make_windows
from nsrp_ros.datasets.dechorate import read_responses
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
from scipy.io import savemat
from support.dechorate_file import write_dechorate_file


@pytest.fixture(name='room')
def make_room(tmp_path):
    """Write free-field responses in the format of the real file."""
    return write_dechorate_file(tmp_path)


def test_windows_hold_the_delays_of_the_room(room):
    """Delays between channels match the reported positions, mirrored and turned or not."""
    path, mics, source, distance = room
    responses, read_mics, read_source = read_responses(path)
    np.testing.assert_allclose(read_mics, mics)
    np.testing.assert_allclose(read_source, source)
    np.testing.assert_allclose(np.abs(responses).argmax(axis=1),
                               distance * 16000 / SPEED_OF_SOUND, atol=1)
    bank = SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=5.0)
    scenes = make_windows(correct_polarity(responses), mics, source, bank, 6)
    assert scenes.signals.shape == (6, 6, 8000) and len(np.unique(scenes.source_position)) > 3
    assert ((scenes.mic_positions > 0) & (scenes.mic_positions < scenes.room_dims[:, None])).all()
    for signals, places, talker in zip(scenes.signals, scenes.mic_positions,
                                       scenes.source_position, strict=True):
        delays = np.linalg.norm(places - talker, axis=1) * 16000 / SPEED_OF_SOUND
        correlation = np.correlate(signals[0], signals[1], 'full')
        assert abs(correlation.argmax() - 7999 - (delays[0] - delays[1])) <= 2


def test_polarity_is_corrected(room):
    """Every direct sound is positive afterwards, and nothing else changes."""
    responses, _, _ = read_responses(room[0])
    corrected = correct_polarity(responses)
    assert (corrected.max(axis=1) == np.abs(responses).max(axis=1)).all()
    np.testing.assert_array_equal(np.abs(corrected), np.abs(responses))


def test_other_files_are_refused(tmp_path):
    other = tmp_path / 'other.mat'
    savemat(other, {'rirs': np.zeros(3)})
    with pytest.raises(ValueError, match='does not hold the responses'):
        read_responses(other)
