"""The player over DDS: a file's samples arrive, each once and at its time, at any rate."""

import time

from nsrp_ros.audio.sample_formats import samples_from_bytes
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
import soundfile
from support.node_rig import Rig

RATE = 8000


@pytest.fixture
def samples():
    """Return 1.13 s of three channels."""
    return np.random.default_rng(0).uniform(-0.9, 0.9, (9040, 3))


def listen(folder, samples, name='played.wav', **parameters):
    """Play a file of samples; return its AudioInfo, its messages, and the seconds it took."""
    soundfile.write(folder / name, samples, RATE, subtype='PCM_16')
    rig, heard, infos = Rig(83, folder), [], []
    node = rig.node
    node.create_subscription(rig.info.msg_type, 'audio_info', infos.append, QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    node.create_subscription(rig.audio.msg_type, 'audio', heard.append, 500)
    process = rig.start('audio_player_node', file=folder / name, start_time=1_790_000_000.5,
                        **parameters)
    assert rig.spin_until(lambda: heard or process.poll() is not None, 40)
    begin = time.monotonic()
    assert rig.spin_until(lambda: process.poll() is not None, 40)
    seconds = time.monotonic() - begin
    rig.spin(0.3)
    assert rig.close() == [0], process.log.read_text()
    return infos[-1], heard, seconds


@pytest.mark.parametrize('rate, name', [(1.0, 'played.wav'), (20.0, 'played.flac')])
def test_a_file_is_played_whole_and_in_time(rate, name, samples, tmp_path):
    """What is heard are the file's samples; stamps count them, whatever the rate."""
    info, heard, seconds = listen(tmp_path, samples, name, rate=rate)
    assert (info.channels, info.sample_rate, info.sample_format, info.coding_format) == (
        3, RATE, 'S16LE', 'wave')
    chunks = [samples_from_bytes(m.audio.data, 'S16LE', 3) for m in heard]
    np.testing.assert_allclose(np.concatenate(chunks), samples, atol=2 ** -15)
    begins = np.cumsum([0, *(len(chunk) for chunk in chunks)])[:-1]
    assert [stamp_to_ns(m.header.stamp) for m in heard] == [
        1_790_000_000 * NS + NS // 2 + int(first) * NS // RATE for first in begins]
    if rate == 1.0:
        assert 0.9 < seconds < 6  # the end of the process counts in


def test_files_that_cannot_be_played(tmp_path):
    """The sentence names the file, and the exit code is 1."""
    (tmp_path / 'text.wav').write_text('no sound')
    rig = Rig(84, tmp_path)
    for file, sentence in ((tmp_path / 'text.wav', 'cannot be played'),
                           (tmp_path / 'none.flac', 'cannot be played'),
                           ("''", 'file must name an audio file')):
        process = rig.start('audio_player_node', file=file)
        assert process.wait(timeout=40) == 1
        assert sentence in process.log.read_text()
    assert rig.close() == [1, 1, 1]
