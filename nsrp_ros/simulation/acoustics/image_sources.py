"""
The image sources of rooms: of shoeboxes by formula, of other floor plans by polygon_images.py.

    J. Allen, D. Berkley, "Image method for efficiently simulating small-room acoustics", 1979.

Shapes: B rooms, M microphones, I images, K octave bands.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from nsrp_ros.simulation.acoustics.polygon_visibility import audible_images
from nsrp_ros.simulation.acoustics.polygon_visibility import AudibleImages
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch


NAMES = 4096
"""Numbers that tell images apart, see `Images.names`."""


class ImageSourceConfig(Protocol):
    """Any configuration of rooms that says up to which order reflections are computed."""

    @property
    def max_order(self) -> int:
        """Return the highest reflection order of an image source."""


@dataclass(frozen=True)
class Images:
    """
    The image sources of a batch of rooms.

    Attributes
    ----------
    gains : torch.Tensor
        Shape (B, K, I): the product over an image's reflections of sqrt(1 - absorption).
    vectors : torch.Tensor
        Shape (B, M, 3, I), metres, from each image to each microphone.
    mirrors : torch.Tensor
        Shape (3, I) of boxes: -1 where an image is mirrored along the axis, else 1. Of other
        rooms (B, 3, 3, I), orthogonal matrices.
    orders : torch.Tensor
        Shape (I,), float32: the reflection order of each image.
    heard : torch.Tensor or None
        Shape (B, M, I), bool: whether an image's sound arrives at a microphone; None of boxes,
        where all does. Images of which it does not have the talker's own vectors.
    names : torch.Tensor or None
        Shape (B, I), int64, below `NAMES`: what images are called wherever the talker is, who
        decides which of them there are; None of boxes, which have the same ones always.

    """

    gains: torch.Tensor
    vectors: torch.Tensor
    mirrors: torch.Tensor
    orders: torch.Tensor
    heard: torch.Tensor | None = None
    names: torch.Tensor | None = None

    def axes(self, axis: torch.Tensor) -> torch.Tensor:
        """Mirror the axes of talkers, (B, 3), to those of their images, (B, 3, I)."""
        if self.mirrors.dim() == 2:
            return axis[..., None] * self.mirrors
        return (self.mirrors * axis[:, None, :, None]).sum(dim=2)

    def draws(self, draw: DrawFunction) -> DrawFunction:
        """Return a function whose numbers (B, ..., I) go with the images' names."""
        names = self.names
        if names is None:
            return draw

        def by_name(*shape: int) -> torch.Tensor:
            index = names.reshape(len(names), *(1 for _ in shape[2:]), -1).expand(*shape)
            return draw(*shape[:-1], NAMES).gather(-1, index)
        return by_name


