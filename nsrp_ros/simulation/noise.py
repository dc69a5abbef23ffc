"""
What microphones hear besides talkers: their own hiss, and hum. Who else talks is in babble.py.

Shapes: B scenes, M microphones, T samples.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
import torch

_MAINS = (50.0, 60.0)  # hertz
_HARMONICS = 6


@dataclass(frozen=True)
class NoiseConfig:
    """
    Distributions of noise.

    All ratios are of the mean power over the microphones of a scene, talker against noise, before
    the devices' gains, and are drawn uniformly in decibels.
    """

    sensor_snr_db: tuple = (5.0, 40.0)
    sensor_colour: tuple = (0.0, 1.0)
    """Exponents b between which the sensors' power density 1 / f^b is: 0 is white, 1 is pink."""
    sensor_spread_db: float = 3.0
    """Decibels, up to which sensors are noisier or quieter than the scene's ratio."""
    babble: float = 0.3
    """Share of the scenes in which others talk."""
    babble_snr_db: tuple = (0.0, 25.0)
    babble_talkers: int = 3
    """How many of them; in half of these scenes they are in the room, in half all around."""
    hum: float = 0.3
    """Share of the scenes in which machines hum: fans in the distance and the mains."""
    hum_snr_db: tuple = (0.0, 25.0)

    def __post_init__(self):
        """Refuse ratios that fall and shares that are none."""
        for low, high in (self.sensor_snr_db, self.sensor_colour, self.babble_snr_db,
                          self.hum_snr_db):
            if low > high:
                raise ValueError('the ends of ranges must rise')
        if not (0 <= self.babble <= 1 and 0 <= self.hum <= 1 and self.babble_talkers > 0):
            raise ValueError('babble and hum must be shares, and some must talk')


def add_sensor_noise(signals, snr_db, generator):
    """Add white noise of one level to all microphones (B, M, T) of a scene; see RoomConfig."""
    # In double precision the sum does not depend on its order, nor the scene on the threads.
    power = mean_power(signals)
    noise = torch.randn(signals.shape, generator=generator, device=generator.device)
    return signals + (power * 10 ** (-snr_db / 10)).sqrt().float() * noise.to(signals.device)


def mean_power(signals):
    """Average the power of scenes (B, M, T) over microphones and time: (B, 1, 1), float64."""
    return signals.square().mean(dim=(1, 2), keepdim=True, dtype=torch.float64)


def at_ratio(noise, power, snr_db):
    """
    Scale noise.

    Parameters
    ----------
    noise : torch.Tensor
        Shape (B, M, T).
    power : torch.Tensor
        Shape (B, 1, 1), of the talker; see `mean_power`.
    snr_db : torch.Tensor
        Shape (B,), talker against noise.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    wanted = power * 10 ** (-snr_db.double()[:, None, None] / 10)
    return noise * (wanted / mean_power(noise).clamp(min=1e-30)).sqrt().float()


def sensor_noise(config, shape, uniform, normal, sample_rate):
    """
    Let every sensor hiss for itself, somewhere between white and pink.

    Parameters
    ----------
    config : NoiseConfig
        The distribution.
    shape : tuple of int
        B, M and T.
    uniform, normal : callable
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
    noise = _coloured(normal(*shape), colour, 50.0, sample_rate)
    level_db = config.sensor_spread_db * (2 * uniform(n_scenes, n_mics, 1) - 1)
    return noise * 10 ** (level_db / 20)


def hum(mic_positions, n_samples, uniform, normal, sample_rate):
    """
    Let fans hum from everywhere, and the mains in the devices.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    n_samples : int
        T.
    uniform, normal : callable
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
    fans = diffuse_field(_coloured(normal(n_scenes, n_mics, n_samples), colour, 40.0,
                                   sample_rate), mic_positions, sample_rate)
    mains = torch.where(uniform(n_scenes, 1, 1, 1) < 0.5, *_MAINS)
    harmonic = torch.arange(1, _HARMONICS + 1, device=fans.device)[:, None]
    time = torch.arange(n_samples, device=fans.device) / sample_rate
    phase = uniform(n_scenes, n_mics, _HARMONICS, 1)  # turns, each device its own
    tones = torch.sin(2 * math.pi * (mains * harmonic * time + phase)) / harmonic
    return fans + uniform(n_scenes, 1, 1) * tones.sum(dim=2)


def _coloured(white, exponent, lowest, sample_rate):
    """Colour white noise (B, M, T) to a power density of 1 / f^exponent, of unit power."""
    n_samples = white.shape[-1]
    spectra = torch.fft.rfft(white)
    frequency = torch.arange(spectra.shape[-1], device=white.device) * (sample_rate / n_samples)
    shape = frequency.clamp(min=lowest) ** (-exponent / 2)  # (B, 1, F)
    shape = shape / shape.square().mean(dim=-1, keepdim=True).sqrt()
    return torch.fft.irfft(spectra * shape, n_samples)
