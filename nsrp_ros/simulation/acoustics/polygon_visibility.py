"""
Which image sources microphones hear in rooms whose floor is a polygon.

A microphone within an image's beam hears it, unless the room has reflex corners, such as an L:
there another wall may stand in the way of a leg of the path. There is no diffraction around
corners.

Shapes: B rooms, M microphones, P images, h their order; see polygon_images.py.
"""

from dataclasses import dataclass

from nsrp_ros.simulation.acoustics.polygon_images import Beams
from nsrp_ros.simulation.acoustics.polygon_images import cross
from nsrp_ros.simulation.acoustics.polygon_images import Edges
from nsrp_ros.simulation.acoustics.polygon_images import first_true
from nsrp_ros.simulation.acoustics.polygon_images import reflect
from nsrp_ros.simulation.acoustics.polygon_images import talkers
import torch


@dataclass(frozen=True)
class AudibleImages:
    """
    The images that some microphone hears, seen from above.

    Attributes
    ----------
    parts : tuple of (Beams, torch.Tensor)
        Of each order from 0, the images and who hears them, (B, M, P) of bool; those that nobody
        hears come last. The only one of order zero is the talker, heard or not.
    counts : torch.Tensor
        Shape (orders, B), on the CPU: how many of a room's images somebody hears.

    """

    parts: tuple[tuple[Beams, torch.Tensor], ...]
    counts: torch.Tensor

    def __getitem__(self, part: slice) -> 'AudibleImages':
        """Return the images of some of the rooms, as few of those that nobody hears as can be."""
        counts = self.counts[:, part]
        return AudibleImages(tuple(
            (beams.some(part, most), heard[part, :, :most]) for (beams, heard), most in zip(
                self.parts, counts.amax(dim=1).clamp(min=1).tolist(), strict=True)), counts)


def audible_images(outline: torch.Tensor, wall_absorption: torch.Tensor, source: torch.Tensor,
                   mics: torch.Tensor, max_order: int) -> AudibleImages:
    """
    Find the images that some microphone hears, seen from above.

    Parameters
    ----------
    outline : torch.Tensor
        Shape (B, C, 2), metres, counterclockwise.
    wall_absorption : torch.Tensor
        Shape (B, C, K), energy absorption coefficients.
    source, mics : torch.Tensor
        Shapes (B, 2) and (B, M, 2), metres.
    max_order : int
        Most reflections.

    Returns
    -------
    AudibleImages
        Of the orders 0 to `max_order`.

    """
    edges, reflection = Edges.of(outline), (1 - wall_absorption).sqrt()
    reflex = edges.has_reflex_corner().nonzero()[:, 0]
    beams = talkers(source, wall_absorption.shape[-1])
    found = []
    for order in range(max_order + 1):
        if order:
            beams = reflect(beams, edges, reflection)
        heard = beams.take(first_true(reached(beams, edges, mics).any(dim=1)))
        heard_by = reached(heard, edges, mics)
        if len(reflex):
            heard_by[reflex] &= unobstructed(heard[reflex], edges[reflex], source[reflex],
                                             mics[reflex])
            left = first_true(heard_by.any(dim=1))
            heard = heard.take(left)
            heard_by = heard_by.gather(2, left[:, None].expand(-1, mics.shape[1], -1))
        found.append((heard, heard_by))
    counts = torch.stack([heard_by.any(dim=1).sum(dim=1) for _, heard_by in found])
    return AudibleImages(tuple(found), counts.cpu())


def reached(beams: Beams, edges: Edges, mics: torch.Tensor) -> torch.Tensor:
    """
    Tell which microphones beams reach, if nothing stands in their way.

    Parameters
    ----------
    beams : Beams
        Of order h.
    edges : Edges
        The walls.
    mics : torch.Tensor
        Shape (B, M, 2), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, M, P), bool.

    """
    exists = beams.exists[:, None].repeat(1, mics.shape[1], 1)
    if not beams.order:
        return exists
    begin, end = beams.lit.unbind(dim=2)
    offset = mics[:, :, None] - beams.place[:, None]  # (B, M, P, 2)
    normal = edges.normal.gather(1, beams.walls[..., -1, None].expand(-1, -1, 2))
    return (exists & (cross((end - beams.place)[:, None], offset) >= 0)
            & (cross(offset, (begin - beams.place)[:, None]) >= 0)
            & (((mics[:, :, None] - begin[:, None]) * normal[:, None]).sum(dim=-1) > 0))


def unobstructed(beams: Beams, edges: Edges, source: torch.Tensor,
                 mics: torch.Tensor) -> torch.Tensor:
    """
    Tell which paths cross no wall, by following them back from the microphones.

    Parameters
    ----------
    beams : Beams
        Of order h.
    edges : Edges
        The walls.
    source, mics : torch.Tensor
        Shapes (B, 2) and (B, M, 2), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, M, P), bool; only of use where the microphones are `reached`.

    """
    n_rooms, n_images = beams.exists.shape
    at = mics[:, :, None].expand(-1, -1, n_images, -1)
    free = torch.ones(at.shape[:3], dtype=torch.bool, device=at.device)
    edge = torch.arange(edges.start.shape[1], device=at.device)
    walls: list[torch.Tensor] = []  # whose points bound the current leg
    for h in reversed(range(beams.order + 1)):
        if h:
            walls = walls[-1:] + [beams.walls[..., h - 1]]
            index = walls[-1][..., None].expand(-1, -1, 2)
            start = edges.start.gather(1, index)[:, None]
            normal = edges.normal.gather(1, index)[:, None]
            image = beams.places[:, None, :, h - 1]
            here, there = (((point - start) * normal).sum(dim=-1) for point in (at, image))
            share = here / (here - there).clamp(min=1e-6)
            to = at + share[..., None] * (image - at)
        else:
            walls = walls[-1:]
            to = source[:, None, None].expand_as(at)
        leg = (to - at)[..., None, :]
        offset = edges.start[:, None, None] - at[..., None, :]  # (B, M, P, C, 2)
        vector = edges.vector[:, None, None]
        # The leg separates the ends of the edge, and the edge those of the leg.
        first = cross(leg, offset)
        second = first + cross(leg, vector)
        ours = cross(offset, vector)
        crosses = (first * second < 0) & (ours * (ours - cross(leg, vector)) < 0)
        for wall in walls:
            crosses &= (edge != wall[..., None])[:, None]
        free &= ~crosses.any(dim=-1)
        at = to
    return free
