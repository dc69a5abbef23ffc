"""
Rooms, devices and ways of sound as they are in real rooms: all modules' draws, put together.

Whatever a configuration leaves out (None) costs nothing and is as in an ideal room, to the bit.
Shapes: B scenes, M microphones.
"""

from dataclasses import dataclass
from dataclasses import replace
from typing import Optional

from nsrp_ros.simulation.acoustics.air_absorption import air_attenuation
from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.directivity import draw_microphones
from nsrp_ros.simulation.acoustics.directivity import draw_talkers
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.scattering_occlusion import draw_shadows
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import draw_walls
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.device_errors import DeviceConfig
from nsrp_ros.simulation.device_errors import draw_latencies
from nsrp_ros.simulation.device_errors import draw_responses
from nsrp_ros.simulation.device_placement import draw_devices
from nsrp_ros.simulation.device_placement import MountingConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.talker_motion import MotionConfig
import torch


@dataclass(frozen=True)
class RealConfig:
    """A distribution of scenes in rooms that are more than a box; see each part's own module."""

    room: RoomConfig = RoomConfig()
    walls: Optional[WallConfig] = None
    mounting: Optional[MountingConfig] = None
    """Without it devices are where `room` has them."""
    directivity: Optional[DirectivityConfig] = None
    furniture: Optional[FurnitureConfig] = None
    tail: Optional[TailConfig] = None
    air: bool = False
    """Whether air at 20 degrees Celsius and 50 % humidity swallows sound."""
    devices: Optional[DeviceConfig] = None
    noise: Optional[NoiseConfig] = None
    """Without it there is the white noise of `room.snr_db`."""
    motion: Optional[MotionConfig] = None
    silent: float = 0.0
    """Share of the scenes in which nobody talks: they hold the same noise, but for other talkers
    in the room."""

    def __post_init__(self):
        """Refuse scenes that would hold nothing."""
        if not 0 <= self.silent <= 1 or (self.silent and self.noise is None):
            raise ValueError('silent must be a share, and silent scenes need noise')

    @property
    def max_order(self):
        """Return the most reflections of an image source."""
        return self.room.max_order


class Draw:
    """
    Random float32 numbers where a generator is.

    Parameters
    ----------
    generator : torch.Generator
        On any device.

    """

    def __init__(self, generator):
        self.generator = generator

    def uniform(self, *shape):
        """Draw numbers between 0 and 1."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape):
        """Draw normal numbers."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)


def draw_real_rooms(config, n_mics, n_rooms, generator):
    """
    Draw rooms, walls and devices.

    Parameters
    ----------
    config : RealConfig
        The distribution.
    n_mics, n_rooms : int
        M and B.
    generator : torch.Generator
        On any device; the rooms stay there.

    Returns
    -------
    tuple of Rooms and torch.Tensor
        The rooms, and the device (B, M) that each microphone belongs to; int64.

    """
    uniform = Draw(generator).uniform
    if config.mounting is None:
        rooms = draw_rooms(config.room, n_mics, n_rooms, generator, generator.device)
        units = torch.arange(n_mics, device=generator.device).expand(n_rooms, n_mics)
    else:
        # Devices that stand anywhere are drawn and forgotten: they may be as near as they like.
        rooms = draw_rooms(replace(config.room, min_distance=0.0), n_mics, n_rooms, generator,
                           generator.device)
        source, mics, units = draw_devices(config.mounting, config.room.min_distance, rooms.dims,
                                           n_mics, uniform)
        rooms = replace(rooms, source_position=source, mic_positions=mics)
    if config.walls is not None:
        rooms = replace(rooms, absorption=draw_walls(config.walls, rooms.dims, rooms.absorption,
                                                     uniform))
    return rooms, units


def draw_acoustics(config, rooms, units, generator):
    """
    Draw what else there is in the rooms.

    Parameters
    ----------
    config : RealConfig
        The distribution.
    rooms : Rooms
        B rooms, where the generator is.
    units : torch.Tensor
        Shape (B, M).
    generator : torch.Generator
        On any device.

    Returns
    -------
    Acoustics or None
        None where nothing differs from an ideal room.

    """
    draw, n_rooms = Draw(generator), len(rooms)
    drawn = {}
    if config.directivity is not None:
        drawn['talker_axis'], drawn['talker_pattern'] = draw_talkers(
            config.directivity, n_rooms, draw.uniform, draw.normal)
        if config.directivity.directional_mics:
            drawn['mic_axis'], drawn['mic_pattern'] = draw_microphones(
                config.directivity, units, draw.uniform, draw.normal)
    if config.furniture is not None:
        drawn['wander'] = config.furniture.wander * draw.uniform(n_rooms)
        drawn['gain_wander'] = (config.furniture.gain_wander_db * NEPERS_PER_DB
                                * draw.uniform(n_rooms))
        drawn['shadow'] = draw_shadows(config.furniture, units, draw.uniform)
    if config.devices is not None:
        if config.devices.is_late:
            drawn['latency'] = draw_latencies(config.devices, units, draw.uniform, draw.normal)
        if config.devices.tilt_db:
            drawn['response'] = draw_responses(config.devices, units, draw.uniform)
    if config.air:
        air = rooms.dims.new_tensor([NEPERS_PER_DB * air_attenuation(band) for band in BANDS])
        drawn['air'] = air.expand(n_rooms, -1)
    if config.tail is not None:
        drawn['tail'] = torch.ones(n_rooms, dtype=torch.bool, device=rooms.dims.device)
    return Acoustics(**drawn) if drawn else None
