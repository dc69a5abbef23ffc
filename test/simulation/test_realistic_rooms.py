"""Realistic rooms as a whole: each effect alone, none, all together, and mixtures."""

from dataclasses import fields
from dataclasses import replace

from nsrp_ros.core.surroundings.outlines import inside_outline
from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.devices.compact_arrays import ArrayConfig
from nsrp_ros.simulation.devices.errors import DeviceConfig
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.presets import REAL
from nsrp_ros.simulation.realistic_rooms import draw_acoustics
from nsrp_ros.simulation.realistic_rooms import draw_real_rooms
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.simulation.talker_motion import MotionConfig
import numpy as np
import pytest
import torch

ROOM = RoomConfig(max_order=3)
PARTS = {
    'walls': WallConfig(), 'mounting': MountingConfig(clusters=0.5),
    'directivity': DirectivityConfig(directional_mics=0.5), 'furniture': FurnitureConfig(),
    'tail': TailConfig(), 'air': True,
    'devices': DeviceConfig(latency_std=1e-4, late_scenes=0.5, drift_ppm=50, gain_db=10,
                            tilt_db=1, faulty=0.5, position_error=0.1, room_error=0.1),
    'noise': NoiseConfig(babble=0.8, hum=0.5, ego=0.5), 'motion': MotionConfig(share=0.5),
    'polygons': PolygonConfig(), 'arrays': ArrayConfig(sizes=(3,)), 'talkers': TalkersConfig()}


@pytest.fixture(scope='module')
def bank():
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=8)


def made(config, bank, n_scenes=6, seed=0, **options):
    return simulate(config, 4, n_scenes, bank, torch.Generator().manual_seed(seed), **options)


def same(first, second):
    """Return whether the signals and the reported geometry of scenes are bit-equal."""
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in (
        'signals', 'mic_positions', 'source_position', 'room_dims'))


@pytest.mark.parametrize('preset', ['hard', 'easy', 'anechoic_sim'])
def test_without_effects_scenes_equal_ideal_rooms_to_the_bit(bank, preset):
    room = replace(PRESETS[preset], max_order=min(PRESETS[preset].max_order, 5))
    real = made(RealConfig(room=room), bank)
    assert same(real, made(room, bank))
    assert torch.equal(real.true_mic_positions, real.mic_positions)


def test_every_effect_is_tested():
    names = {field.name for field in fields(RealConfig)}
    assert set(PARTS) | {'room', 'silent', 'ringing'} == names


@pytest.mark.parametrize('part', PARTS)
def test_each_effect_alone_changes_the_signals(bank, part):
    scenes = made(RealConfig(room=ROOM, **{part: PARTS[part]}), bank)
    assert scenes.signals.shape == (6, 4, 8000) and scenes.signals.isfinite().all()
    assert not torch.equal(scenes.signals, made(ROOM, bank).signals)


def test_all_effects_together_are_reproducible(bank):
    config = RealConfig(room=ROOM, **PARTS)
    first = made(config, bank, 12)
    assert same(first, made(config, bank, 12)) and not same(first, made(config, bank, 12, 1))
    assert first.signals.isfinite().all() and first.signals.dtype == torch.float32
    assert (first.signals.abs().amax(dim=-1) > 0).all()


def test_small_memory_limit_is_enough(bank):
    scenes = made(RealConfig(room=ROOM, **PARTS), bank, max_bytes=1)
    assert len(scenes) == 6 and scenes.signals.isfinite().all()


def test_scenes_hold_reported_and_true_geometry(bank):
    config = RealConfig(room=ROOM, devices=DeviceConfig(position_error=0.1, room_error=0.1))
    scenes, exact = made(config, bank, 50), made(ROOM, bank, 50)
    assert torch.equal(scenes.source_position, exact.source_position)
    assert torch.equal(scenes.true_mic_positions, exact.mic_positions)
    assert torch.equal(scenes.true_room_dims, exact.room_dims)
    error = torch.linalg.vector_norm(scenes.mic_positions - scenes.true_mic_positions, dim=-1)
    assert error.square().mean().sqrt() == pytest.approx(0.1, abs=0.02)
    assert ((scenes.room_dims / scenes.true_room_dims) - 1).abs().max() > 0.05
    # The signals come from the true positions: only the reported geometry differs.
    torch.testing.assert_close(scenes.signals, exact.signals)


def test_dead_microphone_has_only_its_own_noise(bank):
    noise = NoiseConfig(sensor_snr_db=(60.0, 60.0), babble=0.0, hum=0.0)
    config = RealConfig(room=ROOM, noise=noise, devices=DeviceConfig(faulty=1.0))
    level_db = 20 * made(config, bank, 20).signals.square().mean(dim=-1).sqrt().log10()
    below = level_db.amax(dim=1) - level_db.amin(dim=1)
    dead = below > 40
    assert 0.2 < dead.float().mean() < 0.8 and (below > 15).all()


