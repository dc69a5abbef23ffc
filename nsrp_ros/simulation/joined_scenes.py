"""
Scenes of different kinds in one batch: padded to as many talkers, corners and planes.

Shapes: B scenes, K talkers, N planes, C corners of an outline.
"""

from collections.abc import Sequence
import math

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.simulation.scenes import Scenes
import torch

_LEVEL = (0.0, 0.0, 1.0, 0.0)  # a plane that stands for none, as in `batch.stack`


def concatenate(made: Sequence[Scenes[torch.Tensor]]) -> Scenes[torch.Tensor]:
    """
    Concatenate scenes.

    Parameters
    ----------
    made : sequence of Scenes
        One or more, of tensors, of the same M, sample rate and device.

    Returns
    -------
    Scenes
        Where some have no truth beside the reported geometry, that is it. Where others have more
        talkers, the last one is repeated, and does not talk.

    Raises
    ------
    ValueError
        If only some have surroundings.

    """
    talkers = n_talking = surroundings = outline = None
    if any(scenes.talkers is not None for scenes in made):
        talkers = _join([scenes.all_talkers for scenes in made])
        n_talking = torch.cat([scenes.talking_mask.sum(dim=1) for scenes in made])
    told = [scenes.surroundings for scenes in made if scenes.surroundings is not None]
    if told:
        if len(told) < len(made):
            raise ValueError('all scenes must have surroundings, or none')
        surroundings = _join_surroundings(told)
    if any(scenes.outline is not None for scenes in made):
        outline = _join([scenes.outline if scenes.outline is not None else box_outline(
            torch.zeros_like(dims[:, :2]), dims[:, :2])
            for scenes, dims in zip(made, _true_dims(made), strict=True)])
    return Scenes(
        torch.cat([scenes.signals for scenes in made]),
        torch.cat([scenes.mic_positions for scenes in made]),
        torch.cat([scenes.source_position for scenes in made]),
        torch.cat([scenes.room_dims for scenes in made]), made[0].sample_rate,
        torch.cat([scenes.mic_positions if scenes.true_mic_positions is None
                   else scenes.true_mic_positions for scenes in made]),
        torch.cat(_true_dims(made)),
        torch.cat([scenes.talking_mask.any(dim=1) for scenes in made]),
        talkers, n_talking, surroundings, outline)


def _true_dims(made: Sequence[Scenes[torch.Tensor]]) -> list[torch.Tensor]:
    return [scenes.room_dims if scenes.true_room_dims is None else scenes.true_room_dims
            for scenes in made]


def _join(arrays: Sequence[torch.Tensor],
          fill: float | tuple[float, ...] | None = None) -> torch.Tensor:
    """Concatenate arrays (B, n, ...), n made equal by a fill, or by repeating the last entry."""
    most = max(array.shape[1] for array in arrays)
    padded = []
    for array in arrays:
        missing = (len(array), most - array.shape[1], *array.shape[2:])
        rest = array[:, -1:] if fill is None else array.new_tensor(fill)
        padded.append(torch.cat([array, rest.expand(missing)], dim=1) if missing[1] else array)
    return torch.cat(padded)


def _join_surroundings(
        told: Sequence[SurroundingsBatch[torch.Tensor]]) -> SurroundingsBatch[torch.Tensor]:
    """Concatenate surroundings, padded as `batch.stack` pads them."""
    outline = None
    if any(one.outline is not None for one in told):
        outline = _join([box_outline(one.area[:, 0], one.area[:, 1]) if one.outline is None
                         else one.outline for one in told])
    return SurroundingsBatch(
        torch.cat([one.area for one in told]), _join([one.planes for one in told], _LEVEL),
        _join([one.std for one in told], math.inf),
        _join([one.ends for one in told], (-math.inf, math.inf)), outline)


def box_outline(lower: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    """Return the outline (B, 4, 2) of boxes by their corners (B, 2) or (B, 3)."""
    x1, y1, x2, y2 = lower[:, 0], lower[:, 1], upper[:, 0], upper[:, 1]
    return torch.stack([torch.stack([x1, x2, x2, x1], dim=1),
                        torch.stack([y1, y1, y2, y2], dim=1)], dim=2)
