"""Every kind of audio message the field has: read alike, and heard through DDS."""

import array
import os
from pathlib import Path
import subprocess
import sys

from audio_common_msgs.msg import AudioData
from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from support.node_rig import Rig
from support.paths import ROOT

NS = 1_000_000_000
T0 = 1_790_000_000 * NS
VALUES = np.array([[0.5, -0.25], [0.0, -1.0], [0.25, 0.125]], np.float32)
INFO = AudioInfo(channels=2, sample_rate=16000, sample_format='S16LE', coding_format='wave')
OTHER = Path(sys.prefix) / 'mgonzs13'


def audio_frame(**fields):
    """Make an AudioFrame where its package is installed."""
    package = pytest.importorskip('audio_utils_msgs.msg', reason='audio_utils_msgs is missing')
    return package.AudioFrame(**fields)


def with_the_other_audio_common_msgs():
    """Return the variables that put mgonzs13's package of that name before ros-drivers'."""
    site = next(OTHER.glob('lib/python3.*/site-packages'), None)
    if site is None:
        pytest.skip('the audio_common_msgs of mgonzs13 is not built (see interfaces/README.md)')
    return {'PYTHONPATH': f'{site}{os.pathsep}{ROOT}',
            'LD_LIBRARY_PATH': f'{OTHER / "lib"}{os.pathsep}'
                               f'{os.environ.get("LD_LIBRARY_PATH", "")}'}


def stamped():
    """Make an AudioDataStamped of the values at T0."""
    message = AudioDataStamped(audio=AudioData(data=bytes_from_samples(VALUES)))
    set_stamp(message.header.stamp, T0)
    return message


def test_ros_drivers():
    """With a stamp it is the start's; without, the chunk ends when it arrives."""
    chunk = SOURCES['ros_drivers_stamped'].chunk(stamped(), INFO, 'start', 0, 2)
    np.testing.assert_array_equal(chunk.samples, VALUES)
    assert (chunk.start_ns, chunk.sample_rate) == (T0, 16000)
    chunk = SOURCES['ros_drivers'].chunk(stamped().audio, INFO, 'arrival', T0, 2)
    np.testing.assert_array_equal(chunk.samples, VALUES)
    assert chunk.start_ns == T0 - 3 * NS // 16000
    with pytest.raises(AudioError) as caught:
        SOURCES['ros_drivers'].chunk(stamped().audio, None, 'arrival', T0)
    assert caught.value.reason == 'no audio_info'


@pytest.mark.parametrize('name, kind, scale, offset', [
    ('signed_8', 'i1', 128, 0), ('unsigned_8', 'u1', 128, 128), ('signed_16', '<i2', 2 ** 15, 0),
    ('signed_padded_24', '<i4', 2 ** 23, 0), ('signed_32', '<i4', 2 ** 31, 0),
    ('float', '<f4', 1, 0), ('double', '<f8', 1, 0)])
def test_audio_utils(name, kind, scale, offset):
    """Every format; the stamp is the end's."""
    data = (VALUES * scale + offset).astype(kind).tobytes()
    message = audio_frame(format=name, channel_count=2, sampling_frequency=16000,
                          frame_sample_count=3, data=array.array('B', data))
    set_stamp(message.header.stamp, T0)
    chunk = SOURCES['audio_utils'].chunk(message, None, 'end', 0, 2)
    np.testing.assert_allclose(chunk.samples, VALUES)
    assert chunk.start_ns == T0 - 3 * NS // 16000


@pytest.mark.parametrize('changes, reason', [
    ({'format': 'mp3'}, 'sample format'), ({'frame_sample_count': 4}, 'truncated'),
    ({'channel_count': 0}, 'channel count'), ({'sampling_frequency': 0}, 'sample rate')])
def test_audio_utils_that_contradict_themselves(changes, reason):
    """Each is refused under its own name."""
    fields = {'format': 'signed_16', 'channel_count': 2, 'sampling_frequency': 16000,
              'frame_sample_count': 3, 'data': bytes_from_samples(VALUES)}
    with pytest.raises(AudioError) as caught:
        SOURCES['audio_utils'].chunk(audio_frame(**fields | changes), None, 'end', 0)
    assert caught.value.reason == reason


