"""
The horizontal image sources of rooms whose floor is a polygon.

    J. Borish, "Extension of the image model to arbitrary polyhedra", 1984.

Upright walls mirror the talker within a horizontal plane, floor and ceiling upwards; so all that
walls do is seen from above. A sequence of walls reflects sound to a microphone if the straight
line from the image passes through each of them in turn. Beams keep account of that: the first
wall lights up whole, each further one as far as the beam through the one before it reaches, and
what lights no wall ends there. Few sequences are left of each order, some C h of order h, though
there are C (C - 1)^(h - 1). polygon_visibility.py tells which microphone hears which.

Shapes: B rooms, M microphones, C corners, P images, h their order; edge c runs from corner c to
the next one, with the room on its left.
"""

from dataclasses import dataclass

import torch

_TOUCH = 1e-6
"""Shares of a wall: beams that light less of it end there."""
_SHORTEST_EDGE = 1e-4  # metres; a repeated corner makes an edge of no length
_MOST_BEAMS = 512
"""Of one order: more would be of rooms with many reflex corners."""


@dataclass(frozen=True)
class Edges:
    """
    The walls of a batch of rooms, seen from above.

    Attributes
    ----------
    start, vector : torch.Tensor
        Shape (B, C, 2), metres: from where they run, and to where from there.
    normal : torch.Tensor
        Shape (B, C, 2): unit vectors into the room.
    is_wall : torch.Tensor
        Shape (B, C), bool: whether an edge has any length.

    """

    start: torch.Tensor
    vector: torch.Tensor
    normal: torch.Tensor
    is_wall: torch.Tensor

    @classmethod
    def of(cls, outline: torch.Tensor) -> 'Edges':
        """Return the edges of outlines (B, C, 2), counterclockwise, metres."""
        vector = outline.roll(-1, dims=1) - outline
        length = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
        normal = torch.stack([-vector[..., 1], vector[..., 0]], dim=-1) / length.clamp(
            min=_SHORTEST_EDGE)
        return cls(outline, vector, normal, length[..., 0] > _SHORTEST_EDGE)

    def __getitem__(self, part: torch.Tensor) -> 'Edges':
        """Return the edges of some of the rooms."""
        return Edges(self.start[part], self.vector[part], self.normal[part], self.is_wall[part])

    def has_reflex_corner(self) -> torch.Tensor:
        """Tell which outlines (B,) are not convex."""
        # All corners are on the left of every edge of a convex outline.
        left = cross(self.vector[:, :, None], self.start[:, None] - self.start[:, :, None])
        return (left < -1e-4).flatten(1).any(dim=1)


@dataclass(frozen=True)
class Beams:
    """
    Images of the talkers of one order, and the beams of sound that come from them.

    Attributes
    ----------
    place : torch.Tensor
        Shape (B, P, 2), metres.
    turn : torch.Tensor
        Shape (B, P, 2, 2): orthogonal matrices; a talker's axis times this is the image's.
    gain : torch.Tensor
        Shape (B, P, K): the product over the walls of sqrt(1 - absorption).
    name : torch.Tensor
        Shape (B, P), int64: a number for each sequence of walls, wherever the talker is.
    exists : torch.Tensor
        Shape (B, P), bool: rooms with fewer images than others have some that do not exist.
    walls : torch.Tensor
        Shape (B, P, h), int64: the sequence, the first wall that is hit first.
    places : torch.Tensor
        Shape (B, P, h, 2), metres: the images of the orders 1 to h on the way.
    lit : torch.Tensor
        Shape (B, P, 2, 2), metres: the ends of what is lit of the last wall, as it runs.

    """

    place: torch.Tensor
    turn: torch.Tensor
    gain: torch.Tensor
    name: torch.Tensor
    exists: torch.Tensor
    walls: torch.Tensor
    places: torch.Tensor
    lit: torch.Tensor

    @property
    def order(self) -> int:
        """Return h."""
        return self.walls.shape[-1]

    def __getitem__(self, part: torch.Tensor) -> 'Beams':
        """Return the beams of some of the rooms."""
        return Beams(*(value[part] for value in vars(self).values()))

    def some(self, part: slice, most: int) -> 'Beams':
        """Return the first of the beams of some of the rooms."""
        return Beams(*(value[part, :most] for value in vars(self).values()))

    def take(self, index: torch.Tensor) -> 'Beams':
        """Return the beams (B, P') of an index into P."""
        rows = torch.arange(len(index), device=index.device)[:, None]
        return Beams(*(value[rows, index] for value in vars(self).values()))


