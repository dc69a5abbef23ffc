"""
Propagation paths of realistic rooms: image sources with what the ideal image method leaves out.

    amplitude(m, k, n) = gain_n(k) / d * talker(k, theta) * microphone(k, phi) * air(k)^d
                         * response_m(k) [* occlusion_m(k) for the direct path]
                         [* heard(m, n) in rooms that are no boxes]

d is the distance of the image n from the microphone m, theta the angle between the image's axis
and the direction to the microphone, phi that between the microphone's axis and the direction to
the image.

Shapes: B rooms, M microphones, K octave bands, I images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.directivity import diffuse_power
from nsrp_ros.simulation.acoustics.directivity import directional_gain
from nsrp_ros.simulation.acoustics.image_sources import image_geometry
from nsrp_ros.simulation.acoustics.image_sources import Images
from nsrp_ros.simulation.acoustics.late_reverberation import fit_tail
from nsrp_ros.simulation.acoustics.late_reverberation import Tail
from nsrp_ros.simulation.acoustics.polygon_visibility import AudibleImages
from nsrp_ros.simulation.acoustics.scattering_occlusion import jittered_distances
from nsrp_ros.simulation.acoustics.scattering_occlusion import jittered_gains
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch

Amplitudes = Callable[[slice], torch.Tensor]
"""Amplitudes of all paths in some of the K bands: a slice of bands to (B, M, bands, I)."""


@dataclass(frozen=True)
class Acoustics:
    """
    Everything but the walls that shapes room responses; None leaves an effect out.

    Attributes
    ----------
    talker_axis, talker_pattern : torch.Tensor
        Shapes (B, 3) and (B, K); see directivity.py.
    mic_axis, mic_pattern : torch.Tensor
        Shapes (B, M, 3) and (B, M, K).
    occlusion : torch.Tensor
        Shape (B, M, K), amplitude gains of the direct path.
    image_jitter, gain_jitter : torch.Tensor
        Shape (B,), metres and nepers; see scattering_occlusion.py.
    response : torch.Tensor
        Shape (B, M, K), the microphones' amplitude gains.
    latency : torch.Tensor
        Shape (B, M), seconds by which the microphones' signals are late; none negative.
    air : torch.Tensor
        Shape (B, K), nepers per metre.
    tail : torch.Tensor
        Shape (B,), bool, alike in all rooms: whether the late tail is diffuse.

    """

    talker_axis: torch.Tensor | None = None
    talker_pattern: torch.Tensor | None = None
    mic_axis: torch.Tensor | None = None
    mic_pattern: torch.Tensor | None = None
    occlusion: torch.Tensor | None = None
    image_jitter: torch.Tensor | None = None
    gain_jitter: torch.Tensor | None = None
    response: torch.Tensor | None = None
    latency: torch.Tensor | None = None
    air: torch.Tensor | None = None
    tail: torch.Tensor | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where one of two tensors that belong together is missing."""
        for one, other in (('talker_axis', 'talker_pattern'), ('mic_axis', 'mic_pattern'),
                           ('image_jitter', 'gain_jitter')):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f'{one} and {other} must be given together')

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> 'Acoustics':
        return Acoustics(*(None if (value := getattr(self, field.name)) is None
                           else change(value) for field in fields(self)))

    def __getitem__(self, part: slice | torch.Tensor) -> 'Acoustics':
        """Return the acoustics of some of the rooms."""
        return self._each(lambda value: value[part])

    def to(self, device: str | torch.device) -> 'Acoustics':
        """Return the acoustics on a device."""
        return self._each(lambda value: value.to(device))


def trace_paths(rooms: Rooms, acoustics: Acoustics, max_order: int, normal: DrawFunction,
                seen: AudibleImages | None = None,
                ) -> tuple[torch.Tensor, Amplitudes, Tail | None]:
    """
    Compute the propagation paths from the talkers to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms.
    acoustics : Acoustics
        Of the same rooms, on the same device.
    max_order : int
        Highest reflection order of an image source.
    normal : DrawFunction
        Draws float32 numbers of a shape, on the rooms' device.
    seen : AudibleImages, optional
        As for `image_geometry`.

    Returns
    -------
    travelled : torch.Tensor
        Shape (B, M, I), metres that sound travels during its propagation and the device's latency.
    amplitudes : callable
        Takes a slice of bands, returns (B, M, bands, I).
    tail : Tail or None
        The late tail.

    """
    images = image_geometry(rooms, max_order, seen)
    gains, vectors, orders = images.gains, images.vectors, images.orders
    # (torch's own norm is five times slower along a dimension that is not the last.)
    straight = vectors.square().sum(dim=2).sqrt_().clamp_(min=1e-3)
    distances = straight
    if acoustics.image_jitter is not None and acoustics.gain_jitter is not None:
        draws = images.draws(normal)
        distances = jittered_distances(vectors, straight, acoustics.image_jitter, orders, draws)
        gains = jittered_gains(gains, acoustics.gain_jitter, orders, draws)

    patterns = _directional_patterns(acoustics, images, straight)
    response = acoustics.response
    mic_gains = torch.ones_like(gains[:, None, :, 0]) if response is None else response

    tail, weight = None, 1 / distances
    if acoustics.tail is not None:
        diffuse_gains = mic_gains
        for pattern, _ in patterns:
            diffuse_gains = diffuse_gains * diffuse_power(pattern).sqrt()
        diffuse_gains = diffuse_gains.expand(*distances.shape[:2], -1)
        tail = fit_tail(rooms, max_order, gains, distances, diffuse_gains,
                        None if acoustics.air is None else acoustics.air[0])
        weight = weight * (1 - tail.fade.share(distances / SPEED_OF_SOUND)).sqrt_()
    if images.heard is not None:
        weight = weight * images.heard
    direct = int((orders == 0).nonzero())

    def amplitudes(bands: slice) -> torch.Tensor:
        total = gains[:, None, bands] * weight[:, :, None]
        if acoustics.air is not None:
            total *= (-acoustics.air[:, None, bands, None] * distances[:, :, None]).exp_()
        for pattern, cosine in patterns:
            total *= directional_gain(pattern[..., bands, None], cosine[:, :, None])
        if response is not None:
            total *= response[..., bands, None]
        if acoustics.occlusion is not None:
            total[..., direct] *= acoustics.occlusion[..., bands]
        return total

    travelled = distances
    if acoustics.latency is not None:
        travelled = distances + SPEED_OF_SOUND * acoustics.latency[..., None]
    return travelled, amplitudes, tail


def _directional_patterns(acoustics: Acoustics, images: Images,
                          distances: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """
    Return the talker's and the microphones' directivity at the angles of the paths.

    Each is a pair of a (B, M or 1, K), see directivity.py, and the cosine (B, M, I) of the angle
    off the axis; omnidirectional ones are left out. `distances` (B, M, I) are those of the images.
    """
    vectors = images.vectors
    patterns = []
    if acoustics.talker_axis is not None and acoustics.talker_pattern is not None:
        axis = images.axes(acoustics.talker_axis)[:, None]
        patterns.append((acoustics.talker_pattern[:, None],
                         (vectors * axis).sum(dim=2) / distances))
    if acoustics.mic_axis is not None and acoustics.mic_pattern is not None:
        away = (vectors * acoustics.mic_axis[..., None]).sum(dim=2) / distances
        patterns.append((acoustics.mic_pattern, -away))
    return patterns
