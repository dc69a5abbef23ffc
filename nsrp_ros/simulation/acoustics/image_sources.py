"""
The image sources of shoebox rooms.

    J. Allen, D. Berkley, "Image method for efficiently simulating small-room acoustics", 1979.

Shapes: B rooms, M microphones, I images, K octave bands.
"""

from functools import lru_cache
from typing import Protocol

from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch


class ImageSourceConfig(Protocol):
    """Any configuration of rooms that says up to which order reflections are computed."""

    @property
    def max_order(self) -> int:
        """Return the highest reflection order of an image source."""


def count_images(max_order: int) -> int:
    """Return I, the points with |i| + |j| + |k| <= max_order."""
    return (2 * max_order + 1) * (2 * max_order ** 2 + 2 * max_order + 3) // 3


def image_sources(rooms: Rooms, max_order: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Compute the gains of the image sources and their distances to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Highest reflection order of an image source.

    Returns
    -------
    gains : torch.Tensor
        Shape (B, K, I): the product over an image's reflections of sqrt(1 - absorption).
    distances : torch.Tensor
        Shape (B, M, I), metres from each image to each microphone.

    """
    images = _image_indices(max_order, rooms.dims.device)  # (3, I), each in 0 .. 2 max_order
    axis = torch.arange(3, device=images.device)[:, None]
    gains = _reflection_gains(rooms.absorption, max_order)  # (B, K, 3, 2 max_order + 1)
    offsets = _image_coordinates(rooms, max_order)  # (B, 3, 2 max_order + 1)
    squares = (offsets[:, None] - rooms.mic_positions[..., None]) ** 2  # (B, M, 3, ...)
    return gains[:, :, axis, images].prod(dim=2), squares[:, :, axis, images].sum(dim=2).sqrt()


@lru_cache(maxsize=8)
def _image_indices(max_order: int, device: torch.device) -> torch.Tensor:
    """List all (i, j, k) with |i| + |j| + |k| <= max_order as (3, I), counted from 0."""
    one = torch.arange(-max_order, max_order + 1, device=device)
    every = torch.cartesian_prod(one, one, one)
    return (every[every.abs().sum(dim=1) <= max_order].T + max_order).contiguous()


def _reflection_gains(absorption: torch.Tensor, max_order: int) -> torch.Tensor:
    """
    Multiply wall reflections along each axis: (B, 3, 2, K) to (B, K, 3, 2 max_order + 1).

    The image n > 0 was reflected (n + 1) // 2 times by the far wall and n // 2 times by the near
    one; for n < 0 it is the other way round.
    """
    n = torch.arange(-max_order, max_order + 1, device=absorption.device)
    more, less = (n.abs() + 1) // 2, n.abs() // 2
    near, far = torch.where(n < 0, more, less), torch.where(n > 0, more, less)
    reflection = (1 - absorption).sqrt().permute(0, 3, 1, 2)[..., None]  # (B, K, 3, 2, 1)
    return reflection[..., 0, :] ** near * reflection[..., 1, :] ** far


def _image_coordinates(rooms: Rooms, max_order: int) -> torch.Tensor:
    """Mirror the source along each axis: (B, 3, 2 max_order + 1), metres."""
    n = torch.arange(-max_order, max_order + 1, device=rooms.dims.device)
    size, source = rooms.dims[..., None], rooms.source_position[..., None]
    return n * size + torch.where(n % 2 == 0, source, size - source)


def image_geometry(rooms: Rooms, max_order: int) -> tuple[
        torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Compute the image sources with the vectors from each image to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Highest reflection order of an image source.

    Returns
    -------
    gains : torch.Tensor
        Shape (B, K, I), as of `image_sources`.
    vectors : torch.Tensor
        Shape (B, M, 3, I), metres, from each image to each microphone.
    mirrors : torch.Tensor
        Shape (3, I): -1 where an image is mirrored along the axis, else 1. A talker's axis times
        this is the image's.
    orders : torch.Tensor
        Shape (I,), float32: the reflection order of each image.

    """
    images = _image_indices(max_order, rooms.dims.device)
    axis = torch.arange(3, device=images.device)[:, None]
    gains = _reflection_gains(rooms.absorption, max_order)[:, :, axis, images].prod(dim=2)
    offsets = rooms.mic_positions[..., None] - _image_coordinates(rooms, max_order)[:, None]
    steps = images - max_order
    mirrors = 1.0 - 2.0 * (steps % 2)
    return gains, offsets[:, :, axis, images], mirrors, steps.abs().sum(dim=0).float()
