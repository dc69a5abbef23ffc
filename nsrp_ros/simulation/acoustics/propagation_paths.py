"""
The ways of sound in real rooms: image sources with all that ideal ones leave out.

    amplitude(m, k, n) = gain_n(k) / d * talker(k, theta) * microphone(k, phi) * air(k)^d
                         * response_m(k) [* shadow_m(k) for the direct path]

d is the distance of the image n from the microphone m, theta the angle between the image's axis
and the way to the microphone, phi that between the microphone's axis and the way to the image.

Shapes: B rooms, M microphones, K octave bands, I images.
"""

from dataclasses import dataclass
from dataclasses import fields
from typing import Any

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.directivity import diffuse_power
from nsrp_ros.simulation.acoustics.directivity import directional_gain
from nsrp_ros.simulation.acoustics.image_sources import image_geometry
from nsrp_ros.simulation.acoustics.late_reverberation import begin_tail
from nsrp_ros.simulation.acoustics.scattering_occlusion import wandering_distances
from nsrp_ros.simulation.acoustics.scattering_occlusion import wandering_gains
import torch


@dataclass(frozen=True)
class Acoustics:
    """
    What rooms, talkers and microphones have beyond walls; None is as if there were no such thing.

    Attributes
    ----------
    talker_axis, talker_pattern : torch.Tensor
        Shapes (B, 3) and (B, K); see directivity.py.
    mic_axis, mic_pattern : torch.Tensor
        Shapes (B, M, 3) and (B, M, K).
    shadow : torch.Tensor
        Shape (B, M, K), factors of the direct path's amplitude.
    wander, gain_wander : torch.Tensor
        Shape (B,), metres and nepers; see scattering_occlusion.py.
    response : torch.Tensor
        Shape (B, M, K), the microphones' factors of amplitude.
    latency : torch.Tensor
        Shape (B, M), seconds by which the microphones' signals are late; none negative.
    air : torch.Tensor
        Shape (B, K), nepers a metre.
    tail : torch.Tensor
        Shape (B,), bool, alike in all rooms: whether the late tail is diffuse.

    """

    talker_axis: Any = None
    talker_pattern: Any = None
    mic_axis: Any = None
    mic_pattern: Any = None
    shadow: Any = None
    wander: Any = None
    gain_wander: Any = None
    response: Any = None
    latency: Any = None
    air: Any = None
    tail: Any = None

    def _each(self, change):
        return Acoustics(*(None if (value := getattr(self, field.name)) is None
                           else change(value) for field in fields(self)))

    def __getitem__(self, part):
        """Return the acoustics of some of the rooms."""
        return self._each(lambda value: value[part])

    def to(self, device):
        """Return the acoustics on a device."""
        return self._each(lambda value: value.to(device))


def real_paths(rooms, acoustics, max_order, normal):
    """
    Follow the sound from the talkers to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms.
    acoustics : Acoustics
        Of the same rooms, on the same device.
    max_order : int
        Most reflections of an image.
    normal : callable
        Draws float32 numbers of a shape, on the rooms' device.

    Returns
    -------
    travelled : torch.Tensor
        Shape (B, M, I), metres that sound travels while it is on its way and in the device.
    amplitudes : callable
        Takes a slice of bands, returns (B, M, bands, I).
    tail : Tail or None
        What comes after.

    """
    gains, vectors, mirrors, orders = image_geometry(rooms, max_order)
    now = acoustics
    # (torch's own norm is five times slower along a dimension that is not the last.)
    straight = vectors.square().sum(dim=2).sqrt_().clamp_(min=1e-3)
    distances = straight
    if now.wander is not None:
        distances = wandering_distances(vectors, straight, now.wander, orders, normal)
        gains = wandering_gains(gains, now.gain_wander, orders, normal)

    seen = []  # the talker's and the microphones' patterns, with the cosines of the angles
    if now.talker_axis is not None:
        axis = now.talker_axis[:, None, :, None] * mirrors  # (B, 1, 3, I)
        seen.append((now.talker_pattern[:, None], (vectors * axis).sum(dim=2) / straight))
    if now.mic_axis is not None:
        away = (vectors * now.mic_axis[..., None]).sum(dim=2) / straight
        seen.append((now.mic_pattern, -away))
    fixed = torch.ones_like(gains[:, None, :, 0]) if now.response is None else now.response

    tail, weight = None, 1 / distances
    if now.tail is not None:
        loudness = fixed
        for pattern, _ in seen:
            loudness = loudness * diffuse_power(pattern).sqrt()
        loudness = loudness.expand(*distances.shape[:2], -1)
        tail = begin_tail(rooms, max_order, gains, distances, loudness,
                          None if now.air is None else now.air[0])
        weight = weight * (1 - tail.share(distances / SPEED_OF_SOUND)).sqrt_()
    direct = int((orders == 0).nonzero())

    def amplitudes(bands):
        total = gains[:, None, bands] * weight[:, :, None]
        if now.air is not None:
            total *= (-now.air[:, None, bands, None] * distances[:, :, None]).exp_()
        for pattern, cosine in seen:
            total *= directional_gain(pattern[..., bands, None], cosine[:, :, None])
        if now.response is not None:
            total *= fixed[..., bands, None]
        if now.shadow is not None:
            total[..., direct] *= now.shadow[..., bands]
        return total

    travelled = distances
    if now.latency is not None:
        travelled = distances + SPEED_OF_SOUND * now.latency[..., None]
    return travelled, amplitudes, tail
