"""Bags are localized without ROS, and what is wrong with one is reported."""

from dataclasses import fields
import sqlite3
import subprocess
import sys

from matplotlib.image import imread
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.bags.localize_bag import main
from nsrp_ros.bags.options import BagConfig
from nsrp_ros.bags.options import read_parameters
from nsrp_ros.bags.reader import AudioBag
from nsrp_ros.bags.writer import plot
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.pipeline.settings import STAMP_MARKS
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.localizer_parameters import NodeConfig
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin
from support.bag_recorder import AUDIO_UTILS
from support.bag_recorder import MGONZS13
from support.bag_recorder import record
from support.bag_recorder import STAMPED
from support.bag_recorder import START_NS
from support.bag_recorder import UNSTAMPED
from support.rows import rows_of

ARGUMENTS = ['--room-dims', '6', '5', '3', '--method', 'srp_phat', '--min-confidence', '0']
FRAMES = ['--microphone-frames', *(f'mic_{k}' for k in range(6))]


def errors_of(out, anechoic):
    """Return how far each window's position is from the talker, metres."""
    return [np.hypot(float(r['x']) - anechoic.source_position[0],
                     float(r['y']) - anechoic.source_position[1]) for r in rows_of(out) if r['x']]


def assert_shows_the_table(path, out):
    """Check that a picture is not blank, and that its plot holds the table's positions."""
    picture = imread(path)
    assert picture.shape == (600, 1440, 4) and len(np.unique(picture[..., 0])) > 10
    rows = [{name: float(row[name]) for name in ('seconds', 'x', 'y', 'confidence')}
            for row in rows_of(out) if row['x']]
    mics = np.array([[1.0, 2.0, 3.0], [4.0, 0.5, 1.0]])
    floor, time, _ = plot(rows, mics, Room((1.0, 0.0, 0.0), (6.0, 5.0, 3.0))).axes
    talkers, = floor.collections
    positions = np.array([(row['x'], row['y']) for row in rows])
    np.testing.assert_array_equal(talkers.get_offsets(), positions)
    microphones, = floor.lines
    np.testing.assert_array_equal(microphones.get_xydata(), mics[:, :2])
    assert floor.patches[0].get_bbox().bounds == (1.0, 0.0, 6.0, 5.0)
    assert [line.get_label() for line in time.lines] == ['x (m)', 'y (m)', 'confidence']
    np.testing.assert_array_equal(time.lines[1].get_xydata(),
                                  [(row['seconds'], row['y']) for row in rows])


@pytest.mark.parametrize('storage', list(StoragePlugin))
def test_a_bag_is_localized(storage, anechoic, tmp_path, capsys):
    """Every window of an MCAP or SQLite bag has one row, one map and one pose."""
    bag = record(tmp_path / 'bag', anechoic, storage)
    assert main([str(bag), *ARGUMENTS, *FRAMES]) == 0
    out = tmp_path / 'bag_localized'
    errors = errors_of(out, anechoic)
    assert len(errors) == 6 and max(errors) < 0.3  # (2 s - 0.5 s) / 0.25 s, less half a chunk
    assert_shows_the_table(out / 'localized.png', out)
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
    """A file without metadata is enough, and a bag without transforms."""
    bag = record(tmp_path / 'bag', anechoic, tf='/ignored')
    (bag / 'metadata.yaml').unlink()
    given = ['--microphone-positions', *(','.join(map(str, p)) for p in anechoic.mic_positions)]
    for number, path in enumerate((bag, *bag.glob('*.mcap'))):
        out = tmp_path / f'out{number}'
        assert main([str(path), *ARGUMENTS, *given, '--out', str(out)]) == 0
        assert max(errors_of(out, anechoic)) < 0.3


