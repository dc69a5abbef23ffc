"""Pairs, grids and the sign of a TDOA."""

from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.core.validation import check_scene
import numpy as np
import pytest
from pytransform3d.rotations import active_matrix_from_angle


def test_every_pair_stands_once():
    """Four microphones make six unordered pairs, i before j."""
    pairs = microphone_pairs(4).tolist()
    assert pairs == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    with pytest.raises(ValueError, match='at least 2'):
        microphone_pairs(1)


def test_tdoa_is_positive_where_the_first_microphone_hears_later():
    """A source beside microphone j reaches i one distance later; swapping turns the sign."""
    mics = [[0, 0, 0], [3.43, 0, 0]]
    source = [3.43, 0, 0]
    assert tdoa(source, mics, [[0, 1]])[0] == pytest.approx(3.43 / SPEED_OF_SOUND)
    assert tdoa(source, mics, [[1, 0]])[0] == pytest.approx(-3.43 / SPEED_OF_SOUND)


def test_tdoa_does_not_change_when_everything_turns():
    """Delays depend on distances alone, so a rotation of the world leaves them."""
    rng = np.random.default_rng(1)
    mics, points = rng.uniform(0, 5, (5, 3)), rng.uniform(0, 5, (7, 3))
    turn = active_matrix_from_angle(2, 0.8)
    pairs = microphone_pairs(5)
    np.testing.assert_allclose(
        tdoa(points @ turn.T, mics @ turn.T, pairs), tdoa(points, mics, pairs), atol=1e-12)
    assert tdoa(points, mics, pairs).shape == (10, 7)


def test_cells_tile_the_room():
    """Centres lie half a cell from the walls and one cell apart; arrays go z, y, x."""
    np.testing.assert_allclose(cell_centres(5.0, 5), [0.5, 1.5, 2.5, 3.5, 4.5])
    grid = Grid.over_room((6, 5, 3), 12, 5, 2)
    assert grid.shape == (2, 5, 12)
    assert grid.points().shape == (2, 5, 12, 3)
    np.testing.assert_allclose(grid.points()[1, 4, 0], [0.25, 4.5, 2.25])


@pytest.mark.parametrize('change, sentence', [
    ({'signals': np.zeros(8)}, 'shape'),
    ({'signals': np.zeros((1, 8))}, 'at least 2'),
    ({'signals': np.zeros((3, 8))}, '3 channels need'),
    ({'signals': np.full((2, 8), np.nan)}, 'NaN'),
    ({'mic_positions': [[1, 1, np.inf], [2, 2, 1]]}, 'NaN or infinity'),
    ({'mic_positions': [[1, 1, 1], [9, 2, 1]]}, r'microphone 1 at \(9.00, 2.00, 1.00\)'),
    ({'mic_positions': [[1, 1, 1], [1, 1, 1]]}, 'same place'),
    ({'room_dims': [5, 0, 3]}, 'positive lengths'),
    ({'room_dims': [5, 5]}, 'positive lengths'),
    ({'sample_rate': 0}, 'hertz'),
])
def test_a_scene_that_cannot_be_is_refused(change, sentence):
    """Each fault has a sentence of its own."""
    scene = {'signals': np.zeros((2, 8)), 'sample_rate': 16000,
             'mic_positions': [[1, 1, 1], [2, 2, 1]], 'room_dims': [5, 5, 3]}
    check_scene(**scene)
    with pytest.raises(ValueError, match=sentence):
        check_scene(**(scene | change))
