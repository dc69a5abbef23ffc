"""Screening: faulty channels, usable microphones, and scenes that are refused."""

from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.screening import Channels
from nsrp_ros.pipeline.screening import check_channels
from nsrp_ros.pipeline.screening import locate
from nsrp_ros.pipeline.screening import locate_all
from nsrp_ros.pipeline.screening import make_scene
from nsrp_ros.pipeline.screening import MicrophonePositions
from nsrp_ros.pipeline.screening import Scene
from nsrp_ros.pipeline.screening import usable_microphones
from nsrp_ros.pipeline.screening import WindowSkipped
from nsrp_ros.pipeline.settings import Room
import numpy as np
import pytest

THRESHOLD_DB = -60.0


def noise(n_channels=4, level=0.1):
    """Make white noise, shape (M, T), of an rms level relative to full scale."""
    generator = np.random.default_rng(0)
    return (level * generator.standard_normal((n_channels, 8000))).astype(np.float32)


def channels(n_channels, dead=(), faint=()):
    """Make the result of `check_channels` with some faulty channels."""
    numbers = np.arange(n_channels)
    return Channels(np.isin(numbers, dead), np.isin(numbers, faint), np.zeros(n_channels, bool))


@pytest.fixture(scope='module')
def localizer():
    """Load a method that needs no weights."""
    return Localizer.load('srp_phat')


def test_sound_on_all_channels_is_no_fault():
    """Noise at -20 dB full scale is neither dead nor faint nor clipped."""
    found = check_channels(noise(), THRESHOLD_DB)
    assert not (found.dead | found.faint | found.clipped).any()
    assert found.with_sound.all()


def test_a_constant_channel_is_dead():
    """Whatever its value; a channel that varies by a single bit is not dead."""
    signals = noise()
    signals[1] = 0.25
    signals[2] = 0.0
    signals[3] = 0.0
    signals[3, ::2] = 2.0 ** -15
    found = check_channels(signals, THRESHOLD_DB)
    assert found.dead.tolist() == [False, True, True, False]
    assert found.with_sound.tolist()[:3] == [True, False, False]


def test_a_channel_far_below_the_others_is_faint():
    """45 dB below the median is faint, 35 dB is not; dead channels do not move the median."""
    signals = noise(8)
    signals[1] *= 10 ** (-45 / 20)
    signals[2] *= 10 ** (-35 / 20)
    signals[3:5] = 0
    found = check_channels(signals, -100.0)
    assert np.flatnonzero(found.faint).tolist() == [1]
    assert np.flatnonzero(found.dead).tolist() == [3, 4]
    assert np.flatnonzero(found.with_sound).tolist() == [0, 2, 5, 6, 7]


def test_a_clipped_channel_is_reported_and_used():
    """Half a percent of the samples at full scale, of either sign, count as clipped."""
    signals = noise()
    signals[0, :80] = 1.0
    signals[1, :80] = -1.0
    signals[2, :20] = 1.0  # a quarter of a percent
    found = check_channels(signals, THRESHOLD_DB)
    assert found.clipped.tolist() == [True, True, False, False]
    assert found.with_sound.all()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_skip_the_window(value):
    """The sentence names the channel."""
    signals = noise()
    signals[2, 100] = value
    with pytest.raises(WindowSkipped, match=r'channels \[2\]') as skipped:
        check_channels(signals, THRESHOLD_DB)
    assert skipped.value.reason is SkipReason.NAN


def test_silence_is_judged_by_the_loudest_channel():
    """One channel above the threshold is enough; all channels dead are silence, too."""
    signals = noise(level=1e-4)  # -80 dB
    with pytest.raises(WindowSkipped, match='-80 dB') as skipped:
        check_channels(signals, THRESHOLD_DB)
    assert skipped.value.reason is SkipReason.SILENCE
    assert check_channels(signals, -90.0).with_sound.all()
    signals[3] *= 100
    check_channels(signals, THRESHOLD_DB)
    with pytest.raises(WindowSkipped) as skipped:
        check_channels(np.zeros((4, 100), np.float32), THRESHOLD_DB)
    assert skipped.value.reason is SkipReason.SILENCE


