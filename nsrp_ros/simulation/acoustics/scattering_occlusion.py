"""
What stands about in a room: it hides talkers from microphones, and makes echoes less exact.

Shapes: B rooms, M microphones, K octave bands, I images.
"""

from dataclasses import dataclass

from nsrp_ros.simulation.acoustics.air_absorption import NEPERS_PER_DB
import torch

SHADOW_SHAPE = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Share of an occlusion's decibels in BANDS: long waves go round what stands in their way."""


@dataclass(frozen=True)
class FurnitureConfig:
    """How much the furniture of a room does; every room draws its own."""

    wander: float = 0.1
    """Metres, up to which an image source that was reflected once is off its place (standard
    deviation along each axis); it grows with the square root of the reflections."""
    gain_wander_db: float = 2.0
    """Decibels, up to which the gain of such an image is off in a band; grows likewise."""
    occluded: float = 0.25
    """Share of the devices whose direct path something stands in."""
    occlusion_db: float = 12.0
    """Decibels, up to which it takes away at 4 kHz; less below, see `SHADOW_SHAPE`."""

    def __post_init__(self):
        """Refuse what is negative."""
        if min(self.wander, self.gain_wander_db, self.occlusion_db) < 0 or not (
                0 <= self.occluded <= 1):
            raise ValueError('wander, gain_wander_db and occlusion_db must not be negative, '
                             'occluded a share')


def draw_shadows(config, units, uniform):
    """
    Draw what is left of the direct paths.

    Parameters
    ----------
    config : FurnitureConfig
        The distribution.
    units : torch.Tensor
        Shape (B, M): the device that each microphone belongs to.
    uniform : callable
        Draws float32 numbers between 0 and 1 of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, M, K), factors of amplitude.

    """
    loss_db = config.occlusion_db * uniform(*units.shape)
    loss_db = loss_db * (uniform(*units.shape) < config.occluded)
    loss_db = loss_db.gather(1, units)[..., None]
    return (-NEPERS_PER_DB * loss_db * loss_db.new_tensor(SHADOW_SHAPE)).exp()


def wandering_distances(vectors, distances, wander, orders, normal):
    """
    Move image sources and measure how far they are from the microphones.

    Parameters
    ----------
    vectors : torch.Tensor
        Shape (B, M, 3, I), metres, from the images to the microphones.
    distances : torch.Tensor
        Shape (B, M, I), metres: how long the vectors are.
    wander : torch.Tensor
        Shape (B,), metres; see `FurnitureConfig`.
    orders : torch.Tensor
        Shape (I,): reflections of each image, 0 for the talker.
    normal : callable
        Draws float32 numbers of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, M, I), metres, of the talker as it was, and of no image less than of the talker.

    """
    shift = normal(len(vectors), 1, 3, len(orders)) * orders.sqrt()
    shift *= wander[:, None, None, None]
    # |v + s|^2 = |v|^2 + (2 v + s) s
    moved = (((2 * vectors + shift) * shift).sum(dim=2) + distances ** 2).clamp_(min=0).sqrt_()
    direct = distances[..., orders == 0]
    # A reflection that hardly comes later than the direct sound came off something close by the
    # microphone or the talker, and has no way to wander far.
    room_to_move = (distances - direct).clamp(max=1.0)
    return torch.maximum(torch.lerp(distances, moved, room_to_move), direct)


def wandering_gains(gains, gain_wander, orders, normal):
    """
    Let the gains of image sources go up and down, keeping their mean power.

    Parameters
    ----------
    gains : torch.Tensor
        Shape (B, K, I).
    gain_wander : torch.Tensor
        Shape (B,), nepers; see `FurnitureConfig`.
    orders : torch.Tensor
        Shape (I,).
    normal : callable
        Draws float32 numbers of a shape.

    Returns
    -------
    torch.Tensor
        Shape (B, K, I).

    """
    deviation = gain_wander[:, None, None] * orders.sqrt()
    # The mean of exp(2 s z) over normal z is exp(2 s^2).
    return gains * (deviation * normal(*gains.shape) - deviation ** 2).exp()