def horizontal_order(max_order: int) -> int:
    """
    Return how often upright walls of rooms that are no boxes reflect sound at most.

    Rooms are about twice as wide as high: the first images left out come when the first of those
    from above are, that are beyond `max_order`.
    """
    return min(max_order, max(5, max_order // 2))


def count_images(max_order: int, n_corners: int = 0) -> int:
    """
    Return I, the points with |i| + |j| + |k| <= max_order.

    Of rooms with an outline of `n_corners`, it is about the most in a batch (measured).
    """
    if n_corners:
        return 2 * max_order + 1 + sum(
            n_corners * order * (order + 1) // 2 * (2 * (max_order - order) + 1)
            for order in range(1, horizontal_order(max_order) + 1))
    return (2 * max_order + 1) * (2 * max_order ** 2 + 2 * max_order + 3) // 3


def image_sources(rooms: Rooms, max_order: int, seen: AudibleImages | None = None,
                  ) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Compute the gains of the image sources and their distances to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Highest reflection order of an image source.
    seen : AudibleImages, optional
        As for `image_geometry`.

    Returns
    -------
    gains : torch.Tensor
        Shape (B, K, I): the product over an image's reflections of sqrt(1 - absorption).
    distances : torch.Tensor
        Shape (B, M, I), metres from each image to each microphone; infinite where it is not
        heard.

    """
    if rooms.outline is not None:
        found = _prism_images(rooms, max_order, seen)
        assert found.heard is not None
        return found.gains, torch.linalg.vector_norm(found.vectors, dim=2).where(
            found.heard, torch.inf)
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


def seen_from_above(rooms: Rooms, max_order: int) -> AudibleImages | None:
    """
    Find the horizontal images of rooms that are no boxes; None of boxes.

    It takes hardly longer of thousands of rooms on a GPU than of a few, unlike all the rest.
    """
    if rooms.outline is None or rooms.wall_absorption is None:
        return None
    return audible_images(rooms.outline, rooms.wall_absorption, rooms.source_position[:, :2],
                          rooms.mic_positions[..., :2], horizontal_order(max_order))


def image_geometry(rooms: Rooms, max_order: int, seen: AudibleImages | None = None) -> Images:
    """
    Compute the image sources with the vectors from each image to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Highest reflection order of an image source; upright walls of rooms that are no boxes
        reflect `horizontal_order` times at most.
    seen : AudibleImages, optional
        The rooms' horizontal images, if they are known, of `seen_from_above`.

    Returns
    -------
    Images
        I depends on the talkers where rooms are no boxes.

    """
    if rooms.outline is not None:
        return _prism_images(rooms, max_order, seen)
    images = _image_indices(max_order, rooms.dims.device)
    axis = torch.arange(3, device=images.device)[:, None]
    gains = _reflection_gains(rooms.absorption, max_order)[:, :, axis, images].prod(dim=2)
    offsets = rooms.mic_positions[..., None] - _image_coordinates(rooms, max_order)[:, None]
    steps = images - max_order
    mirrors = 1.0 - 2.0 * (steps % 2)
    return Images(gains, offsets[:, :, axis, images], mirrors, steps.abs().sum(dim=0).float())


def _prism_images(rooms: Rooms, max_order: int, seen: AudibleImages | None) -> Images:
    """Combine the horizontal images of rooms with those above and below; the talker is first."""
    seen = seen or seen_from_above(rooms, max_order)
    assert seen is not None
    up_gains = _reflection_gains(rooms.absorption, max_order)[:, :, 2]  # (B, K, 2 N + 1)
    up = rooms.mic_positions[..., 2:] - _image_coordinates(rooms, max_order)[:, None, 2]
    parts = []
    for beams, heard in seen.parts:
        left = max_order - beams.order
        steps = torch.arange(-left, left + 1, device=up.device)
        steps = steps[steps.abs().argsort(stable=True)]
        n, m = beams.place.shape[1], len(steps)
        flat = rooms.mic_positions[:, :, None, :2] - beams.place[:, None]  # (B, M, P, 2)
        vectors = torch.cat([flat[..., None, :].expand(*flat.shape[:3], m, 2),
                             up[:, :, None, steps + max_order, None].expand(
                                 *flat.shape[:3], m, 1)], dim=-1).flatten(2, 3)
        mirrors = flat.new_zeros(len(rooms), n, m, 3, 3)
        mirrors[..., :2, :2] = beams.turn[:, :, None]
        mirrors[..., 2, 2] = 1.0 - 2.0 * (steps % 2)
        parts.append((
            (beams.gain.transpose(1, 2)[..., None] * up_gains[:, :, None, steps + max_order]
             ).flatten(2),
            vectors.transpose(2, 3), mirrors.flatten(1, 2).permute(0, 2, 3, 1),
            (steps.abs() + beams.order).float().repeat(n),
            heard[..., None].expand(*heard.shape, m).flatten(2),
            ((beams.name[..., None] * 97 + steps) % NAMES).flatten(1)))
    gains, vectors, mirrors, orders, heard, names = (
        torch.cat(part, dim=-1) for part in zip(*parts, strict=True))
    # No image is further away than one of the bounding box: the signals are no longer than that.
    reach = max_order * rooms.dims.amax(dim=1) + torch.linalg.vector_norm(rooms.dims, dim=1)
    heard &= vectors.square().sum(dim=2) < reach[:, None, None] ** 2
    vectors = torch.where(heard[:, :, None], vectors, vectors[..., :1])
    return Images(gains, vectors, mirrors, orders, heard, names)
