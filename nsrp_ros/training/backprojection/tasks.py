"""
What a batch of scenes asks of the network: how long a window, where to look, and for whom.

Of the people who talk some are said to be found already; whoever is left is to be found. Where
nobody is left, or whoever is left is outside the grid, the network should say so.

Shapes: B scenes, M microphones, K talkers.
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.mirrors import exact_boxes
from nsrp_ros.simulation.scenes import Scenes
import torch

OUTSIDE = 0.15
"""Metres by which a talker may be outside a grid and still count as in its outermost cell."""
SHORTEST = 0.1
"""Seconds, of the shortest windows."""
_STILL_HEARD = 0.3  # share of a window's power, below which a part of it may hold a pause
_FOUND_STD = (0.02, 0.2)  # metres, range of how far off found talkers are


@dataclass(frozen=True)
class Task:
    """
    A batch of scenes, and what is asked.

    Attributes
    ----------
    scenes : Scenes
        Of B scenes.
    surroundings : SurroundingsBatch
        Theirs.
    area : torch.Tensor
        Shape (B, 2, 3), metres: the grids' corners.
    found : FoundTalkers or None
        Those who are found already.
    talkers : torch.Tensor
        Shape (B, K, 3), metres.
    wanted : torch.Tensor
        Shape (B, K), bool: who is left to be found in the area.
    counts : torch.Tensor
        Shape (B,): 1 where the scene counts, 0 where nobody can say whether anybody talks.

    """

    scenes: Scenes[torch.Tensor]
    surroundings: SurroundingsBatch[torch.Tensor]
    area: torch.Tensor
    found: FoundTalkers | None
    talkers: torch.Tensor
    wanted: torch.Tensor
    counts: torch.Tensor


def whole_task(scenes: Scenes[torch.Tensor]) -> Task:
    """Ask for anybody, anywhere in the search areas, from whole windows."""
    surroundings = told_of(scenes)
    talkers, talking = _talkers(scenes)
    return Task(scenes, surroundings, surroundings.area, None, talkers,
                talking & _within(talkers, surroundings.area),
                torch.ones_like(talkers[:, 0, 0]))


def draw_task(scenes: Scenes[torch.Tensor], short: float, found: float,
              subregion: float) -> Task:
    """
    Draw what is asked of a batch, by torch's own random numbers.

    Parameters
    ----------
    scenes : Scenes
        Of B scenes.
    short : float
        Chance that windows of this batch are cut short.
    found : float
        Chance that talkers are said to be found in this batch.
    subregion : float
        Chance that grids cover only a part of each search area.

    Returns
    -------
    Task
        See there.

    """
    task = whole_task(scenes)
    if float(torch.rand(())) < short:
        task = _cut_short(task)
    if float(torch.rand(())) < found:
        task = _find_some(task)
    if float(torch.rand(())) < subregion:
        target = _one_of(task.talkers, task.wanted)
        area = random_subregion(task.surroundings.area, target)
        task = replace(task, area=area, wanted=task.wanted & _within(task.talkers, area))
    return task


def random_subregion(area: torch.Tensor, position: torch.Tensor,
                     min_share: float = 0.1) -> torch.Tensor:
    """
    Draw a box within every search area that contains a position.

    Parameters
    ----------
    area : torch.Tensor
        Shape (B, 2, 3), metres.
    position : torch.Tensor
        Shape (B, 3), metres.
    min_share : float
        Smallest share of each side of the area that the box covers.

    Returns
    -------
    torch.Tensor
        Shape (B, 2, 3), metres: the area of `Backprojection.forward`.

    """
    size = area[:, 1] - area[:, 0]
    share = min_share + (1 - min_share) * torch.rand_like(size)
    place = ((position - area[:, 0]) / size).clamp(0, 1)
    lowest, highest = (place - share).clamp(min=0), torch.minimum(place, 1 - share)
    low = lowest + (highest - lowest) * torch.rand_like(size)
    return torch.stack([low, low + share], dim=1) * size[:, None] + area[:, :1]


def told_of(scenes: Scenes[torch.Tensor]) -> SurroundingsBatch[torch.Tensor]:
    """Return what scenes are told of their rooms, exact boxes if nothing else."""
    return exact_boxes(scenes.room_dims) if scenes.surroundings is None else scenes.surroundings


def _talkers(scenes: Scenes[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all talkers (B, K, 3), and who of them talks (B, K)."""
    if scenes.talkers is None or scenes.n_talking is None:
        talking = scenes.talking
        if talking is None:
            talking = torch.ones(len(scenes), dtype=torch.bool, device=scenes.signals.device)
        return scenes.source_position[:, None], talking[:, None].bool()
    numbers = torch.arange(scenes.talkers.shape[1], device=scenes.talkers.device)
    return scenes.talkers, numbers < scenes.n_talking[:, None]


