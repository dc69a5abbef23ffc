"""Data augmentation: random pairs, permuted microphones, mirrored and rotated rooms."""

from dataclasses import replace

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.simulation.scenes import Scenes
import torch


def random_pairs(scenes: Scenes, n_pairs: int, generator: torch.Generator) -> Scenes:
    """
    Draw pairs from every scene, without repetition and in either order.

    Parameters
    ----------
    scenes : Scenes
        B scenes of M microphones, tensors.
    n_pairs : int
        Pairs from each scene, at most M (M - 1) / 2.
    generator : torch.Generator
        On the scenes' device.

    Returns
    -------
    Scenes
        n_pairs times B scenes of two microphones.

    """
    device = scenes.signals.device
    n_scenes = len(scenes)
    pairs = torch.from_numpy(microphone_pairs(scenes.signals.shape[1])).to(device)
    chance = torch.rand(n_scenes, len(pairs), generator=generator, device=device)
    chosen = pairs[chance.argsort(dim=1)[:, :n_pairs].flatten()]  # (B n_pairs, 2)
    swapped = torch.rand(len(chosen), generator=generator, device=device) < 0.5
    chosen = torch.where(swapped[:, None], chosen.flip(1), chosen)
    scene = torch.arange(n_scenes, device=device).repeat_interleave(n_pairs)
    return Scenes(scenes.signals[scene[:, None], chosen],
                  scenes.mic_positions[scene[:, None], chosen],
                  scenes.source_position[scene], scenes.room_dims[scene], scenes.sample_rate)


def shuffle_microphones(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """Permute each scene's microphones at random."""
    shape = scenes.signals.shape[:2]
    order = torch.rand(shape, generator=generator, device=scenes.signals.device).argsort(dim=1)
    scene = torch.arange(len(scenes), device=order.device)[:, None]
    true = scenes.true_mic_positions
    return replace(scenes, signals=scenes.signals[scene, order],
                   mic_positions=scenes.mic_positions[scene, order],
                   true_mic_positions=None if true is None else true[scene, order])


def random_symmetry(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """
    Mirror rooms along x and y and exchange the axes, each with probability one half.

    Microphones at mirrored places of a mirrored room receive the same signals, so that each
    simulated room stands for eight. Scenes with surroundings are returned as they are: they have
    been turned and mirrored when these were told.
    """
    if scenes.surroundings is not None:
        return scenes
    device = scenes.signals.device
    coins = torch.rand(3, len(scenes), generator=generator, device=device) < 0.5
    room = scenes.room_dims

    def image(points: torch.Tensor) -> torch.Tensor:
        """Apply each scene's symmetry to its points, shape (B, ..., 3)."""
        extra = (1,) * (points.dim() - 2)
        size, coin = room.reshape(len(room), *extra, 3), coins.reshape(3, len(room), *extra)
        x = torch.where(coin[0], size[..., 0] - points[..., 0], points[..., 0])
        y = torch.where(coin[1], size[..., 1] - points[..., 1], points[..., 1])
        x, y = torch.where(coin[2], y, x), torch.where(coin[2], x, y)
        return torch.stack([x, y, points[..., 2]], dim=-1)

    swapped = torch.where(coins[2, :, None], room[:, [1, 0, 2]], room)
    outline = None if scenes.outline is None else image(
        torch.cat([scenes.outline, torch.zeros_like(scenes.outline[..., :1])], dim=-1))[..., :2]
    if outline is not None:  # an odd number of mirrors turns the order of corners round
        odd = coins.sum(dim=0) % 2 == 1
        outline = torch.where(odd[:, None, None], outline.flip(1), outline)
    return replace(scenes, mic_positions=image(scenes.mic_positions),
                   source_position=image(scenes.source_position), room_dims=swapped,
                   true_mic_positions=None, true_room_dims=None, outline=outline,
                   talkers=None if scenes.talkers is None else image(scenes.talkers))
