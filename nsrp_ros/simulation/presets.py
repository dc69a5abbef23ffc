"""
Every kind of room by name: the ideal ones of shoebox_rooms.py, real ones, and a mixture.

For a table of robustness, change one thing of `REAL` and keep the rest:

    replace(REAL, devices=replace(REAL.devices, late_scenes=1.0, late=0.002))
"""

from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.device_errors import DeviceConfig
from nsrp_ros.simulation.device_placement import MountingConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.shoebox_rooms import PRESETS as IDEAL_PRESETS
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.talker_motion import MotionConfig


@dataclass(frozen=True)
class MixtureConfig:
    """A mixture of kinds of rooms, within each batch."""

    parts: tuple = ()
    """RoomConfig and RealConfig."""
    shares: tuple = ()
    """Of the scenes that are of each part; they sum to one."""

    def __post_init__(self):
        """Refuse shares that are none."""
        if len(self.parts) != len(self.shares) or not self.parts:
            raise ValueError('every part needs a share')
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError('shares must not be negative and must sum to one')

    @property
    def max_order(self):
        """Return the most reflections of an image source."""
        return max(part.max_order for part in self.parts)


REAL = RealConfig(
    # From some ten reflections on, diffuse tails tell no less than images do.
    room=RoomConfig(max_order=10, min_distance=0.5),
    walls=WallConfig(), mounting=MountingConfig(share=0.6, clusters=0.2),
    directivity=DirectivityConfig(directional_mics=0.2), furniture=FurnitureConfig(),
    tail=TailConfig(), air=True,
    devices=DeviceConfig(latency_std=0.12e-3, gain_db=10.0, tilt_db=1.5, position_error=0.01,
                         room_error=0.02),
    noise=NoiseConfig())

ROUGH = replace(
    REAL,
    devices=DeviceConfig(latency_std=0.12e-3, late_scenes=0.3, late=0.002, drift_ppm=100.0,
                         gain_db=10.0, tilt_db=1.5, inverted=0.1, faulty=0.3, position_error=0.05,
                         room_error=0.1),
    noise=NoiseConfig(sensor_snr_db=(-5.0, 30.0), babble=0.5, babble_snr_db=(-5.0, 20.0),
                      hum_snr_db=(-5.0, 20.0)),
    motion=MotionConfig(share=0.5, speed=(0.2, 2.0)))
"""Everything that can go wrong: loud noise, clocks, dead microphones, walkers, wrong plans."""

PRESETS = {
    **IDEAL_PRESETS,
    'real': REAL,
    'rough': ROUGH,
    # What the product learns from; in some of its rooms nobody talks.
    'mixed': MixtureConfig(
        (IDEAL_PRESETS['hard'],
         replace(REAL, silent=0.1, devices=replace(REAL.devices, inverted=0.05)),
         replace(ROUGH, silent=0.1)),
        (0.35, 0.45, 0.2)),
}
