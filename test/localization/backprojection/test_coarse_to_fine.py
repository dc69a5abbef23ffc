"""Many windows at once: the same estimates as one by one, for any mixture in a batch."""

from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.torch_batches import Backprojector
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.checkpoint import load_checkpoint
import numpy as np
import pytest


@pytest.fixture(scope='module')
def localizer():
    """Load the network without approximations, as on a GPU."""
    return Localizer(Backprojector(load_checkpoint(find_weights('backprojection')),
                                   approximations=None))


def windows(anechoic):
    """Return one scene with six, five, four and no channels that have a signal."""
    every = []
    for silent in ((), (1,), (0, 5), range(6)):
        signals = anechoic.signals().copy()
        signals[list(silent)] = 0
        every.append((signals, anechoic.sample_rate, anechoic.mic_positions, anechoic.room_dims))
    # Another room with as many microphones: the same batch as the first.
    every.append((anechoic.signals(), anechoic.sample_rate, anechoic.mic_positions,
                  anechoic.room_dims + [1.0, 2.0, 0.5]))
    return every


def test_together_as_one_by_one(localizer, anechoic):
    """Windows of a batch do not affect each other, and estimates are in their order."""
    scenes = windows(anechoic)
    together = localizer.locate_all(scenes)
    assert len(together) == len(scenes)
    for scene, estimate in zip(scenes, together, strict=True):
        alone = localizer.locate(*scene)
        np.testing.assert_allclose(estimate.position, alone.position, atol=0.01)
        np.testing.assert_allclose(estimate.likelihood_map, alone.likelihood_map, atol=0.02)
        assert estimate.confidence == pytest.approx(alone.confidence, abs=0.02)
        assert estimate.presence == pytest.approx(alone.presence, abs=0.01)
        assert estimate.height == pytest.approx(alone.height, abs=0.02)
    assert together[3].presence == 0 and together[3].confidence == 0


@pytest.mark.parametrize('method', ('backprojection', 'srp_phat'))
def test_methods_without_batches_locate_one_by_one(method, anechoic):
    """With approximations one window is located after the other, as by SRP-PHAT."""
    localizer, scenes = Localizer.load(method), windows(anechoic)[:2]
    for scene, estimate in zip(scenes, localizer.locate_all(scenes), strict=True):
        np.testing.assert_allclose(estimate.position, localizer.locate(*scene).position,
                                   atol=1e-6)


def test_an_invalid_scene_is_reported(localizer, anechoic):
    """One window that cannot be localized stops the batch with its reason."""
    signals, *rest = windows(anechoic)[0]
    signals[2, 5] = np.nan
    with pytest.raises(ValueError, match='NaN'):
        localizer.locate_all([(signals, *rest)])
