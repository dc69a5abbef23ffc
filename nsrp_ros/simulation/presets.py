"""
All distributions of rooms by name: ideal shoeboxes, realistic rooms, and their mixture.

To measure robustness to one effect, change that of `REAL` and keep the rest:

    replace(REAL, devices=replace(REAL.devices, late_scenes=1.0, late=0.002))
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.devices.compact_arrays import ArrayConfig
from nsrp_ros.simulation.devices.errors import DeviceConfig
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.several_talkers import TalkersConfig
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

RING = RealConfig(
    room=RoomConfig(), mounting=MountingConfig(share=0.0, talker_margin=0.05),
    arrays=ArrayConfig(sizes=(), shapes=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0), radii=(0.032, 0.032),
                       tilted=0.0, jitter=0.0, near=0.0, shell=0.0))
"""All microphones on a level ring of 3.2 cm, as most robots have four, in rooms as of 'hard'."""

ROBOT = replace(REAL, arrays=ArrayConfig(sizes=()), noise=NoiseConfig(ego=0.4))
"""Realistic rooms in which all microphones sit on one robot, with its shell and its own noise."""

COMPACT_MIX: tuple[tuple[tuple[int, ...], int, float], ...] = (
    ((3,), 3, 0.08), ((4,), 4, 0.26), ((5,), 5, 0.05), ((6,), 6, 0.09), ((7,), 7, 0.09),
    ((8,), 8, 0.08), ((16,), 16, 0.05),
    ((3, 3), 6, 0.02), ((4, 4), 8, 0.05), ((6, 6), 12, 0.02), ((4, 4, 4), 12, 0.03),
    ((2,), 4, 0.03), ((4,), 5, 0.06), ((4,), 6, 0.05), ((6,), 8, 0.04))
"""Arrays to train for: `ArrayConfig.sizes`, microphones in all, and the share of the scenes."""

_HARD = RealConfig(room=RoomConfig())
_EXACT = ToldWalls(tight=1.0, outlined=1.0)
_NOTHING = ToldWalls(shares=(0.0, 0.0, 0.0, 0.0, 1.0), floor_known=0.0, tight=0.0,
                     growth=(2.0, 2.0))

PRESETS: dict[str, RoomConfig | RealConfig | MixtureConfig | ToldConfig] = {
    **IDEAL_PRESETS,
    'real': REAL,
    'rough': ROUGH,
    # What the shipped network is trained on; some of its scenes have no active talker.
    'mixed': MixtureConfig(
        (IDEAL_PRESETS['hard'],
         replace(REAL, silent=0.1, devices=replace(_REAL_DEVICES, inverted=0.05)),
         replace(ROUGH, silent=0.1)),
        (0.35, 0.45, 0.2)),
    'ring': RING,
    'robot': ROBOT,
    # What a robot knows: turned rooms, vague walls, none, floors of any shape, several people.
    'told_exact': ToldConfig(_HARD, _EXACT),
    'told_rough': ToldConfig(_HARD, replace(
        _EXACT, shares=(0.0, 1.0, 0.0, 0.0, 0.0), rough_std=(0.05, 0.05),
        yaw_std=math.radians(2))),
    'told_nothing': ToldConfig(_HARD, _NOTHING),
    'polygon': ToldConfig(replace(_HARD, polygons=PolygonConfig()), _EXACT),
    'ring_exact': ToldConfig(RING, _EXACT),
    'ring_nothing': ToldConfig(RING, _NOTHING),
    'two_talkers': ToldConfig(replace(_HARD, talkers=TalkersConfig((0.0, 0.0, 1.0))), _EXACT),
    'three_talkers': ToldConfig(
        replace(_HARD, talkers=TalkersConfig((0.0, 0.0, 0.0, 1.0))), _EXACT),
    'silent': ToldConfig(replace(REAL, talkers=TalkersConfig((0.0, 1.0)), silent=1.0,
                                 ringing=0.4), _EXACT),
}
