"""
Spectra of impulses at arbitrary times: a non-uniform Fourier transform of type 1.

    A. Barnett, J. Magland, L. af Klinteberg, "A parallel nonuniform fast Fourier transform
    library based on an exponential of semicircle kernel", 2019.

Every impulse is spread by a short kernel over a few points of a regular grid, the grid is
transformed, and the kernel's own spectrum is divided out. With four points per impulse, and
frequencies up to a quarter of the grid's rate, the error is about 1e-3, most of it at the top.
"""

import math

import torch

_TAPS = 4
_SHAPE = 2.30 * _TAPS  # of the kernel exp(shape (sqrt(1 - z^2) - 1)), -1 < z < 1

OVERSAMPLING = 4
"""Least ratio of a grid's rate to the highest wanted frequency."""


def spread(amplitudes: torch.Tensor, positions: torch.Tensor, n_grid: int) -> torch.Tensor:
    """
    Spread impulses over grids.

    Parameters
    ----------
    amplitudes : torch.Tensor
        Shape (..., K, I): the same impulses in K bands.
    positions : torch.Tensor
        Shape (..., I), in grid points, from 0 to G - 4.
    n_grid : int
        Points G of a grid.

    Returns
    -------
    torch.Tensor
        Shape (..., K, G).

    """
    grids = amplitudes.new_zeros(*amplitudes.shape[:-1], n_grid)
    # The kernel is delayed by half its width, so that no point falls before the grid's start.
    first = positions.ceil()
    z = (first - positions) * (2 / _TAPS) - 1  # argument of the kernel at the first point
    first = first.to(torch.int64)[..., None, :].expand_as(amplitudes)
    for tap in range(_TAPS):
        weight = torch.exp(_SHAPE * ((1 - (z + tap * 2 / _TAPS) ** 2).clamp(min=0).sqrt() - 1))
        grids[..., tap:].scatter_add_(-1, first, amplitudes * weight[..., None, :])
    return grids


def kernel_spectrum(cycles_per_point: torch.Tensor) -> torch.Tensor:
    """
    Compute the Fourier transform of the kernel, by which `spread` multiplies every spectrum.

    Parameters
    ----------
    cycles_per_point : torch.Tensor
        Shape (F,), float64: frequency over the grid's rate, up to 1 / OVERSAMPLING.

    Returns
    -------
    torch.Tensor
        Shape (F,), complex128.

    """
    n = 500  # midpoints; the kernel all but vanishes at its ends
    z = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 / n) - 1
    kernel = torch.exp(_SHAPE * ((1 - z ** 2).sqrt() - 1)).to(torch.complex128)
    at = (z + 1) * (_TAPS / 2)  # points after the impulse
    return torch.exp(-2j * math.pi * cycles_per_point[:, None] * at) @ kernel * (_TAPS / n)
