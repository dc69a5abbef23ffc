"""Walls: drawn absorption has the wanted reverberation times."""

from nsrp_ros.simulation.acoustics.wall_absorption import draw_walls
from nsrp_ros.simulation.acoustics.wall_absorption import eyring_rt60
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
import pytest
import torch


def rooms_and_walls(config, n_rooms=2000):
    generator = torch.Generator().manual_seed(0)
    rooms = draw_rooms(RoomConfig(min_distance=0.0), 1, n_rooms, generator)
    walls = draw_walls(config, rooms.dims, rooms.absorption,
                       lambda *shape: torch.rand(shape, generator=generator))
    return rooms, walls


def test_eyring_matches_the_closed_form_of_a_cube():
    # 0.161 V / (-S ln(1 - a)) of a cube of 4 m: 0.161 * 4 / 6 / ln 2.
    found = eyring_rt60(torch.full((1, 3), 4.0), torch.full((1, 3, 2, 6), 0.5))
    assert found == pytest.approx(0.161 * 4 / 6 / 0.6931, rel=0.01)


def test_air_shortens_reverberation_of_large_reflective_rooms():
    dims, absorption = torch.full((1, 3), 10.0), torch.full((1, 3, 2, 6), 0.02)
    air = torch.full((6,), 3.4e-3)  # of 4 kHz
    assert 1.5 * eyring_rt60(dims, absorption, air)[0, 0] < eyring_rt60(dims, absorption)[0, 0]


def test_ordinary_rooms_have_the_wanted_reverberation_time():
    rooms, walls = rooms_and_walls(WallConfig(share=1.0, rt60=(0.4, 0.4), band_spread=1.0))
    assert torch.allclose(eyring_rt60(rooms.dims, walls), torch.tensor(0.4), rtol=0.02)
    assert ((walls > 0) & (walls < 1)).all()
    assert (walls.flatten(1, 2).std(dim=1) > 0).all()  # but the walls differ


def test_reverberation_times_span_the_range_and_stay_inside():
    rooms, walls = rooms_and_walls(WallConfig())
    rt60 = eyring_rt60(rooms.dims, walls)
    assert rt60.max() < 1.51 and rt60.min() < 0.12
    assert (rt60 < 0.3).float().mean() > 0.2 and (rt60 > 0.8).float().mean() > 0.2


def test_a_share_of_rooms_keeps_its_walls():
    rooms, walls = rooms_and_walls(WallConfig(share=0.3, rt60=(0.1, 100.0)))
    kept = (walls == rooms.absorption).flatten(1).all(dim=1)
    assert kept.float().mean() == pytest.approx(0.7, abs=0.04)


def test_invalid_walls_are_refused():
    for wrong in ({'share': 1.5}, {'rt60': (0.0, 1.0)}, {'rt60': (1.0, 0.5)},
                  {'band_spread': 0.5}):
        with pytest.raises(ValueError, match='must'):
            WallConfig(**wrong)
