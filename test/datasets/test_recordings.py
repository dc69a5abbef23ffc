"""Recordings: the shared scenes, and windows in which the talker is active."""

from nsrp_ros.datasets.recordings import cut_windows
from nsrp_ros.datasets.recordings import Recording
from nsrp_ros.datasets.recordings import RecordingError
from nsrp_ros.datasets.recordings import shared_recordings
import numpy as np
import pytest
import soundfile

RATE = 16000


def test_shared_scenes_become_windows():
    try:
        scenes = cut_windows(shared_recordings())
    except RecordingError as error:
        pytest.skip(str(error))
    assert scenes.signals.shape[1:] == (4, 8000) and scenes.signals.dtype == np.float32
    assert 2 <= len(scenes) <= 6
    assert (scenes.room_dims == (9.8, 10.3, 4.2)).all()
    assert {tuple(p) for p in scenes.source_position} == {(2.7, 1.2, 0.95), (7.5, 1.2, 0.95)}


def test_windows_skip_pauses(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.1, 0.1, 3 * RATE)
    noise[:RATE] *= 1e-3
    soundfile.write(tmp_path / 'a.wav', noise, RATE)
    recording = Recording('a', (tmp_path / 'a.wav',), np.zeros((1, 3)), np.zeros(3), np.ones(3))
    scenes = cut_windows([recording])
    # Windows start every 0.25 s from 0 to 2.5 s; the first three hold the pause alone.
    assert len(scenes) == 8
    np.testing.assert_allclose(scenes.signals[-1, 0], noise[-RATE // 2:], atol=1e-4)
    assert (scenes.signals ** 2).mean(axis=(1, 2)).min() > 0.1 * (noise[RATE:] ** 2).mean()


def test_missing_recordings_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv('NSRP_RECORDED', str(tmp_path))
    with pytest.raises(RecordingError, match='NSRP_RECORDED'):
        shared_recordings()


def test_recordings_shorter_than_a_window_are_refused(tmp_path):
    soundfile.write(tmp_path / 'short.wav', np.ones(100), RATE)
    short = Recording('short', (tmp_path / 'short.wav',), np.zeros((1, 3)), np.zeros(3),
                      np.ones(3))
    with pytest.raises(RecordingError, match='shorter than a window'):
        cut_windows([short])
