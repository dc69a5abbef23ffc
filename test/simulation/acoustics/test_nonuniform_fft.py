"""Non-uniform FFT: spectra of impulses against the sum that defines them."""

import math

from nsrp_ros.simulation.acoustics.nonuniform_fft import kernel_spectrum
from nsrp_ros.simulation.acoustics.nonuniform_fft import OVERSAMPLING
from nsrp_ros.simulation.acoustics.nonuniform_fft import spread
import torch

N_GRID = 1024


def test_spectra_match_the_direct_sum():
    generator = torch.Generator().manual_seed(0)
    amplitudes = torch.rand(2, 3, 50, generator=generator)
    positions = (N_GRID - 4) * torch.rand(2, 50, generator=generator)
    positions[0, :3] = torch.tensor([0.0, 17.0, N_GRID - 4.0])  # on the grid, and at its ends
    bins = torch.arange(N_GRID // OVERSAMPLING + 1)
    spectra = torch.fft.rfft(spread(amplitudes, positions, N_GRID))[..., bins]
    spectra = spectra / kernel_spectrum(bins.double() / N_GRID)

    cycles = positions[..., None].double() * bins / N_GRID  # (2, 50, F)
    exact = amplitudes.to(torch.complex128) @ torch.exp(-2j * math.pi * cycles)
    error = (spectra - exact).abs()
    assert error.norm() < 2e-3 * exact.norm()
    assert error.max() < 1e-2 * exact.abs().square().mean().sqrt()


def test_spreading_is_linear():
    one, two = torch.tensor([[[1.0]]]), torch.tensor([[[1.0, -3.0]]])
    position = torch.tensor([[100.3]])
    apart = spread(one, position, 256)
    together = spread(two, position.expand(1, 2), 256)
    assert torch.allclose(together, -2 * apart, atol=1e-6)
