"""Several devices, each with an audio topic of its own, and with a clock of its own."""

from collections.abc import Callable
from collections.abc import Sequence

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import NDArray
import pytest
from support.anechoic import Anechoic
from support.localizer_rig import CHUNK
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.localizer_rig import PREFIXED
from support.node_rig import LATCHED
from support.two_devices import MICS
from support.two_devices import record
from support.two_devices import SOURCES


def no_offset(time: float) -> float:
    """Return by how much stamps of the reference are late at a time, seconds."""
    return 0.0


class Devices:
    """
    Publishers of several devices that play side by side.

    Parameters
    ----------
    rig : LocalizerRig
        Whose node publishes, and whose time it is.
    topics : sequence of str
        Of each device.
    late : sequence of callable
        Return by how many seconds a device's stamps are late, so many seconds after now.

    """

    def __init__(self, rig: LocalizerRig, topics: Sequence[str],
                 late: Sequence[Callable[[float], float]] = ()) -> None:
        self._rig = rig
        self._audio = [rig.node.create_publisher(AudioDataStamped, t, 50) for t in topics]
        self._info = [rig.node.create_publisher(AudioInfo, f'{t}_info', LATCHED) for t in topics]
        self._late = late or [no_offset] * len(topics)
        self._start_ns = rig.now_ns

    def play(self, signals: Sequence[NDArray[np.float32] | None]) -> None:
        """Play signals, (M, T) or None for each device."""
        playing = [(k, rows) for k, rows in enumerate(signals) if rows is not None]
        for k, rows in playing:
            self._rig.deliver(self._info[k], AudioInfo(
                channels=len(rows), sample_rate=16000, sample_format='S16LE'))
        length = max(rows.shape[1] for _, rows in playing)
        for first in range(0, length - CHUNK + 1, CHUNK):
            time = (self._rig.now_ns - self._start_ns) / NS
            for k, rows in playing:
                self._rig.play_bytes(bytes_from_samples(rows[:, first:first + CHUNK].T),
                                     self._audio[k], round(self._late[k](time) * NS))
            self._rig.exchange()
            self._rig.now_ns += CHUNK * NS // 16000


def test_one_topic_a_channel(make_rig: Callable[[int], LocalizerRig],
                             anechoic: Anechoic) -> None:
    """Six topics of one channel, one of which dies: the others go on without it, and say so."""
    rig = make_rig(67)
    topics = [f'mic{k}' for k in range(6)]
    rig.start('localizer_node', **PREFIXED, audio_topics=str(topics).replace("'", ''),
              audio_channels='[1, 1, 1, 1, 1, 1]', queue_size=100)
    devices = Devices(rig, topics)
    rig.wait_for_localizer(topics)
    rig.publish_frames(anechoic.mic_positions)
    signals = anechoic.signals(3.0)
    devices.play([row[None] for row in signals])
    assert rig.settled()['microphones'] == '6 of 6'
    assert len(rig.received.poses) >= 8 and max(errors(rig.received.poses, anechoic)) < 0.15
    n, n_status = len(rig.received.poses), len(rig.status)
    devices.play([None if k == 2 else row[None] for k, row in enumerate(signals)])
    values = rig.settled()
    assert len(rig.received.poses) >= n + 8 and max(errors(rig.received.poses, anechoic)) < 0.15
    assert values['microphones'] == '5 of 6' and 'no audio for' in values['left out mic2']
    assert rig.spin_until(lambda: any(
        'mic2 is left out' in s.message for s in rig.status[n_status:]))
    devices.play([row[None] for row in signals])
    assert rig.settled()['microphones'] == '6 of 6'


def test_a_device_40_ms_and_80_ppm_off(make_rig: Callable[[int], LocalizerRig]) -> None:
    """Nothing is published before its clock is known, then the talker is where he is."""
    rig = make_rig(68)
    flat = '[' + ', '.join(f'{v:.1f}' for v in MICS.ravel()) + ']'
    rig.start('localizer_node', room_dims='[6.0, 5.0, 3.0]', microphone_source='fixed',
              method='srp_phat', microphone_positions=flat, audio_topics='[left, right]',
              device_clocks='separate', min_microphones=4, queue_size=100, min_confidence=0.0)
    # Its samples are too long, and its stamps follow the clock that also stamps late.
    devices = Devices(rig, ['left', 'right'], [no_offset, lambda t: 0.04 + 80e-6 * t])
    rig.wait_for_localizer(['left', 'right'])
    start_ns = rig.now_ns
    signals = [0.02 * s.T for s in record(16, skew=80e-6)]
    # A clock is learnt from windows that were located, and corrects those that are cut later: as
    # in real time, no more than some windows may wait.
    for first in range(0, 16 * 16000, 32 * CHUNK):
        devices.play([rows[:, first:first + 32 * CHUNK] for rows in signals])
        if not rig.received.grids:
            rig.settled()
        else:
            due_ns = rig.now_ns - 3 * NS // 10
            assert rig.spin_until(
                lambda: stamp_to_ns(rig.received.grids[-1].header.stamp) >= due_ns)
    values = rig.settled()
    assert values['microphones'] == '6 of 6'
    assert values['skipped: too few microphones'] >= 4
    late_ms = float(values['clock right'].split()[0])
    assert late_ms == pytest.approx(40.0, abs=0.5)
    away = []
    for pose in rig.received.poses:
        at = (stamp_to_ns(pose.header.stamp) - start_ns) / NS
        if 0.6 < at % 2:  # wholly in one talker's turn
            source = SOURCES[int(at // 2) % len(SOURCES)]
            p = pose.pose.position
            away.append(np.hypot(p.x - source[0], p.y - source[1]))
    assert len(away) >= 12 and np.median(away) < 0.15 and np.mean(np.array(away) < 0.5) > 0.9
