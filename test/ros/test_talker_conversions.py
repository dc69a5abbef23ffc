"""Messages of talkers: what goes in comes out."""

from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.pipeline.talkers import map_peaks
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.talker_conversions import likelihood_map
from nsrp_ros.ros.talker_conversions import MapError
from nsrp_ros.ros.talker_conversions import marker_messages
from nsrp_ros.ros.talker_conversions import talkers_message
from nsrp_ros.ros.talker_conversions import track_points
from nsrp_ros.ros.talker_conversions import tracks_message
from nsrp_ros.ros.talker_conversions import voice_frames
from nsrp_ros.tracking.peaks import PeakConfig
from nsrp_ros.tracking.tracker import Talker
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

HEADER = Header(frame_id='map')
HEADER.stamp.sec = 1_790_000_000
TALKERS = [
    Talker(3, np.array([1.5, 2.5]), np.array([0.25, -0.5]), np.array([[0.5, 0.125],
                                                                      [0.125, 0.25]]), True, 0.0),
    Talker(7, np.array([4.0, 0.5]), np.zeros(2), np.eye(2), False, 2.5)]


def likelihood() -> OccupancyGrid:
    """Make a map of two talkers as the localizer does, in a room whose corner is elsewhere."""
    x, y = np.arange(0.12, 6, 0.24), np.arange(0.1, 5, 0.2)
    xs, ys = np.meshgrid(x, y)
    values = sum(share * np.exp(-((xs - a) ** 2 + (ys - b) ** 2) / 0.1)
                 for a, b, share in ((1.5, 1.2, 1.0), (4.4, 3.7, 0.4)))
    estimate = Estimate(np.array([1.5, 1.2]), values / values.sum(), x, y, 0.6)
    return grid_message(estimate, 5, 'map', (10.0, -3.0, 0.5), (6.0, 5.05, 2.8), 0.1)


def test_peaks_are_in_the_frame_of_the_map() -> None:
    """Peaks are where the localizer's estimate has them."""
    peaks = map_peaks(likelihood_map(likelihood()), PeakConfig())
    np.testing.assert_allclose(peaks[0].position, (11.5, -1.8), atol=0.06)
    np.testing.assert_allclose(peaks[1].position, (14.4, 0.7), atol=0.06)
    assert peaks[1].mass / peaks[0].mass == pytest.approx(0.4, abs=0.05)


def test_cells_outside_the_room_are_nan() -> None:
    """-1 becomes NaN, of which no peak is made."""
    grid = likelihood()
    grid.data[0] = -1
    found = likelihood_map(grid)
    values, (x, y) = found.values, found.axes
    assert np.isnan(values[0, 0]) and values.shape == (len(y), len(x))


def test_maps_that_cannot_be_read() -> None:
    """Each is refused with a sentence."""
    grid = likelihood()
    grid.info.width += 1
    with pytest.raises(MapError, match='cells'):
        likelihood_map(grid)
    grid = likelihood()
    grid.info.origin.orientation.z = 0.7
    with pytest.raises(MapError, match='turned'):
        likelihood_map(grid)
    grid = likelihood()
    grid.info.resolution = 0.0
    with pytest.raises(MapError, match='resolution'):
        likelihood_map(grid)


def test_tracks_round_trip_exactly() -> None:
    """A cloud holds every number of every talker, and the header."""
    message = tracks_message(TALKERS, HEADER, 1.25)
    points = track_points(message)
    assert message.header == HEADER and points['id'].tolist() == [3, 7]
    for point, talker in zip(points, TALKERS, strict=True):
        assert (point['x'], point['y']) == tuple(talker.position) and point['z'] == 1.25
        assert (point['vx'], point['vy']) == tuple(talker.velocity)
        assert point['cov_xy'] == talker.covariance[0, 1]
        assert (point['talking'], point['silent_for']) == (talker.talking, talker.silent_for)
    assert len(track_points(tracks_message([], HEADER, 0.0))) == 0


def test_other_clouds_are_refused() -> None:
    """Such as a laser scan."""
    with pytest.raises(MapError, match='no talkers'):
        track_points(PointCloud2(point_step=16))


def test_only_active_talkers_have_poses_and_frames() -> None:
    """Frames are named as REP-155 has it, and carry the map's stamp."""
    poses = talkers_message(TALKERS, HEADER, 0.5)
    assert [(p.position.x, p.position.y, p.position.z) for p in poses.poses] == [(1.5, 2.5, 0.5)]
    frames = voice_frames(TALKERS, HEADER, 0.5, 'voice_').transforms
    assert [f.child_frame_id for f in frames] == ['voice_3']
    assert frames[0].header == HEADER


def test_markers_replace_those_before() -> None:
    """All are deleted first, so that none remains of a talker that is not tracked any more."""
    markers = marker_messages(TALKERS, HEADER, 0.0).markers
    assert markers[0].action == Marker.DELETEALL
    assert [(m.ns, m.id) for m in markers[1:]] == [
        ('talkers', 3), ('numbers', 3), ('talkers', 7), ('numbers', 7)]
    assert markers[1].color.a > markers[3].color.a
