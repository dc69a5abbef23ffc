"""
Where devices are in realistic rooms: on walls, ceilings and tables, alone or as small arrays.

Shapes: B rooms, M microphones. A device is one microphone, or a small array of them that shares
its clock, its gain and any occlusion.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.devices.room_limits import CLEARANCE
from nsrp_ros.simulation.devices.room_limits import drawn_within
from nsrp_ros.simulation.devices.room_limits import FitsRoom
from nsrp_ros.simulation.random_draws import DrawFunction
import torch


@dataclass(frozen=True)
class MountingConfig:
    """Where devices are mounted and where a talker stands."""

    share: float = 0.5
    """Of the devices that are mounted on a surface; the others are anywhere in the room."""
    surfaces: tuple[float, float, float, float] = (0.4, 0.25, 0.05, 0.3)
    """Shares of the mounted devices on walls, the ceiling, the floor and tables."""
    reach: float = 0.1
    """Metres, largest distance of a mounted microphone from its wall, ceiling or floor."""
    table_heights: tuple[float, float] = (0.7, 0.8)
    """Metres."""
    clusters: float = 0.0
    """Share of the scenes in which devices are arrays."""
    cluster_sizes: tuple[int, ...] = (2, 3, 4)
    """Microphones of an array; only sizes that give two devices or more are drawn."""
    apertures: tuple[float, float] = (0.03, 0.1)
    """Metres across an array, a ring or a line of microphones."""
    device_distance: float = 0.2
    """Least metres between any two devices; the talker keeps RoomConfig.min_distance."""
    talker_margin: float = 0.3
    """Least metres between the talker and walls, floor and ceiling."""
    talker_heights: tuple[float, float] = (0.8, 2.0)
    """Metres between which the mouth is, as far as the room allows."""

    def __post_init__(self) -> None:
        """Raise ValueError where devices cannot be placed so."""
        if not (0 <= self.share <= 1 and 0 <= self.clusters <= 1
                and len(self.surfaces) == 4 and min(self.surfaces) >= 0 < sum(self.surfaces)):
            raise ValueError('share, clusters and the four surfaces must be shares')
        if not (0 < self.apertures[0] <= self.apertures[1] < 0.5 and min(self.cluster_sizes) > 1):
            raise ValueError('arrays must have two microphones or more and be small')
        if self.reach <= 0 or self.device_distance < 0 or self.talker_margin < 0:
            raise ValueError('distances must not be negative')


def draw_devices(config: MountingConfig, min_distance: float, dims: torch.Tensor, n_mics: int,
                 uniform: DrawFunction, fits_room: FitsRoom | None = None,
                 ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Draw a talker and microphones; scenes with devices too close are drawn again as a whole.

    Parameters
    ----------
    config : MountingConfig
        The distribution.
    min_distance : float
        Metres between the talker and any device.
    dims : torch.Tensor
        Shape (B, 3), metres.
    n_mics : int
        M.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.
    fits_room : FitsRoom, optional
        Where rooms are no boxes: which places in their bounding boxes are inside.

    Returns
    -------
    source_position : torch.Tensor
        Shape (B, 3), metres.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone, in ascending order.

    Raises
    ------
    ValueError
        If the devices do not fit into a room in a thousand tries.

    """
    n_rooms = len(dims)
    device_ids, slots, sizes = _assign_devices(config, n_rooms, n_mics, uniform)
    source = dims.new_empty(n_rooms, 3)
    mics = dims.new_empty(n_rooms, n_mics, 3)
    todo = torch.arange(n_rooms, device=dims.device)
    for _ in range(1000):
        room = dims[todo]
        talker = draw_talker(config, room, uniform, fits_room, todo)
        centres, normals = draw_sites(config, room, n_mics, uniform, fits_room, todo)
        apart = torch.cdist(centres, centres, compute_mode='donot_use_mm_for_euclid_dist')
        apart = apart + 1e9 * torch.eye(n_mics, device=dims.device)
        near = torch.linalg.vector_norm(centres - talker[:, None], dim=-1).amin(dim=1)
        # A scene of arrays has fewer devices than centres: the distances of the rest do not count.
        used = torch.arange(n_mics, device=dims.device) <= device_ids[todo, -1:]
        apart = apart.where(used[:, None] & used[:, :, None], apart.new_tensor(1e9))
        fits = apart.flatten(1).amin(dim=1) >= config.device_distance
        # An array may extend half its aperture towards the talker.
        fits &= near >= min_distance + config.apertures[1] / 2
        places = _arrays(config, centres, normals, device_ids[todo], slots[todo], sizes[todo],
                         uniform)
        if fits_room is not None:
            fits &= fits_room(talker[:, None], todo, config.talker_margin)[:, 0]
            fits &= fits_room(places, todo, CLEARANCE).all(dim=1)
        source[todo[fits]], mics[todo[fits]] = talker[fits], places[fits]
        todo = todo[~fits]
        if len(todo) == 0:
            return source, mics, device_ids
    raise ValueError(f'{n_mics} microphones, {config.device_distance} m apart, and a talker do '
                     'not fit into these rooms')


