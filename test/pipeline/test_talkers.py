"""From likelihood maps to talkers: axes, peaks, and tracks that stay in the room."""

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.pipeline.talkers import LikelihoodMap
from nsrp_ros.pipeline.talkers import map_peaks
from nsrp_ros.pipeline.talkers import MapTracker
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.talker_conversions import likelihood_map
from nsrp_ros.tracking.peaks import PeakConfig
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracking_config import TrackingConfig
import numpy as np
import pytest

ORIGIN, RESOLUTION = (10.0, -3.0), 0.125
ROOM = Room((10.0, -3.0, 0.5), (4.0, 3.0, 2.8))


def peaked_map(*positions):
    """Make a map of 4 m x 3 m with a peak at each position (x, y), metres from its corner."""
    x, y = (np.arange(n) * RESOLUTION + RESOLUTION / 2 for n in (32, 24))
    cells = np.zeros((24, 32))
    for position in positions:
        cells += np.exp(-((x - position[0]) ** 2 + (y[:, None] - position[1]) ** 2) / 0.05)
    return LikelihoodMap(np.round(98 * cells / max(cells.max(), 1e-9)).astype(np.int8), ORIGIN,
                         RESOLUTION)


def estimate():
    """Make an estimate whose cells are not square."""
    x, y = np.linspace(0.1, 3.9, 20), np.linspace(0.05, 2.95, 30)
    values = np.exp(-((x - 1.3) ** 2 + (y[:, None] - 2.1) ** 2) / 0.2)
    return Estimate(np.array([1.3, 2.1]), values, x, y, 0.9)


def test_axes_are_the_centres_of_cells():
    """From half a cell after the origin on; the box reaches from edge to edge."""
    made = LikelihoodMap(np.zeros((3, 4), np.int8), ORIGIN, 0.5)
    x, y = made.axes
    assert x.tolist() == [10.25, 10.75, 11.25, 11.75] and y.tolist() == [-2.75, -2.25, -1.75]
    assert made.box.tolist() == [[10.0, -3.0], [12.0, -1.5]]


def test_cells_outside_the_room_are_nan():
    """All others keep their values."""
    made = LikelihoodMap(np.array([[0, 98], [-1, 7]], np.int8), ORIGIN, 0.5)
    np.testing.assert_array_equal(made.values, [[0, 98], [np.nan, 7]])


def test_the_resolution_is_that_of_the_message():
    """Of 32 bits, as in nav_msgs/MapMetaData, whichever number it was made of."""
    made = LikelihoodMap(np.zeros((3, 4), np.int8), ORIGIN, 0.1)
    assert made.resolution == float(np.float32(0.1)) != 0.1
    again = LikelihoodMap(made.cells, made.origin, made.resolution)
    assert again.resolution == made.resolution


@pytest.mark.parametrize('resolution', [0.1, 0.3])
def test_a_bags_map_is_the_one_that_a_node_receives(resolution):
    """Cells, axes and box are equal to the last bit."""
    direct = LikelihoodMap.of_estimate(estimate(), ROOM, resolution)
    received = likelihood_map(grid_message(
        estimate(), 0, 'map', ROOM.origin, ROOM.dims, resolution))
    assert direct.resolution == received.resolution and direct.origin == received.origin
    np.testing.assert_array_equal(direct.cells, received.cells)
    np.testing.assert_array_equal(direct.box, received.box)
    for ours, theirs in zip(direct.axes, received.axes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_peaks_are_in_the_frame_of_the_map():
    """Two talkers, the same distance from the map's corner as they were drawn."""
    found = sorted(tuple(p.position) for p in map_peaks(
        peaked_map((1.0, 1.0), (3.0, 2.0)), PeakConfig()))
    np.testing.assert_allclose(found, [(11.0, -2.0), (13.0, -1.0)], atol=0.01)
    assert map_peaks(peaked_map(), PeakConfig()) == []


def test_a_near_refined_position_replaces_that_of_the_first_peak():
    """Within the radius; mass, covariance and the other peaks stay."""
    made, config = peaked_map((1.0, 1.0), (3.0, 2.0)), PeakConfig()
    plain = map_peaks(made, config)
    refined = plain[0].position + [0.0, config.radius - 0.01]
    near = map_peaks(made, config, refined)
    assert near[0].position.tolist() == refined.tolist()
    assert near[0].mass == plain[0].mass
    np.testing.assert_array_equal(near[0].covariance, plain[0].covariance)
    assert near[1].position.tolist() == plain[1].position.tolist()


def test_a_far_refined_position_is_ignored():
    """Beyond the radius, even if it is that of another peak; without a peak there is none."""
    made, config = peaked_map((1.0, 1.0), (3.0, 2.0)), PeakConfig()
    plain = map_peaks(made, config)
    for refined in (plain[0].position + [0.0, config.radius + 0.01], plain[1].position):
        peaks = map_peaks(made, config, refined)
        assert [p.position.tolist() for p in peaks] == [p.position.tolist() for p in plain]
    assert map_peaks(peaked_map(), config, np.array([11.0, -2.0])) == []


def test_a_tracker_keeps_numbers_and_the_peaks_of_the_latest_map():
    """One talker on five maps has one number; a map of low confidence has no peaks."""
    tracker, made = MapTracker(TrackingConfig()), peaked_map((1.0, 1.0))
    talkers = [tracker.update(k * NS // 4, made) for k in range(5)]
    assert [t.number for t in talkers[-1]] == [1] and talkers[-1][0].talking
    np.testing.assert_allclose(talkers[-1][0].position, (11.0, -2.0), atol=0.05)
    assert len(tracker.peaks) == 1
    later = tracker.update_without_detections(9 * NS // 4, made)
    assert [t.number for t in later] == [1] and not later[0].talking
    assert later[0].silent_for > 0 and tracker.peaks == []


def test_talkers_stay_inside_the_map():
    """One who walks to a wall and falls silent is not reported behind it."""
    tracker, unbounded = MapTracker(TrackingConfig()), TalkerTracker(TrackingConfig())
    inside, outside = 0, 0
    for k in range(12):
        stamp_ns, made = k * NS // 4, peaked_map((0.8 + 0.4 * k, 1.5))
        low, high = made.box
        if k < 8:  # at 1.6 m/s
            talkers = tracker.update(stamp_ns, made)
            free = unbounded.update(stamp_ns, tracker.peaks)
        else:
            talkers = tracker.update_without_detections(stamp_ns, made)
            free = unbounded.update(stamp_ns, [])
        for talker in talkers:
            assert (low <= talker.position).all() and (talker.position <= high).all()
            inside += 1
        outside += sum((t.position > high).any() for t in free)
    assert inside >= 6 and outside >= 1  # the prediction alone does pass the wall


def test_another_configuration_keeps_the_talkers():
    """It counts from the next map on."""
    tracker, made = MapTracker(TrackingConfig()), peaked_map((1.0, 1.0))
    for k in range(5):
        tracker.update(k * NS // 4, made)
    tracker.configure(TrackingConfig(peaks=PeakConfig(max_peaks=1)))
    talkers = tracker.update(5 * NS // 4, peaked_map((1.0, 1.0), (3.0, 2.0)))
    assert [t.number for t in talkers] == [1] and len(tracker.peaks) == 1
