"""What found talkers explain: the lags of their direct sound and echoes, and what is left."""

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.explained import explained_lags
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
import numpy as np
import pytest
from support.surroundings_tensors import batch
import torch

PAIRS = torch.from_numpy(microphone_pairs(6))
BOX = Surroundings.box((6.0, 5.0, 3.0))


def features(anechoic, n_lags=288):
    """Make features of the anechoic scene's lags; their values do not matter."""
    mics = torch.as_tensor(anechoic.mic_positions, dtype=torch.float32)[None]
    return LagFeatures(torch.zeros(1, len(PAIRS), n_lags + 1, 1), torch.zeros(0), mics, 16000)


def found(*talkers):
    """Find talkers (x, y, z, std)."""
    of = torch.tensor([talkers], dtype=torch.float32)
    return FoundTalkers(of[..., :3], of[..., 3])


def test_direct_sound_is_marked_for_every_pair(anechoic):
    """By a bump around the lag that the talker's place causes, and nowhere else."""
    talker = anechoic.source_position
    marks = explained_lags(features(anechoic), found((*talker, 0.01)), PAIRS, batch(BOX))
    away = np.linalg.norm(anechoic.mic_positions - talker, axis=1)
    lags = path_difference(away[PAIRS[:, 0]], away[PAIRS[:, 1]]) / 343.0 * 16000
    expected = np.round((lags + 288) / 2)
    direct = marks[0, ..., 0]
    assert np.abs(direct.argmax(dim=1).numpy() - expected).max() <= 1
    assert float(direct.amax(dim=1).min()) > 0.85 and float(marks.max()) <= 1
    assert int((direct > 0.05).sum(dim=1).max()) <= 7


def test_who_is_less_well_known_explains_more_lags(anechoic):
    """As many as the standard deviation spans; the peak stays where it was."""
    talker = anechoic.source_position
    exact, vague = (explained_lags(features(anechoic), found((*talker, std)), PAIRS,
                                   batch(BOX))[0, ..., 0] for std in (0.02, 0.2))
    assert bool((vague.sum(dim=1) > 2 * exact.sum(dim=1)).all())
    assert int((vague.argmax(dim=1) - exact.argmax(dim=1)).abs().max()) <= 1


def test_padding_explains_nothing(anechoic):
    """Scenes in which fewer are found than in others; several talkers add up."""
    one, other = (4.2, 3.1, 1.5, 0.05), (1.0, 2.0, 1.2, 0.1)
    nobody = (0.0, 0.0, 0.0, np.inf)
    marks = [explained_lags(features(anechoic), found(*talkers), PAIRS, batch(BOX))
             for talkers in ((nobody,), (one, nobody), (one,), (other,), (one, other))]
    assert not marks[0].any()
    torch.testing.assert_close(marks[1], marks[2])
    torch.testing.assert_close(marks[4], (marks[2] + marks[3]).clamp(max=1))
    assert found(one, nobody).count.tolist() == [1]


def test_echoes_are_marked_where_walls_are_known(anechoic):
    """At the lags of the images in a wall, by how well it is known; not at all without walls."""
    talker = np.array([1.0, 2.0, 1.2])
    wall = Surroundings.open((0, 0, 0), (6, 5, 3)).with_planes([(1, 0, 0, 0)], [0.0])
    vague = wall.with_planes(wall.planes, [0.05])
    none = wall.with_planes(np.empty((0, 4)))
    marks = [explained_lags(features(anechoic), found((*talker, 0.02)), PAIRS, batch(room))
             for room in (wall, vague, none)]
    for one in marks:
        torch.testing.assert_close(one[..., 0], marks[0][..., 0])
    assert not marks[2][..., 1].any()
    torch.testing.assert_close(marks[1][..., 1], 0.5 * marks[0][..., 1], atol=0.02, rtol=0.02)
    # The first microphone hears the image, the second the talker himself.
    mics = anechoic.mic_positions
    echo = np.linalg.norm(mics * [-1, 1, 1] - talker, axis=1)
    direct = np.linalg.norm(mics - talker, axis=1)
    for first, second in ((0, 1), (2, 4)):
        pair = PAIRS.tolist().index([first, second])
        place = (path_difference(echo[first], direct[second]) / 343.0 * 16000 + 288) / 2
        around = marks[0][0, pair, round(place) - 1:round(place) + 2, 1]
        assert float(around.max()) == pytest.approx(direct[first] / echo[first], abs=0.15)


@torch.inference_mode()
def test_told_of_one_talker_the_network_finds_the_other():
    """Of two who talk at once: little is left at the first, and more at the second."""
    network = load_checkpoint(find_weights('surroundings')).eval()
    scenes = simulate(PRESETS['two_talkers'], 6, 8, find_speech('synthetic')[0],
                      torch.Generator().manual_seed(0))
    features, room = network.encode(scenes.signals, scenes.mic_positions), scenes.surroundings
    shape = 3, 15, 15
    away = torch.linalg.vector_norm(  # (B, K, Z, Y, X)
        (area_points(room.area, shape)[:, None] - scenes.talkers[:, :, None, None, None])[..., :2],
        dim=-1)

    def near(told):
        talkers = None if told is None else FoundTalkers(scenes.talkers[:, [told]],
                                                         torch.full((len(scenes), 1), 0.1))
        log_posterior, presence = network.evaluate_grid(features, room, room.area, shape, talkers)
        return ((away < 0.8) * log_posterior.exp()[:, None]).sum(dim=(2, 3, 4)), presence
    before, somebody = near(None)
    turned = 0
    for told in (0, 1):
        after, more = near(told)
        assert float(after[:, told].mean()) < 0.1 < float(before[:, told].mean())
        assert float(more.mean()) < float(somebody.mean())
        turned += int((after[:, 1 - told] > after[:, told]).sum())
    assert turned >= 10  # of 16
