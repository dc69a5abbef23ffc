"""Small arrays: their shapes and places, a robot's shell around them, and its own noise."""

from dataclasses import replace

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.surroundings.outlines import inside_outline
from nsrp_ros.simulation.devices import ego_noise as ego
from nsrp_ros.simulation.devices.array_shapes import SHAPES
from nsrp_ros.simulation.devices.compact_arrays import ArrayConfig
from nsrp_ros.simulation.devices.compact_arrays import draw_arrays
from nsrp_ros.simulation.devices.placement import draw_devices
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.devices.robot_shell import draw_shell
from nsrp_ros.simulation.devices.room_limits import within_outlines
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.presets import COMPACT_MIX
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
import pytest
import torch

RATE = 16000
L_SHAPE = torch.tensor([(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)])


def only(shape, **options):
    """Return a configuration of exact arrays of one shape, level and far from the talker."""
    shares = tuple(float(name == shape) for name in SHAPES)
    return ArrayConfig(**{'sizes': (), 'shapes': shares, 'tilted': 0.0, 'jitter': 0.0,
                          'near': 0.0, **options})


def draw(config, n_mics, n_rooms=300, min_distance=0.5, outlines=False):
    source = Draw(torch.Generator().manual_seed(0))
    dims = torch.tensor([3.0, 3.0, 2.0]) + torch.tensor([7.0, 7.0, 2.0]) * source.uniform(
        n_rooms, 3)
    outline = L_SHAPE * dims[:, None, :2] if outlines else None
    return dims, outline, *draw_arrays(config, MountingConfig(), min_distance, dims, n_mics,
                                       source.uniform, outline)


def centred(mics):
    return mics - mics.mean(dim=1, keepdim=True)


def test_rings_are_as_asked_for():
    _, _, _, mics, device_ids = draw(only('ring', radii=(0.032, 0.032)), 4)
    radius = torch.linalg.vector_norm(centred(mics), dim=-1)
    torch.testing.assert_close(radius, torch.full_like(radius, 0.032), atol=1e-5, rtol=0)
    assert (device_ids == 0).all() and mics[..., 2].std(dim=1).max() < 1e-5
    heading = torch.atan2(centred(mics)[:, 0, 1], centred(mics)[:, 0, 0])
    assert heading.min() < -2.5 and heading.max() > 2.5
    assert 0.3 <= mics[..., 2].min() < 0.4 and 1.4 < mics[..., 2].max() <= 1.5


def test_shapes_are_what_their_names_say():
    extent = {}
    for shape in SHAPES:
        mics = draw(only(shape, radii=(0.2, 0.2), line_radii=(0.45, 0.45)), 7, 50)[3]
        extent[shape] = torch.linalg.svdvals(centred(mics)) > 1e-3  # dimensions that it spans
        nearest = torch.linalg.vector_norm(centred(mics), dim=-1).amin(dim=1)
        assert (nearest < 1e-3).all() == (shape in ('centred ring', 'line', 'star'))
    dimensions = {shape: set(spans.sum(dim=1).tolist()) for shape, spans in extent.items()}
    assert dimensions == {'ring': {2}, 'centred ring': {2}, 'rectangle': {2}, 'line': {1},
                          'star': {2}, 'sphere': {3}}
    square = draw(only('rectangle', radii=(0.1, 0.1)), 4, 100)[3]
    sides = torch.linalg.vector_norm(square - square.roll(1, dims=1), dim=-1)
    torch.testing.assert_close(sides[:, 0], sides[:, 2])
    assert 0.3 < ((sides[:, 0] - sides[:, 1]).abs() < 1e-4).float().mean() < 0.9
    line = draw(only('line', line_radii=(0.45, 0.45)), 16, 50)[3]
    torch.testing.assert_close((line[:, 15] - line[:, 0]).norm(dim=-1), torch.full((50,), 0.9))
    grid = centred(draw(only('rectangle', radii=(0.3, 0.3)), 16, 50)[3])
    assert torch.linalg.vector_norm(grid, dim=-1).amin(dim=1).max() < 0.15


def test_radii_are_log_uniform_and_shapes_mixed():
    config = ArrayConfig(sizes=(), jitter=0.0, line_radii=(0.01, 0.3))
    mics = draw(config, 4, 2000)[3]
    apart = torch.cdist(mics, mics).amax(dim=(1, 2)) / 2  # a ring's or a line's radius
    assert apart.min() < 0.012 and 0.28 < apart.max() <= 0.301
    assert (apart < 0.055).float().mean() == pytest.approx(0.5, abs=0.05)
    spans = (torch.linalg.svdvals(centred(mics)) > 1e-3).sum(dim=1)
    assert (spans == 1).float().mean() == pytest.approx(config.shapes[3], abs=0.03)
    upright = mics[..., 2].amax(dim=1) - mics[..., 2].amin(dim=1) > 1e-4
    flat_tilted = (upright & (spans < 3)).float().mean() / (spans < 3).float().mean()
    assert flat_tilted == pytest.approx(config.tilted, abs=0.03)
    close = draw(only('ring', radii=(0.01, 0.01), spacing=0.01), 16, 10)[3]
    assert (torch.cdist(close, close) + torch.eye(16)).min() > 0.0099