def test_microphones_need_sound_and_a_position():
    """Dead, faint and unknown ones are left out."""
    positions = np.ones((5, 3))
    positions[3, 1] = np.nan
    usable = usable_microphones(channels(5, dead=[0], faint=[2]), MicrophonePositions(positions))
    assert usable.tolist() == [False, True, False, False, True]


@pytest.mark.parametrize('n_positions', [3, 5])
def test_each_channel_needs_a_microphone(n_positions):
    """Fewer or more positions than channels skip the window, with both numbers."""
    with pytest.raises(WindowSkipped, match=f'4 channels, but {n_positions}') as skipped:
        usable_microphones(channels(4), MicrophonePositions(np.ones((n_positions, 3))))
    assert skipped.value.reason is SkipReason.CHANNEL_COUNT


def test_a_scene_is_of_the_usable_microphones_in_the_rooms_frame():
    """The room's origin is subtracted; signals and positions stay in the same order."""
    window = Window(noise(), 5, 16000)
    positions = np.arange(12, dtype=float).reshape(4, 3)
    room = Room((10.0, -4.0, 0.5), (6.0, 5.0, 3.0))
    usable = np.array([True, False, True, True])
    scene = make_scene(window, usable, MicrophonePositions(positions), room, 3)
    np.testing.assert_array_equal(scene.signals, window.signals[[0, 2, 3]])
    np.testing.assert_array_equal(scene.mic_positions,
                                  positions[[0, 2, 3]] - [10.0, -4.0, 0.5])
    assert scene.sample_rate == 16000 and scene.room_dims == room.dims


def test_too_few_microphones_skip_the_window():
    """The sentence counts them, and says what is missing where that is known."""
    window, room = Window(noise(), 5, 16000), Room((0.0, 0.0, 0.0), (6.0, 5.0, 3.0))
    usable = np.array([True, True, False, False])
    found = MicrophonePositions(np.ones((4, 3)), {'mic_2': 'mic_2 is gone', 'mic_3': 'mic_3, too'})
    with pytest.raises(WindowSkipped, match='2 of 4 .* 3 are needed: mic_2 is gone; mic_3, too'
                       ) as skipped:
        make_scene(window, usable, found, room, 3)
    assert skipped.value.reason is SkipReason.TOO_FEW_MICROPHONES
    with pytest.raises(WindowSkipped, match='channels are dead or silent'):
        make_scene(window, usable, MicrophonePositions(np.ones((4, 3))), room, 3)
    assert len(make_scene(window, usable, found, room, 2).signals) == 2


def scenes(anechoic, outside=()):
    """Make four windows of a talker; in some of them a microphone is outside the room."""
    made = []
    for k in range(4):
        positions = anechoic.mic_positions.copy()
        if k in outside:
            positions[1, 0] = 9.0
        made.append(Scene(anechoic.signals(seed=k), anechoic.sample_rate, positions,
                          tuple(anechoic.room_dims)))
    return made


def test_a_scene_that_is_refused_is_skipped(anechoic, localizer):
    """With the localizer's own sentence."""
    with pytest.raises(WindowSkipped, match='outside') as skipped:
        locate(localizer, scenes(anechoic, outside=[0])[0])
    assert skipped.value.reason is SkipReason.SCENE


def test_a_scene_that_is_refused_is_skipped_alone(anechoic, localizer):
    """The others are located in their order, with the estimates of scenes located one by one."""
    outcomes = locate_all(localizer, scenes(anechoic, outside=[2]))
    assert [type(outcome) for outcome in outcomes] == [
        Estimate, Estimate, WindowSkipped, Estimate]
    assert outcomes[2].reason is SkipReason.SCENE and 'outside' in str(outcomes[2])
    good = scenes(anechoic)
    for k in (0, 1, 3):
        alone = locate(localizer, good[k])
        np.testing.assert_array_equal(outcomes[k].position, alone.position)
        np.testing.assert_array_equal(outcomes[k].likelihood_map, alone.likelihood_map)
    assert all(isinstance(outcome, Estimate) for outcome in locate_all(localizer, good))
    assert locate_all(localizer, []) == []
