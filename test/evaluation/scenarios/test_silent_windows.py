"""Silent windows: exactly the noise of the windows with a talker."""

from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.silent_windows import AMBIGUOUS
from nsrp_ros.evaluation.scenarios.silent_windows import NOISES
from nsrp_ros.evaluation.scenarios.silent_windows import SILENCES
from nsrp_ros.evaluation.scenarios.silent_windows import silent_and_talking_windows
from nsrp_ros.evaluation.scenarios.silent_windows import SILENT_SNR
from nsrp_ros.evaluation.scenarios.silent_windows import SNRS
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import pytest


@pytest.fixture(scope='module')
def windows():
    return silent_and_talking_windows(BASES['hard'], 3, 3, find_speech('synthetic')[0])


def test_every_kind_has_windows_of_the_same_rooms(windows):
    assert set(windows) == ({(kind, None) for kind in (*SILENCES, *AMBIGUOUS)}
                            | {(kind, snr) for kind in NOISES for snr in SNRS})
    for scenes in windows.values():
        np.testing.assert_array_equal(scenes.mic_positions,
                                      windows['white', None].mic_positions)
    assert not windows['digital', None].signals.any()


@pytest.mark.parametrize('kind', NOISES)
def test_talkers_have_the_stated_ratio_to_their_noise(windows, kind):
    assert SILENT_SNR in SNRS
    silent = windows[kind, None].signals
    clean = windows[kind, 20].signals - silent  # the very same noise is in both
    ratio = 10 * np.log10(np.mean(clean ** 2, axis=(1, 2)) / np.mean(silent ** 2, axis=(1, 2)))
    np.testing.assert_allclose(ratio, SILENT_SNR, atol=0.1)
    louder = windows[kind, 0].signals - clean
    np.testing.assert_allclose(louder, 10 * silent, atol=1e-3 * np.abs(louder).max())
    # Without noise, all kinds have the same talker.
    others = windows['white', 20].signals - windows['white', None].signals
    np.testing.assert_allclose(clean, others, atol=1e-4 * np.abs(others).max())


def test_the_reverberation_of_a_talker_who_has_stopped_decays(windows):
    ended = windows['ended', None].signals
    assert np.mean(ended ** 2) < 0.5 * np.mean(windows['white', 30].signals ** 2)
    assert np.mean(ended ** 2) > np.mean(windows['white', None].signals ** 2) * 0.1
