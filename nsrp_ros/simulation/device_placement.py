"""
Where devices are in real rooms: on walls, ceilings and tables, alone or as small arrays.

Shapes: B rooms, M microphones. A device is what is put up in one place: one microphone, or a
small array of them that shares its clock, its gain and what stands in front of it.
"""

from dataclasses import dataclass
import math

import torch


@dataclass(frozen=True)
class MountingConfig:
    """How devices are put up and where a talker stands."""

    share: float = 0.5
    """Of the devices that are mounted on something; the others are anywhere in the air."""
    surfaces: tuple = (0.4, 0.25, 0.05, 0.3)
    """Shares of those that are on walls, the ceiling, the floor and tables."""
    reach: float = 0.1
    """Metres within which a mounted microphone is from its wall, ceiling or floor."""
    table_heights: tuple = (0.7, 0.8)
    """Metres."""
    clusters: float = 0.0
    """Share of the scenes in which devices are arrays."""
    cluster_sizes: tuple = (2, 3, 4)
    """Microphones of an array; only sizes that leave two devices or more are drawn."""
    apertures: tuple = (0.03, 0.1)
    """Metres across an array, a ring or a line of microphones."""
    device_distance: float = 0.2
    """Metres between any two devices; the talker keeps RoomConfig.min_distance."""
    talker_margin: float = 0.3
    """Metres that the talker keeps away from walls, floor and ceiling."""
    talker_heights: tuple = (0.8, 2.0)
    """Metres between which the mouth is, as far as the room allows."""

    def __post_init__(self):
        """Refuse what cannot be put up."""
        if not (0 <= self.share <= 1 and 0 <= self.clusters <= 1
                and len(self.surfaces) == 4 and min(self.surfaces) >= 0 < sum(self.surfaces)):
            raise ValueError('share, clusters and the four surfaces must be shares')
        if not (0 < self.apertures[0] <= self.apertures[1] < 0.5 and min(self.cluster_sizes) > 1):
            raise ValueError('arrays must have two microphones or more and be small')
        if self.reach <= 0 or self.device_distance < 0 or self.talker_margin < 0:
            raise ValueError('distances must not be negative')


def draw_devices(config, min_distance, dims, n_mics, uniform):
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
    uniform : callable
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    source_position : torch.Tensor
        Shape (B, 3), metres.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    units : torch.Tensor
        Shape (B, M), int64: the device that each microphone belongs to, the lowest index first.

    Raises
    ------
    ValueError
        If the devices do not fit into a room in a thousand tries.

    """
    n_rooms = len(dims)
    units, slots, sizes = _draw_units(config, n_rooms, n_mics, uniform)
    source = dims.new_empty(n_rooms, 3)
    mics = dims.new_empty(n_rooms, n_mics, 3)
    todo = torch.arange(n_rooms, device=dims.device)
    for _ in range(1000):
        room = dims[todo]
        talker = _draw_talker(config, room, uniform)
        centres, normals = _draw_sites(config, room, n_mics, uniform)
        apart = torch.cdist(centres, centres, compute_mode='donot_use_mm_for_euclid_dist')
        apart = apart + 1e9 * torch.eye(n_mics, device=dims.device)
        near = torch.linalg.vector_norm(centres - talker[:, None], dim=-1).amin(dim=1)
        # Centres that no device of a scene of arrays takes may be anywhere.
        used = torch.arange(n_mics, device=dims.device) <= units[todo, -1:]
        apart = apart.where(used[:, None] & used[:, :, None], apart.new_tensor(1e9))
        fine = apart.flatten(1).amin(dim=1) >= config.device_distance
        # An array reaches half its aperture towards the talker.
        fine &= near >= min_distance + config.apertures[1] / 2
        places = _arrays(config, centres, normals, units[todo], slots[todo], sizes[todo], uniform)
        source[todo[fine]], mics[todo[fine]] = talker[fine], places[fine]
        todo = todo[~fine]
        if len(todo) == 0:
            return source, mics, units
    raise ValueError(f'{n_mics} microphones, {config.device_distance} m apart, and a talker do '
                     'not fit into these rooms')


def _draw_units(config, n_rooms, n_mics, uniform):
    """Share microphones among devices: units and slots (B, M), the sizes of devices (B, 1)."""
    sizes = [size for size in config.cluster_sizes if 2 * size <= n_mics] or [1]
    pick = (uniform(n_rooms, 1) * len(sizes)).long().clamp(max=len(sizes) - 1)
    size = torch.tensor(sizes, device=pick.device)[pick]
    size = size.where(uniform(n_rooms, 1) < config.clusters, torch.ones_like(size))
    mic = torch.arange(n_mics, device=pick.device)
    return mic // size, mic % size, size


def _draw_talker(config, dims, uniform):
    """Draw mouths (B, 3)."""
    bottom = torch.full_like(dims, config.talker_margin)
    top = dims - config.talker_margin
    bottom[:, 2] = bottom[:, 2].clamp(min=config.talker_heights[0])
    top[:, 2] = torch.maximum(top[:, 2].clamp(max=config.talker_heights[1]), bottom[:, 2])
    return bottom + (top - bottom) * uniform(len(dims), 3)


def _draw_sites(config, dims, n_mics, uniform):
    """Draw where devices are (B, M, 3), and what their arrays lie at right angles to."""
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


def _arrays(config, centres, normals, units, slots, sizes, uniform):
    """Put up microphones (B, M, 3) around the centres of their devices."""
    n_rooms, n_mics = units.shape
    index = units[..., None].expand(n_rooms, n_mics, 3)
    centres, normals = centres.gather(1, index), normals.gather(1, index)
    # Two directions that span the array's plane, turned at random but alike in a device.
    helper = (uniform(n_rooms, n_mics, 3) - 0.5).gather(1, index)
    first = torch.linalg.cross(normals, helper)
    first = first / torch.linalg.vector_norm(first, dim=-1, keepdim=True).clamp(min=1e-9)
    second = torch.linalg.cross(normals, first)
    second = second / torch.linalg.vector_norm(second, dim=-1, keepdim=True).clamp(min=1e-9)

    low, high = config.apertures
    aperture = low + (high - low) * uniform(n_rooms, 1)  # a scene's arrays are of one make
    turn = 2 * math.pi * slots / sizes
    ring = torch.stack([turn.cos(), turn.sin()], dim=-1) / 2  # (B, M, 2)
    line = slots / (sizes - 1).clamp(min=1) - 0.5
    line = torch.stack([line, torch.zeros_like(line)], dim=-1)
    shape = torch.where((uniform(n_rooms, 1) < 0.5)[..., None], ring, line)
    offset = aperture[..., None] * shape * (sizes > 1)[..., None]
    return centres + offset[..., :1] * first + offset[..., 1:] * second
