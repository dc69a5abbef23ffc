"""
Realistic rooms: walls, device placement, acoustics and device errors drawn together.

What a configuration leaves out (None) costs nothing and is bit-equal to an ideal room.
Shapes: B scenes, M microphones.
"""

from dataclasses import dataclass
from dataclasses import replace

from nsrp_ros.simulation.acoustics.air_absorption import air_attenuation
from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.directivity import draw_microphones
from nsrp_ros.simulation.acoustics.directivity import draw_talkers
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.scattering_occlusion import draw_occlusion
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import draw_walls
from nsrp_ros.simulation.acoustics.wall_absorption import limit_reverberation
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.devices.compact_arrays import ArrayConfig
from nsrp_ros.simulation.devices.compact_arrays import draw_arrays
from nsrp_ros.simulation.devices.errors import DeviceConfig
from nsrp_ros.simulation.devices.errors import draw_latencies
from nsrp_ros.simulation.devices.errors import draw_responses
from nsrp_ros.simulation.devices.placement import draw_devices
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.devices.robot_shell import draw_shell
from nsrp_ros.simulation.devices.room_limits import within_outlines
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.rooms.polygons import draw_outlines
from nsrp_ros.simulation.rooms.polygons import PolygonConfig
from nsrp_ros.simulation.rooms.polygons import walls_of_edges
from nsrp_ros.simulation.several_talkers import TalkersConfig
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.talker_motion import MotionConfig
import torch


@dataclass(frozen=True)
class RealConfig:
    """A distribution of scenes in realistic rooms; see the module of each part."""

    room: RoomConfig = RoomConfig()
    walls: WallConfig | None = None
    mounting: MountingConfig | None = None
    """Without it devices are where `room` has them, and its default is that of `arrays`."""
    directivity: DirectivityConfig | None = None
    furniture: FurnitureConfig | None = None
    tail: TailConfig | None = None
    air: bool = False
    """Whether air, at 20 degrees Celsius and 50 % humidity, absorbs sound."""
    devices: DeviceConfig | None = None
    noise: NoiseConfig | None = None
    """Without it there is the white noise of `room.snr_db`."""
    motion: MotionConfig | None = None
    polygons: PolygonConfig | None = None
    """Without it rooms are boxes."""
    arrays: ArrayConfig | None = None
    """Small arrays in place of the devices of `mounting`, which has the talker and single
    microphones."""
    talkers: TalkersConfig | None = None
    """Without it one person talks, except for `silent`."""
    silent: float = 0.0
    """Share of the scenes without an active talker: they hold the same noise, except for
    interfering talkers in the room."""
    ringing: float = 0.0
    """Share of the scenes without an active talker in which one has just stopped, and
    reverberation is left of him."""

    def __post_init__(self) -> None:
        """Raise ValueError where scenes would hold nothing."""
        if not (0 <= self.silent <= 1 and 0 <= self.ringing <= 1) or (
                self.silent and self.noise is None):
            raise ValueError('silent and ringing must be shares, and silent scenes need noise')

    @property
    def max_order(self) -> int:
        """Return the highest reflection order of an image source."""
        return self.room.max_order


