"""
The late tail of a room: what countless reflections become.

After the mixing time reflections come too thick to be told apart, and no list of image sources is
long enough. From then on noise takes over from the images, smoothly and with their energy: a
talker of unit gain at one metre fills a room of volume V with an energy of 4 pi c / V a second,
which decays by 60 dB in the reverberation time of a band.

Shapes: B rooms, M microphones, K octave bands, I images, G points of a grid.
"""

from dataclasses import dataclass
import math
from typing import Any

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.diffuse_field import coherence_factors
from nsrp_ros.simulation.acoustics.nonuniform_fft import spread
from nsrp_ros.simulation.acoustics.wall_absorption import eyring_rt60
import torch

_DECAY = 6 * math.log(10)  # of energy, over a reverberation time
_SHORTEST_FADE = 0.005  # seconds


@dataclass(frozen=True)
class TailConfig:
    """Whether rooms have tails, and for how long."""

    seconds: float = 0.75
    """Of response that are computed: 30 dB of decay where 1.5 s make 60."""

    def __post_init__(self):
        """Refuse a tail that has no time."""
        if self.seconds <= 0:
            raise ValueError('seconds must be above 0')


@dataclass(frozen=True)
class Tail:
    """
    The tails of a batch of rooms.

    Attributes
    ----------
    start, end : torch.Tensor
        Shape (B,), seconds: when noise begins to take over from the images, and when it has.
    power : torch.Tensor
        Shape (B, K): energy a second, as if all were diffuse from time zero.
    rt60 : torch.Tensor
        Shape (B, K), seconds.
    factors : torch.Tensor
        Shape (B, K, M, M); see `coherence_factors`.
    loudness : torch.Tensor
        Shape (B, M, K), factors of amplitude: how loud a microphone hears the field.

    """

    start: Any
    end: Any
    power: Any
    rt60: Any
    factors: Any
    loudness: Any

    def share(self, time):
        """Say how much of a room's energy is in the tail at times (B, ...), seconds."""
        shape = (-1,) + (1,) * (time.dim() - 1)
        start, end = self.start.reshape(shape), self.end.reshape(shape)
        return ((time - start) / (end - start)).clamp(0, 1)

    def add_to(self, grids, bands, rate, normal):
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
        normal : callable
            Draws float32 numbers of a shape.

        """
        # Noise is impulses on every second point: enough for a quarter of the grid's rate.
        taps = spread(grids.new_ones(1, 1), grids.new_zeros(1), 4)[0]
        n = (grids.shape[-1] - len(taps)) // 2 + 1
        time = torch.arange(n, device=grids.device) * (2 / rate)
        density = (self.power[:, bands].log()[..., None]
                   - _DECAY / self.rt60[:, bands, None] * time).exp_()
        density *= self.share(time[None].expand(len(grids), n))[:, None] * (2 / rate)
        noise = self.factors[:, bands] @ normal(*density.shape[:2], grids.shape[1], n)
        noise *= density.sqrt_()[:, :, None]
        noise = noise.transpose(1, 2)
        noise *= self.loudness[..., bands, None]
        for tap, weight in enumerate(taps.tolist()):
            grids[..., tap:tap + 2 * n - 1:2].add_(noise, alpha=weight)


def begin_tail(rooms, max_order, gains, distances, loudness, air):
    """
    Find out when and how loud the images go over into the tail.

    Parameters
    ----------
    rooms : Rooms
        B rooms.
    max_order : int
        Most reflections of an image.
    gains, distances : torch.Tensor
        Shapes (B, K, I), without air, and (B, M, I), metres: the images.
    loudness : torch.Tensor
        Shape (B, M, K): how loud a diffuse field is, against that of a talker and of microphones
        that know no direction.
    air : torch.Tensor or None
        Shape (K,), nepers a metre.

    Returns
    -------
    Tail
        Its noise starts at the mixing time, sqrt(V) milliseconds after the direct sound has
        passed the last microphone, and has taken over about where the images beyond
        `max_order` would begin.

    """
    dims = rooms.dims
    volume = dims.prod(dim=1)
    direct = torch.linalg.vector_norm(
        rooms.mic_positions - rooms.source_position[:, None], dim=-1).amax(dim=1)
    start = direct / SPEED_OF_SOUND + 1e-3 * volume.sqrt()
    missing = max_order / (dims ** -2).sum(dim=1).sqrt()  # metres
    end = torch.maximum(missing / SPEED_OF_SOUND, start + _SHORTEST_FADE)
    bare = Tail(start, end, None, None, None, None)

    # Boxes do not ring quite as the diffuse theory has it: measure the images' energy meanwhile.
    time = distances / SPEED_OF_SOUND
    share = bare.share(time)
    here = ((share > 0) & (share < 1)) / distances.clamp(min=1e-3) ** 2
    found = (gains.square() @ here.mean(dim=1)[..., None])[..., 0]  # (B, K)
    rate = _DECAY / eyring_rt60(dims, rooms.absorption)
    diffuse = (4 * math.pi * SPEED_OF_SOUND / volume)[:, None]
    expected = diffuse * ((-rate * start[:, None]).exp() - (-rate * end[:, None]).exp()) / rate
    power = diffuse * (found / expected.clamp(min=1e-30)).clamp(0.1, 10.0)
    return Tail(start, end, power, eyring_rt60(dims, rooms.absorption, air),
                coherence_factors(rooms.mic_positions), loudness)
