"""
Neural-SRP: the paper's network (its Fig. 3), and how it is summed over pairs (its eq. 7).

    E. Grinstein et al., "The Neural-SRP method for positional sound source localization".

SRP evaluates for each pair of microphones how well each cell explains the delay between them, and
sums over pairs. Neural-SRP keeps the sum and replaces the evaluation by a network: from the phases
of two channels and the metadata phi = [p_i, p_j, d] it outputs the pair's whole map at once, and
it has learned to be robust to reverberation. The same network with four or six channels and no sum
is CRNN4 or CRNN6.

Shapes: B batch, C input channels (2 for a pair), T samples, N frames, F bins, G cells a side.
"""

from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.geometry import microphone_pairs
from numpy.typing import ArrayLike
import torch
from torch import nn


class Crnn(nn.Module):
    """
    Convolutions over phases, a recurrent network over time, a perceptron that outputs the map.

    Parameters
    ----------
    config : CrnnConfig
        Architecture and STFT.

    """

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.config = config
        blocks: list[nn.Module] = []
        n_in = config.n_channels
        for _ in range(config.n_blocks):
            blocks += [*self._convolution(n_in), *self._convolution(config.conv_channels),
                       nn.MaxPool2d((1, 2))]
            n_in = config.conv_channels
        self.convolutions = nn.Sequential(*blocks)
        self.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.gru = nn.GRU(n_in, config.gru_units, config.gru_layers, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(config.gru_units + config.n_metadata, config.mlp_units), nn.ReLU(),
            nn.Linear(config.mlp_units, config.mlp_units), nn.ReLU(),
            nn.Linear(config.mlp_units, config.grid_size ** 2))

    def _convolution(self, n_in: int) -> tuple[nn.Module, ...]:
        cfg = self.config
        # A time kernel of one frame needs no padding in time and keeps the network causal.
        return (nn.Conv2d(n_in, cfg.conv_channels, (cfg.kernel_time, cfg.kernel_freq),
                          padding=(cfg.kernel_time - 1, cfg.kernel_freq - 1)),
                nn.BatchNorm2d(cfg.conv_channels), nn.ReLU())

    def phases(self, signals: torch.Tensor) -> torch.Tensor:
        """Turn waveforms (..., T) into the network's input: angles (..., N, F), in radians."""
        cfg = self.config
        return stft_phase(signals, cfg.n_fft, cfg.hop_length, cfg.centred)

    def encode(self, phases: torch.Tensor) -> torch.Tensor:
        """
        Turn phases into one feature vector a frame: convolutions, then frequency pooling.

        Parameters
        ----------
        phases : torch.Tensor
            Shape (B, C, N, F), radians.

        Returns
        -------
        torch.Tensor
            Shape (B, N', channels).

        """
        # The convolutions are channels-last (see __init__): 2.7 times faster on a CPU.
        features = self.convolutions(phases.contiguous(memory_format=torch.channels_last))
        if self.config.frequency_pooling == 'mean':
            features = features.mean(dim=3)  # (B, channels, N')
        else:
            features = features.amax(dim=3)
        return features.transpose(1, 2)

    def decode(self, features: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
        """
        Compute a map from encoded features and metadata.

        Parameters
        ----------
        features : torch.Tensor
            Shape (B, N', channels), from `encode`.
        metadata : torch.Tensor
            Shape (B, 3 C + 3): the C microphones' xyz and the room's, in metres (eq. 3).

        Returns
        -------
        torch.Tensor
            Shape (B, G, G), y first, without an output activation.

        """
        states, _ = self.gru(features)  # (B, N', units)
        fused = torch.cat([states[:, -1], metadata], dim=1)  # late fusion
        side = self.config.grid_size
        return self.mlp(fused).reshape(-1, side, side)

    def forward(self, phases: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
        """Map phases (B, C, N, F) and metadata (B, 3 C + 3) to (B, G, G): encode, then decode."""
        return self.decode(self.encode(phases), metadata)


def pair_inputs(phases: torch.Tensor, mic_positions: torch.Tensor, room_dims: torch.Tensor,
                pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Gather every pair's input, so that one forward pass serves all pairs of all scenes.

    Parameters
    ----------
    phases : torch.Tensor
        Shape (B, M, N, F).
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    room_dims : torch.Tensor
        Shape (B, 3), metres.
    pairs : torch.Tensor
        Shape (P, 2), integer.

    Returns
    -------
    tuple of torch.Tensor
        Phases (B P, 2, N, F) and metadata phi_ij (B P, 9).

    """
    n_scenes, n_pairs = len(phases), len(pairs)
    paired = phases[:, pairs].flatten(0, 1)  # (B P, 2, N, F)
    positions = mic_positions[:, pairs].reshape(n_scenes, n_pairs, 6)
    room = room_dims[:, None].expand(n_scenes, n_pairs, 3)
    return paired, torch.cat([positions, room], dim=2).flatten(0, 1)


def likelihood_maps(model: Crnn, signals: torch.Tensor, mic_positions: torch.Tensor,
                    room_dims: torch.Tensor) -> torch.Tensor:
    """
    Map a batch of scenes: the mean over pairs (eq. 7), or the one joint map of CRNN4 and CRNN6.

    Parameters
    ----------
    model : Crnn
        In evaluation mode.
    signals : torch.Tensor
        Shape (B, M, T) at the model's sample rate.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    room_dims : torch.Tensor
        Shape (B, 3), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, G, G), y first.

    """
    phases = model.phases(signals)
    n_scenes, n_mics = phases.shape[:2]
    if model.config.n_channels == 2:
        pairs = torch.from_numpy(microphone_pairs(n_mics)).to(signals.device)
        inputs = pair_inputs(phases, mic_positions, room_dims, pairs)
        # A CPU is 30 % faster where a few pairs' features stay in its cache.
        at_once = 4 if signals.device.type == 'cpu' else len(inputs[0])
        maps = torch.cat([model(*part) for part in zip(
            *(values.split(at_once) for values in inputs), strict=True)])
        return maps.reshape(n_scenes, len(pairs), *maps.shape[1:]).mean(dim=1)
    return model(phases, torch.cat([mic_positions.flatten(1), room_dims], dim=1))


def stft_phase(signals: torch.Tensor, n_fft: int, hop_length: int,
               centred: bool) -> torch.Tensor:
    """
    Phases of the short-time Fourier transform with a Hann window, without the DC bin.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (..., T).
    n_fft, hop_length : int
        Samples.
    centred : bool
        Whether frames are centred on their time, and so extend n_fft / 2 samples past it.

    Returns
    -------
    torch.Tensor
        Shape (..., N, F), F = n_fft / 2, radians.

    """
    flat = signals.reshape(-1, signals.shape[-1])
    window = torch.hann_window(n_fft, device=signals.device, dtype=signals.dtype)
    spectrum = torch.stft(flat, n_fft, hop_length, window=window, center=centred,
                          pad_mode='constant', return_complex=True)  # (..., F + 1, N)
    phase = spectrum[:, 1:].angle().transpose(1, 2)
    return phase.reshape(*signals.shape[:-1], *phase.shape[1:])


def batch_of_one(array: ArrayLike, device: torch.device) -> torch.Tensor:
    """Make a float32 tensor (1, ...) of one scene's array, on a device."""
    return torch.as_tensor(array, dtype=torch.float32, device=device)[None]
