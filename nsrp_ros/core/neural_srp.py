"""
Neural-SRP: the paper's network (its Fig. 3), and how it is summed over pairs (its eq. 7).

    E. Grinstein et al., "The Neural-SRP method for positional sound source localization".

SRP asks of each pair of microphones how well each cell explains the delay between them, and sums
the answers. Neural-SRP keeps the sum and lets a network answer: from the phases of two channels
and the metadata phi = [p_i, p_j, d] it draws the pair's whole map at once, having learnt to see
past reverberation. The same network with four or six channels and no sum is CRNN4 or CRNN6.

Shapes: B batch, C input channels (2 for a pair), T samples, N frames, F bins, G cells a side.
"""

from functools import partial

from nsrp_ros.core.estimate import from_scores
from nsrp_ros.core.features import batch_of_one
from nsrp_ros.core.features import stft_phase
from nsrp_ros.core.geometry import cell_centres
from nsrp_ros.core.geometry import microphone_pairs
import torch
from torch import nn


class Crnn(nn.Module):
    """
    Convolutions over phases, a recurrent network over time, a perceptron that draws the map.

    Parameters
    ----------
    config : CrnnConfig
        Architecture and STFT.

    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        blocks = []
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

    def _convolution(self, n_in):
        cfg = self.config
        # A time kernel of one frame needs no padding in time and keeps the network causal.
        return (nn.Conv2d(n_in, cfg.conv_channels, (cfg.kernel_time, cfg.kernel_freq),
                          padding=(cfg.kernel_time - 1, cfg.kernel_freq - 1)),
                nn.BatchNorm2d(cfg.conv_channels), nn.ReLU())

    def phases(self, signals):
        """Turn waveforms (..., T) into what the network sees: angles (..., N, F), in radians."""
        cfg = self.config
        return stft_phase(signals, cfg.n_fft, cfg.hop_length, cfg.centred)

    def encode(self, phases):
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

    def draw(self, features, metadata):
        """
        Draw a map from encoded features and metadata.

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
        aware = torch.cat([states[:, -1], metadata], dim=1)  # late fusion
        side = self.config.grid_size
        return self.mlp(aware).reshape(-1, side, side)

    def forward(self, phases, metadata):
        """Map phases (B, C, N, F) and metadata (B, 3 C + 3) to (B, G, G): encode, then draw."""
        return self.draw(self.encode(phases), metadata)


def pair_inputs(phases, mic_positions, room_dims, pairs):
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
    where = mic_positions[:, pairs].reshape(n_scenes, n_pairs, 6)
    room = room_dims[:, None].expand(n_scenes, n_pairs, 3)
    return paired, torch.cat([where, room], dim=2).flatten(0, 1)


def locate_maps(model, signals, mic_positions, room_dims):
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


class NeuralSrp:
    """
    A trained network that maps one window.

    Parameters
    ----------
    model : Crnn
        The network with its weights.
    device : str or torch.device
        Where it runs.

    """

    def __init__(self, model, device='cpu'):
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    def estimate(self, signals, mic_positions, room_dims):
        """Locate the talker of one window; arguments are those of `SrpPhat.likelihood`."""
        likelihood_map, x, y = self.likelihood(signals, mic_positions, room_dims)
        return from_scores(likelihood_map, x, y, self.config.confidence, len(signals))

    @torch.inference_mode()
    def likelihood(self, signals, mic_positions, room_dims):
        """
        Map one window; arguments and results are those of `SrpPhat.likelihood`.

        Raises
        ------
        ValueError
            If a fixed-array network gets another number of microphones, or the window is
            shorter than one STFT frame.

        """
        cfg = self.config
        if cfg.n_channels not in (2, len(signals)):
            raise ValueError(f'this network was made for exactly {cfg.n_channels} microphones, '
                             f'got {len(signals)}')
        if signals.shape[1] < cfg.n_fft:
            raise ValueError(f'a window needs at least {cfg.n_fft} samples at '
                             f'{cfg.sample_rate} Hz, got {signals.shape[1]}')
        batch = partial(batch_of_one, device=self.device)
        likelihood_map = locate_maps(
            self.model, batch(signals), batch(mic_positions), batch(room_dims))[0]
        return (likelihood_map.cpu().numpy(),
                cell_centres(room_dims[0], cfg.grid_size), cell_centres(room_dims[1],
                                                                        cfg.grid_size))
