"""Messages round-trip exactly, and what cannot be understood is refused."""

import array

from audio_common_msgs.msg import AudioInfo
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from nsrp_ros import messages
from nsrp_ros.core.estimate import Estimate
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message

STAMP_NS = 1_790_000_000_123_456_789
ORIGIN = (10.0, -4.0, 0.5)


def estimate(room=(6.0, 5.0, 3.0), nx=25, ny=20, peak=(13, 6)):
    """Make an estimate whose map is a smooth hill on a cell (column, row)."""
    x = (np.arange(nx) + 0.5) * room[0] / nx
    y = (np.arange(ny) + 0.5) * room[1] / ny
    position = np.array([x[peak[0]], y[peak[1]]])
    hill = np.exp(-((x - position[0]) ** 2 + (y[:, None] - position[1]) ** 2) / 0.5)
    return Estimate(position, hill.astype(np.float32), x, y, 0.9)


def info(**changes):
    """Make the AudioInfo of six microphones."""
    fields = {'channels': 6, 'sample_rate': 16000, 'sample_format': 'S16LE',
              'coding_format': 'wave'}
    return AudioInfo(**(fields | changes))


def test_samples_round_trip_exactly():
    """Every 16-bit value of every channel comes back as it went."""
    pcm = np.arange(-2 ** 15, 2 ** 15).reshape(-1, 4)
    data = messages.bytes_from_samples(pcm / 2 ** 15)
    assert isinstance(data, array.array)
    again = messages.samples_from_bytes(data, 'S16LE', 4)
    np.testing.assert_array_equal(again * 2 ** 15, pcm)
    np.testing.assert_array_equal(messages.bytes_from_samples(again), data)


def test_loud_samples_are_clipped_not_wrapped():
    """What is too loud stays loud."""
    data = messages.bytes_from_samples([[1.5, -1.5]])
    np.testing.assert_allclose(messages.samples_from_bytes(data, 'S16LE', 2), [[1, -1]],
                               atol=1e-4)


@pytest.mark.parametrize('name, kind, scale, offset', [
    ('S8', 'i1', 128, 0), ('U8', 'u1', 128, 128), ('S16BE', '>i2', 2 ** 15, 0),
    ('S32LE', '<i4', 2 ** 31, 0), ('F32LE', '<f4', 1, 0), ('F64BE', '>f8', 1, 0)])
def test_other_sample_formats(name, kind, scale, offset):
    """Decoded by their GStreamer names, they all give the same values."""
    values = np.array([[0.5, -0.25], [0.0, -1.0]])
    data = (values * scale + offset).astype(kind).tobytes()
    decoded = messages.samples_from_bytes(data, name, 2)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, values)


def test_truncated_chunks_are_refused():
    """A byte too few is a sentence, not a shifted channel."""
    with pytest.raises(messages.AudioError, match='whole frames') as caught:
        messages.samples_from_bytes(b'12345', 'S16LE', 2)
    assert caught.value.reason == 'truncated'


@pytest.mark.parametrize('changes, reason', [
    ({'coding_format': 'mp3'}, 'not wave'), ({'sample_format': 'S17'}, 'sample format'),
    ({'sample_rate': 0}, 'sample rate'), ({'channels': 1}, 'channel count'),
    ({'channels': 5}, 'channel count')])
def test_audio_that_cannot_be_located_is_refused(changes, reason):
    """Each fault is counted under its own name."""
    messages.check_audio_info(info(), 6)
    messages.check_audio_info(info(coding_format='WAVE'), 0)
    with pytest.raises(messages.AudioError) as caught:
        messages.check_audio_info(info(**changes), 6)
    assert caught.value.reason == reason


def test_stamps_round_trip_exactly():
    """Nanoseconds since 1970 survive, which a float could not do."""
    pose = messages.pose_message(estimate(), STAMP_NS, 'map', ORIGIN)
    assert messages.stamp_to_ns(pose.header.stamp) == STAMP_NS