def first_true(chosen: torch.Tensor) -> torch.Tensor:
    """Return indices (B, P') of all that is chosen of (B, P), and of as few others as possible."""
    most = min(max(int(chosen.sum(dim=1).max()), 1), _MOST_BEAMS)
    return (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]


def talkers(source: torch.Tensor, n_bands: int) -> Beams:
    """Return those at `source` (B, 2) themselves, as beams of order zero."""
    n_rooms = len(source)
    number = torch.zeros(n_rooms, 1, dtype=torch.int64, device=source.device)
    return Beams(
        source[:, None], torch.eye(2, device=source.device).expand(n_rooms, 1, 2, 2),
        source.new_ones(n_rooms, 1, n_bands), number, number == 0, number[..., None][..., :0],
        source.new_empty(n_rooms, 1, 0, 2), source.new_zeros(n_rooms, 1, 2, 2))


def reflect(beams: Beams, edges: Edges, reflection: torch.Tensor) -> Beams:
    """
    Mirror images in every wall that their beams light.

    Parameters
    ----------
    beams : Beams
        Of order h.
    edges : Edges
        The walls.
    reflection : torch.Tensor
        Shape (B, C, K), sqrt(1 - absorption).

    Returns
    -------
    Beams
        Of order h + 1.

    """
    n_edges = edges.start.shape[1]
    normal = edges.normal[:, None]  # (B, 1, C, 2)
    ahead = ((beams.place[:, :, None] - edges.start[:, None]) * normal).sum(dim=-1)  # (B, P, C)
    # The share of each wall that is lit, from `low` to `high`.
    low, high = torch.zeros_like(ahead), torch.ones_like(ahead)
    if beams.order:
        begin, end = beams.lit.unbind(dim=2)
        ray_begin, ray_end = begin - beams.place, end - beams.place
        last = beams.walls[..., -1, None].expand(-1, -1, 2)
        last_normal = edges.normal.gather(1, last)
        offset = edges.start[:, None] - beams.place[:, :, None]
        vector = edges.vector[:, None]
        for at_start, slope in (
                (cross(ray_end[:, :, None], offset), cross(ray_end[:, :, None], vector)),
                (-cross(ray_begin[:, :, None], offset), -cross(ray_begin[:, :, None], vector)),
                (((edges.start[:, None] - begin[:, :, None]) * last_normal[:, :, None]).sum(-1),
                 (vector * last_normal[:, :, None]).sum(-1))):
            # Lit where at_start + slope * share > 0; parallel walls are so as a whole or not.
            zero = -at_start / slope.where(slope.abs() > 1e-9, -1e-9)
            low = torch.where(slope > 1e-9, torch.maximum(low, zero), low)
            high = torch.where(slope > 1e-9, high, torch.minimum(high, zero))
    exists = (high - low > _TOUCH) & (ahead > 1e-5) & (
        edges.is_wall[:, None] & beams.exists[:, :, None])
    wall = torch.arange(n_edges, device=ahead.device).expand(ahead.shape)
    if beams.order:
        exists &= wall != beams.walls[..., -1, None]

    def of_each(value: torch.Tensor) -> torch.Tensor:
        shape = value.shape
        return value[:, :, None].expand(*shape[:2], n_edges, *shape[2:])

    place = beams.place[:, :, None] - 2 * ahead[..., None] * normal
    mirror = torch.eye(2, device=place.device) - 2 * normal[..., :, None] * normal[..., None, :]
    low, high = low[..., None], high[..., None]
    start, vector = edges.start[:, None], edges.vector[:, None]
    children = Beams(
        place, mirror @ beams.turn[:, :, None], beams.gain[:, :, None] * reflection[:, None],
        beams.name[:, :, None] * n_edges + wall + 1, exists,
        torch.cat([of_each(beams.walls), wall[..., None]], dim=-1),
        torch.cat([of_each(beams.places), place[..., None, :]], dim=-2),
        torch.stack([start + low * vector, start + high * vector], dim=-2))
    return Beams(*(value.flatten(1, 2) for value in vars(children).values())).take(
        first_true(exists.flatten(1)))


def cross(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the cross products of vectors (..., 2): positive where the other is to the left."""
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
