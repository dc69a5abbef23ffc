"""Motion: delays follow a walk, and match the true position in mid-window."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.talker_motion import draw_velocities
from nsrp_ros.simulation.talker_motion import MotionConfig
from nsrp_ros.simulation.talker_motion import render_moving
import numpy as np
import pytest
import torch

FREE = RoomConfig(max_order=0)


def rooms():
    """Return two talkers between two microphones on the x axis, in free field."""
    mics = torch.tensor([[1.0, 2.5, 1.5], [5.0, 2.5, 1.5]])
    return Rooms(torch.tensor([[6.0, 5.0, 3.0]] * 2), mics.expand(2, 2, 3),
                 torch.tensor([[3.0, 2.5, 1.5]] * 2), torch.ones(2, 3, 2, 6))


def rendered(velocity, generator):
    speech = torch.randn(2, 9600, generator=torch.Generator().manual_seed(1))
    acoustics = Acoustics(image_jitter=torch.zeros(2), gain_jitter=torch.zeros(2))
    return speech, render_moving(torch.tensor(velocity), FREE, rooms(), speech, 16000, 2 ** 28,
                                 acoustics, generator)


def lag(signals):
    """Return the delay in seconds of the first of two signals (2, T)."""
    spectra = torch.fft.rfft(signals, 16 * signals.shape[-1] // 8)
    correlation = np.fft.irfft((spectra[0] * spectra[1].conj()).numpy(), 8 * len(spectra[0]) * 2)
    peak = int(correlation.argmax())
    peak -= len(correlation) if peak > len(correlation) // 2 else 0
    return peak / len(correlation) * (16 * signals.shape[-1] // 8) / 16000


def test_standing_talker_is_rendered_without_motion():
    generator = torch.Generator().manual_seed(0)
    speech, signals = rendered([[0.0, 0.0, 0.0]] * 2, generator)
    assert torch.allclose(signals, render_microphones(FREE, rooms(), speech, 16000), atol=1e-4)


def test_delays_follow_a_walk_and_match_the_truth_in_mid_window():
    generator = torch.Generator().manual_seed(0)
    _, signals = rendered([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], generator)
    quarter = signals.shape[-1] // 8
    begin, end = signals[0, :, :quarter], signals[0, :, -quarter:]
    # From 2.75 to 3.25 m: the path to the microphone at x = 1 grows by 2 * 0.5 m relative to the
    # other's; the first and the last eighth lie inside the cross-fade.
    change = (lag(end) - lag(begin)) * SPEED_OF_SOUND
    assert 0.7 < change <= 1.05
    assert lag(signals[0, :, 3 * quarter:5 * quarter]) == pytest.approx(0.0, abs=2e-5)
    assert lag(signals[1]) == pytest.approx(0.0, abs=1e-5)


def test_talkers_stop_at_walls():
    generator = torch.Generator().manual_seed(0)
    _, signals = rendered([[90.0, 0.0, 0.0], [0.0, 0.0, 0.0]], generator)
    assert signals.isfinite().all()


def test_a_share_of_talkers_walks_at_the_configured_speeds():
    generator = torch.Generator().manual_seed(0)
    velocity = draw_velocities(MotionConfig(share=0.4, speed=(0.5, 1.0)), 4000,
                               lambda *shape: torch.rand(shape, generator=generator))
    speed = torch.linalg.vector_norm(velocity, dim=1)
    walking = speed > 0
    assert walking.float().mean() == pytest.approx(0.4, abs=0.03)
    assert 0.5 <= speed[walking].min() and speed.max() <= 1.0001
    assert (velocity[:, 2] == 0).all()


def test_invalid_walks_are_refused():
    with pytest.raises(ValueError, match='must'):
        MotionConfig(speed=(2.0, 1.0))
