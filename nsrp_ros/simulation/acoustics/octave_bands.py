"""
The octave bands in which walls, air, talkers and microphones are described.

The zero-phase filters overlap in raised cosines and add up to one, as those of pyroomacoustics do
(J. Antoni, "Orthogonal-like fractional-octave-band filters", 2010).
"""

import math

import torch

BANDS = (125, 250, 500, 1000, 2000, 4000)
"""Centres of the octave bands in hertz."""


def octave_filters(frequency: torch.Tensor) -> torch.Tensor:
    """
    Return the octave filters at some frequencies.

    Parameters
    ----------
    frequency : torch.Tensor
        Shape (F,), float64, hertz.

    Returns
    -------
    torch.Tensor
        Shape (K, F), float64, between 0 and 1; the bands of a frequency add up to 1.

    """
    # A band takes over from the one below between that one's centre and 0.91 of its own.
    centres = torch.tensor(BANDS[1:], dtype=torch.float64, device=frequency.device)[:, None]
    x = (frequency / centres - 0.5 ** 0.5) / (0.5 * (2 ** 0.5 - 1))
    rise = 0.5 * (1 + torch.sin(math.pi / 2 * x.clamp(-1, 1)))  # (K - 1, F)
    ends = torch.ones_like(frequency)[None]
    return torch.cat([ends, rise]) - torch.cat([rise, 0 * ends])