def _assign_devices(config: MountingConfig, n_rooms: int, n_mics: int,
                    uniform: DrawFunction) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Divide microphones among devices.

    Returns the device of each microphone and its number in the device, both (B, M), and the sizes
    of the devices (B, 1).
    """
    sizes = [size for size in config.cluster_sizes if 2 * size <= n_mics] or [1]
    pick = (uniform(n_rooms, 1) * len(sizes)).long().clamp(max=len(sizes) - 1)
    size = torch.tensor(sizes, device=pick.device)[pick]
    size = size.where(uniform(n_rooms, 1) < config.clusters, torch.ones_like(size))
    mic = torch.arange(n_mics, device=pick.device)
    return mic // size, mic % size, size


def talker_zone(config: MountingConfig, dims: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and highest coordinates (B, 3) of talkers in rooms (B, 3), metres."""
    bottom = torch.full_like(dims, config.talker_margin)
    top = dims - config.talker_margin
    bottom[:, 2] = bottom[:, 2].clamp(min=config.talker_heights[0])
    top[:, 2] = torch.maximum(top[:, 2].clamp(max=config.talker_heights[1]), bottom[:, 2])
    return bottom, top


def draw_talker(config: MountingConfig, dims: torch.Tensor, uniform: DrawFunction,
                fits_room: FitsRoom | None, rooms: torch.Tensor) -> torch.Tensor:
    """Draw talker positions (R, 3) in the rooms (R,) of a batch, whose dimensions are (R, 3)."""
    bottom, top = talker_zone(config, dims)
    return drawn_within(fits_room, rooms, config.talker_margin, lambda: (
        bottom + (top - bottom) * uniform(len(dims), 3))[:, None])[:, 0]


def draw_sites(config: MountingConfig, dims: torch.Tensor, n_sites: int, uniform: DrawFunction,
               fits_room: FitsRoom | None,
               rooms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw where devices are; shapes with R rooms and P sites.

    Parameters
    ----------
    config : MountingConfig
        The distribution.
    dims : torch.Tensor
        Shape (R, 3), metres.
    n_sites : int
        P.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.
    fits_room : FitsRoom or None
        Where rooms are no boxes: which places in their bounding boxes are inside.
    rooms : torch.Tensor
        Shape (R,), int64: the indices of the rooms, for `fits_room`.

    Returns
    -------
    tuple of torch.Tensor
        The centres of devices and the normals of their arrays, both (R, P, 3).

    """
    both = drawn_within(fits_room, rooms, CLEARANCE, lambda: torch.cat(
        _sites_in_boxes(config, dims, n_sites, uniform), dim=-1))
    return both[..., :3], both[..., 3:]


def _sites_in_boxes(config: MountingConfig, dims: torch.Tensor, n_mics: int,
                    uniform: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the centres of devices (B, M, 3), and the normals (B, M, 3) of their arrays."""
    n_rooms = len(dims)
    edge = config.apertures[1] / 2 + 0.01 if config.clusters else 1e-3  # arrays stay inside
    box = dims[:, None]
    sites = edge + (box - 2 * edge) * uniform(n_rooms, n_mics, 3)
    normals = uniform(n_rooms, n_mics, 3) - 0.5

    mounted = uniform(n_rooms, n_mics, 1) < config.share
    shares = dims.new_tensor(config.surfaces).cumsum(0) / sum(config.surfaces)
    surface = (uniform(n_rooms, n_mics, 1) > shares[:-1]).sum(dim=-1, keepdim=True)
    side = uniform(n_rooms, n_mics, 1) < 0.5
    # Walls are at right angles to x or y in proportion to their length.
    along_x = uniform(n_rooms, n_mics, 1) < (dims[:, 1:2] / dims[:, :2].sum(
        dim=1, keepdim=True))[:, None]
    axis = torch.where(surface == 0, torch.where(along_x, 0, 1), 2)  # (B, M, 1)
    far = torch.where(surface == 0, side, surface == 1)
    clearance = 5e-3 + (config.reach - 5e-3) * uniform(n_rooms, n_mics, 1)
    length = box.expand_as(sites).gather(-1, axis)
    place = torch.where(far, length - clearance, clearance)
    low, high = config.table_heights
    table = low + (high - low) * uniform(n_rooms, n_mics, 1)
    place = torch.where(surface == 3, table, place)
    on = sites.scatter(-1, axis, place)
    upright = torch.zeros_like(normals).scatter(-1, axis, 1.0)
    return torch.where(mounted, on, sites), torch.where(mounted, upright, normals)


def _arrays(config: MountingConfig, centres: torch.Tensor, normals: torch.Tensor,
            device_ids: torch.Tensor, slots: torch.Tensor, sizes: torch.Tensor,
            uniform: DrawFunction) -> torch.Tensor:
    """Place microphones (B, M, 3) around the centres of their devices."""
    n_rooms, n_mics = device_ids.shape
    index = device_ids[..., None].expand(n_rooms, n_mics, 3)
    centres, normals = centres.gather(1, index), normals.gather(1, index)
    # Two directions that span the array's plane, rotated at random, the same for one device.
    helper = (uniform(n_rooms, n_mics, 3) - 0.5).gather(1, index)
    first = torch.linalg.cross(normals, helper)
    first = first / torch.linalg.vector_norm(first, dim=-1, keepdim=True).clamp(min=1e-9)
    second = torch.linalg.cross(normals, first)
    second = second / torch.linalg.vector_norm(second, dim=-1, keepdim=True).clamp(min=1e-9)

    low, high = config.apertures
    aperture = low + (high - low) * uniform(n_rooms, 1)  # all arrays of a scene are alike
    turn = 2 * math.pi * slots / sizes
    ring = torch.stack([turn.cos(), turn.sin()], dim=-1) / 2  # (B, M, 2)
    line = slots / (sizes - 1).clamp(min=1) - 0.5
    line = torch.stack([line, torch.zeros_like(line)], dim=-1)
    shape = torch.where((uniform(n_rooms, 1) < 0.5)[..., None], ring, line)
    offset = aperture[..., None] * shape * (sizes > 1)[..., None]
    return centres + offset[..., :1] * first + offset[..., 1:] * second
