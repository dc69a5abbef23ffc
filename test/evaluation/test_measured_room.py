"""Measured rooms: what is read, played and judged, with a file made for the test."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.datasets.dechorate import make_windows
from nsrp_ros.datasets.dechorate import read_responses
from nsrp_ros.datasets.dechorate import ROOM_DIMS
from nsrp_ros.datasets.dechorate import upright
from nsrp_ros.evaluation.measured_room import main
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
from scipy.io import savemat

RATE = 48000


@pytest.fixture(name='room')
def make_room(tmp_path):
    """Write free-field responses in the format of the real file; two of them upside down."""
    rng = np.random.default_rng(0)
    stands = 0.5 + rng.random((6, 3)) * (np.array(ROOM_DIMS) - 1)
    mics = np.concatenate([stands, stands + [0.05, 0, 0]])
    source = np.array([4.2, 1.3, 1.5])
    distance = np.linalg.norm(mics - source, axis=1)
    time = np.arange(3000)
    responses = np.sinc(time - distance[:, None] * RATE / SPEED_OF_SOUND) / distance[:, None]
    responses[[1, 7]] *= -1
    path = tmp_path / 'data_rooge.mat'
    savemat(path, {'rirs': responses.T[:, :, None], 'fs': RATE, 'mics': mics.T,
                   'src': source[:, None]})
    return path, mics, source, distance


def test_windows_hold_the_delays_of_the_room(room):
    """Delays between channels are those of the told positions, mirrored and turned or not."""
    path, mics, source, distance = room
    responses, read_mics, read_source = read_responses(path)
    np.testing.assert_allclose(read_mics, mics)
    np.testing.assert_allclose(read_source, source)
    np.testing.assert_allclose(np.abs(responses).argmax(axis=1),
                               distance * 16000 / SPEED_OF_SOUND, atol=1)
    bank = SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=5.0)
    scenes = make_windows(upright(responses), mics, source, bank, 6)
    assert scenes.signals.shape == (6, 6, 8000) and len(np.unique(scenes.source_position)) > 3
    assert ((scenes.mic_positions > 0) & (scenes.mic_positions < scenes.room_dims[:, None])).all()
    for signals, places, talker in zip(scenes.signals, scenes.mic_positions,
                                       scenes.source_position):
        away = np.linalg.norm(places - talker, axis=1) * 16000 / SPEED_OF_SOUND
        correlation = np.correlate(signals[0], signals[1], 'full')
        assert abs(correlation.argmax() - 7999 - (away[0] - away[1])) <= 2


def test_polarity_is_mended(room):
    """Every direct sound is positive afterwards, and nothing else changes."""
    responses, _, _ = read_responses(room[0])
    mended = upright(responses)
    assert (mended.max(axis=1) == np.abs(responses).max(axis=1)).all()
    np.testing.assert_array_equal(np.abs(mended), np.abs(responses))


def test_methods_are_judged(room, tmp_path, capsys):
    """A strong baseline finds a talker in free air; the centre does not."""
    main([str(room[0]), 'centre', 'srp_phat', '--windows', '3', '--mics', '6', '--polarity',
          'mended', '--out', str(tmp_path / 'out')])
    centre, srp = (float(line.split('mean ')[1].split(' m')[0])
                   for line in capsys.readouterr().out.splitlines() if 'mean' in line)
    assert srp < 0.1 < 1 < centre
    assert (tmp_path / 'out/results.json').is_file()


def test_other_files_are_refused(tmp_path, capsys):
    """A sentence, whatever is wrong with the file."""
    other = tmp_path / 'other.mat'
    savemat(other, {'rirs': np.zeros(3)})
    with pytest.raises(ValueError, match='does not hold the responses'):
        read_responses(other)
    for path in (other, tmp_path / 'missing.mat'):
        with pytest.raises(SystemExit):
            main([str(path)])
        assert str(path) in capsys.readouterr().err
