"""
What devices do to sound and to what is known of them: clocks, gains, faults, wrong positions.

Shapes: B scenes, M microphones, K octave bands, T samples. Microphones of one device (an array)
share what the device does; `units` (B, M) says which device each belongs to.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
import torch

DEAF_DB = 30.0
"""Decibels that a deaf microphone hears less."""
_REFERENCE = 1000.0  # hertz, which a tilt leaves as it is
_FRAME = 512  # samples over which a drifting clock counts as steady


@dataclass(frozen=True)
class DeviceConfig:
    """How unlike devices are, and how wrong what is told of them; all zero is perfect."""

    latency_std: float = 0.0
    """Seconds, standard deviation of the latencies."""
    late_scenes: float = 0.0
    """Share of the scenes whose latencies are uniform up to `late` instead."""
    late: float = 0.002
    """Seconds."""
    drift_ppm: float = 0.0
    """Parts in a million, up to which clocks go fast or slow; right in the window's middle."""
    gain_db: float = 0.0
    """Decibels, up to which gains differ from the mean."""
    tilt_db: float = 0.0
    """Decibels an octave, up to which responses are tilted."""
    inverted: float = 0.0
    """Share of the devices whose polarity is inverted, as a wire soldered the wrong way does."""
    faulty: float = 0.0
    """Share of the scenes in which one microphone is dead (hears nothing) or, as often, deaf."""
    position_error: float = 0.0
    """Metres, root mean square, by which the told positions of devices are off."""
    room_error: float = 0.0
    """Share, up to which each of the told room dimensions is off."""

    def __post_init__(self):
        """Refuse what is negative."""
        if min(self.latency_std, self.late, self.drift_ppm, self.gain_db, self.tilt_db,
               self.position_error) < 0:
            raise ValueError('deviations must not be negative')
        if not (0 <= self.late_scenes <= 1 and 0 <= self.faulty <= 1
                and 0 <= self.inverted <= 1 and 0 <= self.room_error < 1):
            raise ValueError('late_scenes, faulty, inverted and room_error must be shares')

    @property
    def is_late(self):
        """Return whether there are latencies."""
        return self.latency_std > 0 or self.late_scenes > 0


def draw_latencies(config, units, uniform, normal):
    """Draw the seconds (B, M) by which microphones are late, the earliest of a scene by none."""
    latency = config.latency_std * normal(*units.shape)
    late = uniform(len(units), 1) < config.late_scenes
    latency = torch.where(late, config.late * uniform(*units.shape), latency).gather(1, units)
    return latency - latency.amin(dim=1, keepdim=True)


def draw_responses(config, units, uniform):
    """Draw the factors of amplitude (B, M, K) that tilt responses about 1 kHz."""
    tilt_db = config.tilt_db * (2 * uniform(*units.shape) - 1).gather(1, units)
    octaves = tilt_db.new_tensor([math.log2(band / _REFERENCE) for band in BANDS])
    return (NEPERS_PER_DB * tilt_db[..., None] * octaves).exp()


def draw_gains(config, units, uniform):
    """Draw the factors (B, M, 1), negative if inverted, by which devices amplify all they hear."""
    gain_db = config.gain_db * (2 * uniform(*units.shape) - 1).gather(1, units)
    gains = (NEPERS_PER_DB * gain_db[..., None]).exp()
    if not config.inverted:
        return gains
    turned = (uniform(*units.shape) < config.inverted).gather(1, units)
    return torch.where(turned[..., None], -gains, gains)


def draw_faults(config, n_scenes, n_mics, uniform):
    """Draw the factors of amplitude (B, M, 1) with which microphones hear: 1 for the sound."""
    which = (uniform(n_scenes, 1) * n_mics).long()
    faulty = uniform(n_scenes, 1) < config.faulty
    left = torch.where(uniform(n_scenes, 1) < 0.5, 0.0, math.exp(-NEPERS_PER_DB * DEAF_DB))
    hit = faulty & (torch.arange(n_mics, device=which.device) == which)
    return torch.where(hit, left, torch.ones_like(left))[..., None]


def tell(config, mic_positions, room_dims, units, uniform, normal):
    """
    Say where microphones are and how large the room is, as those would who measured it.

    Parameters
    ----------
    config : DeviceConfig
        How wrong they are.
    mic_positions, room_dims : torch.Tensor
        Shapes (B, M, 3) and (B, 3), metres: the truth.
    units : torch.Tensor
        Shape (B, M).
    uniform, normal : callable
        Draw float32 numbers of a shape.

    Returns
    -------
    tuple of torch.Tensor
        Positions and room dimensions as told. The corner of the room is where it was, no
        position is told outside the room that is told, and each room holds its microphones.

    """
    error = config.position_error / math.sqrt(3) * normal(*mic_positions.shape)
    told = mic_positions + error.gather(1, units[..., None].expand_as(error))
    told = told.clamp(min=0.0)
    if config.room_error == 0:
        return torch.minimum(told, room_dims[:, None]), room_dims
    dims = room_dims * (1 + config.room_error * (2 * uniform(*room_dims.shape) - 1))
    return told, torch.maximum(dims, told.amax(dim=1))


def drift(signals, ppm, sample_rate):
    """
    Let clocks go fast or slow.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (B, M, T).
    ppm : torch.Tensor
        Shape (B, M), parts in a million; positive where the device's clock is slow, so that the
        sound is heard ever later against true time.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T): each sample t as it was at t - ppm 1e-6 (t - T / 2), frame by frame.

    """
    hop, n_samples = _FRAME // 2, signals.shape[-1]
    padded = torch.nn.functional.pad(signals, (2 * hop, 3 * hop + -n_samples % hop))
    frames = padded.unfold(-1, 2 * _FRAME, hop)  # (B, M, n, 2 frame), the middle half counts
    centre = (torch.arange(frames.shape[-2], device=signals.device) * hop
              + _FRAME - 2 * hop - n_samples / 2) / sample_rate
    delay = 1e-6 * ppm[..., None] * centre  # (B, M, n), seconds
    frequency = torch.fft.rfftfreq(2 * _FRAME, 1 / sample_rate, device=signals.device)
    turn = torch.polar(torch.ones_like(frequency),
                       -2 * math.pi * delay[..., None] * frequency)
    moved = torch.fft.irfft(torch.fft.rfft(frames) * turn, 2 * _FRAME)
    window = torch.hann_window(_FRAME, device=signals.device)
    moved = moved[..., hop:hop + _FRAME] * window
    # Half-overlapping Hann windows add up to one.
    first, second = moved.split(hop, dim=-1)
    whole = second[..., :-1, :] + first[..., 1:, :]
    return whole.flatten(-2)[..., :n_samples]
