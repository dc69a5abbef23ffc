"""
The cells of rooms, and their distances from microphones and from the microphones' mirror images.

Shapes: B scenes, M microphones, V = Z Y X cells. Grids of geometry.py, for batches of tensors.
"""

from collections.abc import Sequence

import torch


def whole_room(room_dims: torch.Tensor) -> torch.Tensor:
    """Return the area (B, 2, 3) of rooms of dimensions (B, 3), metres."""
    return torch.stack([torch.zeros_like(room_dims), room_dims], dim=1)


def area_points(area: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """
    Divide boxes into equal cells.

    Parameters
    ----------
    area : torch.Tensor
        Shape (B, 2, 3), metres: each scene's lower and upper corner.
    shape : tuple of int
        Z, Y and X, the number of cells.

    Returns
    -------
    torch.Tensor
        Shape (B, Z, Y, X, 3), metres: the cells' centres.

    """
    x, y, z = axis_centres(area, shape)
    whole = (len(area), *shape)
    return torch.stack([x[:, None, None].expand(whole), y[:, None, :, None].expand(whole),
                        z[:, :, None, None].expand(whole)], dim=-1)


def axis_centres(area: torch.Tensor, shape: tuple[int, int, int]) -> list[torch.Tensor]:
    """Return the cells' centres along x (B, X), y (B, Y) and z (B, Z)."""
    return [area[:, 0, axis, None] + (area[:, 1] - area[:, 0])[:, axis, None] / n
            * (torch.arange(n, device=area.device) + 0.5)
            for axis, n in enumerate(reversed(shape))]


def axis_squares(positions: torch.Tensor, axes: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Square the distances from (B, M, 3) to cells along each axis (B, n): three (B, M, n)."""
    return [(positions[..., axis, None] - centres[:, None]).square()
            for axis, centres in enumerate(axes)]


def distances_of(squares: Sequence[torch.Tensor]) -> torch.Tensor:
    """Compute distances to every cell from what `axis_squares` returns: (B, M, V)."""
    x, y, z = squares
    total = z[..., :, None, None] + y[..., None, :, None] + x[..., None, None, :]
    return total.sqrt().flatten(2)


def image_distances(mic_positions: torch.Tensor, room_dims: torch.Tensor,
                    axes: Sequence[torch.Tensor]) -> torch.Tensor:
    """
    Compute the distances of cells from mirror images of microphones: (B, 6, M, V), metres.

    The mirrors are the walls across x, low and high, those across y, floor and ceiling.
    """
    squares, distances = axis_squares(mic_positions, axes), []
    for axis in range(3):
        for wall in (torch.zeros_like(room_dims), room_dims):
            image = axis_squares(2 * wall[:, None] - mic_positions, axes)[axis]
            distances.append(distances_of([*squares[:axis], image, *squares[axis + 1:]]))
    return torch.stack(distances, dim=1)
