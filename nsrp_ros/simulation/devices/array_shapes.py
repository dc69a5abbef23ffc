"""
Shapes of small arrays: rings, rectangles, lines, stars and spheres of unit radius, and turns.

Shapes: B arrays, n microphones.
"""

import math

from nsrp_ros.simulation.random_draws import DrawFunction
import torch

SHAPES = ('ring', 'centred ring', 'rectangle', 'line', 'star', 'sphere')
"""A centred ring has one microphone in the middle, from six microphones on; with fewer it is a
ring. Rectangles hold their microphones on the rim or, from nine on, in a grid where n has one."""
_MIN_ASPECT = 0.4  # of a rectangle's short side to its long one, as laid out


def draw_offsets(shares: tuple[float, ...], n: int, n_arrays: int,
                 uniform: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw the shapes of arrays, level and unturned.

    Parameters
    ----------
    shares : tuple of float
        Of each of `SHAPES`.
    n, n_arrays : int
        Microphones of an array, and B.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    kinds : torch.Tensor
        Shape (B,), int64: the index of the shape in `SHAPES`.
    offsets : torch.Tensor
        Shape (B, n, 3): positions about the centre; the furthest microphone is 1 away from it.

    """
    pick = uniform(n_arrays, 1)
    kinds = (pick > pick.new_tensor(shares[:-1]).cumsum(0) / sum(shares)).sum(dim=1)
    # Half of the rectangles are laid out square.
    aspect = (_MIN_ASPECT ** uniform(n_arrays)).where(
        (kinds == SHAPES.index('rectangle')) & (uniform(n_arrays) < 0.5), pick.new_tensor(1.0))
    offsets = _unit_shapes(n).to(pick)[kinds]
    offsets[..., 1] *= aspect[:, None]
    furthest = torch.linalg.vector_norm(offsets, dim=-1).amax(dim=1)
    return kinds, offsets / furthest[:, None, None]


def turned(offsets: torch.Tensor, tilted: float, uniform: DrawFunction) -> torch.Tensor:
    """
    Turn arrays (B, n, 3) about the vertical, and a share `tilted` of them by any rotation.

    Parameters
    ----------
    offsets : torch.Tensor
        Shape (B, n, 3).
    tilted : float
        Share of the arrays that do not stay level.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, n, 3).

    """
    first, heading, roll = uniform(3, len(offsets))
    # A uniform random unit quaternion (Shoemake 1992); without `first` it turns about z alone.
    first = first * (uniform(len(offsets)) < tilted)
    x, y = first.sqrt() * (2 * math.pi * roll).sin(), first.sqrt() * (2 * math.pi * roll).cos()
    z = (1 - first).sqrt() * (2 * math.pi * heading).sin()
    w = (1 - first).sqrt() * (2 * math.pi * heading).cos()
    axis = torch.stack([x, y, z], dim=-1)[:, None].expand_as(offsets)
    across = 2 * torch.linalg.cross(axis, offsets)
    return offsets + w[:, None, None] * across + torch.linalg.cross(axis, across)


def smallest_spacing(offsets: torch.Tensor) -> torch.Tensor:
    """Return the distance (B,) between the nearest two of an array's (B, n, 3) microphones."""
    apart = torch.cdist(offsets, offsets, compute_mode='donot_use_mm_for_euclid_dist')
    return (apart + 1e9 * torch.eye(apart.shape[-1], device=apart.device)).amin(dim=(1, 2))


def _unit_shapes(n: int) -> torch.Tensor:
    """Return each of `SHAPES` with n microphones: (6, n, 3), not yet of unit radius."""
    mic = torch.arange(n, dtype=torch.float64)

    def about(turns: torch.Tensor, radius: torch.Tensor | float = 1.0) -> torch.Tensor:
        angle = 2 * math.pi * turns
        return torch.stack([radius * angle.cos(), radius * angle.sin(), 0 * angle], dim=-1)

    ring = about(mic / n)
    centred = about((mic - 1) / (n - 1), (mic > 0).double()) if n >= 6 else ring
    line = torch.stack([2 * mic / (n - 1) - 1, 0 * mic, 0 * mic], dim=-1)
    # A star of three or four arms has a microphone in its middle where one is left over.
    arms = 3 if n < 8 else 4
    hub = int(n % arms == 1)
    rank = mic - hub  # -1 in the middle
    star = about(rank.remainder(arms) / arms, torch.floor(rank / arms) + 1)
    # Points of a Fibonacci lattice are about equally far apart on a sphere.
    height = 1 - (2 * mic + 1) / n
    sphere = about(mic * (5 ** 0.5 - 1) / 2, (1 - height ** 2).sqrt())
    sphere[:, 2] = height
    return torch.stack([ring, centred, _rectangle(n), line, star, sphere])


def _rectangle(n: int) -> torch.Tensor:
    """Return a square's rim, or a grid of rows and columns: (n, 3)."""
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    if n >= 9 and rows > 1:
        y, x = torch.meshgrid(torch.arange(rows, dtype=torch.float64),
                              torch.arange(n // rows, dtype=torch.float64), indexing='ij')
        flat = torch.stack([x - x.mean(), y - y.mean(), 0 * x], dim=-1)
        return flat.reshape(n, 3)
    corners = torch.tensor([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0], [1, 1, 0]],
                           dtype=torch.float64)
    place = 4 * torch.arange(n, dtype=torch.float64) / n
    side = place.long()
    return corners[side].lerp(corners[side + 1], (place - side)[:, None])