def _within(talkers: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
    """Tell who (B, K) is in areas (B, 2, 3), seen from above: maps end at walls, not at floors."""
    low, high = area[:, None, 0, :2] - OUTSIDE, area[:, None, 1, :2] + OUTSIDE
    place = talkers[..., :2]
    return ((place > low) & (place < high)).all(dim=-1)


def middle_part(task: Task, length: int, start: int | None = None) -> Task:
    """
    Keep a part of each window; scenes in which hardly anything is left of a voice do not count.

    Parameters
    ----------
    task : Task
        Of whole windows.
    length : int
        Samples to keep.
    start : int, optional
        The first of them; without it the middle is kept.

    Returns
    -------
    Task
        The same of shorter windows.

    """
    signals = task.scenes.signals
    start = (signals.shape[-1] - length) // 2 if start is None else start
    part = signals[..., start:start + length]
    power = part.square().mean(dim=(1, 2)) / signals.square().mean(dim=(1, 2)).clamp(min=1e-20)
    silent = ~task.wanted.any(dim=1)
    counts = ((power > _STILL_HEARD) | silent).to(task.counts.dtype)
    return replace(task, scenes=replace(task.scenes, signals=part), counts=counts)


def _cut_short(task: Task) -> Task:
    """Keep a part of each window that holds its middle, where walking talkers are."""
    total = task.scenes.signals.shape[-1]
    length = int(torch.randint(int(SHORTEST * task.scenes.sample_rate), total, ()))
    start = int(torch.randint(max(0, total // 2 - length),
                              min(total // 2, total - length) + 1, ()))
    return middle_part(task, length, start)


def _find_some(task: Task) -> Task:
    """Say that some talkers are found, about where they are, and now and then an invented one."""
    _, talking = _talkers(task.scenes)
    n_scenes, most = talking.shape
    device = talking.device
    count = (torch.rand(n_scenes, device=device) * (talking.sum(dim=1) + 1)).long()
    order = torch.rand(talking.shape, device=device).masked_fill(~talking, 2.0).argsort(dim=1)
    rank = order.argsort(dim=1)
    is_found = talking & (rank < count[:, None])
    low, high = _FOUND_STD
    std = low * (high / low) ** torch.rand(n_scenes, most, device=device)
    place = task.talkers + std[..., None] / math.sqrt(2) * torch.randn_like(task.talkers)
    # An invented talker: at any place of the area, in one of twenty scenes.
    area = task.surroundings.area
    share = torch.rand(n_scenes, 1, 3, device=device)
    anywhere = area[:, :1] + (area[:, 1:] - area[:, :1]) * share
    invented = torch.rand(n_scenes, 1, device=device) < 0.05
    place = torch.cat([place, anywhere], dim=1)
    std = torch.cat([std, std[:, :1]], dim=1).masked_fill(
        ~torch.cat([is_found, invented], dim=1), torch.inf)
    return replace(task, found=FoundTalkers(place, std), wanted=task.wanted & ~is_found)


def _one_of(talkers: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Choose one of those who are wanted in every scene (B, 3); anybody where nobody is."""
    chance = torch.rand(wanted.shape, device=wanted.device) + 2 * wanted
    index = chance.argmax(dim=1)
    return talkers.gather(1, index[:, None, None].expand(-1, 1, 3))[:, 0]
