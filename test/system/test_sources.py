"""Every kind of audio message the field has: decoded alike, also over DDS."""

import array
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

from audio_common_msgs.msg import AudioData
from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from support.anechoic import Anechoic
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.localizer_rig import PREFIXED
from support.node_process import NodeProcess
from support.paths import ROOT
from support.patience import patience

T0 = 1_790_000_000 * NS
VALUES = np.array([[0.5, -0.25], [0.0, -1.0], [0.25, 0.125]], np.float32)
INFO = AudioInfo(channels=2, sample_rate=16000, sample_format='S16LE', coding_format='wave')
OTHER = Path(sys.prefix) / 'mgonzs13'


def audio_frame(**fields: Any) -> Any:
    """Make an AudioFrame where its package is installed."""
    package = pytest.importorskip('audio_utils_msgs.msg', reason='audio_utils_msgs is missing')
    return package.AudioFrame(**fields)


def with_the_other_audio_common_msgs() -> dict[str, str]:
    """Return the variables that put mgonzs13's package of that name before ros-drivers'."""
    site = next(OTHER.glob('lib/python3.*/site-packages'), None)
    if site is None:
        pytest.skip('the audio_common_msgs of mgonzs13 is not built (see interfaces/README.md)')
    return {'PYTHONPATH': f'{site}{os.pathsep}{ROOT}',
            'LD_LIBRARY_PATH': f'{OTHER / "lib"}{os.pathsep}'
                               f'{os.environ.get("LD_LIBRARY_PATH", "")}'}


def stamped() -> AudioDataStamped:
    """Make an AudioDataStamped of the values at T0."""
    message = AudioDataStamped(audio=AudioData(data=bytes_from_samples(VALUES)))
    set_stamp(message.header.stamp, T0)
    return message


def test_ros_drivers() -> None:
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
def test_audio_utils(name: str, kind: str, scale: int, offset: int) -> None:
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
def test_audio_utils_that_contradict_themselves(changes: dict[str, Any], reason: str) -> None:
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
print('decoded')
"""


def test_mgonzs13() -> None:
    """Every PortAudio code, where that package is the one that is installed."""
    result = subprocess.run([sys.executable, '-c', MGONZS13], capture_output=True, text=True,
                            env=os.environ | with_the_other_audio_common_msgs(),
                            timeout=patience(60))
    assert result.stdout == 'decoded\n', result.stderr


PARAMETERS = PREFIXED | {'queue_size': 100}  # none is lost if the machine is busy


def test_the_wrong_package_is_reported(tmp_path: Path) -> None:
    """Who asks for mgonzs13's messages with ros-drivers' installed reads what to do."""
    process = NodeProcess('localizer_node', 51, tmp_path / 'log',
                          PARAMETERS | {'audio_source': 'mgonzs13'})
    assert process.exit_code() == 1
    text = process.log.read_text()
    assert 'another package of that name' in text and 'Traceback' not in text


@contextlib.contextmanager
def driver(kind: str, rate: float, domain: int, folder: Path, anechoic: Anechoic,
           environment: dict[str, str]) -> Iterator[Path]:
    """Play the scene from a process of its own; give the file with its first sample's time."""
    np.save(folder / 'signals.npy', anechoic.signals(4.0))
    np.save(folder / 'mics.npy', anechoic.mic_positions)
    printed = folder / 'first_sample'
    with printed.open('w') as output, (folder / 'player.log').open('w') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'support.audio_player', kind, str(rate),
             str(folder / 'signals.npy'), str(folder / 'mics.npy')],
            stdout=output, stderr=log, cwd=ROOT / 'test',
            env=os.environ | {'ROS_DOMAIN_ID': str(domain)} | environment)
        try:
            yield printed
        finally:
            process.terminate()
            process.wait(timeout=patience(10))


@pytest.mark.parametrize('domain, kind, rate', [
    (52, 'ros_drivers_stamped', 2.0), (53, 'ros_drivers', 1.0), (54, 'mgonzs13', 2.0),
    (55, 'audio_utils', 2.0)])
def test_each_kind_is_located_from_another_process(
        make_rig: Callable[[int], LocalizerRig], tmp_path: Path, anechoic: Anechoic,
        domain: int, kind: str, rate: float) -> None:
    """A driver's process, the localizer's and this one: the talker is found, at the right time."""
    environment = with_the_other_audio_common_msgs() if kind == 'mgonzs13' else {}
    if kind == 'audio_utils':
        audio_frame()
    rig = make_rig(domain)
    process = rig.start('localizer_node', environment, audio_source=kind, **PARAMETERS)
    with driver(kind, rate, domain, tmp_path, anechoic, environment) as printed:
        assert rig.spin_until(lambda: len(rig.received.poses) >= 8, 60), (
            rig.logs(), (tmp_path / 'player.log').read_text())
        end_ns = time.time_ns()
    rig.connect('localizer', (), ())
    audio = rig.values()['audio']
    start_ns = int(printed.read_text())
    assert max(errors(rig.received.poses, anechoic)) < 0.15
    for pose in rig.received.poses:
        since = stamp_to_ns(pose.header.stamp) - start_ns - 7999 * NS // 16000
        if kind == 'ros_drivers':  # when it arrived, but for half a chunk
            assert -NS // 10 < since
            assert stamp_to_ns(pose.header.stamp) < end_ns + 3 * NS // 10
        else:  # a whole number of hops after the first window's end
            assert abs((since + NS // 8) % (NS // 4) - NS // 8) < 1000
    assert kind in audio
    assert ('carries no time of its own' in audio) == (kind == 'ros_drivers')
    assert ('best effort' in process.log.read_text()) == (kind == 'mgonzs13')
