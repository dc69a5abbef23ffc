"""The audio player over DDS: a file's samples arrive, each once and at its time, at any rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from nsrp_ros.audio.sample_formats import samples_from_bytes
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import NDArray
import pytest
import soundfile
from support.node_rig import LATCHED
from support.node_rig import Rig
from support.patience import slowdown

RATE = 8000


@pytest.fixture
def samples() -> NDArray[np.float64]:
    """Return 1.13 s of three channels."""
    return np.random.default_rng(0).uniform(-0.9, 0.9, (9040, 3))


@pytest.fixture
def received(tmp_path: Path, samples: NDArray[np.float64]) -> Callable[..., Any]:
    """Return what plays the samples, and returns AudioInfo, messages, and when each was sent."""
    def receive(name: str, **parameters: Any) -> tuple[
            AudioInfo, list[AudioDataStamped], NDArray[np.float64]]:
        soundfile.write(tmp_path / name, samples, RATE, subtype='PCM_16')
        rig = Rig(83, tmp_path)
        infos: list[AudioInfo] = []
        chunks: list[tuple[AudioDataStamped, float]] = []

        def on_audio(message: AudioDataStamped, about: Any) -> None:
            chunks.append((message, about['source_timestamp'] / NS))
        rig.node.create_subscription(AudioInfo, 'audio_info', infos.append, LATCHED)
        rig.node.create_subscription(AudioDataStamped, 'audio', on_audio, 500)
        process = rig.start('audio_player_node', file=tmp_path / name,
                            start_time=1_790_000_000.5, **parameters)
        assert rig.spin_until(lambda: process.poll() is not None, 60)
        rig.spin_until(lambda: sum(len(m.audio.data) for m, _ in chunks) >= 2 * samples.size)
        rig.spin(0.1)
        assert rig.close() == [0], process.log.read_text()
        return infos[-1], [m for m, _ in chunks], np.array([sent for _, sent in chunks])
    return receive


@pytest.mark.parametrize('rate, name', [(1.0, 'played.wav'), (20.0, 'played.flac')])
def test_a_file_is_played_whole_and_in_time(rate: float, name: str, received: Callable[..., Any],
                                            samples: NDArray[np.float64]) -> None:
    """The file's samples arrive; stamps count them, whatever the rate."""
    info, messages, sent = received(name, rate=rate)
    assert (info.channels, info.sample_rate, info.sample_format, info.coding_format) == (
        3, RATE, 'S16LE', 'wave')
    chunks = [samples_from_bytes(m.audio.data, 'S16LE', 3) for m in messages]
    np.testing.assert_allclose(np.concatenate(chunks), samples, atol=2 ** -15)
    begins = np.cumsum([0, *(len(chunk) for chunk in chunks)])[:-1]
    assert [stamp_to_ns(m.header.stamp) for m in messages] == [
        1_790_000_000 * NS + NS // 2 + int(first) * NS // RATE for first in begins]
    if rate == 1.0:
        assert 0.9 < sent[-1] - sent[0] < 1.5 * slowdown()


def test_files_that_cannot_be_played(tmp_path: Path) -> None:
    """The sentence names the file, and the exit code is 1."""
    (tmp_path / 'text.wav').write_text('no sound')
    rig = Rig(84, tmp_path)
    started = [(rig.start('audio_player_node', file=file), sentence) for file, sentence in (
        (tmp_path / 'text.wav', 'cannot be played'), (tmp_path / 'none.flac', 'cannot be played'),
        ("''", 'file must name an audio file'))]
    for process, sentence in started:
        assert process.exit_code() == 1
        assert sentence in process.log.read_text()
    assert rig.close() == [1, 1, 1]
