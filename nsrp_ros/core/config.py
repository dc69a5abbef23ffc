"""
Settings of the core, as frozen dataclasses that are validated when they are made.

A network's settings are stored in its checkpoint (see networks/checkpoint.py), so that weights and
preprocessing cannot disagree; the node declares its window parameters from the fields here.
"""

from dataclasses import dataclass
import math


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


@dataclass(frozen=True)
class WindowConfig:
    """How a stream is cut into windows."""

    length: float = 0.5
    """Seconds of audio in a window (the paper uses 0.5)."""
    hop: float = 0.25
    """Seconds between the starts of two windows."""
    stamp_tolerance: float = 0.02
    """Seconds by which a chunk's stamp may deviate from the sample count before it counts as a
    discontinuity; half a chunk's duration where that is less, so that one lost chunk is always
    detected."""

    def __post_init__(self) -> None:
        """Refuse lengths that are impossible."""
        _require(0 < self.hop <= self.length, 'hop must be above 0 and at most the window length')
        _require(self.stamp_tolerance > 0, 'stamp_tolerance must be above 0')


@dataclass(frozen=True)
class Confidence:
    """
    A logistic model of the probability that an estimate is within 0.5 m of the talker.

    confidence = 1 / (1 + exp(-(bias + prominence * log(peak prominence) + mics * log(M)))),
    fitted on simulated rooms by `nsrp_ros.evaluation.confidence_calibration`; peak prominence is
    defined in estimate.py.
    """

    bias: float = 0.0
    prominence: float = 0.0
    mics: float = 0.0


@dataclass(frozen=True)
class SrpConfig:
    """Steered response power on a grid that tiles the room."""

    sample_rate: int = 16000
    """Hertz; other rates are resampled to it."""
    nx: int = 100
    ny: int = 100
    nz: int = 24
    """Cells along the room's length, width and height; nz = 1 computes TDOAs in two dimensions
    and ignores all heights, as the paper's baseline seems to."""
    interpolation: int = 4
    """How many lags the cross-correlation has for each sample."""
    sharpness: float = 0.0
    """Inverse temperature of the soft maximum over heights; 0 takes the maximum itself."""
    confidence: Confidence = Confidence()

    def __post_init__(self) -> None:
        """Refuse empty grids."""
        _require(min(self.nx, self.ny, self.nz, self.interpolation) >= 1,
                 'nx, ny, nz and interpolation must be 1 or more')
        _require(self.sharpness >= 0, 'sharpness must not be negative')


@dataclass(frozen=True)
class CrnnConfig:
    """
    The paper's network (Fig. 3) and its multichannel baselines (section V-B).

    The defaults are the paper's text: kernels of one frame by two bins, frequency averaging,
    about a million parameters. The authors' published code has `kernel_time=2` and
    `frequency_pooling='max'`.
    """

    n_channels: int = 2
    """Microphones that enter together: 2 for Neural-SRP, 4 or 6 for CRNN4 and CRNN6."""
    sample_rate: int = 16000
    n_fft: int = 1024
    hop_length: int = 512
    centred: bool = False
    """Whether STFT frames are centred on their time (and so reach n_fft / 2 ahead)."""
    conv_channels: int = 64
    n_blocks: int = 4
    kernel_time: int = 1
    kernel_freq: int = 2
    frequency_pooling: str = 'mean'
    gru_units: int = 64
    gru_layers: int = 2
    mlp_units: int = 625
    grid_size: int = 25
    """Cells along each side of the map, scaled to the room."""
    confidence: Confidence = Confidence()

    def __post_init__(self) -> None:
        """Refuse settings that the network does not support."""
        _require(self.n_channels >= 2, 'n_channels must be 2 or more')
        _require(self.frequency_pooling in ('mean', 'max'),
                 "frequency_pooling must be 'mean' or 'max'")
        _require(self.n_fft >> self.n_blocks >= 2, 'n_fft is too small for n_blocks')

    @property
    def n_metadata(self) -> int:
        """Return the length of phi: each microphone's xyz and the room's xyz (paper, eq. 3)."""
        return 3 * self.n_channels + 3


