"""
Scenes in frames of their own: mirrored and turned against their rooms, as a robot's map is.

Shapes: B scenes, C corners of a floor.
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.scenes import Scenes
import torch


@dataclass(frozen=True)
class Frame:
    """
    How scenes are turned, and the true rooms in their own frames.

    Attributes
    ----------
    angle : torch.Tensor
        Shape (B,), radians, counterclockwise.
    mirrored : torch.Tensor
        Shape (B,), bool: whether they are mirrored along x before they are turned.
    outline : torch.Tensor
        Shape (B, C, 2), metres, in the room's frame: corners that are counterclockwise in the new
        one.
    heights, width : torch.Tensor
        Shape (B,), metres: of the rooms, upwards and along x.

    """

    angle: torch.Tensor
    mirrored: torch.Tensor
    outline: torch.Tensor
    heights: torch.Tensor
    width: torch.Tensor

    def turn(self, points: torch.Tensor) -> torch.Tensor:
        """Mirror points (B, n, 2 or 3) along x, and turn them about z."""
        x = torch.where(self.mirrored[:, None], self.width[:, None] - points[..., 0],
                        points[..., 0])
        y, cos, sin = points[..., 1], self.angle.cos()[:, None], self.angle.sin()[:, None]
        return torch.cat([torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1),
                          points[..., 2:]], dim=-1)


def draw_frame(scenes: Scenes[torch.Tensor], turned: float, draw: Draw) -> Frame:
    """
    Draw how scenes are turned and mirrored.

    Parameters
    ----------
    scenes : Scenes
        In the frames of their rooms.
    turned : float
        Share of them that is turned by any angle; the others are by right angles.
    draw : Draw
        On any device.

    Returns
    -------
    Frame
        On the scenes' device.

    """
    dims = scenes.room_dims if scenes.true_room_dims is None else scenes.true_room_dims
    device, n = dims.device, len(dims)
    quarter = (4 * draw.uniform(n)).floor()
    any_angle = (draw.uniform(n) - 0.5) * (draw.uniform(n) < turned)
    mirrored = (draw.uniform(n) < 0.5).to(device)
    outline = scenes.outline
    if outline is None:
        zero = torch.zeros_like(dims[:, 0])
        x, y = dims[:, 0], dims[:, 1]
        outline = torch.stack([torch.stack(corner, dim=-1) for corner in (
            (zero, zero), (x, zero), (x, y), (zero, y))], dim=1)
    # Mirrored corners would run clockwise.
    outline = torch.where(mirrored[:, None, None], outline.flip(1), outline)
    return Frame(((quarter + any_angle) * (math.pi / 2)).to(device), mirrored, outline,
                 dims[:, 2], dims[:, 0])


def move(scenes: Scenes[torch.Tensor], frame: Frame) -> Scenes[torch.Tensor]:
    """Express positions in the new frames."""
    talkers = scenes.talkers
    return replace(
        scenes, mic_positions=frame.turn(scenes.mic_positions),
        source_position=frame.turn(scenes.source_position[:, None])[:, 0],
        talkers=None if talkers is None else frame.turn(talkers),
        outline=frame.turn(frame.outline), true_room_dims=None,
        true_mic_positions=None if scenes.true_mic_positions is None
        else frame.turn(scenes.true_mic_positions))
