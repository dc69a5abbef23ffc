"""
Which places are inside rooms that are no boxes, and places drawn again until they are.

Shapes: B rooms of a batch, R of them, P places in each.
"""

from collections.abc import Callable
from typing import Protocol

from nsrp_ros.simulation.rooms.polygons import inside
import torch

CLEARANCE = 5e-3
"""Metres between a microphone and walls."""
_TRIES = 100  # of a single place; then the scene is drawn again


class FitsRoom(Protocol):
    """Tells which places are inside rooms of a batch."""

    def __call__(self, points: torch.Tensor, rooms: torch.Tensor, margin: float) -> torch.Tensor:
        """
        Tell which places are inside.

        Parameters
        ----------
        points : torch.Tensor
            Shape (R, P, 3), metres.
        rooms : torch.Tensor
            Shape (R,), int64: their rooms' indices in the batch.
        margin : float
            Least metres to a wall.

        Returns
        -------
        torch.Tensor
            Shape (R, P), bool.

        """


def within_outlines(outline: torch.Tensor) -> FitsRoom:
    """Return the test of rooms whose floors are polygons (B, C, 2), metres."""
    def fits(points: torch.Tensor, rooms: torch.Tensor, margin: float) -> torch.Tensor:
        return inside(points, outline[rooms], margin)

    return fits


def drawn_within(fits_room: FitsRoom | None, rooms: torch.Tensor, margin: float,
                 draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    """
    Draw places, and each of them again while it is outside its room.

    Parameters
    ----------
    fits_room : FitsRoom or None
        None lets every place pass.
    rooms : torch.Tensor
        Shape (R,), int64: indices of rooms in the batch.
    margin : float
        Least metres to a wall.
    draw : callable
        Returns places (R, P, 3 or more), of which the first three are coordinates.

    Returns
    -------
    torch.Tensor
        Shape (R, P, 3 or more). A few places may still be outside, in rooms where few fit.

    """
    places = draw()
    if fits_room is None:
        return places
    for _ in range(_TRIES):
        outside = ~fits_room(places[..., :3], rooms, margin)
        if not outside.any():
            break
        places = torch.where(outside[..., None], draw(), places)
    return places