@dataclass(frozen=True)
class Calibration:
    """
    How a network's answers become probabilities that hold, for windows of one length.

    A posterior p becomes p^(1 / temperature), normalised; log-odds x that somebody talks become
    slope x + bias; those that somebody else talks, besides talkers who are found, have a line of
    their own. Fitted on validation rooms by evaluation/families/calibrate.py.
    """

    seconds: float = 0.5
    """Length of the windows."""
    temperature: float = 1.0
    slope: float = 1.0
    bias: float = 0.0
    further_slope: float = 1.0
    further_bias: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would turn likely and unlikely round."""
        _require(min(self.seconds, self.temperature, self.slope, self.further_slope) > 0,
                 'seconds, temperature and slopes must be positive')

    def line(self, is_further: bool) -> tuple[float, float]:
        """Return slope and bias for the first talker, or for further ones."""
        return ((self.further_slope, self.further_bias) if is_further
                else (self.slope, self.bias))


def calibration_for(seconds: float, many: tuple[Calibration, ...]) -> Calibration:
    """Interpolate between calibrations, in order of their lengths, for windows of any length."""
    if not many:
        return Calibration()
    after = next((k for k, one in enumerate(many) if one.seconds >= seconds), len(many))
    low, high = many[max(after - 1, 0)], many[min(after, len(many) - 1)]
    span = math.log(high.seconds / low.seconds)
    share = math.log(seconds / low.seconds) / span if span else 0.0
    return Calibration(seconds, *(
        (1 - share) * getattr(low, name) + share * getattr(high, name)
        for name in ('temperature', 'slope', 'bias', 'further_slope', 'further_bias')))


@dataclass(frozen=True)
class BackprojectionConfig:
    """The geometry-aware network of backprojection.py."""

    sample_rate: int = 16000
    n_fft: int = 2048
    """Samples in a frame of the cross-correlation, twice the longest delay it can represent."""
    hop_length: int = 512
    bands: tuple[tuple[float, float], ...] = (
        (100.0, 700.0), (700.0, 1600.0), (1600.0, 3500.0), (3500.0, 7200.0))
    """Lower and upper edge of each band that is correlated separately, hertz."""
    weightings: tuple[str, ...] = ('plain', 'onset')
    """Fixed weightings of frames and bins; see networks/correlation.py."""
    learned_weightings: int = 2
    """Learned weightings in addition to these; may be 0."""
    shared_bins: int = 4
    """Neighbouring bins that share a learned weight: the more, the less computation."""
    whole_window: bool = False
    """Whether the whole window is also correlated as a single frame."""
    lag_margin: int = 24
    """Lags beyond the physically possible ones, as context for the convolutions."""
    weighting_channels: int = 16
    """Features per frame and bin from which the learned weights are computed."""
    channels: int = 64
    """Features per lag."""
    hidden_channels: int = 32
    """Features between the two convolutions of a residual block along lags: a bottleneck."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Dilations of the convolutions along lags, one residual block each."""
    lag_kernel: int = 3
    """Kernel size of these convolutions."""
    activation: str = 'relu'
    """Activation function: 'gelu', or 'relu', which a CPU computes several times faster."""
    echo_channels: int = 8
    """Features per lag that are read at the lags of first-order wall reflections; 0 for none."""
    heads: int = 8
    """Attention heads over pairs; 0 pools by their mean alone."""
    map_channels: int = 64
    """Features per cell of the map."""
    map_blocks: int = 3
    """Residual blocks over the map."""
    map_hidden_channels: int = 32
    """Features between the two convolutions of such a block."""
    uncertain_walls: bool = False
    """Whether planes may be known by degrees or not at all, and several people may talk."""
    least_lags: int = 0
    """Lags that are looked at however close microphones are: 288 are 6 m of an echo's detour."""
    grid_size: int = 25
    """Cells along each side of the floor, unless another grid is requested."""
    heights: int = 6
    """Heights at which the posterior is evaluated."""
    confidence: Confidence = Confidence()
    """Not used: the confidence is read off the posterior."""
    calibration: tuple[Calibration, ...] = ()
    """By length of windows, rising; for networks of `uncertain_walls`."""

    @property
    def n_channels(self) -> int:
        """Return how many microphones enter together: pairs, so that any number is possible."""
        return 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the default number of cells (Z, Y, X) that a room is divided into."""
        return self.heights, self.grid_size, self.grid_size

    def __post_init__(self) -> None:
        """Refuse settings that the network does not support."""
        _require(all(0 < low < high <= self.sample_rate / 2 for low, high in self.bands),
                 'bands must rise and lie below half the sample rate')
        _require(self.heads == 0 or self.map_channels % self.heads == 0,
                 'map_channels must be a multiple of heads')
        _require(min(self.grid_size, self.heights) >= 1, 'grid_size and heights must be above 0')
        _require(self.activation in ('gelu', 'relu'), "activation must be 'gelu' or 'relu'")
        _require(self.lag_kernel % 2 == 1, 'lag_kernel must be odd')
        _require((self.n_fft // 2) % self.shared_bins == 0,
                 'shared_bins must divide half of n_fft')
