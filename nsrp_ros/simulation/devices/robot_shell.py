"""
A robot's shell: its body shadows each microphone of an array from behind.

Shapes: B rooms, M microphones, K octave bands.
"""

import math

from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

SHADOW_DB = (10.0, 15.0)
"""Decibels from front to back in the highest band, a head's or a small robot's."""
_LOWEST = 250.0  # hertz: longer waves bend around the body
_THIN = 0.2  # of an array's reach: less width makes a line, unevenly mounted
_OFF_CENTRE = 2e-3  # metres from the array's centre from which a microphone has an outside


def array_centres(mic_positions: torch.Tensor, device_ids: torch.Tensor) -> torch.Tensor:
    """
    Average the positions of each device's microphones.

    Parameters
    ----------
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone.

    Returns
    -------
    torch.Tensor
        Shape (B, M, 3): for each microphone the centre of its device.

    """
    same = (device_ids[:, :, None] == device_ids[:, None]).to(mic_positions.dtype)
    return same @ mic_positions / same.sum(dim=-1, keepdim=True)


def draw_shell(share: float, mic_positions: torch.Tensor, device_ids: torch.Tensor,
               uniform: DrawFunction) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw the shadows of shells, as directivity of the microphones; see acoustics/directivity.py.

    Parameters
    ----------
    share : float
        Of the arrays that sit on a shell.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    axis : torch.Tensor
        Shape (B, M, 3), unit vectors: from the array's centre outwards or, where microphones
        stand in a line, level and square to it, since that is on a front.
    pattern : torch.Tensor
        Shape (B, M, K): a in each band, zero for microphones in the middle, on their own, or of
        an array without a shell.

    """
    outwards = mic_positions - array_centres(mic_positions, device_ids)
    same = device_ids[:, :, None] == device_ids[:, None]
    distance = torch.linalg.vector_norm(outwards, dim=-1)  # (B, M)
    reach, furthest = distance[:, None].where(same, distance.new_tensor(0.0)).max(dim=-1)
    arm = outwards.gather(1, furthest[..., None].expand_as(outwards))
    aside = torch.linalg.vector_norm(torch.linalg.cross(outwards, arm), dim=-1)
    width = (aside / reach.clamp(min=1e-9))[:, None].where(same, distance.new_tensor(0.0))
    in_line = width.amax(dim=-1) < _THIN * reach
    side = torch.where(uniform(*device_ids.shape) < 0.5, -1.0, 1.0).gather(1, device_ids)
    front = side[..., None] * torch.stack(
        [-arm[..., 1], arm[..., 0], torch.zeros_like(arm[..., 0])], dim=-1)
    axis = torch.where(in_line[..., None], front, outwards)
    length = torch.linalg.vector_norm(axis, dim=-1)
    shadowed = ((length > _OFF_CENTRE) & (reach > _OFF_CENTRE)
                & (uniform(*device_ids.shape) < share).gather(1, device_ids))
    low, high = SHADOW_DB
    shadow_db = (low + (high - low) * uniform(*device_ids.shape)).gather(1, device_ids)
    octaves = axis.new_tensor([max(0.0, math.log2(band / _LOWEST)) for band in BANDS])
    behind = (-NEPERS_PER_DB * shadow_db[..., None] * octaves / octaves[-1]).exp()
    pattern = (1 - behind) / 2 * shadowed[..., None]  # the gain behind is 1 - 2 a
    upwards = axis.new_tensor([0.0, 0.0, 1.0])
    unit = axis / length.clamp(min=1e-9)[..., None]
    return torch.where(shadowed[..., None], unit, upwards), pattern
