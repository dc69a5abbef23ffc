"""The localizer as its users meet it: a process of its own, real topics, good and bad input."""

import array
import subprocess
import time

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
import numpy as np
import pytest
from support.node_rig import errors
from support.node_rig import localizer
from support.node_rig import ROOM
from support.node_rig import start
from support.node_rig import tormented


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """Start one localizer that many tests torment, one after another."""
    # On a busy machine windows wait, rather than that one is dropped which a test waits for.
    with localizer(41, tmp_path_factory.mktemp('node'), **ROOM, queue_size=8) as rig:
        yield rig


@pytest.fixture
def rig(shared, anechoic):
    """Give each test a healthy localizer, and see that it is healthy again afterwards."""
    with tormented(shared, anechoic) as rig:
        yield rig


def skipped(rig, before, reason):
    """Return how often a reason has been counted since `before`."""
    key = f'skipped: {reason}'
    return rig.settled().get(key, 0) - before.get(key, 0)


def test_good_audio_is_located_at_the_audios_time(rig, anechoic):
    """Poses and maps carry the stamps of their windows' last samples, and the right frame."""
    start_ns, n = rig.now_ns, len(rig.heard.poses)
    n_grids = len(rig.heard.grids)
    rig.play(anechoic.signals(2.0), pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= n + 7
                          and len(rig.heard.grids) >= n_grids + 7, 10)
    poses, grids = rig.heard.poses[n:], rig.heard.grids[n_grids:]
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
    where = np.array([column + 0.5, row + 0.5]) * grid.info.resolution
    assert np.linalg.norm(where - anechoic.source_position[:2]) < 0.2


def test_the_map_is_latched(rig, anechoic):
    """Who subscribes later gets the last map at once, as RViz and Nav2 expect."""
    rig.play(anechoic.signals(0.6), pace=0.005)
    rig.spin(0.5)
    late = []
    subscription = rig.node.create_subscription(OccupancyGrid, 'likelihood', late.append, LATCHED)
    assert rig.spin_until(lambda: late, 5)
    rig.node.destroy_subscription(subscription)


