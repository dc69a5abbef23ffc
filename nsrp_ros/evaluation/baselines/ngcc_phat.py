"""
NGCC-PHAT as a baseline: the delays of pairs by a pretrained network, fused over the room.

    A. Berg, M. O'Connor, K. Astrom, M. Oskarsson, "Extending GCC-PHAT using Shift Equivariant
    Neural Networks", Interspeech 2022. https://github.com/axeber01/ngcc (MIT licence)

ngcc_checkout.py finds the repository that holds its code and weights.

How a network that was trained on one pair half a metre apart is used on a whole room:

* It was trained on delays of up to 23 samples and windows of 2048. But its filters are
  convolutions in time, GCC-PHAT works with any number of lags, and its classifier is a
  convolution along lags: its weights depend on neither number. So its input is the whole window,
  and its output covers every lag that a pair's distance allows. That it was not trained on longer
  delays is a handicap of the weights and not of this use; 2048 samples at a time were tried and
  are worse.
* Its normalization layers expect signals of the level that it was trained on, which follows from
  their stored statistics: about 1 root mean square. Each microphone is scaled to that.
* A pair's classes are a distribution over its delay. It is blurred by about the lags that a cell
  spans, mixed with a uniform one, so that a pair that detects a reflection does not veto the
  others, and its logarithm is sampled at tau_ij(p) for each point p of a three-dimensional grid.
  The sum over pairs is the posterior's logarithm, heights are marginalised, and the estimate is
  the point of least expected distance. Taking the peak instead, or adding probabilities, is worse.

The values in NgccConfig were chosen on validation rooms (hard-6-val and easy-6-val).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
import torch

NGCC_PHAT = 'ngcc_phat'
"""The method's name in tables."""
_CONTEXT = 14  # lags to either side in its classifier's receptive field: kernels of 11, 9, 7, 5


@dataclass(frozen=True)
class NgccConfig:
    """How delay posteriors of pairs become one of the room."""

    sample_rate: int = 16000
    """Hertz, as the network was trained."""
    level: float = 1.0
    """Root mean square that each microphone is scaled to."""
    nx: int = 100
    ny: int = 100
    nz: int = 24
    """Cells along the room's length, width and height."""
    blur: float = 1.0
    """Standard deviation of the smoothing of a delay's distribution, lags."""
    uniform_share: float = 0.1
    """Probability that a pair's delay is unrelated to the network's output."""
    sharpness: float = 1.4
    """Power of the product over pairs."""
    confidence: Confidence = Confidence()
    """Not used: the confidence is computed from the posterior."""


