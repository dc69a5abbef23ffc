"""Bags: what was recorded is localized without ROS, and what is wrong with one is said."""

import csv
import subprocess
import sys

from nsrp_ros.bag_options import read_parameters
from nsrp_ros.bags import AudioBag
from nsrp_ros.bags import DEFINITIONS
from nsrp_ros.bags import INFO
from nsrp_ros.bags import STAMPED
from nsrp_ros.bags import TF
from nsrp_ros.bags import UNSTAMPED
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.squares import occupancy
from nsrp_ros.core.squares import square_map
from nsrp_ros.core.window import NS
from nsrp_ros.localize_bag import main
from nsrp_ros.messages import grid_message
from nsrp_ros.samples import bytes_from_samples
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

START_NS = 1_790_000_000 * NS
CHUNK = 512
ARGUMENTS = ['--room-dims', '6', '5', '3', '--method', 'srp_phat', '--min-confidence', '0']
FRAMES = ['--microphone-frames', *(f'mic_{k}' for k in range(6))]


def record(folder, anechoic, storage=StoragePlugin.MCAP, kind=STAMPED, lost=(), tf='/tf_static',
           info=True, seconds=2.0, coding_format='wave'):
    """Write a bag: chunks of the scene's audio but for the lost ones, its frames, its info."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    make = store.types
    samples = anechoic.signals(seconds).T

    def header(ns, frame=''):
        return make['std_msgs/msg/Header'](
            make['builtin_interfaces/msg/Time'](*divmod(ns, NS)), frame)

    with Writer(folder, version=9, storage_plugin=storage) as writer:
        def topic(name, message_type):
            connection = writer.add_connection(name, message_type, typestore=store)

            def put(ns, message):
                writer.write(connection, ns, store.serialize_cdr(message, message_type))
            return put

        frames, audio = topic(tf, TF), topic('/audio', kind)
        for at in (START_NS, START_NS + round(seconds * NS)):
            transforms = []
            for k, p in enumerate(anechoic.mic_positions):
                transforms.append(make['geometry_msgs/msg/TransformStamped'](
                    header(at, 'map'), f'mic_{k}', make['geometry_msgs/msg/Transform'](
                        make['geometry_msgs/msg/Vector3'](*map(float, p)),
                        make['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0))))
            frames(at, make[TF](transforms))
        if info:  # arrives after the first audio, as from a driver that sends it now and then
            topic('/audio_info', INFO)(START_NS + NS, make[INFO](
                6, 16000, 'S16LE', 0, coding_format))
        for k in range(len(samples) // CHUNK):
            if k in lost:
                continue
            data = np.frombuffer(bytes_from_samples(samples[k * CHUNK:(k + 1) * CHUNK]), np.uint8)
            at, plain = START_NS + k * CHUNK * NS // 16000, make[UNSTAMPED](data)
            end = at + CHUNK * NS // 16000
            audio(end, make[STAMPED](header(at), plain) if kind == STAMPED else plain)
    return folder


def rows_of(out):
    """Read a table."""
    with (out / 'localized.csv').open() as file:
        return list(csv.DictReader(file))


def errors_of(out, anechoic):
    """Return how far each window's position is from the talker, metres."""
    return [np.hypot(float(r['x']) - anechoic.source_position[0],
                     float(r['y']) - anechoic.source_position[1]) for r in rows_of(out) if r['x']]


@pytest.mark.parametrize('storage', list(StoragePlugin))
def test_a_bag_is_localized(storage, anechoic, tmp_path, capsys):
    """Every window of an MCAP or SQLite bag has its row, its map and its pose, and no more."""
    bag = record(tmp_path / 'bag', anechoic, storage)
    assert main([str(bag), *ARGUMENTS, *FRAMES]) == 0
    out = tmp_path / 'bag_localized'
    errors = errors_of(out, anechoic)
    assert len(errors) == 6 and max(errors) < 0.3  # (2 s - 0.5 s) / 0.25 s, less half a chunk
    assert (out / 'localized.png').stat().st_size > 5000
    assert '6 windows localized' in capsys.readouterr().out
    with AnyReader([out / 'outputs']) as reader:
        read = {name: [] for name in ('/source_pose', '/likelihood', '/talkers')}
        for connection, time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
            assert time_ns == stamp.sec * NS + stamp.nanosec
            read[connection.topic].append(message)
    assert [len(messages) for messages in read.values()] == [6, 6, 6]
    assert [m.header.stamp.sec * NS + m.header.stamp.nanosec for m in read['/source_pose']] == [
        int(r['stamp_ns']) for r in rows_of(out)]
    assert read['/likelihood'][0].data.max() == 98


