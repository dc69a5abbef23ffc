"""
Microphones that sit on a robot: small arrays, alone, several, or with others in the room.

Shapes: B rooms, M microphones, A arrays of a room.
"""

from dataclasses import dataclass

from nsrp_ros.simulation.devices.array_shapes import draw_offsets
from nsrp_ros.simulation.devices.array_shapes import SHAPES
from nsrp_ros.simulation.devices.array_shapes import smallest_spacing
from nsrp_ros.simulation.devices.array_shapes import turned
from nsrp_ros.simulation.devices.placement import draw_sites
from nsrp_ros.simulation.devices.placement import draw_talker
from nsrp_ros.simulation.devices.placement import MountingConfig
from nsrp_ros.simulation.devices.placement import talker_zone
from nsrp_ros.simulation.devices.room_limits import CLEARANCE
from nsrp_ros.simulation.devices.room_limits import drawn_within
from nsrp_ros.simulation.devices.room_limits import FitsRoom
from nsrp_ros.simulation.devices.room_limits import within_outlines
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

_BODY = 0.05  # metres between an array's rim and walls: a robot's body is in between
_STEEP = 0.8  # largest sine of the elevation of a near talker


@dataclass(frozen=True)
class ArrayConfig:
    """A distribution of small arrays."""

    sizes: tuple[int, ...] = (4,)
    """Microphones of each array; those that are left over are anywhere in the room. Empty for
    one array of all."""
    shapes: tuple[float, ...] = (0.35, 0.15, 0.15, 0.2, 0.05, 0.1)
    """Share of each of `array_shapes.SHAPES`: (1, 0, 0, 0, 0, 0) are rings."""
    radii: tuple[float, float] = (0.01, 0.3)
    """Metres from the centre to the furthest microphone, uniform on a logarithmic scale."""
    line_radii: tuple[float, float] = (0.01, 0.45)
    """The same of lines: half their lengths."""
    spacing: float = 0.005
    """Least metres between neighbours: arrays of many microphones are larger for it."""
    alike: float = 0.5
    """Share of the scenes in which arrays as large as the first have its shape and radius."""
    apart: float = 1.0
    """Least metres between the centres of two arrays."""
    heights: tuple[float, float] = (0.3, 1.5)
    """Metres between which the centres are, as far as the room allows."""
    tilted: float = 0.15
    """Share of the arrays that are turned in any way; the others are level."""
    jitter: float = 0.001
    """Metres, largest error of a microphone's place along each axis: it is known as it is."""
    near: float = 0.15
    """Share of the scenes whose talker is near the first array."""
    near_distances: tuple[float, float] = (0.5, 1.0)
    """Metres between the centre and such a talker."""
    near_clearance: float = 0.3
    """Least metres between such a talker and any microphone of the array."""
    shell: float = 0.4
    """Share of the arrays on a shell that shadows each microphone from behind."""

    def __post_init__(self) -> None:
        """Raise ValueError where there are no such arrays."""
        if min(self.sizes, default=2) < 2:
            raise ValueError('arrays must have two microphones or more')
        if len(self.shapes) != len(SHAPES) or min(self.shapes) < 0 or sum(self.shapes) <= 0:
            raise ValueError(f'shapes must be shares of {SHAPES}')
        for low, high in (self.radii, self.line_radii, self.near_distances, self.heights):
            if not 0 < low <= high:
                raise ValueError('radii, distances and heights must be positive and rise')
        if not all(0 <= share <= 1 for share in (self.alike, self.tilted, self.near, self.shell)):
            raise ValueError('alike, tilted, near and shell must be shares')
        if min(self.spacing, self.apart, self.jitter, self.near_clearance) < 0:
            raise ValueError('distances must not be negative')


