"""
Steered response power, the classical method: the paper's eq. 4 to 6.

`srp_phat` is as strong as SRP-PHAT gets on one window: lags interpolated, TDOAs computed in three
dimensions on a fine grid, the unknown height marginalised. `srp_phat_2d` is the paper's baseline:
25 by 25 cells, heights ignored. In both, offsets, the window's ends and bins without sound have no
vote (core/spectral_edges.py).
"""

from nsrp_ros.core.config import SrpConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.gcc_phat import gcc_phat
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import path_difference
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class SrpPhat:
    """
    SRP-PHAT on a grid that tiles the room.

    Parameters
    ----------
    config : SrpConfig
        Grid, lag interpolation and the rule for heights.

    """

    def __init__(self, config: SrpConfig) -> None:
        self.config = config

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 room_dims: NDArray[np.float64]) -> Estimate:
        """Locate the talker of one window; arguments are those of `likelihood`."""
        likelihood_map, x, y = self.likelihood(signals, mic_positions, room_dims)
        return from_scores(likelihood_map, x, y, self.config.confidence, len(signals))

    def likelihood(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                   room_dims: NDArray[np.float64]) -> tuple[Array, Array, Array]:
        """
        Map the steered response power of one window.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at `config.sample_rate`.
        mic_positions : numpy.ndarray
            Shape (M, 3), metres.
        room_dims : numpy.ndarray
            Shape (3,), metres.

        Returns
        -------
        likelihood_map : numpy.ndarray
            Shape (ny, nx), float32: the mean over pairs of the cross-correlation at each cell's
            TDOA, 1 where every pair agrees perfectly in every bin.
        x, y : numpy.ndarray
            Shapes (nx,), (ny,), the cells' centres in metres.

        """
        cfg = self.config
        pairs = microphone_pairs(len(signals))
        correlation = gcc_phat(signals, pairs, cfg.interpolation)  # (P, L)
        grid = Grid.over_room(room_dims, cfg.nx, cfg.ny, cfg.nz)

        points = grid.points()  # (nz, ny, nx, 3)
        if cfg.nz == 1:  # the paper's flavour: a flat world
            points, mic_positions = points[..., :2], mic_positions[:, :2]
        scale = lags_per_metre(cfg.interpolation * cfg.sample_rate)
        arrival = np.stack([  # (M, nz, ny, nx), in lags; float32 resolves 1e-4 of a lag
            np.linalg.norm(points - mic, axis=-1) * scale
            for mic in mic_positions]).astype(np.float32)

        power = np.zeros(grid.shape, dtype=np.float32)
        for (i, j), row in zip(pairs, correlation, strict=True):
            power += _at_fractional_lag(row, path_difference(arrival[i], arrival[j]))
        power /= len(pairs)
        return _soft_maximum(power, cfg.sharpness), grid.x, grid.y


def _at_fractional_lag(correlation: Array, lag: Array) -> Array:
    """Interpolate a circular correlation (L,) linearly at fractional lags of any shape."""
    below = np.floor(lag)
    weight = lag - below
    index = below.astype(np.int32) % len(correlation)
    # One value repeated at the end spares a second modulo.
    wrapped = np.append(correlation, correlation[0])
    value = wrapped[index]
    return value + weight * (wrapped[index + 1] - value)


def _soft_maximum(power: Array, sharpness: float) -> Array:
    """
    Marginalise the unknown height: (nz, ny, nx) to (ny, nx).

    The logarithm of the mean over heights of exp(sharpness * power), back in the units of power;
    it tends to the maximum as the sharpness grows, and 0 stands for the maximum itself.
    """
    peak = power.max(axis=0)
    if sharpness == 0 or len(power) == 1:
        return peak
    return peak + np.log(np.exp(sharpness * (power - peak)).mean(axis=0)) / sharpness
