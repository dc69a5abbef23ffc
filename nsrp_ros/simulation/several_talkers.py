"""
Several people who talk at once, and those who have just stopped.

Each has a place, a voice, an orientation and furniture in front of him of his own; the first is
the one of whom the rest of the simulator knows.

Shapes: B scenes, K people, M microphones, S samples of speech, T samples of a window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.simulation.acoustics.directivity import DirectivityConfig
from nsrp_ros.simulation.acoustics.directivity import draw_talkers
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.scattering_occlusion import draw_occlusion
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.noise import scale_to_snr
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.random_draws import DrawFunction
from nsrp_ros.simulation.rooms.polygons import inside
from nsrp_ros.simulation.shoebox_rooms import Rooms
import torch

LONGEST_PAUSE = 0.3
"""Seconds, the longest time between the end of speech and a window in which it rings on."""
_FADE = 0.005  # seconds in which speech ends: at once, it would end with a click
_AT_ONCE = 32  # places that are tried together
_ROUNDS = 100

Render = Callable[[Rooms, torch.Tensor, Acoustics | None], torch.Tensor]
"""Renders the speech (B, S) of the talkers of rooms: (B, M, T)."""


@dataclass(frozen=True)
class TalkersConfig:
    """How many people talk at once, where they are and how loud."""

    shares: tuple[float, ...] = (0.0, 0.5, 0.35, 0.15)
    """Share of the scenes in which 0, 1, 2 .. people talk."""
    min_apart: float = 0.5
    """Least metres between any two."""
    level_db: float = 10.0
    """Decibels, the largest difference of levels at the microphones between any two."""

    def __post_init__(self) -> None:
        """Raise ValueError where shares are none, or a distance or a level is negative."""
        if len(self.shares) < 2 or min(self.shares) < 0 or not math.isclose(
                sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError('shares must be two or more that sum to one')
        if self.min_apart < 0 or self.level_db < 0:
            raise ValueError('min_apart and level_db must not be negative')

    @property
    def most(self) -> int:
        """Return K, the number of people in every room."""
        return len(self.shares) - 1


def draw_counts(config: TalkersConfig, n_scenes: int, uniform: DrawFunction) -> torch.Tensor:
    """Draw how many people talk in each scene: (B,), int64."""
    drawn = uniform(n_scenes, 1)
    ends = drawn.new_tensor(config.shares, dtype=torch.float64).cumsum(0)[:-1]
    return (drawn >= ends).sum(dim=1)


def draw_levels(config: TalkersConfig, n_scenes: int, uniform: DrawFunction) -> torch.Tensor:
    """Draw the levels of people (B, K), decibels above the first, no two too far apart."""
    levels = [torch.zeros_like(uniform(n_scenes))]
    for _ in range(1, config.most):
        above = torch.stack(levels)
        low, high = above.amax(dim=0) - config.level_db, above.amin(dim=0) + config.level_db
        levels.append(low + (high - low) * uniform(n_scenes))
    return torch.stack(levels, dim=1)


def draw_people(config: TalkersConfig, rooms: Rooms, margin: float,
                heights: tuple[()] | tuple[float, float], min_distance: float,
                uniform: DrawFunction) -> torch.Tensor:
    """
    Draw where people are; those who do not talk have a place, too.

    Parameters
    ----------
    config : TalkersConfig
        How many they are and how far apart.
    rooms : Rooms
        B rooms; the first person is at their source position.
    margin, heights : float, tuple of float
        Metres, as of `RoomConfig`: how close to walls and how high people are.
    min_distance : float
        Metres between people and any microphone.
    uniform : DrawFunction
        Draws float32 numbers between 0 and 1 of a shape, on the rooms' device.

    Returns
    -------
    torch.Tensor
        Shape (B, K, 3), metres.

    Raises
    ------
    ValueError
        If they do not fit into a room in some thousand tries.

    """
    bottom, top = torch.full_like(rooms.dims, margin), rooms.dims - margin
    if heights:
        bottom[:, 2] = bottom[:, 2].clamp(min=heights[0])
        top[:, 2] = torch.maximum(top[:, 2].clamp(max=heights[1]), bottom[:, 2])
    people = rooms.source_position[:, None]
    for _ in range(1, config.most):
        place = torch.empty_like(rooms.source_position)
        todo = torch.arange(len(rooms), device=place.device)
        for _ in range(_ROUNDS):
            # On a wall a talker would coincide with an image: keep slightly inside.
            share = uniform(len(todo), _AT_ONCE, 3).clamp(1e-4, 1 - 1e-4)
            tried = bottom[todo, None] + (top - bottom)[todo, None] * share
            fits = _nearest(tried, rooms.mic_positions[todo]) >= min_distance
            fits &= _nearest(tried, people[todo]) >= config.min_apart
            if rooms.outline is not None:
                fits &= inside(tried, rooms.outline[todo], margin)
            found, first = fits.any(dim=1), fits.float().argmax(dim=1)
            place[todo[found]] = tried[found, first[found]]
            todo = todo[~found]
            if len(todo) == 0:
                break
        else:
            raise ValueError(f'{config.most} people, {config.min_apart} m apart, do not fit into '
                             'these rooms')
        people = torch.cat([people, place[:, None]], dim=1)
    return people


def render_further(people: torch.Tensor, n_talking: torch.Tensor, power: torch.Tensor,
                   rooms: Rooms, acoustics: Callable[[torch.Tensor], Acoustics | None],
                   speech: Callable[[int], torch.Tensor], render: Render) -> torch.Tensor:
    """
    Render all people but the first, each in the scenes in which he talks.

    Parameters
    ----------
    people : torch.Tensor
        Shape (B, K, 3), metres.
    n_talking : torch.Tensor
        Shape (B,), int64: how many of them talk.
    power : torch.Tensor
        Shape (B, K), float64: what the mean power of each is to be at the microphones.
    rooms : Rooms
        B rooms.
    acoustics : function
        Returns those of the rooms at some indices, for yet another person.
    speech : function
        Draws speech (n, S).
    render : Render
        Renders one talker.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32; or a zero of no shape where nobody else talks.

    """
    total = torch.zeros((), device=people.device)
    for k in range(1, people.shape[1]):
        which = (n_talking > k).nonzero()[:, 0]
        if len(which) == 0:
            continue
        heard = render(replace(rooms[which], source_position=people[which, k]),
                       speech(len(which)), acoustics(which))
        heard = scale_to_snr(heard, power[which, k, None, None], heard.new_zeros(len(which)))
        if total.dim() == 0:
            total = heard.new_zeros(len(people), *heard.shape[1:])
        total[which] += heard
    return total


def another_person(acoustics: Acoustics, directivity: DirectivityConfig | None,
                   furniture: FurnitureConfig | None, device_ids: torch.Tensor,
                   generator: torch.Generator) -> Acoustics:
    """
    Turn a talker's acoustics into those of somebody else in the same room.

    Parameters
    ----------
    acoustics : Acoustics
        Of B rooms, on any device.
    directivity : DirectivityConfig or None
        Of talkers; None if they are omnidirectional.
    furniture : FurnitureConfig or None
        What occludes direct paths; None if nothing does.
    device_ids : torch.Tensor
        Shape (B, M): the device of each microphone, on the generator's device.
    generator : torch.Generator
        On any device.

    Returns
    -------
    Acoustics
        Another orientation, directivity and occlusion; the room and the microphones stay.

    """
    draw = Draw(generator)
    if directivity is not None and acoustics.talker_axis is not None:
        axis, pattern = draw_talkers(directivity, len(device_ids), draw.uniform, draw.normal)
        acoustics = replace(acoustics, talker_axis=axis.to(acoustics.talker_axis.device),
                            talker_pattern=pattern.to(acoustics.talker_axis.device))
    if furniture is not None and acoustics.occlusion is not None:
        occlusion = draw_occlusion(furniture, device_ids, draw.uniform)
        acoustics = replace(acoustics, occlusion=occlusion.to(acoustics.occlusion.device))
    return acoustics


def stopped(speech: torch.Tensor, pause: torch.Tensor, n_window: int,
            sample_rate: int) -> torch.Tensor:
    """
    Let talkers end before the window, in which only their reverberation is left.

    Parameters
    ----------
    speech : torch.Tensor
        Shape (B, S), whose last `n_window` samples are the window.
    pause : torch.Tensor
        Shape (B,), seconds between the end and the window.
    n_window : int
        T.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, S): the same speech, as much earlier, and silence after it. What was said last
        is still the same, so that the power of the talker is that of the window before the end.

    """
    n_samples = speech.shape[1]
    late = n_window + (pause * sample_rate).round().long()[:, None]
    time = torch.arange(n_samples, device=speech.device)
    left = (n_samples - late - time).clamp(min=0)  # samples to the end
    fade = (left / (_FADE * sample_rate)).clamp(max=1)
    return speech.gather(1, (time + late).clamp(max=n_samples - 1)) * fade


def _nearest(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the distances (B, n) of points (B, n, 3) from the nearest of others (B, m, 3)."""
    return torch.cdist(points, others,
                       compute_mode='donot_use_mm_for_euclid_dist').amin(dim=2)
