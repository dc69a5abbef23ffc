"""Messages round-trip exactly, and what cannot be understood is refused."""

from typing import Any

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import stamp_to_ns
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.ros import conversions
import numpy as np
from numpy.typing import NDArray
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message

STAMP_NS = 1_790_000_000_123_456_789
ORIGIN = (10.0, -4.0, 0.5)


def estimate(room: tuple[float, float, float] = (6.0, 5.0, 3.0), nx: int = 25, ny: int = 20,
             peak: tuple[int, int] = (13, 6), **optional: Any) -> Estimate:
    """Make an estimate whose map is a smooth hill on a cell (column, row)."""
    x = (np.arange(nx) + 0.5) * room[0] / nx
    y = (np.arange(ny) + 0.5) * room[1] / ny
    position = np.array([x[peak[0]], y[peak[1]]])
    hill = np.exp(-((x - position[0]) ** 2 + (y[:, None] - position[1]) ** 2) / 0.5)
    return Estimate(position, hill.astype(np.float32), x, y, 0.9, **optional)


def test_stamps_round_trip_exactly() -> None:
    """Nanoseconds since 1970 survive, which a float could not do."""
    pose = conversions.pose_message(estimate(), STAMP_NS, 'map', ORIGIN)
    assert stamp_to_ns(pose.header.stamp) == STAMP_NS


def test_pose_is_the_position_on_the_map() -> None:
    """The room's corner is added; the orientation is a unit quaternion."""
    e = estimate()
    pose = conversions.pose_message(e, STAMP_NS, 'map', ORIGIN)
    assert pose.header.frame_id == 'map'
    p, q = pose.pose.position, pose.pose.orientation
    np.testing.assert_allclose([p.x, p.y, p.z], [*(e.position + ORIGIN[:2]), 0.5])
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 1)


def test_the_pose_has_the_estimates_height() -> None:
    """Where it has one: the pose is at the talker's mouth, above the room's floor."""
    pose = conversions.pose_message(estimate(height=1.5), STAMP_NS, 'map', ORIGIN)
    assert pose.pose.position.z == 2.0


def test_the_covariance_is_the_posteriors() -> None:
    """As estimated in x and y; z and the angles as little known as they are."""
    spread = np.array([[0.04, 0.01], [0.01, 0.09]])
    for height, deviation in ((1.5, 3 / np.sqrt(12)), (None, 3 / np.sqrt(3))):
        message = conversions.covariance_message(
            estimate(covariance=spread, height=height), STAMP_NS, 'map', ORIGIN, 3.0)
        message = deserialize_message(serialize_message(message), type(message))
        covariance = message.pose.covariance.reshape(6, 6)
        np.testing.assert_allclose(covariance[:2, :2], spread)
        assert np.sqrt(covariance[2, 2]) == pytest.approx(deviation)
        assert np.linalg.eigvalsh(covariance).min() > 0
        assert stamp_to_ns(message.header.stamp) == STAMP_NS
        assert message.pose.pose.position.z == 0.5 + (height or 0)


def occupancy(cells: NDArray[Any], resolution: float = 0.5,
              origin: tuple[float, float] = (-1.0, 2.0), turn: float = 0.0) -> OccupancyGrid:
    """Make a map of rows of cells."""
    message = OccupancyGrid()
    message.info.height, message.info.width = cells.shape
    message.info.resolution = resolution
    message.info.origin.position.x, message.info.origin.position.y = origin
    message.info.origin.orientation.z = turn
    message.data = cells.astype(np.int8).ravel().tolist()
    return message


def test_the_room_from_a_map() -> None:
    """The box around what is known, in the map's frame; walls and floor are both known."""
    cells = np.full((12, 20), -1)
    cells[1:11, 3:15] = 0
    cells[1, 3:15] = 100
    origin, dims = conversions.map_box(occupancy(cells), 2.7)
    assert origin == (0.5, 2.5, 0.0) and dims == (6.0, 5.0, 2.7)


@pytest.mark.parametrize('message, sentence', [
    (occupancy(np.full((3, 3), -1)), 'nothing'), (occupancy(np.zeros((3, 3)), turn=0.3), 'turned'),
    (occupancy(np.zeros((3, 3)), resolution=0.0), 'cells of 0 m')])
def test_a_map_without_a_room_is_refused(message: OccupancyGrid, sentence: str) -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match=sentence):
        conversions.map_box(message, 2.7)


@pytest.mark.parametrize('room', [(6.0, 5.0, 3.0), (9.83, 3.17, 2.5), (0.4, 0.3, 2.0)])
@pytest.mark.parametrize('resolution', [0.05, 0.1, 0.4])
def test_grid_is_valid_and_peaks_at_the_estimate(room: tuple[float, float, float],
                                                 resolution: float) -> None:
    """Square cells from the lower corner; the 98 stands within half a map cell of the pose."""
    if resolution > min(room):
        pytest.skip('a cell larger than the room')
    e = estimate(room)
    grid = conversions.grid_message(e, STAMP_NS, 'map', ORIGIN, room, resolution)
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
    assert stamp_to_ns(grid.header.stamp) == STAMP_NS
    rows, columns = np.nonzero(cells == 98)
    peak = np.array([(columns.mean() + 0.5) * resolution, (rows.mean() + 0.5) * resolution])
    reach = resolution + np.array([room[0] / 25, room[1] / 20])
    assert np.all(np.abs(peak - e.position) <= reach)


def test_a_coarse_grid_keeps_a_sharp_peak() -> None:
    """One fine cell that stands out is not lost between the coarse cells' centres."""
    e = estimate(nx=100, ny=100, peak=(37, 11))
    sharp = np.zeros((100, 100), np.float32)
    sharp[11, 37] = 1
    e = Estimate(e.position, sharp, e.x, e.y, 1.0)
    cells = square_map(e, (6.0, 5.0, 3.0), 0.5)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert (column, row) == (int(e.position[0] / 0.5), int(e.position[1] / 0.5))


def test_a_flat_map_has_no_peak() -> None:
    """Without a peak no cell is likelier than another."""
    e = estimate()
    flat = Estimate(e.position, np.full_like(e.likelihood_map, 0.3), e.x, e.y, 0.0)
    grid = conversions.grid_message(flat, STAMP_NS, 'map', ORIGIN, (6.0, 5.0, 3.0), 0.1)
    assert set(grid.data) == {0}


def test_cells_beyond_the_wall_are_unknown() -> None:
    """A room that is no multiple of the resolution has a rim that is outside."""
    grid = conversions.grid_message(estimate((6.1, 5.0, 3.0)), STAMP_NS, 'map', ORIGIN,
                                    (6.1, 5.0, 3.0), 0.4)
    cells = np.array(grid.data).reshape(grid.info.height, grid.info.width)
    assert np.all(cells[:, -1] == -1) and np.all(cells[:-1, :-1] >= 0)


def test_positions_from_a_pose_array() -> None:
    """A pose that is not finite is a microphone that is missing."""
    poses = [Pose(position=Point(x=1.0, y=2.0, z=3.0)),
             Pose(position=Point(x=float('nan'), y=0.0, z=0.0))]
    positions = conversions.pose_array_positions(PoseArray(poses=poses))
    np.testing.assert_array_equal(positions, [[1, 2, 3], [np.nan] * 3])
    assert conversions.pose_array_positions(PoseArray()).shape == (0, 3)