def test_moving_frames_and_audio_without_stamps(anechoic, tmp_path):
    """Frames on /tf are known between their stamps; unstamped audio is timed by its arrival."""
    bag = record(tmp_path / 'bag', anechoic, tf='/tf', kind=UNSTAMPED)
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'out')]) == 0
    rows = rows_of(tmp_path / 'out')
    assert max(errors_of(tmp_path / 'out', anechoic)) < 0.3
    assert int(rows[0]['stamp_ns']) == pytest.approx(START_NS + NS // 2 - NS // 16000, abs=1000)
    with AudioBag(bag) as opened:
        late, missing = opened.positions('map', ['mic_0', 'mic_9'], START_NS + 10 * NS)
        between, _ = opened.positions('map', ['mic_0'], START_NS + NS // 40)
    assert np.isnan(late).all() and sorted(missing) == ['mic_0', 'mic_9']
    np.testing.assert_allclose(between[0], anechoic.mic_positions[0] + 0.02 / 40, atol=1e-9)


def test_every_source_of_microphones(anechoic, tmp_path):
    """A prefix of frames, and positions in a frame that moves, here the first microphone's."""
    bag = record(tmp_path / 'bag', anechoic, tf='/tf', seconds=1.2)
    prefix = ['--microphone-frame-prefix', 'mic_']
    assert main([str(bag), *ARGUMENTS, *prefix, '--out', str(tmp_path / 'prefix')]) == 0
    fixed = ['--microphone-positions-frame', 'mic_0', '--microphone-positions',
             *(','.join(map(str, p)) for p in anechoic.mic_positions - anechoic.mic_positions[0])]
    assert main([str(bag), *ARGUMENTS, *fixed, '--out', str(tmp_path / 'fixed')]) == 0
    assert max(errors_of(tmp_path / 'prefix', anechoic)) < 0.3
    assert rows_of(tmp_path / 'prefix') == rows_of(tmp_path / 'fixed')
    both = [*ARGUMENTS, *prefix, *FRAMES, '--out', str(tmp_path / 'both')]
    assert main([str(bag), *both]) == 1
    unknown = ['--microphone-positions-frame', 'nowhere', *fixed[2:]]
    assert main([str(bag), *ARGUMENTS, *unknown, '--out', str(tmp_path / 'unknown')]) == 0
    assert all('nowhere' in row['skipped'] for row in rows_of(tmp_path / 'unknown'))


def test_a_lost_chunk_is_a_gap(anechoic, tmp_path):
    """No window spans it, and it is reported."""
    bag = record(tmp_path / 'bag', anechoic, lost=(30,))
    assert main([str(bag), *ARGUMENTS, *FRAMES, '--out', str(tmp_path / 'out')]) == 0
    rows = rows_of(tmp_path / 'out')
    assert sum('gap of +0.032 s' in r['skipped'] for r in rows) == 1
    assert max(errors_of(tmp_path / 'out', anechoic)) < 0.3


def test_a_truncated_bag_is_reported_and_used_up_to_its_end(anechoic, tmp_path, capsys):
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


def test_a_damaged_bag_is_reported(anechoic, tmp_path, capsys):
    """Bytes that are no records end the reading with a sentence, not a traceback."""
    bag = record(tmp_path / 'bag', anechoic, StoragePlugin.SQLITE3)
    file, = bag.glob('*.db3')
    file.write_bytes(b'x' * 5000)
    assert main([str(bag), *ARGUMENTS, *FRAMES]) == 1
    assert 'truncated or damaged' in capsys.readouterr().err


def test_the_sentence_names_what_is_missing(anechoic, tmp_path, capsys):
    """No bag, no audio, no AudioInfo, compressed audio, no such topic, no room, no microphones."""
    def error_of(*arguments):
        assert main([str(a) for a in arguments]) == 1
        return capsys.readouterr().err

    assert 'there is no bag' in error_of(tmp_path / 'x', *ARGUMENTS, *FRAMES)
    silent = record(tmp_path / 'silent', anechoic, info_at=None, seconds=0.6)
    assert 'no AudioInfo' in error_of(silent, *ARGUMENTS, *FRAMES)
    whole = record(tmp_path / 'whole', anechoic, seconds=0.6)
    assert 'no audio on /x; its topics with audio: /audio' in error_of(
        whole, *ARGUMENTS, *FRAMES, '--topic', '/x')
    assert 'room' in error_of(whole, *FRAMES)
    assert 'microphone_frames' in error_of(whole, *ARGUMENTS)
    (tmp_path / 'empty').mkdir()
    assert 'is no bag' in error_of(tmp_path / 'empty', *ARGUMENTS, *FRAMES)
    mp3 = record(tmp_path / 'mp3', anechoic, seconds=0.6, coding_format='mp3')
    assert main([str(mp3), *ARGUMENTS, *FRAMES]) == 0
    assert '0 windows localized, 18 skipped (not wave)' in capsys.readouterr().out
    unknown = ['--microphone-frames', *(f'no_{k}' for k in range(6))]
    assert main([str(whole), *ARGUMENTS, *unknown]) == 0
    assert '1 skipped (too few microphones)' in capsys.readouterr().out
    assert 'exists already' in error_of(whole, *ARGUMENTS, *FRAMES)


def test_the_nodes_parameter_file_is_read(tmp_path):
    """Those of its parameters that apply to a bag; the others are ignored."""
    path = tmp_path / 'params.yaml'
    path.write_text('/**:\n  localizer:\n    ros__parameters:\n      room_dims: [6.0, 5.0, 2.8]\n'
                    '      microphone_frames: [a, b]\n      device: cpu\n')
    assert read_parameters(path) == {'room_dims': (6.0, 5.0, 2.8), 'microphone_frames': ('a', 'b')}
    path.write_text('a: [')
    with pytest.raises(ValueError, match='cannot be read'):
        read_parameters(path)


def test_maps_are_those_that_the_node_publishes():
    """A bag's occupancy grid is the localizer's, cell by cell."""
    x, y = np.linspace(0.1, 5.9, 25), np.linspace(0.1, 4.85, 25)
    values = np.random.default_rng(0).random((25, 25))
    estimate = Estimate(np.array([1.0, 1.0]), values, x, y, 0.5)
    for resolution in (0.07, 0.5):
        message = grid_message(estimate, 0, 'map', (0, 0, 0), (6.0, 4.95, 2.8), resolution)
        cells = occupancy(square_map(estimate, (6.0, 4.95, 2.8), resolution))
        assert cells.shape == (message.info.height, message.info.width)
        assert cells.ravel().tolist() == list(message.data)


# A machine without ROS: its packages, and nothing else, cannot be imported.
WITHOUT_ROS = """
import sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top.endswith(('_msgs', '_interfaces')) or top.startswith((
                'rclpy', 'rcl_', 'rosidl', 'rpyutils', 'ament', 'launch', 'tf2', 'tf_trans')):
            raise ModuleNotFoundError(f'No module named {name!r}')

sys.meta_path.insert(0, NoRos())
try:
    import rclpy
except ImportError:
    from nsrp_ros.bags.localize_bag import main
    sys.exit(main())
"""


@pytest.mark.parametrize('kind, storage', [
    (STAMPED, StoragePlugin.SQLITE3), (UNSTAMPED, StoragePlugin.MCAP),
    (MGONZS13, StoragePlugin.SQLITE3), (AUDIO_UTILS, StoragePlugin.MCAP)])
def test_every_kind_of_audio_without_ros(kind, storage, anechoic, tmp_path):
    """Each is decoded on a machine without ROS, with the same times as by the node."""
    bag = record(tmp_path / 'bag', anechoic, storage, kind, seconds=1.2)
    result = subprocess.run(
        [sys.executable, '-c', WITHOUT_ROS, str(bag), *ARGUMENTS, *FRAMES], capture_output=True,
        text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    errors = errors_of(tmp_path / 'bag_localized', anechoic)
    assert len(errors) == 3 and max(errors) < 0.3
    for k, row in enumerate(rows_of(tmp_path / 'bag_localized')):
        assert int(row['stamp_ns']) == pytest.approx(
            START_NS + NS // 2 + k * NS // 4 - NS // 16000, abs=1000)


def test_use_sim_time_does_not_matter(anechoic, tmp_path):
    """A parameter file that follows /clock gives the same rows as one that does not."""
    bag = record(tmp_path / 'bag', anechoic, seconds=1.2)
    tables = []
    for value in ('true', 'false'):
        path = tmp_path / f'{value}.yaml'
        path.write_text(f'localizer:\n  ros__parameters:\n    use_sim_time: {value}\n'
                        '    room_dims: [6.0, 5.0, 3.0]\n    method: srp_phat\n')
        assert main([str(bag), '--params', str(path), *FRAMES,
                     '--out', str(tmp_path / value)]) == 0
        tables.append(rows_of(tmp_path / value))
    assert tables[0] == tables[1] and len(tables[0]) == 3


@pytest.mark.parametrize('kind', [STAMPED, UNSTAMPED, MGONZS13, AUDIO_UTILS])
def test_bags_without_message_definitions(kind, anechoic, tmp_path):
    """As SQLite bags were before Iron: this package's definitions are used."""
    bag = record(tmp_path / 'bag', anechoic, StoragePlugin.SQLITE3, kind, seconds=0.6)
    file, = bag.glob('*.db3')
    with sqlite3.connect(file) as connection:
        connection.execute('DELETE FROM message_definitions')
        connection.execute("UPDATE topics SET type_description_hash = ''")
    connection.close()
    (bag / 'metadata.yaml').unlink()
    with AudioBag(file) as opened:
        chunks = list(opened.chunks())
        where, missing = opened.positions('map', ['mic_0'], START_NS)
    assert not missing and where[0] == pytest.approx(anechoic.mic_positions[0])
    assert not any(chunk.problem for chunk in chunks)
    np.testing.assert_allclose(np.concatenate([chunk.samples for chunk in chunks]),
                               anechoic.signals(0.6).T[:len(chunks) * 512], atol=2e-5)
    assert chunks[0].start_ns == START_NS


def test_what_a_stamp_marks_can_be_set(anechoic, tmp_path):
    """As for the node, for drivers that differ from the usual ones."""
    bag = record(tmp_path / 'bag', anechoic, seconds=0.6)
    starts = {}
    for marks in STAMP_MARKS:
        with AudioBag(bag, stamp_marks=marks) as opened:
            starts[marks] = next(opened.chunks()).start_ns - START_NS
    chunk_ns = 512 * NS // 16000
    assert starts == {'auto': 0, 'start': 0, 'end': -chunk_ns, 'arrival': 0}
    with pytest.raises(ValueError, match='stamp_marks must be one of'):
        BagConfig(room_dims=(6, 5, 3), microphone_frames=('a', 'b'), stamp_marks='middle')


def test_the_defaults_are_the_nodes():
    """A setting that is not given is the same for a bag and for a node."""
    ours = {spec.name: spec.default for spec in fields(BagConfig) if spec.name != 'room_dims'}
    theirs = {spec.name: spec.default for spec in fields(NodeConfig)}
    assert ours == {name: theirs[name] for name in ours}
    assert all(source.stamp_marks in STAMP_MARKS for source in SOURCES.values())
