"""
Late reverberation: the diffuse tail of a room response.

After the mixing time reflections are too dense to be resolved, and no list of image sources is
long enough. From then on noise replaces the images, cross-faded and with their energy: a talker
of unit gain at one metre fills a room of volume V with an energy of 4 pi c / V a second, which
decays by 60 dB in the reverberation time of a band.

Shapes: B rooms, M microphones, K octave bands, I images, G points of a grid.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.diffuse_field import coherence_factors
from nsrp_ros.simulation.acoustics.image_sources import horizontal_order
from nsrp_ros.simulation.acoustics.nonuniform_fft import spread
from nsrp_ros.simulation.acoustics.wall_absorption import area_and_perimeter
from nsrp_ros.simulation.acoustics.wall_absorption import reverberation_times
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch

_DECAY = 6 * math.log(10)  # of energy, over a reverberation time
_SHORTEST_FADE = 0.005  # seconds


@dataclass(frozen=True)
class TailConfig:
    """How long a late tail is computed for."""

    seconds: float = 0.75
    """Length of the computed response: 30 dB of decay where the reverberation time is 1.5 s."""

    def __post_init__(self) -> None:
        """Raise ValueError where the tail has no length."""
        if self.seconds <= 0:
            raise ValueError('seconds must be above 0')


@dataclass(frozen=True)
class CrossFade:
    """
    When the tails of a batch of rooms take over from the image sources.

    Attributes
    ----------
    start, end : torch.Tensor
        Shape (B,), seconds: the noise sets in at the first, and is all there is from the second.

    """

    start: torch.Tensor
    end: torch.Tensor

    def share(self, time: torch.Tensor) -> torch.Tensor:
        """Return the share of a room's energy that is in the tail at times (B, ...), seconds."""
        shape = (-1,) + (1,) * (time.dim() - 1)
        start, end = self.start.reshape(shape), self.end.reshape(shape)
        return ((time - start) / (end - start)).clamp(0, 1)


@dataclass(frozen=True)
class Tail:
    """
    The tails of a batch of rooms.

    Attributes
    ----------
    fade : CrossFade
        When the noise takes over from the images.
    power : torch.Tensor
        Shape (B, K): energy per second, as if all were diffuse from time zero.
    rt60 : torch.Tensor
        Shape (B, K), seconds.
    factors : torch.Tensor
        Shape (B, K, M, M); see `coherence_factors`.
    mic_gains : torch.Tensor
        Shape (B, M, K): the microphones' amplitude gains in a diffuse field.

    """

    fade: CrossFade
    power: torch.Tensor
    rt60: torch.Tensor
    factors: torch.Tensor
    mic_gains: torch.Tensor

    def add_to(self, grids: torch.Tensor, bands: slice, rate: int, normal: DrawFunction) -> None:
        """
        Add the tails to impulses that were spread over grids.

        Parameters
        ----------
        grids : torch.Tensor
            Shape (B, M, bands, G); changed in place.
        bands : slice
            Which of the K bands.
        rate : int
            Of the grids, hertz.
        normal : DrawFunction
            Draws float32 numbers of a shape.

        """
        # The noise is impulses on every second point: enough for a quarter of the grid's rate.
        taps = spread(grids.new_ones(1, 1), grids.new_zeros(1), 4)[0]
        n = (grids.shape[-1] - len(taps)) // 2 + 1
        time = torch.arange(n, device=grids.device) * (2 / rate)
        density = (self.power[:, bands].log()[..., None]
                   - _DECAY / self.rt60[:, bands, None] * time).exp_()
        density *= self.fade.share(time[None].expand(len(grids), n))[:, None] * (2 / rate)
        noise = self.factors[:, bands] @ normal(*density.shape[:2], grids.shape[1], n)
        noise *= density.sqrt_()[:, :, None]
        noise = noise.transpose(1, 2)
        noise *= self.mic_gains[..., bands, None]
        for tap, weight in enumerate(taps.tolist()):
            grids[..., tap:tap + 2 * n - 1:2].add_(noise, alpha=weight)


def fit_tail(rooms: Rooms, max_order: int, gains: torch.Tensor, distances: torch.Tensor,
             mic_gains: torch.Tensor, air: torch.Tensor | None) -> Tail:
    """
    Fit the time and the energy of the late tail to the image sources.

    Parameters
    ----------
    rooms : Rooms
        B rooms.
    max_order : int
        Highest reflection order of an image source.
    gains, distances : torch.Tensor
        Shapes (B, K, I), without air, and (B, M, I), metres: the images.
    mic_gains : torch.Tensor
        Shape (B, M, K): amplitude gains in a diffuse field, relative to an omnidirectional talker
        and omnidirectional microphones.
    air : torch.Tensor or None
        Absorption of air, shape (K,), nepers per metre.

    Returns
    -------
    Tail
        Its noise starts at the mixing time, sqrt(V) milliseconds after the direct sound has
        passed the last microphone, and has taken over about where the images beyond
        `max_order` would begin.

    """
    volume, missing = _volume_and_horizon(rooms, max_order)
    direct = torch.linalg.vector_norm(
        rooms.mic_positions - rooms.source_position[:, None], dim=-1).amax(dim=1)
    start = direct / SPEED_OF_SOUND + 1e-3 * volume.sqrt()
    end = torch.maximum(missing / SPEED_OF_SOUND, start + _SHORTEST_FADE)
    fade = CrossFade(start, end)

    # Shoeboxes do not decay quite as diffuse-field theory has it: the energy of the images during
    # the cross-fade sets the level.
    time = distances / SPEED_OF_SOUND
    share = fade.share(time)
    inside = ((share > 0) & (share < 1)) / distances.clamp(min=1e-3) ** 2
    measured = (gains.square() @ inside.mean(dim=1)[..., None])[..., 0]  # (B, K)
    rate = _DECAY / reverberation_times(rooms)
    diffuse = (4 * math.pi * SPEED_OF_SOUND / volume)[:, None]
    expected = diffuse * ((-rate * start[:, None]).exp() - (-rate * end[:, None]).exp()) / rate
    power = diffuse * (measured / expected.clamp(min=1e-30)).clamp(0.1, 10.0)
    return Tail(fade, power, reverberation_times(rooms, air),
                coherence_factors(rooms.mic_positions), mic_gains)


def _volume_and_horizon(rooms: Rooms, max_order: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return volumes (B,), and about how far (B,), metres, the first images left out would be."""
    if rooms.outline is None:
        return rooms.dims.prod(dim=1), max_order / (rooms.dims ** -2).sum(dim=1).sqrt()
    floor, perimeter = area_and_perimeter(rooms.outline)
    height = rooms.dims[:, 2]
    # Metres a reflection off an upright wall: exact in a rectangle of that area and perimeter.
    step = floor / (perimeter ** 2 / 4 - 2 * floor).sqrt()
    return floor * height, torch.minimum(max_order / (step ** -2 + height ** -2).sqrt(),
                                         horizontal_order(max_order) * step)
