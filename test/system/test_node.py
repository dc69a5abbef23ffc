"""The localizer as its users meet it: a process of its own, real topics, good and bad input."""

import array
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import NDArray
import pytest
from support.anechoic import Anechoic
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.localizer_rig import recovering
from support.localizer_rig import shared_localizer
from support.node_process import NodeProcess
from support.node_rig import LATCHED
from support.node_rig import ROOM

Signals = NDArray[np.float32]


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalizerRig]:
    """Start one localizer for most of the tests, one after another."""
    # Audio is played faster than it is located: windows wait, which is no fault here.
    with shared_localizer(41, tmp_path_factory.mktemp('node'), **ROOM, queue_size=8,
                          latency_budget=60.0) as rig:
        yield rig


@pytest.fixture
def rig(shared: LocalizerRig, anechoic: Anechoic) -> Iterator[LocalizerRig]:
    """Give each test a localizer that works, and see that it works again afterwards."""
    with recovering(shared, anechoic) as rig:
        yield rig


def skipped(rig: LocalizerRig, before: dict[str, Any], reason: str) -> int:
    """Return how often a reason has been counted since `before`."""
    key = f'skipped: {reason}'
    return rig.settled().get(key, 0) - before.get(key, 0)


def test_good_audio_is_located_at_the_audios_time(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Poses and maps carry the stamps of their windows' last samples, and the right frame."""
    start_ns, n, n_grids = rig.now_ns, len(rig.received.poses), len(rig.received.grids)
    rig.play(anechoic.signals(2.0))
    assert rig.spin_until(lambda: len(rig.received.poses) >= n + 7
                          and len(rig.received.grids) >= n_grids + 7)
    poses, grids = rig.received.poses[n:], rig.received.grids[n_grids:]
    expected = [start_ns + (7999 + 4000 * k) * 62500 for k in range(7)]
    for messages in (poses, grids):
        assert all(m.header.frame_id == 'map' for m in messages)
        np.testing.assert_allclose([stamp_to_ns(m.header.stamp) - s
                                    for m, s in zip(messages, expected)], 0, atol=10)
    assert max(errors(poses, anechoic)) < 0.1
    grid = grids[-1]
    assert (grid.info.width, grid.info.height) == (60, 50) and len(grid.data) == 3000
    assert max(grid.data) == 98 and min(grid.data) >= -1
    row, column = divmod(int(np.argmax(grid.data)), 60)
    peak = np.array([column + 0.5, row + 0.5]) * grid.info.resolution
    assert np.linalg.norm(peak - anechoic.source_position[:2]) < 0.2


def test_the_map_is_latched(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """A late subscriber gets the last map at once, as RViz and Nav2 expect."""
    n = len(rig.received.grids)
    rig.play(anechoic.signals(0.6))
    assert rig.spin_until(lambda: len(rig.received.grids) > n)
    late: list[OccupancyGrid] = []
    subscription = rig.node.create_subscription(OccupancyGrid, 'likelihood', late.append, LATCHED)
    assert rig.spin_until(lambda: late)
    rig.node.destroy_subscription(subscription)


def with_nan(signals: Signals) -> Any:
    """Encode as float32 with one NaN in the middle of every chunk."""
    data = signals.astype('<f4')
    data[len(data) // 2, 1] = np.nan
    return array.array('B', data.tobytes())


def silent(signals: Signals) -> Signals:
    """Return signals that are silent but for a noise floor of -80 dB."""
    return signals * np.float32(10 ** (-60 / 20))


@pytest.mark.parametrize('reason, info, change, encode', [
    ('not wave', {'coding_format': 'mp3'}, None, lambda s: array.array('B', bytes(417))),
    ('sample format', {'sample_format': 'S17LE'}, None, None),
    ('channel count', {'channels': 5}, None, None),
    ('truncated', {}, None, lambda s: array.array('B', bytes(s.size * 2 - 1))),
    ('NaN', {'sample_format': 'F32LE'}, None, with_nan),
    ('silence', {}, silent, None),
])
def test_audio_that_cannot_be_trusted_is_skipped(
        rig: LocalizerRig, anechoic: Anechoic, reason: str, info: dict[str, Any],
        change: Callable[[Signals], Signals] | None,
        encode: Callable[[Signals], Any] | None) -> None:
    """No pose comes out, the reason is counted; the fixture then sees that it recovers."""
    before, n, n_status = rig.settled(), len(rig.received.poses), len(rig.status)
    if info:
        rig.publish_info(**info)
    signals = anechoic.signals(1.5)
    rig.play(signals if change is None else change(signals),
             **({'encode': encode} if encode else {}))
    assert skipped(rig, before, reason) >= 1
    assert len(rig.received.poses) == n
    if reason != 'silence':
        texts = [s.message for s in rig.status[n_status:]]
        assert any(reason in text for text in texts), texts


def one_byte(samples: Signals) -> Any:
    """Encode samples (n, M) as a driver that keeps a single byte of each."""
    pcm = np.round(samples * 2 ** 15).astype(np.int16)
    return array.array('B', pcm.astype(np.uint8).tobytes())


@pytest.mark.parametrize('sample_format, cause', [('S16LE', 'single bytes'),
                                                  ('U8', 'int16 to uint8')])
def test_a_driver_that_casts_samples_to_single_bytes(
        rig: LocalizerRig, anechoic: Anechoic, sample_format: str, cause: str) -> None:
    """Whether it claims 16 bits or 8: nothing is located, and the diagnostics tell the cause."""
    n, n_status = len(rig.received.poses), len(rig.status)
    rig.publish_info(sample_format=sample_format)
    rig.play(anechoic.signals(1.5), encode=one_byte)
    rig.settled()
    assert any(cause in s.message for s in rig.status[n_status:]), rig.status[-1]
    assert len(rig.received.poses) == n


@pytest.mark.parametrize('reason, jump', [('gap', 0.032), ('overlap', -0.032),
                                          ('clock jump', 50.0), ('clock jump', -20.0)])
def test_no_window_spans_a_discontinuity(rig: LocalizerRig, anechoic: Anechoic, reason: str,
                                         jump: float) -> None:
    """0.45 s on either side of one make no window, though together they would make one."""
    before, n = rig.settled(), len(rig.received.poses)
    signals = anechoic.signals(0.448)
    rig.play(signals)
    rig.pause(jump)
    rig.play(signals)
    # The fixture let a hundred seconds pass before this test, which is one more clock jump.
    assert skipped(rig, before, reason) == (2 if reason == 'clock jump' else 1)
    assert len(rig.received.poses) == n


def test_a_dead_channel_is_left_out(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """A channel of zeros is a dead microphone: the other five locate."""
    n = len(rig.received.poses)
    signals = anechoic.signals(1.0)
    signals[2] = 0
    rig.play(signals)
    assert rig.spin_until(lambda: len(rig.received.poses) >= n + 3)
    assert max(errors(rig.received.poses[n:], anechoic)) < 0.15
    assert rig.settled()['microphones'] == '5 of 6'


def test_a_microphone_outside_the_room_is_an_error(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Positions that contradict the room make no estimate; a sentence says which."""
    moved = anechoic.mic_positions.copy()
    moved[1] = [9.0, 1.0, 1.0]
    rig.publish_frames(moved)
    before, n, n_status = rig.settled(), len(rig.received.poses), len(rig.status)
    rig.play(anechoic.signals(0.8))
    assert skipped(rig, before, 'scene') >= 1 and len(rig.received.poses) == n
    assert any('outside the room' in s.message for s in rig.status[n_status:])
    rig.publish_frames(anechoic.mic_positions)


def test_every_window_is_accounted_for(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Audio far faster than real time: every window is located, or counted as dropped."""
    before = rig.settled()
    rig.play(np.tile(anechoic.signals(2.0), 5)[:, :8000 + 4000 * 35])
    after = rig.settled()
    located = after['located'] - before['located']
    dropped = after.get('skipped: queue full', 0) - before.get('skipped: queue full', 0)
    assert located >= 1 and located + dropped == 36


def test_live_parameters(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """What may change takes effect at the next window; nonsense is refused with a sentence."""
    assert rig.set_parameters('localizer', map_resolution=0.5).successful
    n = len(rig.received.grids)
    rig.play(anechoic.signals(0.6))
    assert rig.spin_until(lambda: len(rig.received.grids) > n)
    info = rig.received.grids[-1].info
    assert (info.width, info.height) == (12, 10)
    result = rig.set_parameters('localizer', map_resolution=-1.0)
    assert not result.successful and result.reason
    result = rig.set_parameters('localizer', frame_id='odom')
    assert not result.successful and 'read-only' in result.reason
    assert rig.set_parameters('localizer', map_resolution=0.1).successful


def test_low_confidence_makes_no_pose(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Below min_confidence there is a map and no pose, and diagnostics say so."""
    before, n, n_grids = rig.settled(), len(rig.received.poses), len(rig.received.grids)
    assert rig.set_parameters('localizer', min_confidence=1.0).successful
    rig.play(anechoic.signals(1.0))
    assert skipped(rig, before, 'low confidence') >= 2
    assert len(rig.received.grids) >= n_grids + 2 and len(rig.received.poses) == n
    # The gap before that audio was the worst to report; now there is nothing else.
    n_status = len(rig.status)
    rig.play(anechoic.signals(1.0))
    assert rig.spin_until(lambda: any('below min_confidence' in s.message
                                      for s in rig.status[n_status:]))
    assert rig.set_parameters('localizer', min_confidence=0.5).successful


@pytest.mark.parametrize('change, sentence', [
    ({'room_dims': '[6.0, 5.0]'}, 'room_dims must be three numbers'),
    ({'microphone_frames': '[a]'}, 'one TF frame for each'),
    ({'method': 'telepathy'}, "no weights for method 'telepathy'"),
    ({'map_resolution': '-1.0'}, 'map_resolution'),
])
def test_a_wrong_start_ends_with_a_sentence(tmp_path: Path, change: dict[str, str],
                                            sentence: str) -> None:
    """Exit code 1 and one line that names the parameter; no traceback."""
    process = NodeProcess('localizer_node', 45, tmp_path / 'log', ROOM | change)
    assert process.exit_code() == 1
    text = process.log.read_text()
    assert sentence in text and 'Traceback' not in text
