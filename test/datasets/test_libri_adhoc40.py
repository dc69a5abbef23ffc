"""Libri-adhoc40: the corpus's positions, its folders, and the recordings drawn from it."""

from nsrp_ros.datasets.libri_adhoc40 import draw_recordings
from nsrp_ros.datasets.libri_adhoc40 import find_utterances
from nsrp_ros.datasets.libri_adhoc40 import mic_position
from nsrp_ros.datasets.libri_adhoc40 import source_position
from nsrp_ros.datasets.recordings import cut_windows
from nsrp_ros.datasets.recordings import RecordingError
from nsrp_ros.datasets.recordings import shared_recordings
import numpy as np
import pytest
import soundfile

RATE = 16000


@pytest.fixture
def shared():
    try:
        return shared_recordings()
    except RecordingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module', params=['flat', 'foldered'])
def corpus(request, tmp_path_factory):
    """Make a corpus of three utterances, one too short, by 8 microphones at two positions."""
    root = tmp_path_factory.mktemp('corpus') / 'adhoc40-test'
    rng = np.random.default_rng(0)
    for position, sentence, seconds in (('pos1', '61-70968-0000', 3.0),
                                        ('pos 2', '61-70968-0001', 2.0),
                                        ('pos 2', '61-70968-0002', 4.0)):
        chapter = root / position / '61' / '70968'
        folder = chapter / sentence if request.param == 'foldered' else chapter
        folder.mkdir(parents=True, exist_ok=True)
        for mic in range(1, 9):
            noise = 0.1 * rng.standard_normal(int(seconds * RATE) + mic)
            noise[:RATE] *= 1e-3  # the loudspeaker is mute for the first second
            soundfile.write(folder / f'{sentence}-ch-{mic}.wav', noise, RATE)
    return root


def test_tables_agree_with_the_shared_scenes(shared):
    # Their names hold the loudspeaker's and the microphones' numbers: posS-K-K-K-K-number.
    for recording in shared:
        name, *mics = recording.name.split('-')[:-1]
        np.testing.assert_allclose(source_position(int(name[3:])), recording.source_position)
        np.testing.assert_allclose([mic_position(int(k)) for k in mics],
                                   recording.mic_positions)


def test_tables_hold_forty_distinct_positions_in_the_room():
    for subset in ('train', 'dev', 'test'):
        places = np.stack([mic_position(k, subset) for k in range(1, 41)])
        assert len(np.unique(places.round(6), axis=0)) == 40
        assert (places > 0).all() and (places < (9.8, 10.3, 4.2)).all()
    np.testing.assert_allclose(mic_position(17), (5.1, 6.0, 0.9))
    np.testing.assert_allclose(mic_position(22, 'train'), (5.1, 2.8, 0.9))
    np.testing.assert_allclose(source_position(8, 'dev'), (7.5, 5.2, 0.95))
    np.testing.assert_allclose(source_position(9, 'train'), (5.1, 3.6, 0.95))


def test_short_utterances_are_left_out(corpus):
    utterances = find_utterances(corpus)
    assert [key[1:] for key in utterances] == [(2, '61-70968-0002'), (1, '61-70968-0000')]
    assert all(sorted(channels) == list(range(1, 9)) for channels in utterances.values())


def test_recordings_are_trimmed_to_one_length(corpus):
    [recording, _] = draw_recordings(find_utterances(corpus), 8, 2, np.random.default_rng(1))
    signals, rate = recording.read()
    seconds = 4.0 if recording.name.endswith('2') else 3.0
    assert rate == RATE and len(signals) == 8
    assert signals.shape[1] == (seconds - 0.75) * RATE + 1


@pytest.mark.parametrize('n_mics', [4, 6])
def test_drawn_microphones_have_their_positions(corpus, n_mics):
    recordings = draw_recordings(find_utterances(corpus), n_mics, 6, np.random.default_rng(2))
    assert len({r.name for r in recordings}) == 6
    for recording in recordings:
        mics = [int(k) for k in recording.name.split('-')[1:1 + n_mics]]
        assert len(set(mics)) == n_mics
        for path, mic, place in zip(recording.channels, mics, recording.mic_positions,
                                    strict=True):
            assert path.stem.endswith(f'-ch-{mic}')
            np.testing.assert_allclose(place, mic_position(mic))
    scenes = cut_windows(recordings, np.random.default_rng(3))
    assert scenes.signals.shape == (6, n_mics, 8000)
    # No window lies in the second in which the loudspeaker is mute.
    assert (scenes.signals ** 2).mean(axis=(1, 2)).min() > 1e-3


def test_one_microphone_is_drawn_from_each_group(corpus):
    groups = [(1, 2), (3,), (5, 6, 7)]
    for recording in draw_recordings(find_utterances(corpus), 3, 10, np.random.default_rng(4),
                                     groups):
        mics = [int(k) for k in recording.name.split('-')[1:4]]
        assert all(mic in group for mic, group in zip(mics, groups, strict=True))


def test_errors_name_what_is_missing(corpus, tmp_path):
    with pytest.raises(RecordingError, match='no utterance'):
        find_utterances(tmp_path, 'test')
    with pytest.raises(RecordingError, match='subset'):
        find_utterances(tmp_path)
    with pytest.raises(RecordingError, match='lacks'):
        draw_recordings(find_utterances(corpus), 9, 1, np.random.default_rng(5))
