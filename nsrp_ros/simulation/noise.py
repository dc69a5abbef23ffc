"""
Noise: sensor noise and machine hum.

Interfering talkers are in babble.py, a robot's own noise in devices/ego_noise.py.

Shapes: B scenes, M microphones, T samples.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

_MAINS = (50.0, 60.0)  # hertz
_HARMONICS = 6


@dataclass(frozen=True)
class NoiseConfig:
    """
    Distributions of noise.

    All signal-to-noise ratios are of the mean power over the microphones of a scene, before the
    devices' gains, and are drawn uniformly in decibels.
    """

    sensor_snr_db: tuple[float, float] = (5.0, 40.0)
    sensor_colour: tuple[float, float] = (0.0, 1.0)
    """Range of the exponent b of the sensors' power density 1 / f^b: 0 is white, 1 is pink."""
    sensor_spread_db: float = 3.0
    """Decibels, largest difference of a sensor's noise level from the scene's."""
    babble: float = 0.3
    """Share of the scenes with interfering talkers."""
    babble_snr_db: tuple[float, float] = (0.0, 25.0)
    babble_talkers: int = 3
    """How many; in half of these scenes they are in the room, in half a diffuse field."""
    hum: float = 0.3
    """Share of the scenes with machine hum: distant fans and mains harmonics."""
    hum_snr_db: tuple[float, float] = (0.0, 25.0)
    ego: float = 0.0
    """Share of the scenes in which fans and motors are next to the first device."""
    ego_snr_db: tuple[float, float] = (0.0, 25.0)

    def __post_init__(self) -> None:
        """Raise ValueError where a range does not rise or a share is none."""
        for low, high in (self.sensor_snr_db, self.sensor_colour, self.babble_snr_db,
                          self.hum_snr_db, self.ego_snr_db):
            if low > high:
                raise ValueError('the ends of ranges must rise')
        if not (0 <= self.babble <= 1 and 0 <= self.hum <= 1 and 0 <= self.ego <= 1
                and self.babble_talkers > 0):
            raise ValueError('babble, hum and ego must be shares, and some must talk')


def add_sensor_noise(signals: torch.Tensor, snr_db: float,
                     generator: torch.Generator) -> torch.Tensor:
    """Add white noise of one level to all microphones (B, M, T) of a scene; see RoomConfig."""
    # In double precision the sum depends neither on its order nor on the number of threads.
    power = mean_power(signals)
    noise = torch.randn(signals.shape, generator=generator, device=generator.device)
    return signals + (power * 10 ** (-snr_db / 10)).sqrt().float() * noise.to(signals.device)


def mean_power(signals: torch.Tensor) -> torch.Tensor:
    """Average the power of scenes (B, M, T) over microphones and time: (B, 1, 1), float64."""
    return signals.square().mean(dim=(1, 2), keepdim=True, dtype=torch.float64)


def scale_to_snr(noise: torch.Tensor, power: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
    """
    Scale noise to a signal-to-noise ratio.

    Parameters
    ----------
    noise : torch.Tensor
        Shape (B, M, T).
    power : torch.Tensor
        Shape (B, 1, 1), of the talker's signal; see `mean_power`.
    snr_db : torch.Tensor
        Shape (B,), decibels.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    wanted = power * 10 ** (-snr_db.double()[:, None, None] / 10)
    return noise * (wanted / mean_power(noise).clamp(min=1e-30)).sqrt().float()


def sensor_noise(config: NoiseConfig, shape: tuple[int, int, int], uniform: DrawFunction,
                 normal: DrawFunction, sample_rate: int) -> torch.Tensor:
    """
    Draw independent noise of every sensor, of a colour between white and pink.

    Parameters
    ----------
    config : NoiseConfig
        The distribution.
    shape : tuple of int
        B, M and T.
    uniform, normal : DrawFunction
        Draw float32 numbers of a shape.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), of about unit power.

    """
    n_scenes, n_mics, _ = shape
    low, high = config.sensor_colour
    colour = low + (high - low) * uniform(n_scenes, 1, 1)
    noise = coloured(normal(*shape), colour, 50.0, sample_rate)
    level_db = config.sensor_spread_db * (2 * uniform(n_scenes, n_mics, 1) - 1)
    return noise * 10 ** (level_db / 20)


def hum(mic_positions: torch.Tensor, n_samples: int, uniform: DrawFunction,
        normal: DrawFunction, sample_rate: int) -> torch.Tensor:
    """
    Draw machine hum: diffuse low-frequency noise of fans, and mains harmonics in each device.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    n_samples : int
        T.
    uniform, normal : DrawFunction
        Draw float32 numbers of a shape.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T).

    """
    n_scenes, n_mics, _ = mic_positions.shape
    colour = 2 + uniform(n_scenes, 1, 1)
    fans = diffuse_field(coloured(normal(n_scenes, n_mics, n_samples), colour, 40.0,
                                  sample_rate), mic_positions, sample_rate)
    mains = torch.where(uniform(n_scenes, 1, 1, 1) < 0.5, *_MAINS)
    harmonic = torch.arange(1, _HARMONICS + 1, device=fans.device)[:, None]
    time = torch.arange(n_samples, device=fans.device) / sample_rate
    phase = uniform(n_scenes, n_mics, _HARMONICS, 1)  # cycles, independent between microphones
    tones = torch.sin(2 * math.pi * (mains * harmonic * time + phase)) / harmonic
    return fans + uniform(n_scenes, 1, 1) * tones.sum(dim=2)


def coloured(white: torch.Tensor, exponent: torch.Tensor, lowest: float,
             sample_rate: int) -> torch.Tensor:
    """
    Filter white noise to a power density of 1 / f^exponent, of unit power.

    Parameters
    ----------
    white : torch.Tensor
        Shape (..., T), of unit power.
    exponent : torch.Tensor
        Shape (..., 1), as of `white` or broadcast to it.
    lowest : float
        Hertz; below it the density is constant.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (..., T).

    """
    n_samples = white.shape[-1]
    spectra = torch.fft.rfft(white)
    frequency = torch.arange(spectra.shape[-1], device=white.device) * (sample_rate / n_samples)
    shape = frequency.clamp(min=lowest) ** (-exponent / 2)  # (..., F)
    shape = shape / shape.square().mean(dim=-1, keepdim=True).sqrt()
    return torch.fft.irfft(spectra * shape, n_samples)
