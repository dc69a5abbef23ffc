"""The classical method finds what geometry says."""

from nsrp_ros.core.config import SrpConfig
from nsrp_ros.localization.methods.srp import SRP_CONFIGS
from nsrp_ros.localization.srp_phat import SrpPhat
import numpy as np
import pytest


def locate(config, scene, signals=None, mic_positions=None):
    """Return the position of the map's peak, and the map."""
    mics = scene.mic_positions if mic_positions is None else mic_positions
    signals = scene.signals() if signals is None else signals
    likelihood_map, x, y = SrpPhat(config).likelihood(signals, mics, scene.room_dims)
    row, column = np.unravel_index(likelihood_map.argmax(), likelihood_map.shape)
    return np.array([x[column], y[row]]), likelihood_map


def test_the_peak_lands_within_a_cell(anechoic):
    """In free air the peak is in the source's cell or beside it, whatever the source's height."""
    config = SRP_CONFIGS['srp_phat']
    position, _ = locate(config, anechoic)
    cell = anechoic.room_dims[:2] / [config.nx, config.ny]
    assert np.all(np.abs(position - anechoic.source_position[:2]) <= cell)


@pytest.mark.parametrize('nx, ny', [(25, 25), (60, 50), (31, 17)])
def test_any_grid(anechoic, nx, ny):
    """The map has the shape that was asked for, y first."""
    position, likelihood_map = locate(SrpConfig(nx=nx, ny=ny), anechoic)
    assert likelihood_map.shape == (ny, nx)
    assert np.linalg.norm(position - anechoic.source_position[:2]) < 0.5


def test_a_flat_world_needs_flat_heights(anechoic):
    """Heights that are ignored spoil the estimate; put everything at one height and it is fine."""
    scene = anechoic
    wrong = np.linalg.norm(locate(SRP_CONFIGS['srp_phat_2d'], scene)[0]
                           - scene.source_position[:2])
    scene.mic_positions = scene.mic_positions * [1, 1, 0] + [0, 0, 1]
    scene.source_position = scene.source_position * [1, 1, 0] + [0, 0, 1]
    right = np.linalg.norm(locate(SRP_CONFIGS['srp_phat_2d'], scene)[0]
                           - scene.source_position[:2])
    assert right < 0.3 and right < wrong


def test_the_order_of_microphones_does_not_matter(anechoic):
    """A map is a sum over pairs: shuffling the microphones leaves it."""
    signals = anechoic.signals()
    order = np.random.default_rng(3).permutation(6)
    config = SrpConfig(nx=30, ny=25, nz=4)
    _, one = locate(config, anechoic, signals)
    _, other = locate(config, anechoic, signals[order], anechoic.mic_positions[order])
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_mirrored_rooms_have_mirrored_maps(anechoic):
    """Reflect the microphones at the room's middle and the map is reflected too."""
    signals = anechoic.signals()
    mirrored = anechoic.mic_positions * [-1, 1, 1] + [anechoic.room_dims[0], 0, 0]
    config = SrpConfig(nx=30, ny=25, nz=4)
    _, one = locate(config, anechoic, signals)
    _, other = locate(config, anechoic, signals, mirrored)
    np.testing.assert_allclose(one, other[:, ::-1], atol=2e-4)


def test_the_soft_maximum_over_heights_lies_between_mean_and_maximum(anechoic):
    """It tends to the maximum as the sharpness grows, and never exceeds it."""
    maps = {sharpness: locate(SrpConfig(nx=20, ny=20, sharpness=sharpness), anechoic)[1]
            for sharpness in (0, 10, 1000)}
    assert np.all(maps[10] <= maps[1000] + 1e-6) and np.all(maps[1000] <= maps[0] + 1e-6)
    np.testing.assert_allclose(maps[1000], maps[0], atol=0.01)