MGONZS13 = """
import numpy as np, pytest
from audio_common_msgs.msg import AudioStamped
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.audio.message_types import SourceError
source = SOURCES['mgonzs13']
assert source.types() == (AudioStamped, None)
values = np.array([[0.5, -0.25], [0.0, -1.0]])
for code, field, kind, scale, offset in (
        (1, 'float32_data', 'f4', 1, 0), (2, 'int32_data', 'i4', 2 ** 31, 0),
        (8, 'int16_data', 'i2', 2 ** 15, 0), (16, 'int8_data', 'i1', 128, 0),
        (32, 'uint8_data', 'u1', 128, 128)):
    message = AudioStamped()
    message.header.stamp.sec = 7
    info = message.audio.info
    info.format, info.channels, info.rate, info.chunk = code, 2, 16000, 2
    setattr(message.audio.audio_data, field, (values * scale + offset).astype(kind).ravel())
    chunk = source.chunk(message, None, 'start', 0, 2)
    np.testing.assert_allclose(chunk.samples, values)
    assert chunk.start_ns == 7_000_000_000
    message.audio.info.format = 2 if code == 1 else 1
    with pytest.raises(AudioError, match='the samples are in'):
        source.chunk(message, None, 'start', 0, 2)
message.audio.info.format = 4
with pytest.raises(AudioError, match='PortAudio format 4'):
    source.chunk(message, None, 'start', 0, 2)
with pytest.raises(SourceError, match='another package of that name'):
    SOURCES['ros_drivers_stamped'].types()
print('well read')
"""


def test_mgonzs13():
    """Every PortAudio code, where that package is the one that is installed."""
    result = subprocess.run([sys.executable, '-c', MGONZS13], capture_output=True, text=True,
                            env=os.environ | with_the_other_audio_common_msgs(), timeout=60)
    assert result.stdout == 'well read\n', result.stderr


def test_the_wrong_package_is_told(tmp_path):
    """Who asks for mgonzs13's messages with ros-drivers' installed reads what to do."""
    rig = Rig(51, tmp_path)
    process = rig.start('localizer_node', **PARAMETERS, audio_source='mgonzs13')
    assert process.wait(timeout=60) == 1
    text = process.log.read_text()
    assert 'another package of that name' in text and 'Traceback' not in text
    rig.close()


PARAMETERS = {'room_dims': '[6.0, 5.0, 3.0]', 'microphone_frame_prefix': 'mic_',
              'method': 'srp_phat', 'queue_size': 100}  # none is lost if the machine is busy


@pytest.mark.parametrize('domain, kind, jitter_ns', [
    (52, 'ros_drivers_stamped', 1000), (53, 'ros_drivers', 3 * NS // 10), (54, 'mgonzs13', 1000),
    (55, 'audio_utils', 1000)])
def test_each_kind_is_heard_from_another_process(tmp_path, anechoic, domain, kind, jitter_ns):
    """A driver's process, the localizer's and this one: the talker is found, at the right time."""
    environment = with_the_other_audio_common_msgs() if kind == 'mgonzs13' else {}
    if kind == 'audio_utils':
        audio_frame()
    np.save(tmp_path / 'signals.npy', anechoic.signals(4.0))
    np.save(tmp_path / 'mics.npy', anechoic.mic_positions)
    rig = Rig(domain, tmp_path)
    process = rig.start('localizer_node', environment, audio_source=kind, **PARAMETERS)
    player = ROOT / 'test/support/audio_player.py'
    with (tmp_path / 'player.log').open('w+') as log:
        playing = subprocess.Popen(
            [sys.executable, str(player), kind, str(tmp_path / 'signals.npy'),
             str(tmp_path / 'mics.npy')], stdout=log, stderr=subprocess.STDOUT,
            env=os.environ | {'ROS_DOMAIN_ID': str(domain)} | environment)
        try:
            assert rig.spin_until(lambda: len(rig.heard.poses) >= 8, 60), (
                rig.values(), process.log.read_text(), (tmp_path / 'player.log').read_text())
            values = rig.settled()
        finally:
            playing.terminate()
            playing.wait(timeout=10)
            codes = rig.close()
    assert codes == [0], process.log.read_text()
    start_ns = int((tmp_path / 'player.log').read_text().split()[0])
    for pose in rig.heard.poses:
        p = pose.pose.position
        assert np.hypot(p.x - anechoic.source_position[0],
                        p.y - anechoic.source_position[1]) < 0.15
        since = stamp_to_ns(pose.header.stamp) - start_ns - 7999 * NS // 16000
        if kind == 'ros_drivers':
            assert -NS // 10 < since < 4 * NS + jitter_ns
        else:  # a whole number of hops after the first window's end
            assert abs((since + NS // 8) % (NS // 4) - NS // 8) < jitter_ns
    assert kind in values['audio']
    assert ('carries no time of its own' in values['audio']) == (kind == 'ros_drivers')
    assert ('best effort' in process.log.read_text()) == (kind == 'mgonzs13')