@pytest.mark.parametrize(('sizes', 'n_mics'), [((4, 4, 4), 12), ((6,), 8), ((16,), 16)])
@pytest.mark.parametrize('outlines', [False, True])
def test_arrays_and_talkers_are_inside_and_apart(sizes, n_mics, outlines):
    config = ArrayConfig(sizes=sizes, near=0.0)
    dims, outline, source, mics, device_ids = draw(config, n_mics, 150, outlines=outlines)
    everything = torch.cat([source[:, None], mics], dim=1)
    assert (everything > 0).all() and (everything < dims[:, None]).all()
    if outlines:
        assert inside_outline(everything[..., :2], outline[:, None]).all()
    assert torch.linalg.vector_norm(mics - source[:, None], dim=-1).min() >= 0.499
    apart = torch.linalg.vector_norm(mics[:, :, None] - mics[:, None], dim=-1)
    other = device_ids[:, None] != device_ids[:, :, None]
    if len(sizes) > 1:
        centres = torch.stack([mics[:, device_ids[0] == k].mean(dim=1) for k in range(3)], dim=1)
        assert (torch.cdist(centres, centres) + 9 * torch.eye(3)).min() > 0.9
    elif n_mics == 8:
        assert device_ids[0].tolist() == [0] * 6 + [1, 2]
        assert apart[other].min() >= 0.199
    assert apart[~other].max() < 0.91


def test_near_talkers_stand_before_long_lines():
    config = only('line', line_radii=(0.45, 0.45), near=1.0)
    _, _, source, mics, _ = draw(config, 16, 200)
    distance = torch.linalg.vector_norm(source - mics.mean(dim=1), dim=-1)
    assert 0.499 <= distance.min() < 0.6 and 0.9 < distance.max() <= 1.001
    assert torch.linalg.vector_norm(mics - source[:, None], dim=-1).min() >= 0.299
    share = draw(replace(config, near=0.3), 16, 600)
    near = torch.linalg.vector_norm(share[2] - share[3].mean(dim=1), dim=-1) < 0.95
    assert near.float().mean() == pytest.approx(0.3, abs=0.06)


def test_arrays_that_are_alike_are_turned_apart():
    config = ArrayConfig(sizes=(4, 4), alike=1.0, jitter=0.0, tilted=0.0)
    mics = draw(config, 8, 50)[3]
    first, second = centred(mics[:, :4]), centred(mics[:, 4:])
    torch.testing.assert_close(torch.cdist(first, first), torch.cdist(second, second),
                               atol=1e-4, rtol=1e-3)
    assert (first - second).abs().amax(dim=(1, 2)).median() > 0.01


def test_devices_stay_inside_polygons():
    uniform = Draw(torch.Generator().manual_seed(0)).uniform
    dims = torch.tensor([4.0, 5.0, 2.5]).expand(100, 3)
    outline = L_SHAPE * dims[:, None, :2]
    source, mics, _ = draw_devices(MountingConfig(clusters=0.3), 0.5, dims, 12, uniform,
                                   within_outlines(outline))
    places = torch.cat([source[:, None], mics], dim=1)[..., :2]
    assert inside_outline(places, outline[:, None]).all()
    assert (mics[..., 0] > 2.2).any() and (mics[..., 1] > 2.7).any()


def test_shells_shadow_from_behind_and_only_short_waves():
    uniform = Draw(torch.Generator().manual_seed(0)).uniform
    ring = draw(only('centred ring', radii=(0.1, 0.1)), 7, 20)[3]
    line = draw(only('line', line_radii=(0.1, 0.1)), 7, 20)[3]
    alone = torch.rand(40, 1, 3, generator=torch.Generator().manual_seed(1))
    mics = torch.cat([torch.cat([ring, line]), alone], dim=1)
    device_ids = torch.tensor([0] * 7 + [1]).expand(40, 8)
    axis, pattern = draw_shell(1.0, mics, device_ids, uniform)
    torch.testing.assert_close(axis.norm(dim=-1), torch.ones(40, 8))
    assert (pattern[:20, 0] == 0).all() and (pattern[:, 7] == 0).all()  # middle, single
    behind_db = -20 * (1 - 2 * pattern[:20, 1:7]).log10()
    assert behind_db[..., :2].abs().max() < 1e-3 and (behind_db.diff(dim=-1) >= 0).all()
    assert 10 <= behind_db[..., -1].min() and behind_db[..., -1].max() <= 15.001
    assert (behind_db[:, 0] == behind_db[:, 5]).all()  # of one body
    outwards = (ring - ring.mean(dim=1, keepdim=True))[:, 1:] / 0.1
    assert (axis[:20, 1:7] * outwards).sum(dim=-1).min() > 0.99
    along = line[:, 6] - line[:, 0]
    assert (axis[20:, :7] * along[:, None]).sum(dim=-1).abs().max() < 1e-4
    assert (axis[20:, :7] - axis[20:, :1]).abs().max() < 1e-5 and (pattern[20:, :7, -1] > 0).all()
    some = draw_shell(0.4, mics.repeat(20, 1, 1), device_ids.repeat(20, 1), uniform)[1]
    assert (some[:, 1, -1] > 0).float().mean() == pytest.approx(0.4, abs=0.06)