def test_pose_is_the_position_on_the_map():
    """The room's corner is added; the orientation is a unit quaternion."""
    e = estimate()
    pose = messages.pose_message(e, STAMP_NS, 'map', ORIGIN)
    assert pose.header.frame_id == 'map'
    p, q = pose.pose.position, pose.pose.orientation
    np.testing.assert_allclose([p.x, p.y, p.z], [*(e.position + ORIGIN[:2]), 0.5])
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 1)


@pytest.mark.parametrize('room', [(6.0, 5.0, 3.0), (9.83, 3.17, 2.5), (0.4, 0.3, 2.0)])
@pytest.mark.parametrize('resolution', [0.05, 0.1, 0.4])
def test_grid_is_valid_and_peaks_at_the_estimate(room, resolution):
    """Square cells from the lower corner; the 98 stands within half a map cell of the pose."""
    if resolution > min(room):
        pytest.skip('a cell larger than the room')
    e = estimate(room)
    grid = messages.grid_message(e, STAMP_NS, 'map', ORIGIN, room, resolution)
    grid = deserialize_message(serialize_message(grid), type(grid))
    width, height = grid.info.width, grid.info.height
    assert len(grid.data) == width * height
    assert (width - 1) * resolution < room[0] <= width * resolution + 1e-6
    assert (height - 1) * resolution < room[1] <= height * resolution + 1e-6
    o = grid.info.origin
    assert (o.position.x, o.position.y, o.position.z) == ORIGIN
    assert (o.orientation.x, o.orientation.y, o.orientation.z, o.orientation.w) == (0, 0, 0, 1)
    cells = np.array(grid.data).reshape(height, width)
    assert cells.max() == 98 and cells.min() >= -1
    assert messages.stamp_to_ns(grid.header.stamp) == STAMP_NS
    rows, columns = np.nonzero(cells == 98)
    peak = np.array([(columns.mean() + 0.5) * resolution, (rows.mean() + 0.5) * resolution])
    reach = resolution + np.array([room[0] / 25, room[1] / 20])
    assert np.all(np.abs(peak - e.position) <= reach)


def test_a_coarse_grid_keeps_a_sharp_peak():
    """One fine cell that stands out is not lost between the coarse cells' centres."""
    e = estimate(nx=100, ny=100, peak=(37, 11))
    sharp = np.zeros((100, 100), np.float32)
    sharp[11, 37] = 1
    e = Estimate(e.position, sharp, e.x, e.y, 1.0)
    cells = messages.square_map(e, (6.0, 5.0, 3.0), 0.5)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert (column, row) == (int(e.position[0] / 0.5), int(e.position[1] / 0.5))


def test_a_flat_map_claims_nothing():
    """Without a peak no cell is likelier than another."""
    e = estimate()
    flat = Estimate(e.position, np.full_like(e.likelihood_map, 0.3), e.x, e.y, 0.0)
    grid = messages.grid_message(flat, STAMP_NS, 'map', ORIGIN, (6.0, 5.0, 3.0), 0.1)
    assert set(grid.data) == {0}


def test_cells_beyond_the_wall_are_unknown():
    """A room that is no multiple of the resolution has a rim that is outside."""
    grid = messages.grid_message(estimate((6.1, 5.0, 3.0)), STAMP_NS, 'map', ORIGIN,
                                 (6.1, 5.0, 3.0), 0.4)
    cells = np.array(grid.data).reshape(grid.info.height, grid.info.width)
    assert np.all(cells[:, -1] == -1) and np.all(cells[:-1, :-1] >= 0)


def test_positions_from_a_pose_array():
    """A pose that is not finite is a microphone that is missing."""
    poses = [Pose(position=Point(x=1.0, y=2.0, z=3.0)),
             Pose(position=Point(x=float('nan'), y=0.0, z=0.0))]
    positions = messages.pose_array_positions(PoseArray(poses=poses))
    np.testing.assert_array_equal(positions, [[1, 2, 3], [np.nan] * 3])
    assert messages.pose_array_positions(PoseArray()).shape == (0, 3)