class NgccPhat:
    """
    Log-posterior fusion of NGCC-PHAT's delays; a method for `Localizer`.

    Parameters
    ----------
    network : torch.nn.Module
        From `ngcc_checkout.load_network`; it is modified, so make one for each instance.
    config : NgccConfig
        How to fuse.
    device : str or torch.device
        Where the network runs.

    """

    def __init__(self, network: Any, config: NgccConfig | None = None,
                 device: str | torch.device = 'cpu') -> None:
        self.config = config or NgccConfig()
        self.device = torch.device(device)
        self.weights = {name: value.detach().clone()
                        for name, value in network.state_dict().items()}
        # Filters run once a microphone and not once a pair: the rest of the network gets features
        # in place of waveforms.
        self._filters = network.backbone.to(self.device)
        network.backbone = torch.nn.Identity()
        self._classifier = network.to(self.device)

    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.floating],
                 room_dims: NDArray[np.floating]) -> Estimate:
        """
        Locate the talker of one window; arguments are those of `SrpPhat.estimate`.

        Returns
        -------
        Estimate
            Its map is a posterior over cells that tile the room's floor.

        """
        cfg = self.config
        pairs = microphone_pairs(len(signals))
        grid = Grid.over_room(room_dims, cfg.nx, cfg.ny, cfg.nz)
        rows = [smoothed_log_probabilities(row, cfg.blur, cfg.uniform_share)
                for row in self.delay_posteriors(signals, mic_positions, pairs)]
        log_posterior = cfg.sharpness * sum_at_tdoas(rows, pairs, mic_positions, grid,
                                                     cfg.sample_rate)  # (nz, ny, nx)
        cells = np.exp(log_posterior - log_posterior.max(), dtype=np.float64)
        return from_posterior(Posterior(cells / cells.sum(), grid.x, grid.y, grid.z))

    @torch.inference_mode()
    def delay_posteriors(self, signals: NDArray[np.float32],
                         mic_positions: NDArray[np.floating],
                         pairs: NDArray[np.integer]) -> list[NDArray[np.float32]]:
        """
        Compute the network's distribution of each pair's delay.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at `config.sample_rate`.
        mic_positions : numpy.ndarray
            Shape (M, 3), metres.
        pairs : numpy.ndarray
            Shape (P, 2).

        Returns
        -------
        list of numpy.ndarray
            P probabilities (2 n + 1,) of the lags -n to n that the pair's distance allows, and
            two more, samples; positive where the pair's first microphone receives the sound
            later.

        Raises
        ------
        ValueError
            If the window is too short for microphones this far apart.

        """
        spacing = np.linalg.norm(mic_positions[pairs[:, 0]] - mic_positions[pairs[:, 1]], axis=1)
        n_lags = np.ceil(spacing * self.config.sample_rate / SPEED_OF_SOUND).astype(int) + 2
        if n_lags.max() + _CONTEXT >= signals.shape[1]:
            raise ValueError(f'windows of {signals.shape[1]} samples are too short for '
                             f'microphones {spacing.max():.1f} m apart')
        waveforms = torch.as_tensor(signals, dtype=torch.float32, device=self.device)
        level = waveforms.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-9)
        features = self._filters(waveforms / level * self.config.level)  # (M, channels, T)
        posteriors = []
        for (i, j), n in zip(pairs, n_lags, strict=True):
            self._classifier.gcc.max_tau = int(n) + _CONTEXT
            logits = self._classifier(features[i:i + 1], features[j:j + 1])[0]
            posteriors.append(logits[_CONTEXT:-_CONTEXT].softmax(dim=0).cpu().numpy())
        return posteriors


def smoothed_log_probabilities(probabilities: NDArray[np.floating], blur: float,
                               uniform_share: float) -> NDArray[np.float32]:
    """
    Blur a delay's distribution and mix it with a uniform one.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape (L,), summing to one.
    blur : float
        Standard deviation, lags; 0 leaves the distribution.
    uniform_share : float
        The uniform one's share, in (0, 1].

    Returns
    -------
    numpy.ndarray
        Shape (L,), float32, the logarithm of a distribution.

    """
    if blur > 0:
        probabilities = gaussian_filter1d(probabilities.astype(np.float64), blur, mode='constant')
        probabilities /= probabilities.sum()
    mixed = (1 - uniform_share) * probabilities + uniform_share / len(probabilities)
    return np.log(mixed).astype(np.float32)


def sum_at_tdoas(rows: Sequence[NDArray[np.float32]], pairs: NDArray[np.integer],
                 mic_positions: NDArray[np.floating], grid: Grid,
                 sample_rate: float) -> NDArray[np.float32]:
    """
    Sum each pair's log-probabilities at the TDOAs of a grid's points.

    Parameters
    ----------
    rows : list of numpy.ndarray
        P arrays (2 n + 1,), lag 0 in the middle, n at least the pair's longest delay plus one.
    pairs : numpy.ndarray
        Shape (P, 2).
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    grid : Grid
        Of nz by ny by nx points.
    sample_rate : float
        Lags a second.

    Returns
    -------
    numpy.ndarray
        Shape (nz, ny, nx), float32, rows interpolated linearly between lags.

    """
    points = grid.points()
    arrival = np.stack([np.linalg.norm(points - mic, axis=-1) * lags_per_metre(sample_rate)
                        for mic in mic_positions]).astype(np.float32)  # (M, nz, ny, nx), lags
    total = np.zeros(grid.shape, dtype=np.float32)
    for (i, j), row in zip(pairs, rows, strict=True):
        lag = path_difference(arrival[i], arrival[j]) + len(row) // 2
        below = lag.astype(np.int32)
        total += row[below] + (lag - below) * (row[below + 1] - row[below])
    return total
