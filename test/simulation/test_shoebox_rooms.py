"""Shoebox rooms: positions of devices and wall absorption follow their distributions."""

from dataclasses import replace
import math

from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_MICS
from nsrp_ros.simulation.shoebox_rooms import LIBRI_ADHOC_TEST_SOURCES
from nsrp_ros.simulation.shoebox_rooms import PRESETS
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
import numpy as np
import pytest
import torch


def draw(config, n_mics=6, n_rooms=400, seed=0):
    return draw_rooms(config, n_mics, n_rooms, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_devices_are_inside_the_room_and_apart(preset):
    config = PRESETS[preset]
    rooms = draw(config)
    assert rooms.mic_positions.shape == (400, 6, 3) and rooms.absorption.shape == (400, 3, 2, 6)
    assert (rooms.dims >= torch.tensor(config.min_dims)).all()
    assert (rooms.dims <= torch.tensor(config.max_dims)).all()
    devices = torch.cat([rooms.source_position[:, None], rooms.mic_positions], dim=1)
    assert (devices > config.margin).all()
    assert (devices < rooms.dims[:, None] - config.margin).all()
    assert all(torch.pdist(scene).min() >= config.min_distance for scene in devices)
    assert ((rooms.absorption >= 0) & (rooms.absorption <= 1)).all()


def test_hard_devices_are_anywhere_and_easy_ones_at_one_height():
    hard, easy = draw(PRESETS['hard']), draw(PRESETS['easy'])
    share = hard.mic_positions / hard.dims[:, None]
    assert share.amin() < 0.01 and share.amax() > 0.99
    assert torch.allclose(share.mean(dim=(0, 1)), torch.tensor(0.5), atol=0.02)
    assert (easy.mic_positions[..., 2] == 1).all() and (easy.source_position[:, 2] == 1).all()


def test_room_sizes_are_uniform():
    dims = draw(PRESETS['hard'], n_rooms=4000).dims
    assert torch.allclose(dims.mean(dim=0), torch.tensor([6.5, 6.5, 3.0]), atol=0.1)
    assert torch.allclose(dims.std(dim=0), torch.tensor([7, 7, 2]) / math.sqrt(12), atol=0.05)


def test_floor_walls_and_ceiling_are_each_reflective_or_absorbing():
    walls = draw(PRESETS['hard'], n_rooms=4000).absorption
    reflective = (walls == walls[..., :1]).all(dim=-1)  # (B, 3, 2): one value in all bands
    assert walls[reflective].max() <= 0.12
    # The four walls are of one kind; floor and ceiling are independent.
    assert (reflective[:, :2].flatten(1) == reflective[:, 0, :1]).all()
    kinds = torch.stack([reflective[:, 0, 0], reflective[:, 2, 0], reflective[:, 2, 1]],
                        dim=1).float()
    assert torch.allclose(kinds.mean(dim=0), torch.tensor(0.5), atol=0.03)
    assert torch.corrcoef(kinds.T).triu(1).abs().max() < 0.05
    absorbing_ceilings = walls[~reflective[:, 2, 1], 2, 1]
    assert absorbing_ceilings[:, 2].min() >= 0.4 and absorbing_ceilings[:, 0].max() <= 0.12


def test_longer_reverberation_needs_less_absorption():
    short, long = (draw(replace(PRESETS['libri_adhoc'], rt60=(t, t)), n_rooms=50).absorption
                   for t in (0.4, 0.8))
    assert (long < short).all()
    # By Eyring's formula half the time takes twice the attenuation per reflection.
    np.testing.assert_allclose(torch.log(1 - short.mean(dim=(0, 1, 2))),
                               2 * torch.log(1 - long.mean(dim=(0, 1, 2))), rtol=0.05)


def test_libri_adhoc_uses_its_sites_and_avoids_the_test_positions():
    rooms = draw(PRESETS['libri_adhoc'], n_rooms=200)
    sites = torch.tensor(LIBRI_ADHOC_MICS)
    assert torch.cdist(rooms.mic_positions.flatten(0, 1), sites).amin(dim=1).max() < 1e-3
    test_sources = torch.tensor(LIBRI_ADHOC_TEST_SOURCES)
    assert torch.cdist(rooms.source_position, test_sources).min() >= 0.499


def test_seed_decides_the_room():
    first, again, other = draw(PRESETS['hard'], seed=3), draw(PRESETS['hard'], seed=3), draw(
        PRESETS['hard'], seed=4)
    assert torch.equal(first.mic_positions, again.mic_positions)
    assert torch.equal(first.absorption, again.absorption)
    assert not torch.equal(first.dims, other.dims)


def test_invalid_rooms_are_refused():
    with pytest.raises(ValueError, match='do not fit'):
        draw(RoomConfig(min_distance=20.0), n_rooms=2)
    for wrong in ({'margin': 1.0}, {'heights': (3.0, 2.0)}, {'max_order': -1},
                  {'min_dims': (3.0, 3.0, 5.0)}, {'rt60': (0.9, 0.8)}):
        with pytest.raises(ValueError, match='must'):
            RoomConfig(**wrong)
