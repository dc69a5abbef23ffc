"""
What the localizer is told of a room: its walls exactly, roughly, wrongly or not at all.

A robot's map is turned against the room, its walls are off by some centimetres and degrees, some
are missing, and the area that it searches is larger than the room, or smaller. Scenes are turned
into a frame of their own, and get `surroundings` as a robot might know them.

Shapes: B scenes, M microphones, C corners of a floor, N = C + 2 planes.
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.rooms.own_frames import draw_frame
from nsrp_ros.simulation.rooms.own_frames import move
from nsrp_ros.simulation.scenes import Scenes
import torch

MODES = ('exact', 'rough', 'wrong', 'some', 'none')


@dataclass(frozen=True)
class ToldWalls:
    """How much is told of walls, and how large the search area is."""

    shares: tuple[float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 0.0)
    """Share of the scenes whose walls are told exactly; roughly, with an honest standard
    deviation; wrongly, as if they were exact; only some of them; none."""
    turned: float = 0.5
    """Share of the scenes that are turned by any angle; the others are by right angles."""
    rough_std: tuple[float, float] = (0.01, 0.15)
    """Metres, range of the standard deviation of walls that are told roughly; log-uniform."""
    yaw_std: float = math.radians(3)
    """Radians, of rough walls, about the microphones: at most."""
    wrong_std: float = 0.05
    """Metres and, times 20 degrees, angles by which walls that are told wrongly are off."""
    floor_known: float = 0.6
    """Share of the scenes without walls in which the floor is known nevertheless."""
    tight: float = 0.6
    """Share of the scenes whose search area is the room; half of that where walls are missing."""
    growth: tuple[float, float] = (1.0, 2.0)
    """How many times as long as the room other search areas are, along x and y."""
    outlined: float = 0.6
    """Share of the tight search areas that follow the walls instead of filling a box."""
    outside: float = 0.0
    """Share of the search areas that end before a talker who is near their border."""


@dataclass(frozen=True)
class ToldConfig:
    """Rooms of any distribution, with what is told of them."""

    rooms: ImageSourceConfig
    told: ToldWalls = ToldWalls()

    @property
    def max_order(self) -> int:
        """Return the highest reflection order of an image source."""
        return self.rooms.max_order


def tell(scenes: Scenes[torch.Tensor], config: ToldWalls,
         generator: torch.Generator) -> Scenes[torch.Tensor]:
    """
    Turn scenes into frames of their own, and tell what is known of them.

    Parameters
    ----------
    scenes : Scenes
        Of tensors, in the frames of their rooms. Errors of the reported microphones stay; what is
        told of walls starts from the true ones.
    config : ToldWalls
        What is told.
    generator : torch.Generator
        On any device.

    Returns
    -------
    Scenes
        With `surroundings`; `room_dims` are the sides of the search area's box, whose lower
        corner is not the origin. Talkers may be outside of it.

    """
    draw = Draw(generator)
    frame = draw_frame(scenes, config.turned, draw)
    placed = move(scenes, frame)
    corners, heights = frame.turn(frame.outline), frame.heights
    walls = _tell_walls(config, corners, heights, placed.mic_positions, draw)
    area, outline = _search_area(config, placed, corners, heights, walls, draw)
    surroundings = SurroundingsBatch(area, walls.planes, walls.std, walls.ends, outline)
    return replace(placed, room_dims=area[:, 1] - area[:, 0], surroundings=surroundings)


@dataclass(frozen=True)
class _Walls:
    """Planes as told; shapes as of SurroundingsBatch."""

    planes: torch.Tensor
    std: torch.Tensor
    ends: torch.Tensor
    known_floor: torch.Tensor  # (B,), bool
    complete: torch.Tensor  # (B,), bool: whether all walls are told of


def _tell_walls(config: ToldWalls, corners: torch.Tensor, heights: torch.Tensor,
                mics: torch.Tensor, draw: Draw) -> _Walls:
    """Draw what is told of the walls above true corners (B, C, 2), of floors and ceilings."""
    device, (n, n_walls, _) = corners.device, corners.shape

    def uniform(*shape: int) -> torch.Tensor:
        return draw.uniform(*shape).to(device)

    def normal(*shape: int) -> torch.Tensor:
        return draw.normal(*shape).to(device)

    shares = torch.tensor(config.shares, device=draw.generator.device)
    mode = torch.multinomial(shares, n, replacement=True, generator=draw.generator).to(device)
    exact, rough, wrong, some, none = (mode == k for k in range(len(MODES)))
    # How far off planes are: exact ones by millimetres in some scenes.
    low, high = config.rough_std
    sigma = low * (high / low) ** uniform(n, 1) * (0.7 + 0.6 * uniform(n, n_walls + 2))
    is_rough = rough | (some & (uniform(n) < 0.5)) | (none & (uniform(n) < 0.5))
    sigma = torch.where(is_rough[:, None], sigma, torch.zeros_like(sigma))
    off = torch.where(wrong[:, None], config.wrong_std * uniform(n, 1).expand_as(sigma), sigma)
    yaw_std = config.yaw_std * uniform(n) * is_rough
    yaw = (yaw_std + wrong * config.wrong_std * math.radians(20) * uniform(n)) * normal(n)
    # Rough maps are turned about a point near the microphones.
    pivot = mics[..., :2].mean(dim=1, keepdim=True)
    cos, sin = yaw.cos()[:, None], yaw.sin()[:, None]
    x, y = (corners - pivot).unbind(dim=-1)
    turned = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1) + pivot
    along = turned.roll(-1, dims=1) - turned
    length = torch.linalg.vector_norm(along, dim=-1)  # (B, C)
    real = length > 1e-3
    along = along / length.clamp(min=1e-3)[..., None]
    normals = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    normals = torch.where(real[..., None], normals, normals.new_tensor([1.0, 0.0]))
    shift = off * normal(n, n_walls + 2)
    offset = (normals * turned).sum(dim=-1) + shift[:, :-2]
    start = -(along * turned).sum(dim=-1)  # along (-ny, nx), against the edge
    ends = torch.stack([start - length, start], dim=-1)

    upright = torch.cat([normals, torch.zeros_like(normals[..., :1]), offset[..., None]], dim=-1)
    level = upright.new_zeros(n, 2, 4)
    level[:, 0, 2], level[:, 0, 3] = 1.0, shift[:, -2]
    level[:, 1, 2], level[:, 1, 3] = -1.0, shift[:, -1] - heights
    size = (corners.amax(dim=1) - corners.amin(dim=1)).mean(dim=1)
    spread = torch.cat([
        (sigma[:, :-2].square() + (yaw_std.sin() * size / 4).square()[:, None]).sqrt(),
        sigma[:, -2:]], dim=1)

    # Which planes are known at all.
    chance = torch.cat([uniform(n, 1).expand(n, n_walls), spread.new_tensor(
        [[0.85, 0.5]]).expand(n, 2)], dim=1)
    known = torch.where(some[:, None], uniform(n, n_walls + 2) < chance, True)
    only_floor = torch.zeros_like(known)
    only_floor[:, -2] = uniform(n) < config.floor_known
    only_floor[:, -1] = only_floor[:, -2] & (uniform(n) < 0.3)
    known = torch.where(none[:, None], only_floor, known)
    real_planes = torch.cat([real, torch.ones_like(real[:, :2])], dim=1)
    known = known & real_planes
    return _Walls(
        torch.cat([upright, level], dim=1), spread.masked_fill(~known, math.inf),
        torch.cat([ends, ends.new_tensor([-math.inf, math.inf]).expand(n, 2, 2)], dim=1),
        known[:, -2], (known | ~real_planes).all(dim=1))


def _search_area(config: ToldWalls, scenes: Scenes[torch.Tensor], corners: torch.Tensor,
                 heights: torch.Tensor, walls: _Walls,
                 draw: Draw) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Draw the boxes (B, 2, 3) that are searched, and outlines (B, C, 2) within some of them."""
    device, n = corners.device, len(corners)

    def uniform(*shape: int) -> torch.Tensor:
        return draw.uniform(*shape).to(device)

    floor = torch.zeros_like(heights)
    low = torch.cat([corners.amin(dim=1), floor[:, None]], dim=1)
    high = torch.cat([corners.amax(dim=1), heights[:, None]], dim=1)
    tight = uniform(n) < config.tight * torch.where(walls.complete, 1.0, 0.5)
    least, most = config.growth
    grown = (high - low) * (least - 1 + (most - least) * uniform(n, 3)) * ~tight[:, None]
    grown[:, 2] *= 0.25
    below = grown * uniform(n, 3)
    # Who knows the floor does not search below it.
    below[:, 2] *= ~walls.known_floor
    low, high = low - below, high + (grown - below)
    outlined = tight & (uniform(n) < config.outlined)
    outline = None
    if bool(outlined.any()) and config.outlined:
        boxes = torch.stack([torch.stack([x[:, 0], y[:, 1]], dim=-1) for x, y in (
            (low, low), (high, low), (high, high), (low, high))], dim=1)
        rest = corners.shape[1] - 4
        boxes = torch.cat([boxes, boxes[:, -1:].expand(-1, rest, -1)], dim=1)
        outline = torch.where(outlined[:, None, None], corners, boxes)
    if config.outside:
        low, high = _cut_off(config, scenes, low, high, draw)
    return torch.stack([low, high], dim=1), outline


def _cut_off(config: ToldWalls, scenes: Scenes[torch.Tensor], low: torch.Tensor,
             high: torch.Tensor, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Let some search areas end before the talker, as a map that still grows does."""
    device, n = low.device, len(low)
    side = (4 * draw.uniform(n)).long().to(device)  # of x and y, low and high
    axis, upper = side // 2, side % 2 == 1
    short = (draw.uniform(n) < config.outside).to(device)
    place = scenes.source_position.gather(1, axis[:, None])[:, 0]
    gap = 0.1 + draw.uniform(n).to(device)
    at = torch.where(upper, place - gap, place + gap)
    start, end = (of.gather(1, axis[:, None])[:, 0] for of in (low, high))
    # Two metres at least are left to be searched.
    short &= torch.where(upper, at - start, end - at) > 2.0
    which = torch.nn.functional.one_hot(axis, 3).bool() & short[:, None]
    low = torch.where(which & ~upper[:, None], at[:, None], low)
    high = torch.where(which & upper[:, None], at[:, None], high)
    return low, high
