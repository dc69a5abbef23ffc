"""
Errors of devices: clocks, gains, faults, and wrong reported positions.

Shapes: B scenes, M microphones, K octave bands, T samples. Microphones of one device (an array)
share its errors; `device_ids` (B, M) holds the device of each microphone.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

FAULT_ATTENUATION_DB = 30.0
"""Attenuation of a faulty microphone that is not dead, decibels."""
_REFERENCE = 1000.0  # hertz, where a tilted response has unit gain
_FRAME = 512  # samples over which the delay of a drifting clock is taken as constant


@dataclass(frozen=True)
class DeviceConfig:
    """How devices differ, and how wrong their reported geometry is; all zero is perfect."""

    latency_std: float = 0.0
    """Seconds, standard deviation of the latencies."""
    late_scenes: float = 0.0
    """Share of the scenes whose latencies are uniform up to `late` instead."""
    late: float = 0.002
    """Seconds."""
    drift_ppm: float = 0.0
    """Parts per million, largest error of a clock's rate; its offset is zero in mid-window."""
    gain_db: float = 0.0
    """Decibels, largest difference of a gain from the mean."""
    tilt_db: float = 0.0
    """Decibels per octave, largest tilt of a response."""
    inverted: float = 0.0
    """Share of the devices whose polarity is inverted, as by swapped wires."""
    faulty: float = 0.0
    """Share of the scenes in which one microphone is faulty: dead or, as often, attenuated by
    `FAULT_ATTENUATION_DB`."""
    position_error: float = 0.0
    """Metres, root mean square error of the reported positions of devices."""
    room_error: float = 0.0
    """Largest relative error of each of the reported room dimensions."""

    def __post_init__(self) -> None:
        """Raise ValueError where a deviation is negative or a share is none."""
        if min(self.latency_std, self.late, self.drift_ppm, self.gain_db, self.tilt_db,
               self.position_error) < 0:
            raise ValueError('deviations must not be negative')
        if not (0 <= self.late_scenes <= 1 and 0 <= self.faulty <= 1
                and 0 <= self.inverted <= 1 and 0 <= self.room_error < 1):
            raise ValueError('late_scenes, faulty, inverted and room_error must be shares')

    @property
    def has_latency(self) -> bool:
        """Return whether any device has latency."""
        return self.latency_std > 0 or self.late_scenes > 0


def draw_latencies(config: DeviceConfig, device_ids: torch.Tensor, uniform: DrawFunction,
                   normal: DrawFunction) -> torch.Tensor:
    """Draw latencies (B, M) in seconds; the least of each scene is zero."""
    latency = config.latency_std * normal(*device_ids.shape)
    late = uniform(len(device_ids), 1) < config.late_scenes
    latency = torch.where(late, config.late * uniform(*device_ids.shape), latency)
    latency = latency.gather(1, device_ids)
    return latency - latency.amin(dim=1, keepdim=True)


def draw_responses(config: DeviceConfig, device_ids: torch.Tensor,
                   uniform: DrawFunction) -> torch.Tensor:
    """Draw the amplitude gains (B, M, K) of responses that are tilted about 1 kHz."""
    tilt_db = config.tilt_db * (2 * uniform(*device_ids.shape) - 1).gather(1, device_ids)
    octaves = tilt_db.new_tensor([math.log2(band / _REFERENCE) for band in BANDS])
    return (NEPERS_PER_DB * tilt_db[..., None] * octaves).exp()


def draw_gains(config: DeviceConfig, device_ids: torch.Tensor,
               uniform: DrawFunction) -> torch.Tensor:
    """Draw the broadband gains (B, M, 1) of devices, negative where the polarity is inverted."""
    gain_db = config.gain_db * (2 * uniform(*device_ids.shape) - 1).gather(1, device_ids)
    gains = (NEPERS_PER_DB * gain_db[..., None]).exp()
    if not config.inverted:
        return gains
    inverted = (uniform(*device_ids.shape) < config.inverted).gather(1, device_ids)
    return torch.where(inverted[..., None], -gains, gains)


def draw_faults(config: DeviceConfig, n_scenes: int, n_mics: int,
                uniform: DrawFunction) -> torch.Tensor:
    """Draw the amplitude gains (B, M, 1) of microphones: 1 unless faulty."""
    which = (uniform(n_scenes, 1) * n_mics).long()
    faulty = uniform(n_scenes, 1) < config.faulty
    gain = torch.where(uniform(n_scenes, 1) < 0.5, 0.0,
                       math.exp(-NEPERS_PER_DB * FAULT_ATTENUATION_DB))
    affected = faulty & (torch.arange(n_mics, device=which.device) == which)
    return torch.where(affected, gain, torch.ones_like(gain))[..., None]


def report_geometry(config: DeviceConfig, mic_positions: torch.Tensor, room_dims: torch.Tensor,
                    device_ids: torch.Tensor, uniform: DrawFunction,
                    normal: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw microphone positions and room dimensions with errors, as they would be measured.

    Parameters
    ----------
    config : DeviceConfig
        How large the errors are.
    mic_positions, room_dims : torch.Tensor
        Shapes (B, M, 3) and (B, 3), metres: the truth.
    device_ids : torch.Tensor
        Shape (B, M): the device of each microphone.
    uniform, normal : DrawFunction
        Draw float32 numbers of a shape.

    Returns
    -------
    tuple of torch.Tensor
        Reported positions and room dimensions. The room's corner keeps its place, and every
        reported position is inside the reported room.

    """
    error = config.position_error / math.sqrt(3) * normal(*mic_positions.shape)
    reported = mic_positions + error.gather(1, device_ids[..., None].expand_as(error))
    reported = reported.clamp(min=0.0)
    if config.room_error == 0:
        return torch.minimum(reported, room_dims[:, None]), room_dims
    dims = room_dims * (1 + config.room_error * (2 * uniform(*room_dims.shape) - 1))
    return reported, torch.maximum(dims, reported.amax(dim=1))


def apply_clock_drift(signals: torch.Tensor, ppm: torch.Tensor,
                      sample_rate: int) -> torch.Tensor:
    """
    Resample signals as devices with fast or slow clocks would record them.

    Parameters
    ----------
    signals : torch.Tensor
        Shape (B, M, T).
    ppm : torch.Tensor
        Shape (B, M), parts per million; positive delays the signal more and more against true
        time.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T): sample t is taken at t - ppm 1e-6 (t - T / 2), constant over a frame.

    """
    hop, n_samples = _FRAME // 2, signals.shape[-1]
    padded = torch.nn.functional.pad(signals, (2 * hop, 3 * hop + -n_samples % hop))
    frames = padded.unfold(-1, 2 * _FRAME, hop)  # (B, M, n, 2 frame), the middle half is kept
    centre = (torch.arange(frames.shape[-2], device=signals.device) * hop
              + _FRAME - 2 * hop - n_samples / 2) / sample_rate
    delay = 1e-6 * ppm[..., None] * centre  # (B, M, n), seconds
    frequency = torch.fft.rfftfreq(2 * _FRAME, 1 / sample_rate, device=signals.device)
    shift = torch.polar(torch.ones_like(frequency),
                        -2 * math.pi * delay[..., None] * frequency)
    moved = torch.fft.irfft(torch.fft.rfft(frames) * shift, 2 * _FRAME)
    window = torch.hann_window(_FRAME, device=signals.device)
    moved = moved[..., hop:hop + _FRAME] * window
    # Half-overlapping Hann windows add up to one.
    first, second = moved.split(hop, dim=-1)
    whole = second[..., :-1, :] + first[..., 1:, :]
    return whole.flatten(-2)[..., :n_samples]
