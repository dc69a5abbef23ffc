"""Talkers who walk while they talk: heard at three places, cross-faded within the window."""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.simulation.acoustics.room_responses import hear
from nsrp_ros.simulation.acoustics.room_responses import window_length
import torch


@dataclass(frozen=True)
class MotionConfig:
    """Who walks, and how fast."""

    share: float = 0.0
    """Of the talkers that walk, straight ahead in any direction."""
    speed: tuple = (0.2, 1.0)
    """Metres a second."""

    def __post_init__(self):
        """Refuse what cannot be."""
        if not (0 <= self.share <= 1 and 0 <= self.speed[0] <= self.speed[1]):
            raise ValueError('share must be a share and speed two rising speeds')


def draw_velocities(config, n_rooms, uniform):
    """Draw velocities (B, 3) in metres a second, zero for those who stand."""
    heading = 2 * math.pi * uniform(n_rooms)
    low, high = config.speed
    speed = (low + (high - low) * uniform(n_rooms)) * (uniform(n_rooms) < config.share)
    return torch.stack([speed * heading.cos(), speed * heading.sin(), 0 * speed], dim=1)


def hear_moving(velocity, room_config, rooms, speech, sample_rate, max_bytes, acoustics,
                generator):
    """
    Compute what the microphones hear of talkers some of whom walk.

    Parameters
    ----------
    velocity : torch.Tensor
        Shape (B, 3), metres a second. `rooms.source_position` is where a talker is in the middle
        of the window; walls stop those who would walk through them.
    room_config, rooms, speech, sample_rate, max_bytes, acoustics, generator
        As for `responses.hear`.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    def heard_in(part, source_position):
        beyond = None if acoustics is None else acoustics[part]
        return hear(room_config, replace(rooms[part], source_position=source_position),
                    speech[part], sample_rate, max_bytes, beyond, generator)

    walking = (velocity != 0).any(dim=1)
    here = rooms.source_position
    if not walking.any():
        return heard_in(slice(None), here)
    standing = (~walking).nonzero()[:, 0]
    walking = walking.nonzero()[:, 0]
    step = velocity[walking] * (WindowConfig().length / 2)
    # A room wanders and rings the same way wherever the talker is.
    state = generator.get_state()
    n_samples = window_length(sample_rate)
    heard = here.new_zeros(*rooms.mic_positions.shape[:2], n_samples)
    time = torch.linspace(0, 2, n_samples, device=here.device)
    for number in range(3):
        generator.set_state(state)
        place = here[walking] + (number - 1) * step
        place = torch.minimum(place.clamp(min=0.05), rooms.dims[walking] - 0.05)
        part = heard_in(walking, place)
        heard[walking] += (1 - (time - number).abs()).clamp(min=0) * part
    if len(standing):
        heard[standing] = heard_in(standing, here[standing])
    return heard
