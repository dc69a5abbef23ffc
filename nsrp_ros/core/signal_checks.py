"""
Channels that are copies of one another: one microphone, wired or configured as several.

Their lag is zero wherever anybody stands, so that pairs of them vote, unanimously, for places at
equal distances. Which of the positions is that microphone's, nobody can tell.

Shapes: M channels, T samples.
"""

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""Share of a channel's energy by which a copy may differ: rounding of 32-bit numbers, and more."""
QUANTIZATION = 1 / 12 / 32768 ** 2
"""Mean square of the rounding to 16 bits."""
LARGEST = 1e-4
"""Share of a channel's energy that is never taken for rounding, however quiet the channel."""


def copied_channels(signals: NDArray[np.floating]) -> list[list[int]]:
    """
    Find channels that are equal up to an offset and a gain, inverted ones included.

    Differences of neighbouring samples are compared: they hold no offset and little hum, in which
    microphones that are close together are nearly alike.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), full scale being 1.

    Returns
    -------
    list of list of int
        Groups of two or more channels that are copies of one another, rising; silent channels are
        in none.

    Examples
    --------
    >>> left, right = np.random.default_rng(0).standard_normal((2, 100))
    >>> copied_channels(np.stack([left, right, -0.5 * left]))
    [[0, 2]]

    """
    steps = np.diff(np.asarray(signals, dtype=np.float64), axis=-1)
    products = steps @ steps.T  # (M, M)
    energy = products.diagonal()
    sounding = energy > 0
    # What is left of channel j (columns) when the best multiple of channel i (rows) is removed.
    gain = products / np.where(sounding, energy, 1)[:, None]
    left = energy - gain * products
    # Both channels are rounded, a difference of two samples twice; twice that is allowed.
    rounding = 4 * QUANTIZATION * steps.shape[-1] * (1 + gain ** 2)
    alike = left <= np.maximum(ROUNDING * energy, np.minimum(LARGEST * energy, rounding))
    alike &= sounding & sounding[:, None]
    groups = []
    grouped: set[int] = set()
    for i, row in enumerate(alike | alike.T):
        group = [int(j) for j in np.flatnonzero(row) if j not in grouped]
        if i not in grouped and len(group) > 1:
            groups.append(group)
            grouped.update(group)
    return groups


def check_distinct(signals: NDArray[np.floating]) -> None:
    """
    Refuse channels that are copies of one another.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), full scale being 1.

    Raises
    ------
    ValueError
        Naming them.

    """
    groups = copied_channels(signals)
    if groups:
        names = ' and '.join(f'{", ".join(map(str, group[:-1]))} and {group[-1]}'
                             if len(groups) == 1 else str(group) for group in groups)
        raise ValueError(f'channels {names} are copies of one another: one microphone cannot be '
                         'in several places')
