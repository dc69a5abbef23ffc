"""
Rooms whose floor is a polygon: L-shaped, or with walls at any angle.

Outlines are corners in counterclockwise order, within the bounding box that begins at the
origin; a batch has as many corners as its richest room, the others repeat their last one.

Shapes: B rooms, C corners, K octave bands.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.surroundings.outlines import inside_outline
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

SHORTEST_WALL = 0.8
"""Metres; outlines with a shorter side are drawn again."""
_TRIES = 100
_CUT_OUT = (0.25, 0.65)  # shares of the sides that an L-shaped room lacks
_CUT_OFF = (0.15, 0.45)  # shares of the sides that an oblique cut takes from a corner
_SLANT = 0.25  # largest share of a side by which a corner of a slanted room is moved inwards


@dataclass(frozen=True)
class PolygonConfig:
    """A distribution of floor plans."""

    l_shaped: float = 0.5
    """Share of rooms that are L-shaped; the others are convex."""
    corners: tuple[int, int] = (4, 7)
    """Least and most corners of the convex ones."""

    def __post_init__(self) -> None:
        """Raise ValueError where there is no such floor plan."""
        if not 0 <= self.l_shaped <= 1:
            raise ValueError('l_shaped must be a share')
        if not 4 <= self.corners[0] <= self.corners[1] <= 8:
            raise ValueError('corners must be two rising numbers between 4 and 8')

    @property
    def n_corners(self) -> int:
        """Return C, corners of the outlines of a batch."""
        return max(self.corners[1], 6) if self.l_shaped else self.corners[1]


def draw_outlines(config: PolygonConfig, dims: torch.Tensor,
                  uniform: DrawFunction) -> torch.Tensor:
    """
    Draw floor plans that touch all sides of their bounding boxes.

    Parameters
    ----------
    config : PolygonConfig
        The distribution.
    dims : torch.Tensor
        Shape (B, 3) or (B, 2), metres: the bounding boxes.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, C, 2), metres, on the device of `dims`; a box that is too small for any other
        plan is itself.

    """
    sides = dims[:, None, :2]
    box = sides.new_tensor([(0, 0), (1, 0), (1, 1), (0, 1)])
    outlines = sides * box[[*range(4)] + [3] * (config.n_corners - 4)]
    l_shaped = uniform(len(dims)) < config.l_shaped
    todo = torch.arange(len(dims), device=dims.device)
    for _ in range(_TRIES):
        convex = _convex(config, sides[todo], uniform)
        cut_out = _l_shapes(len(todo), config.n_corners, uniform) * sides[todo]
        drawn = torch.where(l_shaped[todo, None, None], cut_out, convex)
        fits = _shortest_side(drawn) >= SHORTEST_WALL
        outlines[todo[fits]] = drawn[fits]
        todo = todo[~fits]
        if len(todo) == 0:
            break
    return outlines


def _l_shapes(n_rooms: int, n_corners: int, uniform: DrawFunction) -> torch.Tensor:
    """Draw unit squares of which a rectangle at one of the four corners is cut out: (B, C, 2)."""
    kept = 1 - _CUT_OUT[0] - (_CUT_OUT[1] - _CUT_OUT[0]) * uniform(n_rooms, 2)
    x, y = kept.T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    corners = torch.stack([torch.stack(corner, dim=1) for corner in (
        (zero, zero), (one, zero), (one, y), (x, y), (x, one), (zero, one))], dim=1)
    mirrored = uniform(n_rooms, 2) < 0.5
    corners = torch.where(mirrored[:, None], 1 - corners, corners)
    # A single mirror turns the order of the corners round.
    corners = torch.where((mirrored[:, 0] ^ mirrored[:, 1])[:, None, None], corners.flip(1),
                          corners)
    return corners[:, [min(k, 5) for k in range(max(n_corners, 6))]][:, :n_corners]


def _convex(config: PolygonConfig, sides: torch.Tensor, uniform: DrawFunction) -> torch.Tensor:
    """Draw convex plans (B, C, 2), in boxes of the `sides` (B, 1, 2), metres."""
    n_rooms = len(sides)
    corners = sides.new_tensor([(0, 0), (1, 0), (1, 1), (0, 1)])
    slant = _SLANT * uniform(n_rooms, 4, 2) * (uniform(n_rooms, 1, 1) < 0.5)
    corners = (corners + slant * (1 - 2 * corners)) * sides
    # Some rooms are turned within their boxes.
    angle = 2 * math.pi * uniform(n_rooms, 1) * (uniform(n_rooms, 1) < 0.5)
    x, y = corners[..., 0], corners[..., 1]
    corners = torch.stack([x * angle.cos() - y * angle.sin(),
                           x * angle.sin() + y * angle.cos()], dim=-1)

    low, high = config.corners
    n_cuts = (low - 4 + ((high - low + 1) * uniform(n_rooms, 1)).floor()).clamp(max=high - 4)
    is_cut = uniform(n_rooms, 4).argsort(dim=1).argsort(dim=1) < n_cuts
    share = _CUT_OFF[0] + (_CUT_OFF[1] - _CUT_OFF[0]) * uniform(n_rooms, 4, 2)
    share = share * is_cut[..., None]
    before = corners + share[..., :1] * (corners.roll(1, dims=1) - corners)
    after = corners + share[..., 1:] * (corners.roll(-1, dims=1) - corners)
    both = torch.stack([before, after], dim=2).flatten(1, 2)  # (B, 8, 2)
    kept = torch.stack([torch.ones_like(is_cut), is_cut], dim=2).flatten(1)
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    last = kept.sum(dim=1, keepdim=True) - 1
    slot = torch.minimum(torch.arange(config.n_corners, device=last.device), last)
    outline = both.gather(1, order.gather(1, slot)[..., None].expand(-1, -1, 2))
    lower, upper = outline.amin(dim=1, keepdim=True), outline.amax(dim=1, keepdim=True)
    return (outline - lower) / (upper - lower) * sides


def _shortest_side(outline: torch.Tensor) -> torch.Tensor:
    """Return the lengths (B,) of the shortest sides, repeated corners left out."""
    length = torch.linalg.vector_norm(outline.roll(-1, dims=1) - outline, dim=-1)
    return torch.where(length > 0, length, torch.inf).amin(dim=1)


def inside(points: torch.Tensor, outline: torch.Tensor, margin: float = 0.0) -> torch.Tensor:
    """
    Tell which points are within outlines and away from their edges.

    Parameters
    ----------
    points : torch.Tensor
        Shape (B, n, 2) or (B, n, 3), metres.
    outline : torch.Tensor
        Shape (B, C, 2), metres.
    margin : float
        Least metres to every edge.

    Returns
    -------
    torch.Tensor
        Shape (B, n), bool.

    """
    points = points[..., :2]
    within = inside_outline(points, outline[:, None])
    if margin <= 0:
        return within
    edge = (outline.roll(-1, dims=1) - outline)[:, None]
    offset = points[:, :, None] - outline[:, None]  # (B, n, C, 2)
    along = (offset * edge).sum(dim=-1) / edge.square().sum(dim=-1).clamp(min=1e-12)
    nearest = offset - along.clamp(0, 1)[..., None] * edge
    return within & (nearest.square().sum(dim=-1).amin(dim=-1) >= margin ** 2)


def draw_inside(outline: torch.Tensor, n_points: int, margin: float,
                uniform: DrawFunction) -> torch.Tensor:
    """
    Draw points uniformly within outlines.

    Parameters
    ----------
    outline : torch.Tensor
        Shape (B, C, 2), metres.
    n_points : int
        Of each room, n.
    margin : float
        Least metres to every edge.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, n, 2), metres.

    Raises
    ------
    ValueError
        If an outline has no such points in a thousand tries.

    """
    lower, upper = outline.amin(dim=1), outline.amax(dim=1)
    room = torch.arange(len(outline), device=outline.device).repeat_interleave(n_points)
    points = outline.new_empty(len(room), 2)
    todo = torch.arange(len(room), device=outline.device)
    for _ in range(1000):
        at = room[todo]
        drawn = lower[at] + (upper - lower)[at] * uniform(len(todo), 2)
        fits = inside(drawn[:, None], outline[at], margin)[:, 0]
        points[todo[fits]] = drawn[fits]
        todo = todo[~fits]
        if len(todo) == 0:
            return points.reshape(len(outline), n_points, 2)
    raise ValueError(f'nothing in these outlines is {margin} m away from every wall')


def walls_of_edges(absorption: torch.Tensor, n_edges: int, uniform: DrawFunction) -> torch.Tensor:
    """
    Make the walls of polygons of those of boxes: the four in random order, and over again.

    Parameters
    ----------
    absorption : torch.Tensor
        Shape (B, 3, 2, K), energy absorption coefficients of boxes.
    n_edges : int
        C.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, C, K): `Rooms.wall_absorption`.

    """
    which = uniform(len(absorption), 4).argsort(dim=1)[:, [k % 4 for k in range(n_edges)]]
    walls = absorption[:, :2].flatten(1, 2)  # (B, 4, K)
    return walls.gather(1, which[..., None].expand(-1, -1, walls.shape[-1]))