def test_mixtures_hold_their_shares_in_random_order(bank):
    loud = replace(ROOM, max_order=0, min_dims=(3.0, 3.0, 2.0), max_dims=(4.0, 4.0, 2.5))
    wide = RealConfig(room=replace(ROOM, max_order=0, min_dims=(8.0, 8.0, 3.0),
                                   max_dims=(9.0, 9.0, 3.5)), devices=PARTS['devices'])
    mixture = MixtureConfig((loud, wide), (0.25, 0.75))
    scenes = made(mixture, bank, 40)
    small = scenes.true_room_dims[:, 0] < 5
    assert small.sum() == 10 and small[:20].any() and small[20:].any()  # and shuffled
    assert torch.equal(scenes.room_dims[small], scenes.true_room_dims[small])
    # A fraction of a scene is drawn at random.
    counts = [int((made(mixture, bank, 2, seed).true_room_dims[:, 0] < 5).sum())
              for seed in range(40)]
    assert set(counts) == {0, 1} and 0.25 < np.mean(counts) < 0.75


def test_presets_make_valid_scenes(bank):
    for preset in ('real', 'mixed'):
        scenes = made(PRESETS[preset], bank, 5)
        assert scenes.signals.shape == (5, 4, 8000) and scenes.signals.isfinite().all()
        assert (scenes.mic_positions <= scenes.room_dims[:, None]).all()
        apart = torch.cdist(scenes.true_mic_positions, scenes.source_position[:, None])
        assert apart.min() >= 0.499
    assert REAL.max_order == 10


def test_invalid_mixtures_are_refused():
    for parts, shares in (((), ()), ((ROOM,), (0.5,)), ((ROOM, ROOM), (1.0,)),
                          ((ROOM, ROOM), (1.5, -0.5))):
        with pytest.raises(ValueError, match='share'):
            MixtureConfig(parts, shares)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU here')
def test_gpu_simulates_realistic_rooms(bank):
    scenes = simulate(PRESETS['mixed'], 6, 16, bank, torch.Generator('cuda').manual_seed(0),
                      'cuda')
    assert scenes.signals.is_cuda and scenes.signals.isfinite().all()


def test_scenes_without_talker_hold_noise_alone(bank):
    """Without an active talker the noise of the same scene is left."""
    noise = NoiseConfig(sensor_snr_db=(20.0, 20.0), babble=0.0, hum=0.0)
    loud = made(RealConfig(room=ROOM, noise=noise), bank, 12)
    assert loud.talking.all()
    some = made(RealConfig(room=ROOM, noise=noise, silent=0.5), bank, 40)
    power = some.signals.square().mean(dim=(1, 2))
    assert 8 < int(some.talking.sum()) < 32
    assert power[~some.talking].max() < 0.1 * power[some.talking].median()
    with pytest.raises(ValueError, match='silent scenes need noise'):
        RealConfig(silent=0.1)


def test_inverted_polarity_changes_the_sign_alone(bank):
    """The signals of inverted microphones are those of the others, negated."""
    normal = made(RealConfig(room=ROOM, devices=DeviceConfig(gain_db=1e-9)), bank).signals
    inverted = made(RealConfig(room=ROOM, devices=DeviceConfig(gain_db=1e-9, inverted=0.5)),
                    bank).signals
    similarity = torch.nn.functional.cosine_similarity(normal, inverted, dim=-1)
    assert (similarity.abs() > 0.99).all()  # except for other noise
    assert 4 < int((similarity < 0).sum()) < 20


@pytest.mark.parametrize('parts', [
    {}, {'mounting': MountingConfig()}, {'arrays': ArrayConfig(), 'walls': WallConfig()}])
def test_everything_is_inside_polygons(parts):
    """Talkers and microphones are inside, and each edge is like one of the box's walls."""
    config = RealConfig(room=RoomConfig(), polygons=PolygonConfig(), **parts)
    rooms, device_ids = draw_real_rooms(config, 6, 200, torch.Generator().manual_seed(0))
    places = torch.cat([rooms.source_position[:, None], rooms.mic_positions], dim=1)
    assert inside_outline(places[..., :2], rooms.outline[:, None]).all()
    assert (places[..., 2] > 0).all() and (places[..., 2] < rooms.dims[:, None, 2]).all()
    assert rooms.wall_absorption.shape == (200, rooms.outline.shape[1], 6)
    assert device_ids[0].tolist() == ([0, 0, 0, 0, 1, 2] if 'arrays' in parts else [*range(6)])
    away = torch.linalg.vector_norm(places[:, :1] - places[:, 1:], dim=-1)
    assert away.min() >= (0.29 if 'arrays' in parts else 0.5)
    box = rooms.absorption[:, :2].flatten(1, 2)
    gaps = (rooms.wall_absorption[:, :, None] - box[:, None]).abs().amax(dim=-1)
    assert (gaps.amin(dim=-1) == 0).all()


def test_shells_and_directional_microphones_go_together():
    """A microphone has its shell's pattern or, without one, its own."""
    config = RealConfig(arrays=ArrayConfig(shell=0.5),
                        directivity=DirectivityConfig(directional_mics=1.0))
    rooms, device_ids = draw_real_rooms(config, 4, 100, torch.Generator().manual_seed(0))
    pattern = draw_acoustics(config, rooms, device_ids,
                             torch.Generator().manual_seed(0)).mic_pattern
    shadowed = pattern[..., 0] == 0  # at 125 Hz; cardioids are alike in all bands
    assert 0.3 < shadowed.float().mean() < 0.7 and (pattern[..., -1] > 0.2).float().mean() > 0.95
    whole = replace(config, arrays=ArrayConfig(shell=0.0))
    assert (draw_acoustics(whole, rooms, device_ids, torch.Generator().manual_seed(0))
            .mic_pattern > 0).all()