def draw_arrays(config: ArrayConfig, mounting: MountingConfig, min_distance: float,
                dims: torch.Tensor, n_mics: int, uniform: DrawFunction,
                outline: torch.Tensor | None = None,
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Draw a talker and arrays; scenes in which they are too close are drawn again as a whole.

    Parameters
    ----------
    config : ArrayConfig
        The distribution of the arrays.
    mounting : MountingConfig
        Where the talker is, and the microphones that belong to no array.
    min_distance : float
        Metres between the talker and single microphones, and between the talker and a sphere
        around each array, unless he is near; see `ArrayConfig.near_clearance`.
    dims : torch.Tensor
        Shape (B, 3), metres.
    n_mics : int
        M.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.
    outline : torch.Tensor, optional
        Shape (B, C, 2), metres: the floors of rooms that are no boxes.

    Returns
    -------
    source_position : torch.Tensor
        Shape (B, 3), metres.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres: the arrays in order, then the other microphones.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone, in ascending order; the first array
        is device 0.

    Raises
    ------
    ValueError
        If there are fewer microphones than the arrays have, or if the arrays do not fit into a
        room in a thousand tries.

    """
    sizes = config.sizes or (n_mics,)
    n_single = n_mics - sum(sizes)
    if n_single < 0:
        raise ValueError(f'arrays of {sizes} microphones need more than {n_mics}')
    n_rooms = len(dims)
    devices = torch.tensor([k for k, size in enumerate(sizes) for _ in range(size)],
                           device=dims.device)
    singles = len(sizes) + torch.arange(n_single, device=dims.device)
    offsets, radii = _offsets(config, sizes, n_rooms, uniform)
    near = uniform(n_rooms) < config.near
    fits_room = None if outline is None else within_outlines(outline)
    source, mics = dims.new_empty(n_rooms, 3), dims.new_empty(n_rooms, n_mics, 3)
    todo = torch.arange(n_rooms, device=dims.device)
    for _ in range(1000):
        room, radius, is_near = dims[todo], radii[todo], near[todo]
        centres = _draw_centres(config, room, radius, uniform, fits_room, todo)
        arrays = centres[:, devices] + offsets[todo]
        others, _ = draw_sites(mounting, room, n_single, uniform, fits_room, todo)
        talker = torch.where(
            is_near[:, None], _near_talker(config, mounting, room, centres[:, 0], uniform),
            draw_talker(mounting, room, uniform, fits_room, todo))
        fits = ((arrays > CLEARANCE) & (arrays < room[:, None] - CLEARANCE)).flatten(1).all(dim=1)
        fits &= _smallest(_distances(centres, centres), diagonal=False) >= config.apart
        fits &= _smallest(_distances(arrays, others)) >= mounting.device_distance
        fits &= _smallest(_distances(others, others),
                          diagonal=False) >= mounting.device_distance
        fits &= _smallest(_distances(talker[:, None], others)) >= min_distance
        spare = _distances(talker[:, None], centres)[:, 0] - radius - min_distance
        spare[:, 0] = torch.where(is_near, _smallest(_distances(
            talker[:, None], arrays[:, :sizes[0]])) - config.near_clearance, spare[:, 0])
        fits &= spare.amin(dim=1) >= 0
        bottom, top = talker_zone(mounting, room)
        fits &= ((talker >= bottom) & (talker <= top)).all(dim=1)
        placed = torch.cat([arrays, others], dim=1)
        if fits_room is not None:
            fits &= fits_room(placed, todo, CLEARANCE).all(dim=1)
            fits &= fits_room(talker[:, None], todo, mounting.talker_margin)[:, 0]
        source[todo[fits]], mics[todo[fits]] = talker[fits], placed[fits]
        todo = todo[~fits]
        if len(todo) == 0:
            return source, mics, torch.cat([devices, singles]).expand(n_rooms, n_mics)
    raise ValueError(f'arrays of {sizes} microphones, {config.apart} m apart, {n_single} others '
                     'and a talker do not fit into these rooms')


def _offsets(config: ArrayConfig, sizes: tuple[int, ...], n_rooms: int,
             uniform: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw microphones about their arrays' centres (B, sum of sizes, 3), and radii (B, A)."""
    alike = uniform(n_rooms) < config.alike
    shapes: list[torch.Tensor] = []
    radii: list[torch.Tensor] = []
    for size in sizes:
        kinds, shape = draw_offsets(config.shapes, size, n_rooms, uniform)
        share, line = uniform(n_rooms), kinds == SHAPES.index('line')
        of_line, of_other = (low * (high / low) ** share
                             for low, high in (config.line_radii, config.radii))
        radius = torch.where(line, of_line, of_other)
        radius = torch.maximum(radius, config.spacing / smallest_spacing(shape))
        if shapes and size == sizes[0]:
            shape = torch.where(alike[:, None, None], shapes[0], shape)
            radius = torch.where(alike, radii[0], radius)
        shapes.append(shape)
        radii.append(radius)
    placed = []
    for shape, radius in zip(shapes, radii, strict=True):
        jitter = config.jitter * (2 * uniform(*shape.shape) - 1)
        placed.append(turned(radius[:, None, None] * shape + jitter, config.tilted, uniform))
    return torch.cat(placed, dim=1), torch.stack(radii, dim=1)


def _draw_centres(config: ArrayConfig, dims: torch.Tensor, radii: torch.Tensor,
                  uniform: DrawFunction, fits_room: FitsRoom | None,
                  rooms: torch.Tensor) -> torch.Tensor:
    """Draw the centres of arrays (R, A, 3); `fits_room` is asked about the rooms (R,)."""
    edge = (radii + _BODY)[..., None].repeat(1, 1, 3)
    high = dims[:, None] - edge
    # Level arrays may be lower or higher than they are wide.
    edge[..., 2] = high.new_tensor(config.heights[0])
    high[..., 2] = (dims[:, None, 2] - _BODY).clamp(max=config.heights[1])
    return drawn_within(fits_room, rooms, _BODY,
                        lambda: edge + (high - edge) * uniform(*radii.shape, 3))


def _near_talker(config: ArrayConfig, mounting: MountingConfig, dims: torch.Tensor,
                 centres: torch.Tensor, uniform: DrawFunction) -> torch.Tensor:
    """Draw talkers (R, 3) around centres (R, 3); some may be outside their zone."""
    bottom, top = talker_zone(mounting, dims)
    low, high = config.near_distances
    distance = low + (high - low) * uniform(len(dims))
    lowest = torch.maximum(bottom[:, 2] - centres[:, 2], -_STEEP * distance)
    highest = torch.minimum(top[:, 2] - centres[:, 2], _STEEP * distance)
    rise = lowest + (highest - lowest).clamp(min=0) * uniform(len(dims))
    azimuth = 2 * torch.pi * uniform(len(dims))
    level = (distance.square() - rise.square()).clamp(min=0).sqrt()
    return centres + torch.stack([level * azimuth.cos(), level * azimuth.sin(), rise], dim=-1)


def _distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the distances (R, P, Q) between points (R, P, 3) and (R, Q, 3)."""
    return torch.cdist(first, second, compute_mode='donot_use_mm_for_euclid_dist')


def _smallest(distances: torch.Tensor, diagonal: bool = True) -> torch.Tensor:
    """Return the smallest distances (R,) of (R, P, Q), without the diagonal on request."""
    n_rows, n_columns = distances.shape[1:]
    far = distances.new_full((len(distances), 1), torch.inf)
    if not diagonal:
        distances = distances + torch.where(
            torch.eye(n_rows, n_columns, device=far.device) > 0, torch.inf, 0.0)
    return torch.cat([distances.flatten(1), far], dim=1).amin(dim=1)
