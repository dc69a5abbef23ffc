"""
Rooms, shoeboxes above all: their dimensions, device positions and wall absorption.

Presets follow the paper's section V-A; walls are reflectivity-biased as in Foy et al. 2021 ("Mean
absorption estimation from room impulse responses ..."), or fitted to a reverberation time.

Shapes: B rooms, M microphones, K = 6 octave bands; walls are (3 axes, 2 sides), the side at 0
first, so that [2, 0] is the floor and [2, 1] the ceiling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.random_draws import DrawFunction
import torch

LIBRI_ADHOC_DIMS = (9.8, 10.3, 4.2)
LIBRI_ADHOC_MICS = tuple((8.3 - 1.6 * (k // 8), (6.0, 5.2, 4.4, 3.6, 2.8, 2.0, 1.2, 0.4)[k % 8],
                          0.9) for k in range(40))
"""Microphones 1 to 40 of Libri-adhoc40's development and test sets, metres."""
LIBRI_ADHOC_TEST_SOURCES = tuple((x, 1.2, 0.95) for x in (2.7, 4.3, 5.9, 7.5))
"""Loudspeakers pos1 to pos4, of its test set, metres."""
LIBRI_ADHOC_DEV_SOURCES = tuple((x, 5.2, 0.95) for x in (2.7, 4.3, 5.9, 7.5))
"""Loudspeakers pos5 to pos8, of its development set, metres."""

# Ranges of energy absorption coefficients in BANDS (Foy et al.).
_HARD = (0.0, 0.12)
_SOFT_FLOOR = ((.01, .2), (.01, .3), (.05, .5), (.15, .6), (.25, .75), (.3, .8))
_SOFT_WALL = ((0, .5), (0, .5), (0, .3), (0, .12), (0, .12), (0, .12))
_SOFT_CEILING = ((0, .12), (.15, 1), (.4, 1), (.4, 1), (.4, 1), (.3, 1))

# In an empty shoebox flutter echoes between parallel walls are hardly scattered: the image-source
# responses of Libri-adhoc40's room have reverberation times longer than Eyring's formula by these
# factors per octave band (measured: mean over rooms of the decay from -5 to -25 dB).
_EMPTY_BOX_FACTORS = (1.77, 1.78, 1.29, 1.13, 1.38, 1.35)


@dataclass(frozen=True)
class RoomConfig:
    """A distribution of scenes."""

    min_dims: tuple[float, float, float] = (3.0, 3.0, 2.0)
    max_dims: tuple[float, float, float] = (10.0, 10.0, 4.0)
    """Metres; each side of the room is uniform between the two."""
    margin: float = 0.0
    """Least metres between devices and walls, floor and ceiling."""
    heights: tuple[()] | tuple[float, float] = ()
    """Range of the devices' heights, metres, as far as the room allows; equal ends mean one
    height, empty any height."""
    min_distance: float = 0.5
    """Least metres between any two devices."""
    mic_sites: tuple[tuple[float, float, float], ...] = ()
    """Possible microphone positions, metres; empty for anywhere."""
    forbidden_sources: tuple[tuple[float, float, float], ...] = ()
    """Positions from which the source is `min_distance` away or more, metres."""
    max_order: int = 17
    """Highest reflection order of an image source; 0 is free field."""
    rt60: tuple[()] | tuple[float, float] = ()
    """Range of the bands' reverberation times, seconds, about uniform; fitted for rooms like
    Libri-adhoc40's. Empty for reflectivity-biased walls."""
    snr_db: float = 30.0
    """Signal-to-noise ratio of white sensor noise, over the mean power of the microphones."""

    def __post_init__(self) -> None:
        """Raise ValueError where no device fits into such a room."""
        if not all(0 < a <= b for a, b in zip(self.min_dims, self.max_dims, strict=True)):
            raise ValueError('min_dims must be above 0 and at most max_dims')
        if not 0 <= self.margin < min(self.min_dims) / 2:
            raise ValueError('margin must be at least 0 and leave room inside the smallest room')
        low, high = self.heights or (0, 0)
        if not 0 <= low <= high or low >= self.min_dims[2] - self.margin:
            raise ValueError('heights must rise and begin below the lowest ceiling')
        if self.max_order < 0 or self.min_distance < 0:
            raise ValueError('max_order and min_distance must not be negative')
        if self.rt60 and not 0 < self.rt60[0] <= self.rt60[1]:
            raise ValueError('rt60 must be empty or two rising times')


