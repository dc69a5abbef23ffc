"""Data sets: resumable, independent of the order of generation, frozen by a checksum."""

from dataclasses import replace
import json

from nsrp_ros.datasets.generate import main
from nsrp_ros.datasets.generate import make
from nsrp_ros.datasets.storage import DatasetError
from nsrp_ros.datasets.storage import load
from nsrp_ros.datasets.storage import MOST_CORNERS
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.polygons import inside
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
import numpy as np
import pytest
import torch


def make_small(folder, split='test', count=5, preset='anechoic_sim', **options):
    return make(preset, 6, split, folder, count, speech='synthetic', **options)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_small(tmp_path_factory.mktemp('sets'))


def checksum(folder):
    return json.loads((folder / 'manifest.json').read_text())['sha256']


def test_set_loads_as_generated(folder):
    scenes = load(folder, verify=True)
    assert len(scenes) == 5 and scenes.signals.shape == (5, 6, 8000)
    assert scenes.mic_positions.dtype == np.float64
    signals = scenes.signals[:]
    assert signals.dtype == np.float32 and np.abs(signals).max(axis=(1, 2)).min() > 1e-3
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['preset'] == 'anechoic_sim' and 'synthetic' in manifest['speech']


def test_stored_signals_index_like_an_array(folder):
    stored = load(folder).signals
    signals = np.asarray(stored)
    rows, columns = np.array([[3], [1]]), np.array([[0, 5], [2, 2]])
    for key in (2, -1, slice(1, 4), [4, 0], (1, 2), (slice(None), slice(4)), (0, [1, 3]),
                (rows, columns), np.array([True, False, True, False, True])):
        np.testing.assert_array_equal(stored[key], signals[key])
    assert len(stored) == 5 and stored.ndim == 3


def test_first_four_microphones_are_the_smaller_variant(folder):
    four, six = load(folder, n_mics=4), load(folder)
    np.testing.assert_array_equal(four.signals[:], six.signals[:, :4])
    np.testing.assert_array_equal(four.mic_positions, six.mic_positions[:, :4])
    with pytest.raises(DatasetError, match='6 microphones'):
        load(folder, n_mics=8)


def test_interrupted_set_resumes_to_the_same_result(folder, tmp_path):
    copy = make_small(tmp_path)
    done = np.load(copy / 'done.npy', mmap_mode='r+')
    done[[1, 3]] = False
    np.load(copy / 'signals.npy', mmap_mode='r+')[[1, 3]] = 0
    manifest = json.loads((copy / 'manifest.json').read_text())
    del manifest['sha256']
    (copy / 'manifest.json').write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match='incomplete'):
        load(copy)
    make_small(tmp_path)
    assert checksum(copy) == checksum(folder)


def test_smaller_set_is_the_beginning_of_a_larger_one(folder, tmp_path):
    few = load(make_small(tmp_path, count=2))
    np.testing.assert_array_equal(few.signals[:], load(folder).signals[:2])


def test_parallel_processes_generate_the_same_set(folder, tmp_path):
    assert checksum(make_small(tmp_path, jobs=2)) == checksum(folder)


def test_damage_is_detected(tmp_path):
    path = make_small(tmp_path, count=1)
    np.load(path / 'signals.npy', mmap_mode='r+')[0, 0, 0] ^= 1
    with pytest.raises(DatasetError, match='checksum'):
        load(path, verify=True)
    (path / 'scale.npy').unlink()
    with pytest.raises(DatasetError, match='cannot read'):
        load(path)


def test_set_with_other_settings_is_not_overwritten(tmp_path):
    make_small(tmp_path, count=1)
    with pytest.raises(DatasetError, match='seed'):
        make_small(tmp_path, count=1, seed=1)


def test_splits_share_no_source_position(tmp_path):
    positions = [load(make_small(tmp_path, split, 3, simulator='torch')).source_position
                 for split in ('train', 'val', 'test')]
    every = np.concatenate(positions)
    assert len(np.unique(every, axis=0)) == len(every)


def test_both_simulators_render_the_same_rooms(folder, tmp_path):
    ours, theirs = load(make_small(tmp_path, simulator='torch')), load(folder)
    np.testing.assert_array_equal(ours.mic_positions, theirs.mic_positions)
    difference = np.linalg.norm(ours.signals[:] - theirs.signals[:])
    assert difference < 0.06 * np.linalg.norm(theirs.signals[:])


