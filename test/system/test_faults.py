"""What goes wrong on a real robot: the node stays up, says it, makes nothing up, recovers."""

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
import numpy as np
import pytest
from support.node_rig import CHUNK
from support.node_rig import errors
from support.node_rig import localizer
from support.node_rig import tormented
from tf2_msgs.msg import TFMessage

PREFIXED = {'room_dims': '[6.0, 5.0, 3.0]', 'microphone_frame_prefix': 'mic_',
            'method': 'srp_phat'}


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """Start one localizer that all faults befall, one after another."""
    with localizer(64, tmp_path_factory.mktemp('faults'), **PREFIXED, queue_size=8) as rig:
        yield rig


@pytest.fixture
def rig(shared, anechoic):
    """Give each test a healthy localizer, and see that it is healthy again afterwards."""
    with tormented(shared, anechoic) as rig:
        yield rig


def chunks(signals):
    """Cut signals (M, T) into chunks of bytes with their offsets in nanoseconds."""
    return [(first * NS // 16000, bytes_from_samples(signals[:, first:first + CHUNK].T))
            for first in range(0, signals.shape[1] - CHUNK + 1, CHUNK)]


def say(rig, sequence):
    """Publish chunks in any order, each with its own stamp."""
    for offset_ns, data in sequence:
        rig.play_bytes(data, late_ns=offset_ns)
        rig.spin(0.004)


def swapped(sequence):
    """Swap every tenth chunk with the one behind it."""
    sequence = list(sequence)
    for k in range(5, len(sequence) - 1, 10):
        sequence[k], sequence[k + 1] = sequence[k + 1], sequence[k]
    return sequence


@pytest.mark.parametrize('reason, harm', [
    ('gap', lambda s: [c for k, c in enumerate(s) if k % 20 != 10]),
    ('overlap', lambda s: [c for k, c in enumerate(s) for _ in range(1 + (k % 20 == 10))]),
    ('overlap', swapped),
    ('clock jump', lambda s: s[:40] + [(t - 30 * NS, data) for t, data in s[40:]]),
])
def test_chunks_lost_duplicated_reordered_and_stamps_that_jump_back(
        rig, anechoic, reason, harm):
    """Only whole runs make windows; whatever is published is right, and lies in the audio."""
    n, start_ns, before = len(rig.heard.poses), rig.now_ns, rig.settled()
    signals = anechoic.signals(3.0)
    sequence = harm(chunks(signals))
    say(rig, sequence)
    rig.pause(3.0)
    after = rig.settled()
    assert after[f'skipped: {reason}'] > before.get(f'skipped: {reason}', 0)
    new = rig.heard.poses[n:]
    assert max(errors(new, anechoic), default=0) < 0.15
    times = [start_ns + t for t, _ in sequence]
    for pose in new:
        assert min(times) <= stamp_to_ns(pose.header.stamp) <= max(times) + CHUNK * NS // 16000
    said = ' '.join(s.message for s in rig.heard.status[-5:])
    assert reason in said or 'gap' in said  # a chunk that comes late leaves a gap first


def test_a_channel_that_dies_or_clips_or_goes_faint(rig, anechoic):
    """Each is named by its number; dead and faint ones are left out, the talker still found."""
    n = len(rig.heard.poses)
    signals = anechoic.signals(2.0, level=0.2)
    signals[1] = 0
    signals[3] *= 1e-3
    signals[4] = np.clip(60 * signals[4], -1, 1)
    rig.play(signals, pace=0.004)
    values = rig.settled()
    assert (values['dead channels'], values['silent channels'], values['clipped channels']) == (
        1, 3, 4)
    assert values['microphones'] == '4 of 6'
    assert any('channels 1 are dead' in s.message for s in rig.heard.status[-6:])
    assert max(errors(rig.heard.poses[n:], anechoic)) < 0.2 and len(rig.heard.poses) > n


def test_the_audio_stops_and_comes_back(rig, anechoic):
    """A missing driver is an error after two seconds, and forgiven when it is there again."""
    rig.play(anechoic.signals(0.6), pace=0.004)
    assert rig.spin_until(lambda: 'no audio for' in rig.heard.status[-1].message, 10)
    assert rig.heard.status[-1].level == b'\x02'
    rig.pause(5)
    n = len(rig.heard.poses)
    rig.play(anechoic.signals(1.0), pace=0.02)
    assert rig.spin_until(lambda: len(rig.heard.poses) > n, 10)
    assert rig.spin_until(lambda: 'no audio' not in rig.heard.status[-1].message, 5)


def test_transforms_that_come_late(own, anechoic):
    """Moving frames that arrive 0.1 s after the audio: windows wait in the queue, none is lost."""
    rig = own(65)
    rig.start('localizer_node', **PREFIXED, queue_size=20, transform_timeout=0.5)
    tf = rig.node.create_publisher(TFMessage, '/tf', 100)
    rig.wait_for_localizer()
    rig.say_info()
    signals, start_ns = anechoic.signals(4.0), rig.now_ns
    played = []
    for offset_ns, data in chunks(signals):
        rig.play_bytes(data, late_ns=offset_ns)
        played.append(start_ns + offset_ns)
        rig.spin(0.025)
        if len(played) > 3:  # some 0.1 s behind
            tf.publish(frames(anechoic.mic_positions, played[-4]))
    for time_ns in [*played[-3:], played[-1] + CHUNK * NS // 16000]:
        tf.publish(frames(anechoic.mic_positions, time_ns))
    values = rig.settled()
    assert len(rig.heard.poses) == 15 and max(errors(rig.heard.poses, anechoic)) < 0.15
    assert values['microphones'] == '6 of 6' and 'skipped: queue full' not in values
    # Transforms that stop: too few microphones, and then only until they are there again.
    rig.now_ns = played[-1] + 2 * CHUNK * NS // 16000
    rig.play(anechoic.signals(1.5), pace=0.004)
    assert rig.settled()['skipped: too few microphones'] >= 2
    assert len(rig.heard.poses) == 15


def frames(positions, time_ns, parent='map'):
    """Make a TFMessage of microphones at a time."""
    message = TFMessage()
    for k, position in enumerate(positions):
        message.transforms.append(frame(f'mic_{k}', position, time_ns, parent))
    return message


def frame(child, position, time_ns, parent='map', yaw=0.0):
    """Make a TransformStamped."""
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = parent
    set_stamp(transform.header.stamp, time_ns)
    t, r = transform.transform.translation, transform.transform.rotation
    t.x, t.y, t.z = (float(v) for v in position)
    r.z, r.w = float(np.sin(yaw / 2)), float(np.cos(yaw / 2))
    return transform


def test_microphones_on_a_moving_base_in_a_room_from_the_map(own):
    """Fixed on a robot that drives and turns, the talker stays where he is on the map."""
    from support.anechoic import propagate
    rig = own(66)
    corner, talker = np.array([-2.0, 1.0, 0.0]), np.array([2.3, 4.2, 1.5])  # in map
    on_base = np.array([(0.6, 0.0, 1.0), (0.0, 0.6, 1.4), (-0.6, 0.0, 1.0), (0.0, -0.6, 0.5),
                        (0.0, 0.0, 1.8), (0.4, 0.4, 0.3)])
    flat = '[' + ', '.join(f'{v:.1f}' for v in on_base.ravel()) + ']'
    rig.start('localizer_node', room_source='map', room_height=3.0, microphone_source='fixed',
              microphone_positions=flat, microphone_positions_frame='base_link',
              method='srp_phat', min_confidence=0.0)
    tf = rig.node.create_publisher(TFMessage, '/tf', 100)
    maps = rig.node.create_publisher(OccupancyGrid, 'map', LATCHED)
    rig.wait_for_localizer()
    rig.say_info()
    rig.play(0.05 * np.random.default_rng(0).standard_normal((6, 16000)).astype(np.float32))
    assert 'skipped: no room' in rig.settled()
    room = OccupancyGrid()
    room.header.frame_id = 'map'
    room.info.width, room.info.height, room.info.resolution = 80, 70, 0.1
    room.info.origin.position.x, room.info.origin.position.y = -3.0, 0.0
    cells = np.full((70, 80), -1, np.int8)
    cells[10:60, 10:70] = 0
    room.data = cells.ravel().tolist()
    maps.publish(room)
    rig.spin(0.3)
    rig.pause(10)
    noise = np.random.default_rng(1)
    poses = []
    for k in range(6):  # a place a second, in each of which it stands and turns
        base, yaw = corner + [1.0 + 0.7 * k, 1.5 + 0.3 * k, 0.0], 0.5 * k
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        heard = propagate(noise.standard_normal(9600), talker, on_base @ turn.T + base)
        tf.publish(TFMessage(transforms=[frame('base_link', base, rig.now_ns, yaw=yaw)]))
        tf.publish(TFMessage(transforms=[frame('base_link', base, rig.now_ns + NS, yaw=yaw)]))
        n = len(rig.heard.poses)
        rig.play(0.05 * heard / heard.std(), pace=0.005)
        rig.spin(0.5)
        poses += rig.heard.poses[n:]
        rig.pause(1.5)
    assert len(poses) >= 5
    away = [np.hypot(p.pose.position.x - talker[0], p.pose.position.y - talker[1]) for p in poses]
    assert np.median(away) < 0.4, away
    grid = rig.heard.grids[-1]
    assert (grid.info.width, grid.info.height) == (60, 50)
    assert (grid.info.origin.position.x, grid.info.origin.position.y) == pytest.approx((-2.0, 1.0))


def test_one_topic_a_channel(own, anechoic):
    """Six topics of one channel, one of which dies: the others go on without it, and say so."""
    rig = own(67)
    topics = [f'mic{k}' for k in range(6)]
    rig.start('localizer_node', **PREFIXED, audio_topics=str(topics).replace("'", ''),
              audio_channels='[1, 1, 1, 1, 1, 1]')
    devices = Devices(rig, topics)
    rig.wait_for_localizer(topics)
    rig.say_frames(anechoic.mic_positions)
    signals = anechoic.signals(3.0)
    devices.play([row[None] for row in signals])
    rig.spin(0.5)
    assert len(rig.heard.poses) >= 8 and max(errors(rig.heard.poses, anechoic)) < 0.15
    assert rig.settled()['microphones'] == '6 of 6'
    n = len(rig.heard.poses)
    devices.play([None if k == 2 else row[None] for k, row in enumerate(signals)])
    values = rig.settled()
    assert len(rig.heard.poses) >= n + 8 and max(errors(rig.heard.poses, anechoic)) < 0.15
    assert values['microphones'] == '5 of 6' and 'no audio for' in values['left out mic2']
    assert any('mic2 is left out' in s.message for s in rig.heard.status[-4:])
    devices.play([row[None] for row in signals])
    assert rig.settled()['microphones'] == '6 of 6'


class Devices:
    """Publishers of several devices that play side by side."""

    def __init__(self, rig, topics):
        from audio_common_msgs.msg import AudioDataStamped
        from audio_common_msgs.msg import AudioInfo
        self.rig = rig
        self.audio = [rig.node.create_publisher(AudioDataStamped, t, 50) for t in topics]
        self.info = [rig.node.create_publisher(AudioInfo, f'{t}_info', LATCHED) for t in topics]
        self._info_type = AudioInfo

    def play(self, signals, late=None, pace=0.006):
        """Play signals, (M, T) or None a device, whose stamps are late(time) seconds."""
        for publisher, rows in zip(self.info, signals):
            if rows is not None:
                publisher.publish(self._info_type(
                    channels=len(rows), sample_rate=16000, sample_format='S16LE'))
        self.rig.spin(0.2)
        length = max(rows.shape[1] for rows in signals if rows is not None)
        start_ns = self.rig.now_ns
        for first in range(0, length - CHUNK + 1, CHUNK):
            for k, rows in enumerate(signals):
                if rows is not None:
                    late_ns = 0 if late is None else round(late[k](first / 16000) * NS)
                    self.rig.play_bytes(bytes_from_samples(rows[:, first:first + CHUNK].T),
                                        self.audio[k], late_ns)
            self.rig.now_ns = start_ns + (first + CHUNK) * NS // 16000
            self.rig.spin(pace)


def test_a_device_40_ms_and_80_ppm_off(own):
    """Nothing is published before its clock is known, then the talker is where he is."""
    from support.two_devices import MICS
    from support.two_devices import record
    from support.two_devices import SOURCES
    rig = own(68)
    flat = '[' + ', '.join(f'{v:.1f}' for v in MICS.ravel()) + ']'
    rig.start('localizer_node', room_dims='[6.0, 5.0, 3.0]', microphone_source='fixed',
              method='srp_phat', microphone_positions=flat, audio_topics='[left, right]',
              device_clocks='separate', min_microphones=4, queue_size=8, min_confidence=0.0)
    devices = Devices(rig, ['left', 'right'])
    rig.wait_for_localizer(['left', 'right'])
    start_ns = rig.now_ns
    signals = [0.02 * s.T for s in record(16, skew=80e-6)]
    # Its samples are too long, and its stamps follow the clock that also stamps late.
    devices.play(signals, [lambda t: 0.0, lambda t: 0.04 + 80e-6 * t], pace=0.025)
    values = rig.settled()
    assert values['microphones'] == '6 of 6'
    assert values['skipped: too few microphones'] >= 4
    late_ms = float(values['clock right'].split()[0])
    assert late_ms == pytest.approx(40.0, abs=0.5)
    away = []
    for pose in rig.heard.poses:
        at = (stamp_to_ns(pose.header.stamp) - start_ns) / NS
        if 0.6 < at % 2:  # wholly in one talker's turn
            source = SOURCES[int(at // 2) % len(SOURCES)]
            p = pose.pose.position
            away.append(np.hypot(p.x - source[0], p.y - source[1]))
    assert len(away) >= 12 and np.median(away) < 0.15 and np.mean(np.array(away) < 0.5) > 0.9
