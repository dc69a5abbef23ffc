"""Methods that know boxes from the origin answer in any surroundings, and in their frame."""

from nsrp_ros import Localizer
from nsrp_ros import Surroundings
from nsrp_ros.localization.box_rooms import estimate as estimate_in_box
from nsrp_ros.localization.methods.srp import SRP_CONFIGS
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.localization.srp_phat import SrpPhat
import numpy as np
import pytest

ORIGIN = np.array([3.0, -2.0, 0.5])


class Posteriors:
    """The network's place: a method that is told where to search, and writes it down."""

    def __init__(self):
        from nsrp_ros.core.config import BackprojectionConfig
        self.config = BackprojectionConfig(grid_size=20, heights=2)
        self.told = []
        self.at = (4.23, 3.11)

    def estimate(self, signals, mic_positions, room_dims, area=None, shape=None, search=None):
        """Answer with a peak at a place of the room."""
        from nsrp_ros.localization.backprojection.coarse_to_fine import GridPosterior
        from nsrp_ros.localization.backprojection.coarse_to_fine import locate
        self.told.append((mic_positions, room_dims, search))

        def evaluate(corners, cells, coarse):
            y, x = ((np.arange(n) + 0.5) * (corners[1, k] - corners[0, k]) / n + corners[0, k]
                    for n, k in ((cells[1], 1), (cells[2], 0)))
            hill = np.exp(-((x - self.at[0]) ** 2 + (y[:, None] - self.at[1]) ** 2) / 0.08)
            values = np.broadcast_to(hill, cells)
            return GridPosterior(values / values.sum(), 0.9, None)
        return locate(lambda *scene: evaluate, self.config, signals, mic_positions, room_dims,
                      area, shape, search)


def turn(points, yaw):
    """Turn points (..., 2) or (..., 3) about the origin."""
    turned = np.array(points, float)
    turned[..., 0] = np.cos(yaw) * points[..., 0] - np.sin(yaw) * points[..., 1]
    turned[..., 1] = np.sin(yaw) * points[..., 0] + np.cos(yaw) * points[..., 1]
    return turned


@pytest.fixture
def posteriors():
    """Return the method and a localizer that uses it."""
    method = Posteriors()
    return method, Localizer(method)


@pytest.mark.parametrize('yaw', [0.0, np.pi / 6, -2.0])
def test_a_turned_room_is_the_same_room(anechoic, yaw):
    """SRP-PHAT finds the place that it finds in the room's own frame, turned with the room."""
    localizer, signals = Localizer.load('srp_phat'), anechoic.signals()
    plain = localizer.locate(signals, 16000, anechoic.mic_positions, anechoic.room_dims)
    room = Surroundings.box(anechoic.room_dims, ORIGIN, yaw)
    mics = turn(anechoic.mic_positions, yaw) + ORIGIN
    scene = signals, 16000, mics, room
    estimate = localizer.locate(*scene)
    np.testing.assert_allclose(estimate.position, turn(plain.position, yaw) + ORIGIN[:2],
                               atol=1e-6)
    assert estimate.confidence == pytest.approx(plain.confidence)
    # Its map says so, too.
    row, column = np.unravel_index(estimate.likelihood_map.argmax(),
                                   estimate.likelihood_map.shape)
    peak = np.array([estimate.x[column], estimate.y[row]])
    cell = np.array([estimate.x[1] - estimate.x[0], estimate.y[1] - estimate.y[0]])
    assert (np.abs(peak - estimate.position) <= cell).all()
    assert estimate.likelihood_map.max() == pytest.approx(plain.likelihood_map.max())
    np.testing.assert_allclose(localizer.locate_all([scene, scene])[1].position,
                               estimate.position)


def test_three_lengths_are_an_exact_box(anechoic):
    """Bit for bit, by either name; there must be some."""
    localizer, mics = Localizer.load('srp_phat'), anechoic.mic_positions
    one = localizer.locate(anechoic.signals(), 16000, mics, anechoic.room_dims)
    for other in (
            localizer.locate(anechoic.signals(), 16000, mics, Surroundings.box((6, 5, 3))),
            localizer.locate(anechoic.signals(), 16000, mics, room_dims=(6, 5, 3))):
        np.testing.assert_array_equal(other.likelihood_map, one.likelihood_map)
        assert other.searched is None and other.direction is None
    with pytest.raises(TypeError, match='surroundings'):
        localizer.locate(anechoic.signals(), 16000, mics)


