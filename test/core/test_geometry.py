"""Pairs, grids and the sign of a TDOA."""

from nsrp_ros.core.gcc_phat import gcc_phat
from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.core.geometry import cross_spectrum
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.geometry import tdoa
from nsrp_ros.core.validation import check_scene
import numpy as np
import pytest
from pytransform3d.rotations import active_matrix_from_angle


RATE = 16000


def test_every_pair_is_listed_once():
    """Four microphones make six unordered pairs, i before j."""
    pairs = microphone_pairs(4).tolist()
    assert pairs == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    with pytest.raises(ValueError, match='at least 2'):
        microphone_pairs(1)


def test_tdoa_is_positive_where_the_first_microphone_receives_later():
    """A source beside microphone j reaches i one distance later; swapping negates the delay."""
    mics = [[0, 0, 0], [3.43, 0, 0]]
    source = [3.43, 0, 0]
    assert tdoa(source, mics, [[0, 1]])[0] == pytest.approx(3.43 / SPEED_OF_SOUND)
    assert tdoa(source, mics, [[1, 0]])[0] == pytest.approx(-3.43 / SPEED_OF_SOUND)


def test_swapping_the_microphones_of_a_pair_negates_path_difference_and_tdoa():
    """Exactly, for any points and microphones."""
    rng = np.random.default_rng(2)
    mics, points = rng.uniform(0, 5, (5, 3)), rng.uniform(0, 5, (7, 3))
    pairs = microphone_pairs(5)
    swapped = pairs[:, ::-1]
    np.testing.assert_array_equal(tdoa(points, mics, swapped), -tdoa(points, mics, pairs))
    first, second = (np.linalg.norm(points - mics[k], axis=1) for k in (0, 3))
    np.testing.assert_array_equal(path_difference(second, first), -path_difference(first, second))
    assert path_difference(3.0, 1.0) == 2.0  # positive: the first microphone is farther away


@pytest.mark.parametrize('first, second', [(3, 40), (200, 0), (17, 17)])
def test_the_cross_spectrum_peaks_at_the_lag_of_the_path_difference(first, second):
    """Two impulses of different delays, in samples: one impulse at the difference of these."""
    spectra = np.fft.rfft(np.eye(512)[[first, second]])
    correlation = np.fft.irfft(cross_spectrum(*spectra))
    impulse = np.zeros(512)
    impulse[path_difference(first, second)] = 1  # a negative lag counts from the end
    np.testing.assert_allclose(correlation, impulse, atol=1e-12)


def test_gcc_phat_peaks_at_the_tdoa():
    """Noise that arrives as late as geometry says: every peak is within a sample of its TDOA."""
    rng = np.random.default_rng(3)
    mics, source = rng.uniform(0, 4, (4, 3)), rng.uniform(0, 4, 3)
    noise = rng.standard_normal(9000)
    late = np.round(np.linalg.norm(mics - source, axis=1) / SPEED_OF_SOUND * RATE).astype(int)
    signals = np.stack([noise[500 - n:8500 - n] for n in late])
    pairs = microphone_pairs(4)
    expected = tdoa(source, mics, pairs) * RATE
    for both, delays in ((pairs, expected), (pairs[:, ::-1], -expected)):
        correlation = gcc_phat(signals, both)
        n_lags = correlation.shape[1]
        peaks = (correlation.argmax(axis=1) + n_lags // 2) % n_lags - n_lags // 2
        assert np.abs(peaks - delays).max() <= 1.0  # two arrivals rounded to whole samples
        assert np.abs(delays).max() > 20


@pytest.mark.parametrize('step', [1, 0.25, 2])
def test_lags_of_a_path_difference_are_its_delay_in_samples(step):
    """Metres to lags by one factor, and by way of seconds: the same number."""
    mics, source = np.array([[0.5, 0.3, 1.0], [4.0, 3.5, 1.2]]), np.array([3.1, 0.7, 1.6])
    difference = path_difference(*np.linalg.norm(mics - source, axis=1))
    lags = lags_per_metre(RATE, step) * difference
    assert lags == pytest.approx(tdoa(source, mics, [[0, 1]])[0] * RATE / step, rel=1e-12)


def test_tdoa_does_not_change_under_rotation():
    """Delays depend on distances alone."""
    rng = np.random.default_rng(1)
    mics, points = rng.uniform(0, 5, (5, 3)), rng.uniform(0, 5, (7, 3))
    rotation = active_matrix_from_angle(2, 0.8)
    pairs = microphone_pairs(5)
    np.testing.assert_allclose(
        tdoa(points @ rotation.T, mics @ rotation.T, pairs), tdoa(points, mics, pairs), atol=1e-12)
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
def test_an_invalid_scene_is_refused(change, sentence):
    """Each fault has its own message."""
    scene = {'signals': np.zeros((2, 8)), 'sample_rate': 16000,
             'mic_positions': [[1, 1, 1], [2, 2, 1]], 'room_dims': [5, 5, 3]}
    check_scene(**scene)
    with pytest.raises(ValueError, match=sentence):
        check_scene(**(scene | change))