def bad_float(signals):
    """Encode as float32 with one NaN in the middle of every chunk."""
    data = signals.astype('<f4')
    data[len(data) // 2, 1] = np.nan
    return array.array('B', data.tobytes())


def dead(signals):
    """Return signals that are silent but for a hiss of -80 dB."""
    return signals * np.float32(10 ** (-60 / 20))


@pytest.mark.parametrize('reason, info, change, encode', [
    ('not wave', {'coding_format': 'mp3'}, None, lambda s: array.array('B', bytes(417))),
    ('sample format', {'sample_format': 'S17LE'}, None, None),
    ('channel count', {'channels': 5}, None, None),
    ('truncated', {}, None, lambda s: array.array('B', bytes(s.size * 2 - 1))),
    ('NaN', {'sample_format': 'F32LE'}, None, bad_float),
    ('silence', {}, dead, None),
])
def test_audio_that_cannot_be_trusted_is_skipped(rig, anechoic, reason, info, change, encode):
    """No pose comes out, the reason is counted; the fixture then sees that it recovers."""
    before, n = rig.settled(), len(rig.heard.poses)
    if info:
        rig.say_info(**info)
    signals = anechoic.signals(1.5)
    rig.play(signals if change is None else change(signals), pace=0.003,
             **({'encode': encode} if encode else {}))
    assert skipped(rig, before, reason) >= 1
    assert len(rig.heard.poses) == n
    if reason != 'silence':
        said = [s.message for s in rig.heard.status[-4:]]
        assert any(reason in text for text in said), said


@pytest.mark.parametrize('reason, jump', [('gap', 0.032), ('overlap', -0.032),
                                          ('clock jump', 50.0), ('clock jump', -20.0)])
def test_nothing_is_glued_over_a_seam(rig, anechoic, reason, jump):
    """0.45 s on either side of a seam make no window, though together they would make one."""
    before, n = rig.settled(), len(rig.heard.poses)
    signals = anechoic.signals(0.448)
    rig.play(signals, pace=0.003)
    rig.pause(jump)
    rig.play(signals, pace=0.003)
    # The fixture let a hundred seconds pass before this test, which is one more clock jump.
    assert skipped(rig, before, reason) == (2 if reason == 'clock jump' else 1)
    assert len(rig.heard.poses) == n


def test_a_dead_channel_is_left_out(rig, anechoic):
    """A channel of zeros is a dead microphone: the other five locate."""
    n = len(rig.heard.poses)
    signals = anechoic.signals(1.0)
    signals[2] = 0
    rig.play(signals, pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= n + 3, 10)
    assert max(errors(rig.heard.poses[n:], anechoic)) < 0.15
    assert rig.settled()['microphones'] == '5 of 6'


def test_a_microphone_outside_the_room_is_an_error(rig, anechoic):
    """Positions that contradict the room make no estimate; a sentence says which."""
    moved = anechoic.mic_positions.copy()
    moved[1] = [9.0, 1.0, 1.0]
    rig.say_frames(moved)
    before, n = rig.settled(), len(rig.heard.poses)
    rig.play(anechoic.signals(0.8), pace=0.003)
    assert skipped(rig, before, 'scene') >= 1 and len(rig.heard.poses) == n
    assert any('outside the room' in s.message for s in rig.heard.status[-4:])
    rig.say_frames(anechoic.mic_positions)


def test_no_window_is_lost_unaccounted(rig, anechoic):
    """Audio far faster than real time: every window is located, or counted as dropped."""
    before = rig.settled()
    rig.play(np.tile(anechoic.signals(2.0), 5)[:, :8000 + 4000 * 35], pace=0.002)
    after = rig.settled()
    located = after['located'] - before['located']
    dropped = after.get('skipped: queue full', 0) - before.get('skipped: queue full', 0)
    assert located >= 1 and located + dropped == 36


def test_live_parameters(rig, anechoic):
    """What may change takes effect at the next window; nonsense is refused with a sentence."""
    assert rig.set_parameters('localizer', map_resolution=0.5).successful
    n = len(rig.heard.grids)
    rig.play(anechoic.signals(0.6), pace=0.003)
    assert rig.spin_until(lambda: len(rig.heard.grids) > n, 5)
    assert (rig.heard.grids[-1].info.width, rig.heard.grids[-1].info.height) == (12, 10)
    result = rig.set_parameters('localizer', map_resolution=-1.0)
    assert not result.successful and result.reason
    result = rig.set_parameters('localizer', frame_id='odom')
    assert not result.successful and 'read-only' in result.reason
    assert rig.set_parameters('localizer', map_resolution=0.1).successful


def test_who_is_not_sure_points_at_nobody(rig, anechoic):
    """Below min_confidence there is a map and no pose, and diagnostics say so."""
    before, n, n_grids = rig.settled(), len(rig.heard.poses), len(rig.heard.grids)
    assert rig.set_parameters('localizer', min_confidence=1.0).successful
    rig.play(anechoic.signals(1.0), pace=0.005)
    assert skipped(rig, before, 'low confidence') >= 2
    assert len(rig.heard.grids) >= n_grids + 2 and len(rig.heard.poses) == n
    # The gap before the first of that audio was the worst to tell; now there is no other.
    n_status = len(rig.heard.status)
    rig.play(anechoic.signals(1.0), pace=0.005)
    assert rig.spin_until(lambda: any('below min_confidence' in s.message
                                      for s in rig.heard.status[n_status:]), 5)
    assert rig.set_parameters('localizer', min_confidence=0.5).successful


def test_microphones_from_a_pose_array(own, anechoic):
    """Poses instead of frames; a pose that is not finite leaves that microphone out."""
    rig = own(42)
    rig.start('localizer_node', **ROOM | {'microphone_source': 'pose_array'})
    publisher = rig.node.create_publisher(PoseArray, 'microphones', 10)
    rig.wait_for_localizer()
    rig.say_info()
    signals = anechoic.signals(1.0)
    rig.play(signals, pace=0.005)
    assert rig.settled()['skipped: too few microphones'] >= 1 and not rig.heard.poses
    mics = anechoic.mic_positions.copy()
    mics[0] = np.nan
    publisher.publish(PoseArray(poses=[Pose(position=Point(x=x, y=y, z=z)) for x, y, z in mics]))
    rig.spin(0.3)
    rig.play(signals, pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= 3, 10)
    assert max(errors(rig.heard.poses, anechoic)) < 0.15
    assert rig.settled()['microphones'] == '5 of 6'


def test_missing_frames_and_missing_info(own, anechoic):
    """Without AudioInfo or with too few frames nothing is located; both are said."""
    rig = own(43)
    rig.start('localizer_node', **ROOM, min_confidence=0.0)  # four are few for SRP-PHAT
    rig.wait_for_localizer()
    signals = anechoic.signals(1.0)
    rig.play(signals, pace=0.005)
    assert rig.settled()['skipped: no audio_info'] >= 1
    rig.say_info()
    rig.say_frames(anechoic.mic_positions[:2])
    rig.pause(1)
    rig.play(signals, pace=0.005)
    values = rig.settled()
    assert values['skipped: too few microphones'] >= 1 and values['microphones'] == '2 of 6'
    assert 'missing mic_4' in values
    assert not rig.heard.poses and not rig.heard.grids
    rig.say_frames(anechoic.mic_positions[:4])
    rig.pause(1)
    rig.play(signals, pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= 2, 10)


def test_a_simulated_room_in_another_process(own):
    """Three processes: room, localizer, test. One microphone leaves while it runs, and returns."""
    rig = own(44)
    rig.start('localizer_node', **ROOM | {
        'room_dims': '[6.0, 5.0, 2.8]', 'silence_threshold_db': -45.0})
    rig.wait_for_localizer()
    rig.start('simulated_room_node', rt60=0.0, speech='synthetic', pause_seconds=0.2,
              turn_seconds=4.0)

    def score(n_poses):
        del rig.heard.poses[:], rig.heard.truths[:]
        assert rig.spin_until(lambda: len(rig.heard.poses) >= n_poses, 40)
        truth = {stamp_to_ns(m.header.stamp): m.pose.position for m in rig.heard.truths}
        found = []
        for pose in rig.heard.poses:
            at = stamp_to_ns(pose.header.stamp)
            near = [t for s, t in truth.items() if at - 5e8 <= s <= at + 4e7]
            if len(near) >= 15 and len({(t.x, t.y) for t in near}) == 1:
                found.append(np.hypot(pose.pose.position.x - near[0].x,
                                      pose.pose.position.y - near[0].y))
        assert len(found) >= n_poses // 3
        return found
    assert np.median(score(9)) < 0.2
    assert rig.set_parameters('simulated_room', hidden_frames=['mic_2']).successful
    rig.spin(1.5)
    assert np.median(score(9)) < 0.3
    values = rig.settled()
    assert values['microphones'] == '5 of 6' and 'missing mic_2' in values
    assert rig.set_parameters('simulated_room', hidden_frames=['nobody']).successful
    rig.spin(1.5)
    assert rig.settled()['microphones'] == '6 of 6'


@pytest.mark.parametrize('change, sentence', [
    ({'room_dims': '[6.0, 5.0]'}, 'room_dims must be three numbers'),
    ({'microphone_frames': '[a]'}, 'one TF frame for each'),
    ({'method': 'telepathy'}, "no weights for method 'telepathy'"),
    ({'map_resolution': '-1.0'}, 'map_resolution'),
])
def test_a_wrong_start_ends_with_a_sentence(tmp_path, change, sentence):
    """Exit code 1 and one line that names the parameter; no traceback."""
    with (tmp_path / 'log').open('w') as log:
        process = start('localizer_node', 45, ROOM | change, log)
    try:
        assert process.wait(timeout=60) == 1
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    text = (tmp_path / 'log').read_text()
    assert sentence in text and 'Traceback' not in text


def test_ctrl_c_ends_it_at_once(own):
    """SIGINT while idle: gone within two seconds, with exit code 0."""
    rig = own(46)
    process = rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    begin = time.monotonic()
    assert rig.close() == [0]
    assert time.monotonic() - begin < 2.0
    assert 'Traceback' not in process.log.read_text()
