"""Device errors: as large as configured, and shared by the microphones of an array."""

from nsrp_ros.simulation.devices.errors import apply_clock_drift
from nsrp_ros.simulation.devices.errors import DeviceConfig
from nsrp_ros.simulation.devices.errors import draw_faults
from nsrp_ros.simulation.devices.errors import draw_gains
from nsrp_ros.simulation.devices.errors import draw_latencies
from nsrp_ros.simulation.devices.errors import draw_responses
from nsrp_ros.simulation.devices.errors import report_geometry
import numpy as np
import pytest
import torch

DEVICES = torch.arange(6).expand(4000, 6)
ARRAYS = DEVICES // 3 * 3
GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def _seed():
    GENERATOR.manual_seed(0)


def uniform(*shape):
    return torch.rand(shape, generator=GENERATOR)


def normal(*shape):
    return torch.randn(shape, generator=GENERATOR)


def test_latencies_spread_as_configured_from_zero():
    latency = draw_latencies(DeviceConfig(latency_std=0.12e-3), DEVICES, uniform, normal)
    assert (latency.amin(dim=1) == 0).all()
    between = latency[:, 0] - latency[:, 1]
    assert between.std() == pytest.approx(0.12e-3 * 2 ** 0.5, rel=0.05)


def test_some_scenes_have_large_latencies():
    config = DeviceConfig(latency_std=1e-6, late_scenes=0.25, late=0.002)
    latest = draw_latencies(config, DEVICES, uniform, normal).amax(dim=1)
    assert (latest > 0.2e-3).float().mean() == pytest.approx(0.25, abs=0.03)
    assert 0.0018 < latest.max() <= 0.002


def test_an_array_shares_its_errors():
    config = DeviceConfig(latency_std=1e-3, gain_db=10.0, tilt_db=2.0)
    for drawn in (draw_latencies(config, ARRAYS, uniform, normal),
                  draw_gains(config, ARRAYS, uniform), draw_responses(config, ARRAYS, uniform)):
        assert torch.equal(drawn[:, 0], drawn[:, 2]) and torch.equal(drawn[:, 3], drawn[:, 5])
        assert not torch.equal(drawn[:, 0], drawn[:, 3])


def test_gains_and_tilts_are_in_decibels():
    config = DeviceConfig(gain_db=10.0, tilt_db=1.5)
    gain_db = 20 * draw_gains(config, DEVICES, uniform).log10()
    assert gain_db.abs().max() == pytest.approx(10, abs=0.05) and abs(gain_db.mean()) < 0.2
    response_db = 20 * draw_responses(config, DEVICES, uniform).log10()
    assert response_db[..., 3].abs().max() < 1e-5  # 1 kHz
    steps = response_db.diff(dim=-1)  # of an octave
    assert steps.abs().max() == pytest.approx(1.5, abs=0.01)
    assert (steps - steps[..., :1]).abs().max() < 1e-4


def test_one_microphone_is_dead_or_attenuated_in_a_share_of_scenes():
    gains = draw_faults(DeviceConfig(faulty=0.4), 4000, 6, uniform)[..., 0]
    faulty = gains < 1
    assert faulty.sum(dim=1).max() == 1
    assert faulty.any(dim=1).float().mean() == pytest.approx(0.4, abs=0.03)
    assert (gains == 0).any(dim=1).float().mean() == pytest.approx(0.2, abs=0.03)
    assert (gains[faulty & (gains > 0)] == pytest.approx(10 ** -1.5, rel=1e-4))


def test_reported_geometry_has_the_configured_errors():
    dims = torch.tensor([6.0, 5.0, 3.0]).expand(4000, 3)
    mics = 0.5 + (dims[:, None] - 1) * uniform(4000, 6, 3)
    reported, reported_dims = report_geometry(
        DeviceConfig(position_error=0.1, room_error=0.02), mics, dims, ARRAYS, uniform, normal)
    error = torch.linalg.vector_norm(reported - mics, dim=-1)
    assert error.square().mean().sqrt() == pytest.approx(0.1, rel=0.05)
    # The microphones of an array share their error.
    torch.testing.assert_close((reported - mics)[:, 0], (reported - mics)[:, 2], atol=1e-5, rtol=0)
    share = reported_dims / dims - 1
    assert share.abs().max() <= 0.0201 and abs(share.mean()) < 1e-3 and share.std() > 0.01


def test_reported_microphones_are_inside_the_reported_room():
    dims = torch.tensor([6.0, 5.0, 3.0]).expand(4000, 3)
    mics = dims[:, None] * uniform(4000, 6, 3).round()
    for room_error in (0.0, 0.1):
        reported, reported_dims = report_geometry(
            DeviceConfig(position_error=0.1, room_error=room_error), mics, dims, DEVICES, uniform,
            normal)
        assert reported.min() >= 0 and (reported <= reported_dims[:, None]).all()
    reported, reported_dims = report_geometry(DeviceConfig(), mics, dims, DEVICES, uniform,
                                              normal)
    assert torch.equal(reported, mics) and torch.equal(reported_dims, dims)


def test_clock_drift_delays_tones_exactly():
    time = torch.arange(8000) / 16000
    tones = [300.0, 1100.0, 3300.0]
    signal = sum(torch.sin(2 * torch.pi * f * time) for f in tones).expand(1, 3, -1)
    ppm = torch.tensor([[0.0, 100.0, -50.0]])
    found = apply_clock_drift(signal, ppm, 16000)[0]
    for channel, rate in zip(found, ppm[0], strict=True):
        # The delay is zero in mid-window.
        true_time = time - rate * 1e-6 * (time - 0.25)
        expected = sum(torch.sin(2 * torch.pi * f * true_time) for f in tones)
        error = (channel - expected)[600:-600]
        assert error.norm() < 0.01 * expected[600:-600].norm()
    np.testing.assert_allclose(found[0], signal[0, 0], atol=1e-4)


def test_invalid_devices_are_refused():
    for wrong in ({'latency_std': -1.0}, {'faulty': 2.0}, {'room_error': 1.0}):
        with pytest.raises(ValueError, match='must'):
            DeviceConfig(**wrong)