def test_a_single_file_and_given_positions(anechoic, tmp_path):
    """A file without its folder's metadata will do, and a bag without any transforms."""
    bag = record(tmp_path / 'bag', anechoic, tf='/nothing_that_is_looked_up')
    (bag / 'metadata.yaml').unlink()
    given = ['--microphone-positions', *(','.join(map(str, p)) for p in anechoic.mic_positions)]
    for number, path in enumerate((bag, *bag.glob('*.mcap'))):
        out = tmp_path / f'out{number}'
        assert main([str(path), *ARGUMENTS, *given, '--out', str(out)]) == 0
        assert max(errors_of(out, anechoic)) < 0.3


def test_moving_frames_and_audio_without_stamps(anechoic, tmp_path):
    """Frames on /tf count between their stamps; unstamped audio has the time of its arrival."""
    bag = record(tmp_path / 'bag', anechoic, tf='/tf', kind=UNSTAMPED)
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'out')]) == 0
    rows = rows_of(tmp_path / 'out')
    assert max(errors_of(tmp_path / 'out', anechoic)) < 0.3
    assert int(rows[0]['stamp_ns']) == pytest.approx(START_NS + NS // 2 - NS // 16000, abs=1000)
    with AudioBag(bag) as opened:
        late, missing = opened.positions('map', ['mic_0', 'mic_9'], START_NS + 10 * NS)
    assert np.isnan(late).all() and sorted(missing) == ['mic_0', 'mic_9']


def test_a_lost_chunk_is_a_gap(anechoic, tmp_path):
    """No window spans it, and it is named."""
    bag = record(tmp_path / 'bag', anechoic, lost=(30,))
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'out')]) == 0
    rows = rows_of(tmp_path / 'out')
    assert sum('gap of +0.032 s' in r['skipped'] for r in rows) == 1
    assert max(errors_of(tmp_path / 'out', anechoic)) < 0.3


def test_a_truncated_bag_is_said_and_what_is_whole_is_kept(anechoic, tmp_path, capsys):
    """A recorder that was killed leaves an MCAP without an end."""
    bag = record(tmp_path / 'bag', anechoic, seconds=8.0)  # more than a chunk of a megabyte
    file, = bag.glob('*.mcap')
    whole = file.read_bytes()
    file.write_bytes(whole[:int(0.9 * len(whole))])
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'out')]) == 1
    assert 'truncated: only what is whole of it was read' in capsys.readouterr().err
    errors = errors_of(tmp_path / 'out', anechoic)
    assert 1 <= len(errors) < 30 and max(errors) < 0.3
    file.write_bytes(whole[:int(0.1 * len(whole))])  # not a single whole chunk
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'no')]) == 1
    assert 'is truncated' in capsys.readouterr().err
    file.write_bytes(whole[:4])
    assert main([str(file), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'no')]) == 1
    assert 'is no MCAP file' in capsys.readouterr().err


def test_a_damaged_bag_is_said(anechoic, tmp_path, capsys):
    """Bytes that are no records end the reading with a sentence, not a traceback."""
    bag = record(tmp_path / 'bag', anechoic, StoragePlugin.SQLITE3)
    file, = bag.glob('*.db3')
    file.write_bytes(b'x' * 5000)
    assert main([str(bag), *ARGUMENTS, *FRAMES]) == 1
    assert 'truncated or damaged' in capsys.readouterr().err


