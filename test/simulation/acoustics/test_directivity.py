"""Directivity: the cardioid family, its power in a diffuse field, and its distributions."""

import math

from nsrp_ros.simulation.acoustics.directivity import diffuse_power
from nsrp_ros.simulation.acoustics.directivity import directional_gain
from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.directivity import draw_microphones
from nsrp_ros.simulation.acoustics.directivity import draw_talkers
from nsrp_ros.simulation.acoustics.directivity import MIN_GAIN
import pytest
import torch

GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def _seed():
    GENERATOR.manual_seed(0)


def uniform(*shape):
    return torch.rand(shape, generator=GENERATOR)


def normal(*shape):
    return torch.randn(shape, generator=GENERATOR)


def test_gains_ahead_aside_and_behind():
    ahead, aside, behind = torch.tensor(1.0), torch.tensor(0.0), torch.tensor(-1.0)
    for a in (0.0, 0.25, 0.5):
        assert directional_gain(torch.tensor(a), ahead) == 1
        assert directional_gain(torch.tensor(a), aside) == pytest.approx(1 - a)
        assert directional_gain(torch.tensor(a), behind) == pytest.approx(max(1 - 2 * a, MIN_GAIN))


@pytest.mark.parametrize('a', [0.0, 0.2, 0.4])
def test_diffuse_power_is_the_mean_over_the_sphere(a):
    cosine = torch.linspace(-1, 1, 20001)  # uniform over all directions
    mean = directional_gain(torch.tensor(a), cosine).square().mean()
    assert diffuse_power(a) == pytest.approx(float(mean), rel=0.01)


def test_talkers_are_omnidirectional_at_125_hz_and_directional_at_4_khz():
    axis, a = draw_talkers(DirectivityConfig(), 1000, uniform, normal)
    assert torch.allclose(torch.linalg.vector_norm(axis, dim=1), torch.tensor(1.0), atol=1e-5)
    assert (a[:, 0] == 0).all() and (a.diff(dim=1) > 0).all()
    assert a[:, -1].min() >= 0.15 and 0.5 < a[:, -1].max() <= 0.55
    # Elevations are small, azimuths uniform.
    assert axis[:, 2].abs().median() < math.sin(math.radians(15))
    assert axis[:, :2].mean(dim=0).abs().max() < 0.08


def test_a_share_of_devices_is_directional_and_arrays_share_an_orientation():
    device_ids = torch.arange(6)[None].expand(2000, 6) // 3 * 3
    axis, a = draw_microphones(DirectivityConfig(directional_mics=0.3), device_ids, uniform,
                               normal)
    assert (a[..., 0] > 0).float().mean() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(axis[:, 0], axis[:, 2]) and not torch.equal(axis[:, 0], axis[:, 3])
    assert axis.mean(dim=(0, 1)).abs().max() < 0.05  # random orientation


def test_invalid_patterns_are_refused():
    for wrong in ({'talker': (0.5, 0.2)}, {'directional_mics': 2.0}, {'microphone': (0.3, 0.9)}):
        with pytest.raises(ValueError, match='must'):
            DirectivityConfig(**wrong)