def draw_real_rooms(config: RealConfig, n_mics: int, n_rooms: int,
                    generator: torch.Generator) -> tuple[Rooms, torch.Tensor]:
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
        The rooms, and the device of each microphone, shape (B, M), int64.

    """
    uniform = Draw(generator).uniform
    boxes_alone = config.mounting is None and config.arrays is None and config.polygons is None
    if boxes_alone:
        rooms = draw_rooms(config.room, n_mics, n_rooms, generator, generator.device)
        device_ids = torch.arange(n_mics, device=generator.device).expand(n_rooms, n_mics)
    else:
        # The devices of these rooms are replaced, so their distances do not matter.
        rooms = draw_rooms(replace(config.room, min_distance=0.0), n_mics, n_rooms, generator,
                           generator.device)
    outline = None
    if config.polygons is not None:
        outline = draw_outlines(config.polygons, rooms.dims, uniform)
    if not boxes_alone:
        source, mics, device_ids = _place(config, rooms.dims, n_mics, uniform, outline)
        rooms = replace(rooms, source_position=source, mic_positions=mics)
    if config.walls is not None:
        rooms = replace(rooms, absorption=draw_walls(config.walls, rooms.dims, rooms.absorption,
                                                     uniform))
    if outline is not None:
        edges = walls_of_edges(rooms.absorption, outline.shape[1], uniform)
        rooms = replace(rooms, outline=outline, wall_absorption=edges)
        if config.walls is not None:
            rooms = limit_reverberation(rooms, config.walls.rt60[1])
    return rooms, device_ids


def _place(config: RealConfig, dims: torch.Tensor, n_mics: int, uniform: DrawFunction,
           outline: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw the talker and the microphones; arguments and result as of `draw_arrays`."""
    min_distance = config.room.min_distance
    if config.arrays is not None:
        return draw_arrays(config.arrays, config.mounting or MountingConfig(), min_distance, dims,
                           n_mics, uniform, outline)
    # Without mounting, all are anywhere, as in boxes: `draw_rooms` knows no polygons.
    mounting = config.mounting or MountingConfig(
        share=0.0, device_distance=min_distance, talker_margin=max(config.room.margin, 1e-3),
        talker_heights=config.room.heights or (0.0, config.room.max_dims[2]))
    return draw_devices(mounting, min_distance, dims, n_mics, uniform,
                        None if outline is None else within_outlines(outline))


def draw_acoustics(config: RealConfig, rooms: Rooms, device_ids: torch.Tensor,
                   generator: torch.Generator) -> Acoustics | None:
    """
    Draw the effects beyond walls.

    Parameters
    ----------
    config : RealConfig
        The distribution.
    rooms : Rooms
        B rooms, on the generator's device.
    device_ids : torch.Tensor
        Shape (B, M): the device of each microphone.
    generator : torch.Generator
        On any device.

    Returns
    -------
    Acoustics or None
        None where the rooms are ideal.

    """
    draw, n_rooms = Draw(generator), len(rooms)
    drawn: dict[str, torch.Tensor] = {}
    if config.directivity is not None:
        drawn['talker_axis'], drawn['talker_pattern'] = draw_talkers(
            config.directivity, n_rooms, draw.uniform, draw.normal)
        if config.directivity.directional_mics:
            drawn['mic_axis'], drawn['mic_pattern'] = draw_microphones(
                config.directivity, device_ids, draw.uniform, draw.normal)
    if config.arrays is not None and config.arrays.shell:
        axis, pattern = draw_shell(config.arrays.shell, rooms.mic_positions, device_ids,
                                   draw.uniform)
        if 'mic_axis' in drawn:  # a shell shadows more than a microphone is directional
            shadowed = (pattern > 0).any(dim=-1, keepdim=True)
            axis = torch.where(shadowed, axis, drawn['mic_axis'])
            pattern = torch.where(shadowed, pattern, drawn['mic_pattern'])
        drawn['mic_axis'], drawn['mic_pattern'] = axis, pattern
    if config.furniture is not None:
        drawn['image_jitter'] = config.furniture.wander * draw.uniform(n_rooms)
        drawn['gain_jitter'] = (config.furniture.gain_wander_db * NEPERS_PER_DB
                                * draw.uniform(n_rooms))
        drawn['occlusion'] = draw_occlusion(config.furniture, device_ids, draw.uniform)
    if config.devices is not None:
        if config.devices.has_latency:
            drawn['latency'] = draw_latencies(config.devices, device_ids, draw.uniform,
                                              draw.normal)
        if config.devices.tilt_db:
            drawn['response'] = draw_responses(config.devices, device_ids, draw.uniform)
    if config.air:
        air = rooms.dims.new_tensor([NEPERS_PER_DB * air_attenuation(band) for band in BANDS])
        drawn['air'] = air.expand(n_rooms, -1)
    if config.tail is not None:
        drawn['tail'] = torch.ones(n_rooms, dtype=torch.bool, device=rooms.dims.device)
    return Acoustics(**drawn) if drawn else None
