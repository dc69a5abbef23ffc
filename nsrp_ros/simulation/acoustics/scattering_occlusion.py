"""
Furniture: it occludes the direct path, and scatters reflections off the specular ones.

Shapes: B rooms, M microphones, K octave bands, I images.
"""

from dataclasses import dataclass

from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

OCCLUSION_SPECTRUM = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Share of an occlusion's decibels in BANDS: long waves diffract around an obstacle."""


@dataclass(frozen=True)
class FurnitureConfig:
    """How much the furniture of a room scatters and occludes; drawn for each room."""

    wander: float = 0.1
    """Metres, largest standard deviation along each axis of the position of a first-order image
    source; it grows with the square root of the reflection order."""
    gain_wander_db: float = 2.0
    """Decibels, largest standard deviation of the gain of such an image in a band; grows
    likewise."""
    occluded: float = 0.25
    """Share of the devices whose direct path is occluded."""
    occlusion_db: float = 12.0
    """Decibels, largest loss by occlusion at 4 kHz; less below, see `OCCLUSION_SPECTRUM`."""

    def __post_init__(self) -> None:
        """Raise ValueError where a value is negative or no share."""
        if min(self.wander, self.gain_wander_db, self.occlusion_db) < 0 or not (
                0 <= self.occluded <= 1):
            raise ValueError('wander, gain_wander_db and occlusion_db must not be negative, '
                             'occluded a share')


def draw_occlusion(config: FurnitureConfig, device_ids: torch.Tensor,
                   uniform: DrawFunction) -> torch.Tensor:
    """
    Draw the gains of occluded direct paths.

    Parameters
    ----------
    config : FurnitureConfig
        The distribution.
    device_ids : torch.Tensor
        Shape (B, M): the device of each microphone.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, M, K), amplitude gains.

    """
    loss_db = config.occlusion_db * uniform(*device_ids.shape)
    loss_db = loss_db * (uniform(*device_ids.shape) < config.occluded)
    loss_db = loss_db.gather(1, device_ids)[..., None]
    return (-NEPERS_PER_DB * loss_db * loss_db.new_tensor(OCCLUSION_SPECTRUM)).exp()


def jittered_distances(vectors: torch.Tensor, distances: torch.Tensor, jitter: torch.Tensor,
                       orders: torch.Tensor, normal: DrawFunction) -> torch.Tensor:
    """
    Displace image sources at random and return their distances to the microphones.

    Parameters
    ----------
    vectors : torch.Tensor
        Shape (B, M, 3, I), metres, from the images to the microphones.
    distances : torch.Tensor
        Shape (B, M, I), metres: the lengths of the vectors.
    jitter : torch.Tensor
        Shape (B,), metres, standard deviation of first-order images; see `FurnitureConfig`.
    orders : torch.Tensor
        Shape (I,): reflection order of each image, 0 for the talker.
    normal : DrawFunction
        Draws float32 numbers of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, M, I), metres: unchanged for the talker, and at least that for every image.

    """
    shift = normal(len(vectors), 1, 3, len(orders)) * orders.sqrt()
    shift *= jitter[:, None, None, None]
    # |v + s|^2 = |v|^2 + (2 v + s) s
    moved = (((2 * vectors + shift) * shift).sum(dim=2) + distances ** 2).clamp_(min=0).sqrt_()
    direct = distances[..., orders == 0]
    # A reflection that arrives hardly later than the direct sound comes from a surface close to
    # the microphone or the talker, which leaves it little room for displacement.
    room_to_move = (distances - direct).clamp(max=1.0)
    return torch.maximum(torch.lerp(distances, moved, room_to_move), direct)


def jittered_gains(gains: torch.Tensor, jitter: torch.Tensor, orders: torch.Tensor,
                   normal: DrawFunction) -> torch.Tensor:
    """
    Multiply the gains of image sources by log-normal factors that keep their mean power.

    Parameters
    ----------
    gains : torch.Tensor
        Shape (B, K, I).
    jitter : torch.Tensor
        Shape (B,), nepers, standard deviation of first-order images; see `FurnitureConfig`.
    orders : torch.Tensor
        Shape (I,).
    normal : DrawFunction
        Draws float32 numbers of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, K, I).

    """
    deviation = jitter[:, None, None] * orders.sqrt()
    # The mean of exp(2 s z) over normal z is exp(2 s^2).
    return gains * (deviation * normal(*gains.shape) - deviation ** 2).exp()
