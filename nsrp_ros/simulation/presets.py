"""
All distributions of rooms by name: ideal shoeboxes, realistic rooms, and their mixture.

To measure robustness to one effect, change that of `REAL` and keep the rest:

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
    """A mixture of distributions, within each batch."""

    parts: tuple[RoomConfig | RealConfig, ...] = ()
    """The distributions."""
    shares: tuple[float, ...] = ()
    """Share of the scenes of each part; they sum to one."""

    def __post_init__(self) -> None:
        """Raise ValueError where shares and parts do not match or do not sum to one."""
        if len(self.parts) != len(self.shares) or not self.parts:
            raise ValueError('every part needs a share')
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError('shares must not be negative and must sum to one')

    @property
    def max_order(self) -> int:
        """Return the highest reflection order of an image source."""
        return max(part.max_order for part in self.parts)


_REAL_DEVICES = DeviceConfig(latency_std=0.12e-3, gain_db=10.0, tilt_db=1.5, position_error=0.01,
                             room_error=0.02)
REAL = RealConfig(
    # Beyond some ten reflections, images hold no more information than a diffuse tail.
    room=RoomConfig(max_order=10, min_distance=0.5),
    walls=WallConfig(), mounting=MountingConfig(share=0.6, clusters=0.2),
    directivity=DirectivityConfig(directional_mics=0.2), furniture=FurnitureConfig(),
    tail=TailConfig(), air=True,
    devices=_REAL_DEVICES, noise=NoiseConfig())
"""Realistic rooms with ordinary devices."""

ROUGH = replace(
    REAL,
    devices=DeviceConfig(latency_std=0.12e-3, late_scenes=0.3, late=0.002, drift_ppm=100.0,
                         gain_db=10.0, tilt_db=1.5, inverted=0.1, faulty=0.3, position_error=0.05,
                         room_error=0.1),
    noise=NoiseConfig(sensor_snr_db=(-5.0, 30.0), babble=0.5, babble_snr_db=(-5.0, 20.0),
                      hum_snr_db=(-5.0, 20.0)),
    motion=MotionConfig(share=0.5, speed=(0.2, 2.0)))
"""All errors at once: loud noise, clocks, faults, walking talkers, wrong geometry."""

PRESETS: dict[str, RoomConfig | RealConfig | MixtureConfig] = {
    **IDEAL_PRESETS,
    'real': REAL,
    'rough': ROUGH,
    # What the shipped network is trained on; some of its scenes have no active talker.
    'mixed': MixtureConfig(
        (IDEAL_PRESETS['hard'],
         replace(REAL, silent=0.1, devices=replace(_REAL_DEVICES, inverted=0.05)),
         replace(ROUGH, silent=0.1)),
        (0.35, 0.45, 0.2)),
}