PRESETS = {
    # The paper's text: devices anywhere in the room.
    'anechoic_sim': RoomConfig(max_order=0),
    'reverb_sim': RoomConfig(),
    'hard': RoomConfig(),
    # The authors' code: devices away from the walls, all at one height.
    'easy': RoomConfig(margin=0.5, heights=(1.0, 1.0)),
    # The room of Libri-adhoc40, for NeuralSRP+. Its low ceiling needs more reflections than 17.
    'libri_adhoc': RoomConfig(
        min_dims=LIBRI_ADHOC_DIMS, max_dims=LIBRI_ADHOC_DIMS, margin=0.3, heights=(0.7, 1.9),
        mic_sites=LIBRI_ADHOC_MICS, forbidden_sources=LIBRI_ADHOC_TEST_SOURCES,
        max_order=30, rt60=(0.8, 0.9)),
}


@dataclass(frozen=True)
class Rooms:
    """
    A batch of rooms with devices in them.

    Attributes
    ----------
    dims : torch.Tensor
        Shape (B, 3), metres, of the bounding box.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    source_position : torch.Tensor
        Shape (B, 3), metres.
    absorption : torch.Tensor
        Shape (B, 3, 2, K), energy absorption coefficients.
    outline : torch.Tensor or None
        Shape (B, C, 2), metres: the floors' corners, see rooms/polygons.py; None for boxes.
    wall_absorption : torch.Tensor or None
        Shape (B, C, K): of the wall from each corner to the next, in place of `absorption`'s.

    """

    dims: torch.Tensor
    mic_positions: torch.Tensor
    source_position: torch.Tensor
    absorption: torch.Tensor
    outline: torch.Tensor | None = None
    wall_absorption: torch.Tensor | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where an outline has no walls."""
        if (self.outline is None) != (self.wall_absorption is None):
            raise ValueError('outline and wall_absorption must be given together')

    def __len__(self) -> int:
        """Return B."""
        return len(self.dims)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> 'Rooms':
        return replace(self, **{name: change(value) for name, value in vars(self).items()
                                if value is not None})

    def __getitem__(self, part: slice | torch.Tensor) -> 'Rooms':
        """Return some of the rooms."""
        return self._each(lambda value: value[part])

    def to(self, device: str | torch.device) -> 'Rooms':
        """Return the rooms on a device."""
        return self._each(lambda value: value.to(device))


def draw_rooms(config: RoomConfig, n_mics: int, n_rooms: int, generator: torch.Generator,
               device: str | torch.device = 'cpu') -> Rooms:
    """
    Draw rooms, devices and walls.

    Parameters
    ----------
    config : RoomConfig
        The distribution.
    n_mics, n_rooms : int
        M and B.
    generator : torch.Generator
        On any device; the rooms are drawn there.
    device : str or torch.device
        Where the result is wanted.

    Returns
    -------
    Rooms
        float32.

    Raises
    ------
    ValueError
        If the devices do not fit into a room in a thousand tries.

    """
    uniform = Draw(generator).uniform
    low, high = uniform(0).new_tensor([config.min_dims, config.max_dims])
    dims = low + (high - low) * uniform(n_rooms, 3)
    devices = _draw_devices(config, n_mics, dims, uniform)  # the source first
    if config.rt60:
        absorption = _absorption_for(config.rt60, dims, uniform)
    else:
        absorption = _reflectivity_biased(n_rooms, uniform)
    return Rooms(dims, devices[:, 1:], devices[:, 0], absorption).to(device)


def _draw_devices(config: RoomConfig, n_mics: int, dims: torch.Tensor,
                  uniform: DrawFunction) -> torch.Tensor:
    """Draw (B, 1 + M, 3) positions; scenes with devices too close are drawn again as a whole."""
    bottom = torch.full_like(dims, config.margin)
    top = dims - config.margin
    if config.heights:
        bottom[:, 2] = bottom[:, 2].clamp(min=config.heights[0])
        top[:, 2] = torch.maximum(top[:, 2].clamp(max=config.heights[1]), bottom[:, 2])
    devices = torch.empty(len(dims), 1 + n_mics, 3, device=dims.device)
    todo = torch.arange(len(dims), device=dims.device)
    sites, forbidden = (dims.new_tensor(p).reshape(-1, 3) for p in (
        config.mic_sites, config.forbidden_sources))
    for _ in range(1000):
        # On a wall a device would coincide with its image: keep slightly inside.
        share = uniform(len(todo), 1 + n_mics, 3).clamp(1e-4, 1 - 1e-4)
        drawn = bottom[todo, None] + (top - bottom)[todo, None] * share
        if len(sites):
            order = uniform(len(todo), len(sites)).argsort(dim=1)[:, :n_mics]
            drawn[:, 1:] = sites[order]
        apart = torch.cdist(drawn, drawn, compute_mode='donot_use_mm_for_euclid_dist')
        apart = apart + 1e9 * torch.eye(1 + n_mics, device=dims.device)
        fits = apart.flatten(1).amin(dim=1) >= config.min_distance
        if len(forbidden):
            near = torch.cdist(drawn[:, 0], forbidden,
                               compute_mode='donot_use_mm_for_euclid_dist').amin(dim=1)
            fits &= near >= config.min_distance
        devices[todo[fits]] = drawn[fits]
        todo = todo[~fits]
        if len(todo) == 0:
            return devices
    raise ValueError(f'{n_mics} microphones and a source, {config.min_distance} m apart, do not '
                     'fit into these rooms')


def _reflectivity_biased(n_rooms: int, uniform: DrawFunction) -> torch.Tensor:
    """Draw walls (B, 3, 2, K): floor, four walls and ceiling are each reflective or absorbing."""
    reflective = uniform(n_rooms, 3) < 0.5  # floor, walls, ceiling
    ranges = reflective.new_tensor(
        [[_SOFT_WALL] * 2, [_SOFT_WALL] * 2, [_SOFT_FLOOR, _SOFT_CEILING]],
        dtype=torch.float32)  # (3, 2, K, 2)
    soft = ranges[..., 0] + (ranges[..., 1] - ranges[..., 0]) * uniform(
        n_rooms, 3, 2, len(BANDS))
    # A reflective wall has one value in all bands, different from those of the other walls.
    hard = _HARD[0] + (_HARD[1] - _HARD[0]) * uniform(n_rooms, 3, 2, 1)
    which = reflective[:, [[1, 1], [1, 1], [0, 2]]][..., None]  # (B, 3, 2, 1)
    return torch.where(which, hard, soft)


def _absorption_for(rt60: tuple[float, float], dims: torch.Tensor,
                    uniform: DrawFunction) -> torch.Tensor:
    """Draw unequal walls (B, 3, 2, K) whose mean gives each band a reverberation time."""
    n_rooms = len(dims)
    times = rt60[0] + (rt60[1] - rt60[0]) * uniform(n_rooms, 1, 1, len(BANDS))
    times = times / times.new_tensor(_EMPTY_BOX_FACTORS)
    area = (dims.prod(dim=1, keepdim=True) / dims)[:, :, None, None]  # of one wall of the axis
    surface = 2 * area.sum(dim=1, keepdim=True)
    volume = dims.prod(dim=1)[:, None, None, None]
    # Eyring: RT60 = 24 ln(10) V / (-c S ln(1 - a)).
    mean = 1 - torch.exp(-24 * math.log(10) / SPEED_OF_SOUND * volume / (surface * times))
    weight = 0.75 + 0.5 * uniform(n_rooms, 3, 2, 1)
    weight = weight * surface / (weight * area).sum(dim=(1, 2), keepdim=True)
    return (mean * weight).clamp(max=0.99)
