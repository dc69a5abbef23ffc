"""
The worlds that the default network is trained on, and what it is told of them.

    scattered microphones in boxes, in rooms of any shape, in halls; small arrays on robots

Each world holds ideal, realistic and rough rooms, in which nobody, one or several people talk.
"""

from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.simulation.devices.compact_arrays import ArrayConfig
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.presets import COMPACT_MIX
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.presets import REAL
from nsrp_ros.simulation.presets import ROUGH
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.told import ToldWalls
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import RoomConfig

MOST_MICROPHONES = 12
"""Of scattered ones that are simulated in a scene; batches have that many or fewer."""
TOLD = ToldWalls(shares=(0.36, 0.19, 0.08, 0.15, 0.22), turned=0.55, tight=0.55,
                 growth=(1.0, 2.2), outlined=0.5, outside=0.1)
"""What the network is told while it is trained."""

_TALKERS = TalkersConfig(shares=(0.0, 0.6, 0.28, 0.12))
_IDEAL = RealConfig(room=RoomConfig(), talkers=_TALKERS)
_HONEST = replace(REAL, talkers=_TALKERS, silent=0.15, ringing=0.3, devices=replace(
    REAL.devices, inverted=0.05) if REAL.devices else None)
_ROUGH = replace(ROUGH, talkers=_TALKERS, silent=0.15, ringing=0.3)
_HALL = replace(_HONEST, room=replace(REAL.room, min_dims=(8.0, 8.0, 2.5),
                                      max_dims=(30.0, 25.0, 8.0)))


@dataclass(frozen=True)
class World:
    """
    One kind of scenes.

    Attributes
    ----------
    rooms : RealConfig or MixtureConfig
        Their distribution.
    n_mics : int
        Microphones of each scene.
    share : float
        How often, relative to other worlds.
    scattered : bool
        Whether microphones are alike, so that any of them make a scene.

    """

    rooms: RealConfig | MixtureConfig
    n_mics: int
    share: float
    scattered: bool = False


def _on_robots(sizes: tuple[int, ...], share: float, n_mics: int) -> World:
    """Make the world of arrays of these sizes, and other microphones up to a number."""
    arrays = ArrayConfig(sizes=sizes)
    noise = None if REAL.noise is None else replace(REAL.noise, ego=0.4)
    return World(MixtureConfig(
        (replace(_IDEAL, arrays=replace(arrays, shell=0.0), mounting=MountingConfig()),
         replace(_HONEST, arrays=arrays, noise=noise), replace(_ROUGH, arrays=arrays)),
        (0.4, 0.45, 0.15)), n_mics, share)


WORLDS: tuple[World, ...] = (
    World(MixtureConfig((_IDEAL, _HONEST, _ROUGH), (0.4, 0.42, 0.18)), MOST_MICROPHONES, 0.48,
          scattered=True),
    World(MixtureConfig((replace(_IDEAL, polygons=PolygonConfig()),
                         replace(_HONEST, polygons=PolygonConfig())), (0.6, 0.4)),
          MOST_MICROPHONES, 0.14, scattered=True),
    World(_HALL, MOST_MICROPHONES, 0.05, scattered=True),
    *(_on_robots(sizes, 0.33 * share, n_mics) for sizes, n_mics, share in COMPACT_MIX),
)
"""All worlds; shares sum to one."""
