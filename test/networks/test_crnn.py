"""The paper's network: its shapes, its sum over pairs, its causality."""

from dataclasses import replace

from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.localization.neural_srp import NeuralSrp
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.networks.crnn import likelihood_maps
import numpy as np
import pytest
import torch

SMALL = CrnnConfig(conv_channels=8, gru_units=8, mlp_units=32)


def network(config=SMALL, seed=0):
    """Make a network with reproducible random weights."""
    torch.manual_seed(seed)
    return Crnn(config).eval()


def scenes(n_scenes=2, n_mics=4, n_samples=8000, seed=0):
    """Draw random signals, positions and rooms."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n_scenes, n_mics, n_samples, generator=generator),
            5 * torch.rand(n_scenes, n_mics, 3, generator=generator),
            torch.tensor([[6.0, 5.0, 3.0]]).expand(n_scenes, 3))


def test_the_paper_has_about_a_million_parameters():
    """The text's network and the code's both do; the code's counts exactly 995,406."""
    def count(config):
        return sum(p.numel() for p in Crnn(config).parameters())
    assert 0.9e6 < count(CrnnConfig()) < 1.1e6
    code = CrnnConfig(kernel_time=2, frequency_pooling='max', centred=True)
    assert count(code) == 995406


def test_the_batch_of_pairs_is_the_sum_of_single_pairs():
    """One forward pass over all pairs gives the sum of eq. 7 over pairs."""
    model = network()
    signals, mics, rooms = scenes()
    with torch.inference_mode():
        together = likelihood_maps(model, signals, mics, rooms)
        apart = torch.zeros_like(together)
        for i in range(4):
            for j in range(i + 1, 4):
                pair = [i, j]
                apart += likelihood_maps(model, signals[:, pair], mics[:, pair], rooms) / 6
    assert together.shape == (2, 25, 25)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_scenes_of_a_batch_are_independent():
    """A scene's map is the same alone as among others."""
    model = network()
    signals, mics, rooms = scenes(n_scenes=3)
    with torch.inference_mode():
        together = likelihood_maps(model, signals, mics, rooms)
        alone = likelihood_maps(model, signals[1:2], mics[1:2], rooms[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_gains_do_not_matter():
    """Phases are independent of level, so gains need no calibration (paper, section I)."""
    model = network()
    signals, mics, rooms = scenes()
    gains = torch.tensor([0.01, 1.0, 5.0, 0.3])[:, None]
    with torch.inference_mode():
        torch.testing.assert_close(
            likelihood_maps(model, signals * gains, mics, rooms),
            likelihood_maps(model, signals, mics, rooms), rtol=1e-3, atol=1e-4)


def states_and_phases(model, signals):
    """Return the recurrent network's states of every frame, and the frames' phases."""
    phases = model.phases(signals)
    return model.gru(model.convolutions(phases).mean(dim=3).transpose(1, 2))[0], phases


def test_the_text_is_causal_and_centred_frames_are_not():
    """Samples after a frame's end do not change it, unless frames are centred."""
    one = scenes(n_scenes=1, n_mics=2)[0]
    other = one.clone()
    other[..., 6144:] = 0  # frames of 1024 every 512: the eleventh ends here
    with torch.inference_mode():
        text = network()
        for before, after in zip(states_and_phases(text, one), states_and_phases(text, other)):
            torch.testing.assert_close(before[..., :11, :], after[..., :11, :])
            assert not torch.allclose(before[..., 11, :], after[..., 11, :], atol=1e-6)
        code = network(replace(SMALL, centred=True))
        before, after = code.phases(one), code.phases(other)
        # The thirteenth centred frame has its time at this sample, and extends past it.
        assert not torch.allclose(before[..., 12, :], after[..., 12, :], atol=0.1)


def test_a_network_for_four_channels_refuses_others():
    """CRNN4 outputs one map for exactly four channels."""
    localizer = NeuralSrp(network(replace(SMALL, n_channels=4)))
    rng = np.random.default_rng(0)
    likelihood_map, x, y = localizer.likelihood(
        rng.standard_normal((4, 8000)), rng.uniform(0, 3, (4, 3)), np.array([6.0, 5.0, 3.0]))
    assert likelihood_map.shape == (25, 25) and x[-1] == pytest.approx(5.88)
    assert y[-1] == pytest.approx(4.9)
    with pytest.raises(ValueError, match='exactly 4 microphones, got 3'):
        localizer.likelihood(rng.standard_normal((3, 8000)), np.zeros((3, 3)), np.ones(3))


def test_a_window_shorter_than_a_frame_is_refused():
    """A window without a whole frame has no phases."""
    with pytest.raises(ValueError, match='at least 1024 samples'):
        NeuralSrp(network()).likelihood(np.zeros((2, 900)), np.zeros((2, 3)), np.ones(3))
