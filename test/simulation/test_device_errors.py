"""Devices: late, loud, deaf or in another place by as much as is configured, arrays as one."""

from nsrp_ros.simulation.device_errors import DeviceConfig
from nsrp_ros.simulation.device_errors import draw_faults
from nsrp_ros.simulation.device_errors import draw_gains
from nsrp_ros.simulation.device_errors import draw_latencies
from nsrp_ros.simulation.device_errors import draw_responses
from nsrp_ros.simulation.device_errors import drift
from nsrp_ros.simulation.device_errors import tell
import numpy as np
import pytest
import torch

UNITS = torch.arange(6).expand(4000, 6)
ARRAYS = UNITS // 3 * 3
GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def _seed():
    GENERATOR.manual_seed(0)


def uniform(*shape):
    return torch.rand(shape, generator=GENERATOR)


def normal(*shape):
    return torch.randn(shape, generator=GENERATOR)


def test_latencies_spread_as_configured_and_none_is_early():
    latency = draw_latencies(DeviceConfig(latency_std=0.12e-3), UNITS, uniform, normal)
    assert (latency.amin(dim=1) == 0).all()
    between = latency[:, 0] - latency[:, 1]
    assert between.std() == pytest.approx(0.12e-3 * 2 ** 0.5, rel=0.05)


def test_some_scenes_are_far_later():
    config = DeviceConfig(latency_std=1e-6, late_scenes=0.25, late=0.002)
    latest = draw_latencies(config, UNITS, uniform, normal).amax(dim=1)
    assert (latest > 0.2e-3).float().mean() == pytest.approx(0.25, abs=0.03)
    assert 0.0018 < latest.max() <= 0.002


def test_an_array_is_one_device():
    config = DeviceConfig(latency_std=1e-3, gain_db=10.0, tilt_db=2.0)
    for drawn in (draw_latencies(config, ARRAYS, uniform, normal),
                  draw_gains(config, ARRAYS, uniform), draw_responses(config, ARRAYS, uniform)):
        assert torch.equal(drawn[:, 0], drawn[:, 2]) and torch.equal(drawn[:, 3], drawn[:, 5])
        assert not torch.equal(drawn[:, 0], drawn[:, 3])


def test_gains_and_tilts_are_in_decibels():
    config = DeviceConfig(gain_db=10.0, tilt_db=1.5)
    gain_db = 20 * draw_gains(config, UNITS, uniform).log10()
    assert gain_db.abs().max() == pytest.approx(10, abs=0.05) and abs(gain_db.mean()) < 0.2
    response_db = 20 * draw_responses(config, UNITS, uniform).log10()
    assert response_db[..., 3].abs().max() < 1e-5  # 1 kHz
    steps = response_db.diff(dim=-1)  # of an octave
    assert steps.abs().max() == pytest.approx(1.5, abs=0.01)
    assert (steps - steps[..., :1]).abs().max() < 1e-4


def test_at_most_one_microphone_is_faulty():
    left = draw_faults(DeviceConfig(faulty=0.4), 4000, 6, uniform)[..., 0]
    faulty = left < 1
    assert faulty.sum(dim=1).max() == 1
    assert faulty.any(dim=1).float().mean() == pytest.approx(0.4, abs=0.03)
    assert (left == 0).any(dim=1).float().mean() == pytest.approx(0.2, abs=0.03)
    assert (left[faulty & (left > 0)] == pytest.approx(10 ** -1.5, rel=1e-4))


def test_what_is_told_is_off_by_as_much_and_holds_together():
    dims = torch.tensor([6.0, 5.0, 3.0]).expand(4000, 3)
    mics = 0.5 + (dims[:, None] - 1) * uniform(4000, 6, 3)
    told, told_dims = tell(DeviceConfig(position_error=0.1, room_error=0.02), mics, dims, ARRAYS,
                           uniform, normal)
    off = torch.linalg.vector_norm(told - mics, dim=-1)
    assert off.square().mean().sqrt() == pytest.approx(0.1, rel=0.05)
    # An array is moved as a whole.
    torch.testing.assert_close((told - mics)[:, 0], (told - mics)[:, 2], atol=1e-5, rtol=0)
    share = told_dims / dims - 1
    assert share.abs().max() <= 0.0201 and abs(share.mean()) < 1e-3 and share.std() > 0.01


def test_microphones_on_walls_stay_inside_the_room_that_is_told():
    dims = torch.tensor([6.0, 5.0, 3.0]).expand(4000, 3)
    mics = dims[:, None] * uniform(4000, 6, 3).round()
    for room_error in (0.0, 0.1):
        told, told_dims = tell(DeviceConfig(position_error=0.1, room_error=room_error), mics,
                               dims, UNITS, uniform, normal)
        assert told.min() >= 0 and (told <= told_dims[:, None]).all()
    told, told_dims = tell(DeviceConfig(), mics, dims, UNITS, uniform, normal)
    assert torch.equal(told, mics) and torch.equal(told_dims, dims)


def test_a_slow_clock_hears_ever_later():
    time = torch.arange(8000) / 16000
    tones = [300.0, 1100.0, 3300.0]
    signal = sum(torch.sin(2 * torch.pi * f * time) for f in tones).expand(1, 3, -1)
    ppm = torch.tensor([[0.0, 100.0, -50.0]])
    found = drift(signal, ppm, 16000)[0]
    for channel, rate in zip(found, ppm[0], strict=True):
        # The middle of the window is heard on time.
        true_time = time - rate * 1e-6 * (time - 0.25)
        expected = sum(torch.sin(2 * torch.pi * f * true_time) for f in tones)
        error = (channel - expected)[600:-600]
        assert error.norm() < 0.01 * expected[600:-600].norm()
    np.testing.assert_allclose(found[0], signal[0, 0], atol=1e-4)


def test_impossible_devices_are_refused():
    for wrong in ({'latency_std': -1.0}, {'faulty': 2.0}, {'room_error': 1.0}):
        with pytest.raises(ValueError, match='must'):
            DeviceConfig(**wrong)