def test_a_posterior_turns_with_its_room(anechoic, posteriors):
    """Position, covariance, direction, height and map are those of the room's own frame."""
    method, localizer = posteriors
    yaw = 0.7
    plain = localizer.locate(anechoic.signals(), 16000, anechoic.mic_positions, (6, 5, 3))
    mics = turn(anechoic.mic_positions, yaw) + ORIGIN
    estimate = localizer.locate(anechoic.signals(), 16000, mics,
                                Surroundings.box((6, 5, 3), ORIGIN, yaw))
    np.testing.assert_allclose(method.told[1][0], method.told[0][0], atol=1e-9)
    np.testing.assert_allclose(estimate.position, turn(plain.position, yaw) + ORIGIN[:2])
    way = np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(turn(way, yaw) @ estimate.covariance @ turn(way, yaw).T,
                               way @ plain.covariance @ way.T, atol=1e-9)
    assert estimate.height == pytest.approx(plain.height + ORIGIN[2])
    assert estimate.direction.azimuth == pytest.approx(plain.direction.azimuth + yaw)
    assert estimate.direction.distance == pytest.approx(plain.direction.distance)
    offset = estimate.position - mics.mean(axis=0)[:2]
    assert estimate.direction.azimuth == pytest.approx(np.arctan2(*offset[::-1]), abs=0.02)
    assert estimate.likelihood_map.sum() == pytest.approx(1)
    mean = [estimate.likelihood_map.sum(axis=0) @ estimate.x,
            estimate.likelihood_map.sum(axis=1) @ estimate.y]
    np.testing.assert_allclose(mean, estimate.position, atol=0.05)
    corner = np.abs(estimate.x - estimate.x[0]).argmin(), np.abs(estimate.y - estimate.y[0]
                                                                 ).argmin()
    assert not estimate.searched[corner[::-1]] and estimate.searched.any()
    with pytest.raises(ValueError, match='turned'):
        localizer.locate(anechoic.signals(), 16000, mics, Surroundings.box((6, 5, 3), ORIGIN, yaw),
                         area=[[1, 1], [2, 2]])


def test_outside_an_outline_nobody_is(anechoic, posteriors):
    """The presence is that of somebody inside, and the map's cells outside are unknown."""
    method, localizer = posteriors
    outline = np.array([(0, 0), (6, 0), (6, 2.5), (3, 2.5), (3, 5), (0, 5)]) + ORIGIN[:2]
    room = Surroundings.prism(outline, (0.5, 3.5))
    scene = anechoic.signals(), 16000, anechoic.mic_positions + ORIGIN, room
    method.at = 1.5, 3.5
    inside = localizer.locate(*scene)
    assert inside.presence == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(inside.position, ORIGIN[:2] + method.at, atol=0.05)
    assert inside.likelihood_map[~inside.searched].max() == 0
    cells = occupancy(square_map(inside, room.upper - room.lower, 0.25, room.lower[:2]))
    assert (cells[11:, 13:] == -1).all() and (cells[:9] >= 0).all() and (cells[:, :11] >= 0).all()
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert np.hypot((column + 0.5) * 0.25 - 1.5, (row + 0.5) * 0.25 - 3.5) < 0.3
    method.at = 4.5, 4.0
    beyond = localizer.locate(*scene)
    assert beyond.presence < 0.05 and beyond.confidence < 0.05
    assert len(localizer.locate_talkers(*scene)) == 0
    srp = Localizer.load('srp_phat')  # its highest cell is outside
    lower = srp.locate(*scene)
    assert room.contains(lower.position)
    assert lower.likelihood_map[~lower.searched].max() == lower.likelihood_map.min()
    assert lower.confidence < srp.locate(*scene[:3], Surroundings.open(
        room.lower, room.upper)).confidence


def test_microphones_outside_the_search_area(anechoic, posteriors):
    """The room is extended to hold them; the answer is one of the search area."""
    method, localizer = posteriors
    signals = anechoic.signals()
    part = Surroundings.open((3.5, 2, 0), (5, 4, 2))
    estimate = localizer.locate(signals, 16000, anechoic.mic_positions, part)
    mics, dims, search = method.told[-1]
    assert ((mics > -1e-9) & (mics < dims + 1e-9)).all()
    np.testing.assert_allclose(search.upper - search.lower, [1.5, 2, 2])
    assert (estimate.x.min(), estimate.y.max()) == pytest.approx((3.5375, 3.95))
    found = Localizer.load('srp_phat').locate(signals, 16000, anechoic.mic_positions, part)
    assert np.linalg.norm(found.position - anechoic.source_position[:2]) < 0.1
    assert found.x.min() > 3.5 and found.y.max() < 4
    with pytest.raises(ValueError, match='outside the room'):
        localizer.locate(signals, 16000, anechoic.mic_positions, (5, 4, 2))


def test_an_area_of_a_room_elsewhere(anechoic, posteriors):
    """In the caller's frame; what is outside the search area is refused."""
    _, localizer = posteriors
    scene = (anechoic.signals(), 16000, anechoic.mic_positions + ORIGIN,
             Surroundings.box((6, 5, 3), ORIGIN))
    estimate = localizer.locate(*scene, area=[[6, 0], [9, 3]], shape=(5, 6))
    np.testing.assert_allclose(estimate.x, 6.25 + 0.5 * np.arange(6))
    assert estimate.likelihood_map.shape == (5, 6)
    with pytest.raises(ValueError, match='search area from'):
        localizer.locate(*scene, area=[[2, 0], [9, 3]])


def test_a_box_of_an_outline_that_repeats_corners(anechoic):
    """Those of a batch may: it is the same rectangle."""
    method = SrpPhat(SRP_CONFIGS['srp_phat_2d'])
    room = Surroundings.box(anechoic.room_dims, yaw=0.4)
    padded = room.search(room.lower, room.upper, np.concatenate(
        [room.outline, room.outline[-1:], room.outline[-1:]]))
    scene = anechoic.signals(), turn(anechoic.mic_positions, 0.4)
    np.testing.assert_allclose(estimate_in_box(method, (*scene, padded)).position,
                               estimate_in_box(method, (*scene, room)).position)
