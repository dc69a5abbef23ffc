"""
The cells of rooms, and their distances from microphones.

Shapes: B scenes, M microphones, V = Z Y X cells. Grids of geometry.py, for batches of tensors.
"""

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


def distances_from(mic_positions: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Compute the distances (B, M, V) of points (B, V, 3) from microphones (B, M, 3), metres."""
    x, y, z = (mic_positions[..., axis, None] - points[:, None, :, axis] for axis in range(3))
    return (x * x + y * y + z * z).sqrt()


def floor_posterior(log_posterior: torch.Tensor) -> torch.Tensor:
    """Marginalise the height: log-posterior (B, Z, Y, X) to probabilities (B, Y, X)."""
    return log_posterior.logsumexp(dim=1).exp()
