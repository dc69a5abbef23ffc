"""
Walls, floor and ceiling as mirrors that are known by degrees, for batches of scenes.

A plane mirrors each microphone: sound that it reflects travels as if it went straight to the
mirror image. Of a plane that is not known exactly an echo's delay is uncertain as well, so it
counts less, and is looked for over a wider range of lags; of one that is not known at all nothing
is assumed. Walls have ends: a reflection that would lie beyond them does not happen, and what is
behind a wall cannot be seen from before it.

Shapes: B scenes, M microphones, V cells, N planes.
"""

from dataclasses import dataclass

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.networks.cell_geometry import whole_room
import torch

HALF_TRUST = 0.05
"""Metres of standard deviation at which a plane is trusted by half."""
BLURS = (0.015, 0.04)
"""Metres of standard deviation above which echoes are looked for in 3, and in 7 lag features."""
KINDS = ('walls', 'floor', 'ceiling')
_LEVEL = 0.7  # of a unit normal's vertical part, from which a plane is a floor or a ceiling


def exact_boxes(room_dims: torch.Tensor) -> SurroundingsBatch[torch.Tensor]:
    """Return the surroundings of boxes (B, 3) from the origin, metres, that are known exactly."""
    n_scenes = len(room_dims)
    planes = room_dims.new_zeros(n_scenes, 6, 4)
    for axis in range(3):
        planes[:, 2 * axis, axis], planes[:, 2 * axis + 1, axis] = 1.0, -1.0
        planes[:, 2 * axis + 1, 3] = -room_dims[:, axis]
    ends = room_dims.new_tensor([-torch.inf, torch.inf]).expand(n_scenes, 6, 2)
    return SurroundingsBatch(whole_room(room_dims), planes, room_dims.new_zeros(n_scenes, 6), ends)


@dataclass(frozen=True)
class Planes:
    """
    How well the planes of B scenes are known, and what they are.

    Attributes
    ----------
    trust : torch.Tensor
        Shape (B, N): 1 for planes that are exact, towards 0 for those that are hardly known.
    blur : torch.Tensor
        Shape (B, N), int64: over how many lags echoes are spread; 0, 1 or 2, see `BLURS`.
    kind : torch.Tensor
        Shape (B, N, 3): one-hot, the plane's place in `KINDS`; zero where nothing is known.

    """

    trust: torch.Tensor
    blur: torch.Tensor
    kind: torch.Tensor


@dataclass(frozen=True)
class Mirrors:
    """
    The planes of B scenes, as seen from microphones and cells.

    Attributes
    ----------
    planes : Planes
        What they are.
    cells : torch.Tensor
        Shape (B, N, V), metres: how far cells are in front of the planes.
    through : torch.Tensor
        Shape (B, N, M, V), metres: the paths from cells to microphones by way of the planes.
    reflects : torch.Tensor
        Shape (B, N, M, V), bool: whether there is such a path.
    hidden : torch.Tensor
        Shape (B, M, V): how surely a wall stands between a microphone and a cell, 0 to 1.

    """

    planes: Planes
    cells: torch.Tensor
    through: torch.Tensor
    reflects: torch.Tensor
    hidden: torch.Tensor


def planes_of(surroundings: SurroundingsBatch[torch.Tensor]) -> Planes:
    """Tell how well the planes of surroundings are known, and what they are."""
    std, level = surroundings.std, surroundings.planes[..., 2]
    kind = torch.stack([level.abs() < _LEVEL, level >= _LEVEL, level <= -_LEVEL], dim=-1)
    blur = torch.zeros_like(std, dtype=torch.long)
    for least in BLURS:
        blur += std > least
    return Planes(1 / (1 + std / HALF_TRUST), blur,
                  (kind & torch.isfinite(std)[..., None]).to(std.dtype))


@torch.autocast('cuda', enabled=False)
@torch.autocast('cpu', enabled=False)
def mirrors_of(surroundings: SurroundingsBatch[torch.Tensor], mic_positions: torch.Tensor,
               points: torch.Tensor, distance: torch.Tensor) -> Mirrors:
    """
    Compute what is known of reflections.

    Always of 32 bits: of eight, as networks may be trained with, metres are too coarse.

    Parameters
    ----------
    surroundings : SurroundingsBatch
        Of B scenes.
    mic_positions, points : torch.Tensor
        Shapes (B, M, 3) and (B, V, 3), metres: the microphones, the cells' centres.
    distance : torch.Tensor
        Shape (B, M, V), metres, of each cell from each microphone.

    Returns
    -------
    Mirrors
        See there.

    """
    planes, std = surroundings.planes, surroundings.std
    normal, known = planes[..., :3], torch.isfinite(std)
    own = planes_of(surroundings)
    tangent = torch.stack([-normal[..., 1], normal[..., 0]], dim=-1)  # (B, N, 2)
    mics, cells = (normal @ of.transpose(1, 2) - planes[..., 3:] for of in (mic_positions, points))
    along_mics, along_cells = (tangent @ of[..., :2].transpose(1, 2)
                               for of in (mic_positions, points))
    # As deep as something is behind a plane by less than the plane's error, it is on it.
    near, far = mics.clamp(min=0)[..., None], cells[:, :, None]  # (B, N, M, 1), (B, N, 1, V)
    # Behind a mirror, |p - m'|^2 = |p - m|^2 + 4 times both distances from the mirror.
    through = (distance.square()[:, None] + 4 * near * far).clamp(min=0).sqrt()
    low, high = (surroundings.ends[..., end, None, None] for end in (0, 1))
    margin = std.where(known, torch.zeros_like(std))[..., None, None] + 0.05
    along_mics, along_cells = along_mics[..., None], along_cells[:, :, None]
    total = (near + far).clamp(min=1e-3)
    place = (along_mics * far + along_cells * near) / total  # where the sound is reflected
    reflects = (far > 0) & (place > low - margin) & (place < high + margin)

    # Between the two sides of a wall the straight line crosses it, unless beyond its ends.
    behind = torch.minimum(near, -far) / margin
    share = near / (near - far).clamp(min=1e-3)
    crossing = along_mics + (along_cells - along_mics) * share
    wall = (normal[..., 2].abs() < _LEVEL)[..., None, None]
    hidden = behind.clamp(0, 1) * ((crossing > low) & (crossing < high) & wall)
    hidden = hidden * own.trust[..., None, None]
    hidden = hidden.amax(dim=1) if planes.shape[1] else torch.zeros_like(distance)
    return Mirrors(own, cells, through, reflects & known[..., None, None], hidden)
