"""Several talkers, those who have stopped, and scenes that know of them."""

from dataclasses import replace

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.surroundings.batch import stack
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.joined_scenes import concatenate
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.polygons import inside
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.several_talkers import draw_levels
from nsrp_ros.simulation.several_talkers import stopped
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.training.augmentation import random_symmetry
import numpy as np
import pytest
import torch

ROOM = RoomConfig(max_order=1)
FREE = RoomConfig(max_order=0, snr_db=80.0)
QUIET = NoiseConfig(sensor_snr_db=(60.0, 60.0), babble=0.0, hum=0.0)


@pytest.fixture(scope='module')
def bank():
    return SpeechBank.synthetic(np.random.default_rng(0), n_talkers=2, seconds=8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(config, bank, n_scenes=24, seed=0):
    return simulate(config, 4, n_scenes, bank, generator(seed))


def test_people_talk_as_often_and_stand_as_far_apart_as_configured(bank):
    talkers = TalkersConfig((0.2, 0.3, 0.3, 0.2), min_apart=1.0)
    config = RealConfig(room=FREE, mounting=MountingConfig(), directivity=DirectivityConfig(),
                        furniture=FurnitureConfig(), noise=NoiseConfig(), talkers=talkers)
    scenes = made(config, bank, 200)
    share = torch.bincount(scenes.n_talking, minlength=4) / 200
    assert torch.allclose(share, torch.tensor(talkers.shares), atol=0.1)
    assert torch.equal(scenes.talking, scenes.n_talking > 0)
    assert torch.equal(scenes.talkers[:, 0], scenes.source_position)
    apart = torch.cdist(scenes.talkers, scenes.talkers) + 9 * torch.eye(3)
    assert scenes.talkers.shape == (200, 3, 3) and apart.min() >= 1.0
    near = torch.cdist(scenes.talkers, scenes.true_mic_positions)
    assert near.min() >= ROOM.min_distance
    walls = torch.minimum(scenes.talkers, scenes.true_room_dims[:, None] - scenes.talkers)
    assert walls.min() >= 0.3 - 1e-6 and scenes.talkers[..., 2].max() <= 2.0


def free_field(mics, places):
    """Return the delays (B, M, K) from people to microphones, samples."""
    return torch.cdist(mics, places) / 343.0 * 16000


def test_every_active_talker_is_heard_from_his_place_at_his_level(bank):
    """In free field, one microphone's signal tells those of the others."""
    config = RealConfig(room=FREE, talkers=TalkersConfig((0.0, 0.0, 1.0), level_db=6.0))
    scenes = made(config, bank)
    assert (scenes.n_talking == 2).all()
    distance = torch.cdist(scenes.mic_positions, scenes.talkers).double()
    spectra = torch.fft.rfft(scenes.signals.double() * torch.hann_window(8000))
    frequency = torch.fft.rfftfreq(8000, 1 / 16000)[500:2000]
    spectra = spectra[..., 500:2000]
    turn = torch.polar(1 / distance[..., None], -2 * np.pi / 343.0 * distance[..., None]
                       * frequency)  # (B, M, K, F)
    mixing = turn.permute(0, 3, 1, 2)
    explained = {}
    for name, some in (('both', mixing), ('first', mixing[..., :1])):
        found = torch.linalg.lstsq(some, spectra.mT[..., None]).solution
        left = spectra.mT[..., None] - some @ found
        explained[name] = 1 - (left.abs().square().sum(dim=(1, 2, 3))
                               / spectra.abs().square().sum(dim=(1, 2)))
    assert explained['both'].median() > 0.95
    assert explained['first'].median() < 0.9


def test_levels_at_the_microphones_differ_by_what_is_drawn(bank):
    one, pair = (made(RealConfig(room=FREE, talkers=TalkersConfig(shares, level_db=0.0)), bank)
                 for shares in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    assert torch.equal(one.talkers, pair.talkers)  # and the first has the same to say
    first, second = (signals.square().mean(dim=(1, 2))
                     for signals in (one.signals, pair.signals - one.signals))
    assert torch.allclose(first, second, rtol=0.01)
    levels = draw_levels(TalkersConfig((0, 0, 0, 1.0)), 2000, Draw(generator()).uniform)
    assert (levels[:, 0] == 0).all() and levels[:, 1].min() < -9 and levels[:, 1].max() > 9
    assert 9 < (levels.amax(dim=1) - levels.amin(dim=1)).max() <= 10


def test_further_talkers_cost_nothing_in_scenes_without_them(bank, monkeypatch):
    from nsrp_ros.simulation import simulator
    rendered = []
    render = simulator.render_microphones
    monkeypatch.setattr(simulator, 'render_microphones', lambda config, rooms, *rest: (
        rendered.append(len(rooms)), render(config, rooms, *rest))[1])
    scenes = made(RealConfig(room=FREE, talkers=TalkersConfig((0.0, 0.5, 0.25, 0.25))), bank)
    assert sum(rendered) == int(scenes.n_talking.sum())


def test_people_are_within_the_outlines_of_rooms(bank):
    config = RealConfig(room=ROOM, mounting=MountingConfig(), polygons=PolygonConfig(l_shaped=1.0),
                        talkers=TalkersConfig((0.0, 0.0, 0.0, 1.0)))
    scenes = made(config, bank)
    assert scenes.outline.shape[0] == 24 and inside(scenes.talkers, scenes.outline, 0.29).all()
    box = torch.cat([0 * scenes.room_dims[:, None, :2], scenes.room_dims[:, None, :2]], dim=1)
    assert torch.equal(torch.stack([scenes.outline.amin(dim=1), scenes.outline.amax(dim=1)], 1),
                       box)


def test_reverberation_rings_on_after_a_talker_stopped(bank):
    room = RoomConfig(min_dims=(8, 8, 3), max_order=8)
    silent = RealConfig(room=room, noise=QUIET, silent=1.0)
    power = {}
    for name, config in (('talking', replace(silent, silent=0.0)), ('silent', silent),
                         ('ringing', replace(silent, ringing=1.0))):
        scenes = made(config, bank, 8)
        assert bool(scenes.talking.any()) == (name == 'talking')
        power[name] = scenes.signals.square().mean(dim=1).unfold(-1, 1600, 1600).mean(
            dim=-1)  # of tenths of a second
    talking, silent = power['talking'].mean(dim=1), power['silent'].mean(dim=1)
    assert torch.allclose(silent / talking, torch.tensor(1e-6), rtol=0.1)
    above = power['ringing'] / silent[:, None]
    assert above[:, 0].median() > 100 and above[:, -1].median() < 20
    assert (power['ringing'][:, 0] / talking).median() < 1


def test_speech_ends_as_long_before_the_window_as_said():
    speech = torch.arange(1, 16001.0).expand(2, -1)
    ended = stopped(speech, torch.tensor([0.0, 0.25]), 8000, 16000)
    assert (ended[0, 8000:] == 0).all() and (ended[1, 4000:] == 0).all()
    assert (ended[0, :7920] == speech[0, 8000:-80]).all()
    assert (ended[1, :3920] == speech[1, 12000:-80]).all() and ended[1, 3999] > 0


def test_nobody_in_the_room_is_noise_where_several_may_talk(bank):
    """The interfering talkers of other scenes would be talkers that are not labelled."""
    noise = replace(QUIET, babble=1.0, babble_snr_db=(0.0, 0.0))
    few = RealConfig(room=FREE, noise=noise, talkers=TalkersConfig((1.0, 0.0)))
    correlated = []
    for scenes in (made(few, bank), made(replace(few, talkers=None), bank)):
        spectra = torch.fft.rfft(scenes.signals)[..., 250:2000]
        matrix = torch.einsum('bmf,bnf->bmn', spectra, spectra.conj()).abs()
        size = matrix.diagonal(dim1=1, dim2=2).sqrt()
        correlated.append((matrix / size[:, :, None] / size[:, None]).mean())
    assert not made(few, bank).talking.any()
    assert correlated[0] < correlated[1]


def test_mixtures_join_all_kinds_of_rooms(bank):
    polygons = RealConfig(room=ROOM, mounting=MountingConfig(), polygons=PolygonConfig(),
                          talkers=TalkersConfig((0.25, 0.25, 0.5)))
    config = MixtureConfig((ROOM, polygons), (0.5, 0.5))
    scenes = made(config, bank)
    assert scenes.talkers.shape == (24, 2, 3) and scenes.outline.shape[0] == 24
    ideal = (scenes.talkers[:, 0] == scenes.talkers[:, 1]).all(dim=1)
    assert int(ideal.sum()) == 12 and (scenes.n_talking[ideal] == 1).all()
    assert inside(scenes.talkers, scenes.outline).all()
    told = simulate(ToldConfig(config, ToldWalls()), 4, 24, bank, generator())
    assert told.surroundings.std.shape[1] == scenes.outline.shape[1] + 2
    assert inside(told.talkers, told.outline).all()
    with pytest.raises(ValueError, match='all scenes must have surroundings'):
        concatenate([scenes, told])


def test_surroundings_of_different_sizes_are_joined_as_they_are_stacked(bank):
    known = [Surroundings.open((-1, -2, 0), (3, 4, 2.5)), Surroundings.box((4, 3, 2.5)),
             Surroundings.prism([(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)], (0, 2.5), 0.1)]

    def tensors(some):
        batch = stack(some)
        arrays = batch.area, batch.planes, batch.std, batch.ends, batch.outline
        return SurroundingsBatch(*(None if value is None else torch.from_numpy(value)
                                   for value in arrays))

    scenes = made(ROOM, bank, 3)
    joined = concatenate([replace(scenes.take([k]), surroundings=tensors([one]))
                          for k, one in enumerate(known)]).surroundings
    wanted = tensors(known)
    for name in ('area', 'planes', 'std', 'ends', 'outline'):
        assert torch.equal(getattr(joined, name), getattr(wanted, name)), name


def test_scenes_take_their_talkers_along():
    numbers = np.arange(4.0)
    place = np.broadcast_to(numbers[:, None, None], (4, 2, 3))
    scenes = Scenes(np.zeros((4, 2, 5)), place, place[:, 0], place[:, 0], talkers=place,
                    n_talking=np.array([0, 1, 2, 1]), outline=place[..., :2],
                    surroundings=stack([Surroundings.box((1 + k, 2, 3)) for k in range(4)]))
    some = scenes.take([2, 1])
    assert some.n_talking.tolist() == [2, 1]
    assert some.talkers[0, 1, 0] == some.outline[0, 0, 0] == 2
    assert some.surroundings.area[:, 1, 0].tolist() == [3, 2]
    assert some.talking_mask.tolist() == [[True, True], [True, False]]
    alone = replace(scenes, talkers=None, n_talking=None, talking=numbers > 1)
    assert alone.all_talkers.shape == (4, 1, 3)
    assert alone.talking_mask[:, 0].tolist() == [False, False, True, True]
    assert replace(alone, talking=None).talking_mask.all()


def test_mirrored_rooms_have_mirrored_talkers_and_outlines(bank):
    config = RealConfig(room=ROOM, mounting=MountingConfig(), polygons=PolygonConfig(),
                        talkers=TalkersConfig((0.0, 0.0, 1.0)))
    scenes = made(config, bank)
    image = random_symmetry(scenes, generator(3))
    assert not torch.equal(image.talkers, scenes.talkers)
    assert torch.equal(image.talkers[:, 0], image.source_position)
    assert inside(image.talkers, image.outline).all()
    x, y = image.outline.unbind(dim=-1)
    area = (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(dim=1)
    assert (area > 0).all()  # still counterclockwise


def test_impossible_talkers_are_refused(bank):
    for wrong in ({'shares': (1.0,)}, {'shares': (0.5, 0.4)}, {'min_apart': -1.0},
                  {'level_db': -1.0}):
        with pytest.raises(ValueError, match='must'):
            TalkersConfig(**wrong)
    with pytest.raises(ValueError, match='do not fit'):
        made(RealConfig(room=ROOM, talkers=TalkersConfig((0.0, 0.5, 0.5), min_apart=30.0)), bank,
             2)