def test_rooms_too_small_for_their_devices_are_skipped(tmp_path):
    """Sixteen microphones at one height do not fit into every room, but into some."""
    made = make('easy', 16, 'test', tmp_path, 2, speech='synthetic', simulator='torch')
    scenes = load(made)
    for mics, source in zip(scenes.mic_positions, scenes.source_position, strict=True):
        devices = np.vstack([mics, source])
        apart = np.linalg.norm(devices[:, None] - devices, axis=-1)
        assert apart[np.triu_indices(17, 1)].min() >= 0.5


def test_command_line_generates_sets(tmp_path, capsys):
    main(['easy', '--mics', '2', '--split', 'train', 'val', '--count', '1', '--out', str(tmp_path),
          '--speech', 'synthetic', '--simulator', 'torch'])
    assert capsys.readouterr().out.count('sha256') == 2
    for split in ('train', 'val'):
        assert len(load(tmp_path / f'easy-2-{split}', verify=True)) == 1


SEVERAL = RealConfig(room=RoomConfig(max_order=1), mounting=MountingConfig(),
                     polygons=PolygonConfig(), talkers=TalkersConfig((0.4, 0.3, 0.3)))


def test_sets_hold_talkers_outlines_and_what_is_told(tmp_path, monkeypatch):
    """Also of mixtures, in which some scenes have less than others."""
    rooms = MixtureConfig((SEVERAL, RoomConfig(max_order=1)), (0.6, 0.4))
    told = ToldConfig(rooms, ToldWalls((0.3, 0.3, 0.0, 0.2, 0.2)))
    monkeypatch.setitem(PRESETS, 'told', told)
    path = make_small(tmp_path, count=24, preset='told', simulator='torch')
    scenes = load(path, verify=True)
    assert scenes.talkers.shape == (24, 2, 3) and set(scenes.n_talking) == {0, 1, 2}
    np.testing.assert_array_equal(scenes.talking, scenes.n_talking > 0)
    np.testing.assert_array_equal(scenes.talkers[:, 0], scenes.source_position)
    assert 4 < scenes.outline.shape[1] < MOST_CORNERS
    assert inside(*(torch.from_numpy(np.array(x)) for x in (
        scenes.talkers, scenes.outline))).all()
    surroundings = scenes.surroundings
    np.testing.assert_allclose(surroundings.area[:, 1] - surroundings.area[:, 0],
                               scenes.room_dims, rtol=1e-5)
    assert surroundings.planes.shape == (24, scenes.outline.shape[1] + 2, 4)
    assert np.isfinite(surroundings.std).any() and np.isinf(surroundings.std).any()
    every = [surroundings.one(k) for k in range(24)]
    assert all(one.contains(place) for one, place in zip(every, scenes.source_position))

    stored = np.load(path / 'told_std.npy', mmap_mode='r+')
    stored[0, 0] = 0.5
    with pytest.raises(DatasetError, match='checksum'):
        load(path, verify=True)


def test_sets_of_boxes_have_no_outlines_and_resume(tmp_path, monkeypatch):
    """What only pads is not loaded."""
    rooms = replace(SEVERAL, polygons=None)
    monkeypatch.setitem(PRESETS, 'pair', rooms)
    monkeypatch.setitem(PRESETS, 'told', ToldConfig(RoomConfig(max_order=1), ToldWalls(
        (0.0, 0.0, 0.0, 0.0, 1.0), outlined=0.0, floor_known=0.0)))
    pair = make_small(tmp_path, count=3, preset='pair', simulator='torch')
    scenes = load(pair, n_mics=4)
    assert scenes.outline is None and scenes.surroundings is None
    assert scenes.talkers.shape == (3, 2, 3) and scenes.signals.shape[1] == 4
    before = checksum(pair)
    np.load(pair / 'done.npy', mmap_mode='r+')[1] = False
    np.load(pair / 'talkers.npy', mmap_mode='r+')[1] = 0
    assert checksum(make_small(tmp_path, count=3, preset='pair', simulator='torch')) == before
    told = load(make_small(tmp_path, count=2, preset='told', simulator='torch'))
    assert told.talkers is None and told.surroundings.outline is None
    assert told.surroundings.planes.shape == (2, 0, 4)
    assert len(told.surroundings.one(1).planes) == 0
