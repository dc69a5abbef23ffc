"""Walking talkers: rendered at three places, cross-faded within the window."""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.rooms.polygons import inside
from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch

_CLEARANCE = 0.05  # metres to walls, at which talkers stop


@dataclass(frozen=True)
class MotionConfig:
    """How many talkers walk, and how fast."""

    share: float = 0.0
    """Of the talkers that walk, straight ahead in a random direction."""
    speed: tuple[float, float] = (0.2, 1.0)
    """Metres per second."""

    def __post_init__(self) -> None:
        """Raise ValueError where the speeds do not rise or the share is none."""
        if not (0 <= self.share <= 1 and 0 <= self.speed[0] <= self.speed[1]):
            raise ValueError('share must be a share and speed two rising speeds')


def draw_velocities(config: MotionConfig, n_rooms: int, uniform: DrawFunction) -> torch.Tensor:
    """Draw velocities (B, 3) in metres per second, zero for those who stand."""
    heading = 2 * math.pi * uniform(n_rooms)
    low, high = config.speed
    speed = (low + (high - low) * uniform(n_rooms)) * (uniform(n_rooms) < config.share)
    return torch.stack([speed * heading.cos(), speed * heading.sin(), 0 * speed], dim=1)


def render_moving(velocity: torch.Tensor, room_config: ImageSourceConfig, rooms: Rooms,
                  speech: torch.Tensor, sample_rate: int, max_bytes: int,
                  acoustics: Acoustics | None, generator: torch.Generator) -> torch.Tensor:
    """
    Render the microphone signals of talkers some of whom walk.

    Parameters
    ----------
    velocity : torch.Tensor
        Shape (B, 3), metres per second. `rooms.source_position` is where a talker is in
        mid-window; talkers stop at the walls.
    room_config, rooms, speech, sample_rate, max_bytes, acoustics, generator
        As for `room_responses.render_microphones`.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    def render(part: slice | torch.Tensor, source_position: torch.Tensor) -> torch.Tensor:
        return render_microphones(
            room_config, replace(rooms[part], source_position=source_position), speech[part],
            sample_rate, max_bytes, None if acoustics is None else acoustics[part], generator)

    is_walking = (velocity != 0).any(dim=1)
    centre = rooms.source_position
    if not is_walking.any():
        return render(slice(None), centre)
    standing = (~is_walking).nonzero()[:, 0]
    walking = is_walking.nonzero()[:, 0]
    step = velocity[walking] * (WindowConfig().length / 2)
    # The same random numbers at each place: jitter and late tail do not change on the way.
    state = generator.get_state()
    n_samples = window_length(sample_rate)
    signals = centre.new_zeros(*rooms.mic_positions.shape[:2], n_samples)
    time = torch.linspace(0, 2, n_samples, device=centre.device)
    for number in range(3):
        generator.set_state(state)
        place = centre[walking] + (number - 1) * step
        place = torch.minimum(place.clamp(min=_CLEARANCE), rooms.dims[walking] - _CLEARANCE)
        if rooms.outline is not None:
            place = _before_walls(centre[walking], place, rooms.outline[walking])
        weight = (1 - (time - number).abs()).clamp(min=0)
        signals[walking] += weight * render(walking, place)
    if len(standing):
        signals[standing] = render(standing, centre[standing])
    return signals


def _before_walls(source: torch.Tensor, place: torch.Tensor,
                  outline: torch.Tensor) -> torch.Tensor:
    """Return where those who walk straight from (B, 3) to (B, 3) are stopped by a wall."""
    share = torch.linspace(0, 1, 33, device=place.device)
    way = torch.lerp(source[:, None], place[:, None], share[:, None])  # (B, 33, 3)
    free = inside(way, outline, _CLEARANCE)
    free[:, 0] = True
    furthest = free.to(torch.int64).cumprod(dim=1).sum(dim=1) - 1
    return way[torch.arange(len(way), device=way.device), furthest]