def test_ego_noise_is_a_near_point_source(monkeypatch):
    monkeypatch.setattr(ego, '_SOURCES', 1)
    monkeypatch.setattr(ego, '_DISTANCES', (0.1, 0.1))
    draws = Draw(torch.Generator().manual_seed(0))
    ring = torch.tensor([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, -0.05, 0]])
    mics = torch.cat([ring, torch.tensor([[0.0, 0.0, 3.43]])]) + torch.tensor([2.0, 2.0, 1.0])
    device_ids = torch.tensor([[0, 0, 0, 0, 1]]).expand(8, 5)
    noise = ego.ego_noise(mics.expand(8, 5, 3), device_ids, 8000, draws.uniform, draws.normal,
                          RATE)
    assert noise.shape == (8, 5, 8000) and noise.isfinite().all()
    level = noise.square().mean(dim=-1).sqrt()
    # 0.1 m from the centre means 0.05 to 0.15 m from the ring, and 3.3 to 3.5 m from the other.
    assert (level[:, :4].amax(dim=1) / level[:, 4]).min() > 20
    spread = level[:, :4].amax(dim=1) / level[:, :4].amin(dim=1)
    assert 1.05 < spread.median() < 3.1
    # The far microphone hears the same sound later.
    spectra = torch.fft.rfft(noise, 2 ** 15)
    lag = torch.fft.irfft(spectra[:, 4] * spectra[:, 0].conj() / (
        spectra[:, 4] * spectra[:, 0].conj()).abs().clamp(min=1e-9))
    delay = lag.argmax(dim=-1) / RATE * SPEED_OF_SOUND
    assert ((delay > 3.1) & (delay < 3.5)).sum() >= 7


def test_robots_are_heard_with_their_own_noise():
    draws = Draw(torch.Generator().manual_seed(0))
    mics = torch.rand(60, 4, 3, generator=draws.generator) * 0.1
    noise = ego.ego_noise(mics, torch.zeros(60, 4, dtype=torch.long), 8000, draws.uniform,
                          draws.normal, RATE)
    power = torch.fft.rfft(noise[:, 0] * torch.hann_window(8000)).abs().square()[:, 40:2500]
    peak = power.amax(dim=1) / power.mean(dim=1)
    assert peak.min() < 100 and peak.max() > 300  # from turbulence to a whine
    with pytest.raises(ValueError, match='ego must be shares'):
        NoiseConfig(ego=1.5)
    with pytest.raises(ValueError, match='rise'):
        NoiseConfig(ego_snr_db=(5.0, 0.0))


@pytest.mark.parametrize('name', ['ring', 'robot'])
def test_presets_make_scenes_of_arrays(name):
    bank = SpeechBank.synthetic(np.random.default_rng(0), n_talkers=1, seconds=8)
    preset = replace(PRESETS[name], room=replace(PRESETS[name].room, max_order=1))
    scenes = simulate(preset, 4, 6, bank, torch.Generator().manual_seed(0))
    assert scenes.signals.isfinite().all() and scenes.signals.shape == (6, 4, 8000)
    mics = centred(scenes.true_mic_positions)
    reach = torch.linalg.vector_norm(mics, dim=-1).amax(dim=1)
    assert reach.max() < 0.46
    if name == 'ring':
        torch.testing.assert_close(reach, torch.full_like(reach, 0.032), atol=1e-5, rtol=0)
    without = replace(preset, arrays=replace(preset.arrays, shell=0.0))
    quiet = simulate(without, 4, 6, bank, torch.Generator().manual_seed(0))
    assert torch.equal(quiet.signals, scenes.signals) == (name == 'ring')


def test_mix_of_arrays_is_valid():
    assert sum(share for _, _, share in COMPACT_MIX) == pytest.approx(1)
    for sizes, n_mics, share in COMPACT_MIX:
        device_ids = draw(ArrayConfig(sizes=sizes), n_mics, 20)[4]
        counts = torch.bincount(device_ids[0]).tolist()
        assert counts == [*sizes, *[1] * (n_mics - sum(sizes))] and share > 0


def test_impossible_arrays_are_refused():
    for wrong in ({'sizes': (1,)}, {'shapes': (1.0,)}, {'radii': (0.2, 0.1)}, {'near': 2.0},
                  {'apart': -1.0}, {'shapes': (0.0,) * 6}):
        with pytest.raises(ValueError, match='must'):
            ArrayConfig(**wrong)
    with pytest.raises(ValueError, match='need more than 3'):
        draw(ArrayConfig(), 3, 2)
    with pytest.raises(ValueError, match='do not fit'):
        draw(ArrayConfig(sizes=(2, 2), apart=30.0), 4, 1)