def test_what_is_missing_is_named(anechoic, tmp_path, capsys):
    """No bag, no audio, no AudioInfo, compressed audio, no such topic, no room, no microphones."""
    def complaint(*arguments):
        assert main([str(a) for a in arguments]) == 1
        return capsys.readouterr().err

    assert 'there is no bag' in complaint(tmp_path / 'x', *ARGUMENTS, *FRAMES)
    silent = record(tmp_path / 'silent', anechoic, info=False, seconds=0.6)
    assert 'no AudioInfo' in complaint(silent, *ARGUMENTS, *FRAMES)
    whole = record(tmp_path / 'whole', anechoic, seconds=0.6)
    assert 'no audio on /x; its topics with audio: /audio' in complaint(
        whole, *ARGUMENTS, *FRAMES, '--topic', '/x')
    assert 'room' in complaint(whole, *FRAMES)
    assert 'microphone_frames' in complaint(whole, *ARGUMENTS)
    (tmp_path / 'empty').mkdir()
    assert 'is no bag' in complaint(tmp_path / 'empty', *ARGUMENTS, *FRAMES)
    mp3 = record(tmp_path / 'mp3', anechoic, seconds=0.6, coding_format='mp3')
    assert main([str(mp3), *ARGUMENTS, *FRAMES]) == 0
    assert '0 windows localized, 18 skipped (not wave)' in capsys.readouterr().out
    unknown = ['--microphone-frames', *(f'no_{k}' for k in range(6))]
    assert main([str(whole), *ARGUMENTS, *unknown]) == 0
    assert '1 skipped (too few microphones)' in capsys.readouterr().out
    assert 'exists already' in complaint(whole, *ARGUMENTS, *FRAMES)


def test_the_nodes_parameter_file_will_do(tmp_path):
    """What the localizer is told on the robot, a bag is localized with."""
    path = tmp_path / 'params.yaml'
    path.write_text('/**:\n  localizer:\n    ros__parameters:\n      room_dims: [6.0, 5.0, 2.8]\n'
                    '      microphone_frames: [a, b]\n      device: cpu\n')
    assert read_parameters(path) == {'room_dims': (6.0, 5.0, 2.8), 'microphone_frames': ('a', 'b')}
    path.write_text('a: [')
    with pytest.raises(ValueError, match='cannot be read'):
        read_parameters(path)


def test_maps_are_those_that_the_node_draws():
    """A bag's occupancy grid is the localizer's, cell by cell."""
    x, y = np.linspace(0.1, 5.9, 25), np.linspace(0.1, 4.85, 25)
    values = np.random.default_rng(0).random((25, 25))
    estimate = Estimate(np.array([1.0, 1.0]), values, x, y, 0.5)
    for resolution in (0.07, 0.5):
        message = grid_message(estimate, 0, 'map', (0, 0, 0), (6.0, 4.95, 2.8), resolution)
        cells = occupancy(square_map(estimate, (6.0, 4.95, 2.8), resolution))
        assert cells.shape == (message.info.height, message.info.width)
        assert cells.ravel().tolist() == list(message.data)


def test_no_ros_is_needed():
    """Nothing of ROS is imported."""
    code = ('import sys, nsrp_ros.localize_bag; '
            'print([m for m in sys.modules if m.startswith(("rclpy", "rosidl", "std_msgs"))])')
    assert subprocess.check_output([sys.executable, '-c', code], text=True).strip() == '[]'


def test_audio_that_describes_itself(anechoic, tmp_path):
    """Other packages' audio is read by the robot's own code; its stamps mark the chunks' ends."""
    kind = 'audio_utils_msgs/msg/AudioFrame'
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(
        'std_msgs/Header header\nstring format\nuint32 channel_count\nuint32 sampling_frequency\n'
        'uint32 frame_sample_count\nuint8[] data\n', kind))
    make, samples = store.types, anechoic.signals(1.0).T
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/audio', kind, typestore=store)
        for k in range(len(samples) // CHUNK):
            data = np.frombuffer(bytes_from_samples(samples[k * CHUNK:(k + 1) * CHUNK]), np.uint8)
            end = START_NS + (k + 1) * CHUNK * NS // 16000
            header = make['std_msgs/msg/Header'](
                make['builtin_interfaces/msg/Time'](*divmod(end, NS)), '')
            writer.write(connection, end, store.serialize_cdr(
                make[kind](header, 'signed_16', 6, 16000, CHUNK, data), kind))
    given = ['--microphone-positions', *(','.join(map(str, p)) for p in anechoic.mic_positions)]
    assert main([str(tmp_path / 'bag'), *ARGUMENTS, *given]) == 0
    out = tmp_path / 'bag_localized'
    assert max(errors_of(out, anechoic)) < 0.3
    assert int(rows_of(out)[0]['stamp_ns']) == pytest.approx(
        START_NS + NS // 2 - NS // 16000, abs=1000)
