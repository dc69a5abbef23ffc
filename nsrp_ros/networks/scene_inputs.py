"""
What the layers of backprojection.py are told besides the signals: numbers about pairs and cells.

Shapes: B scenes, M microphones, P pairs, V = Z Y X cells, N planes, L lags.
"""

from dataclasses import dataclass
from dataclasses import replace
import math

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import lags_per_metre
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.core.surroundings.outlines import inside_outline
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.cell_geometry import axis_centres
from nsrp_ros.networks.explained import explained_lags
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.networks.lag_sampling import sample_direct
from nsrp_ros.networks.mirrors import Mirrors
from nsrp_ros.networks.mirrors import planes_of
import torch


@dataclass(frozen=True)
class Scene:
    """
    What is the same for all cells of a grid, of B scenes.

    Attributes
    ----------
    lag_features : LagFeatures
        Of all pairs.
    surroundings : SurroundingsBatch
        What is known of the rooms.
    pairs : torch.Tensor
        Shape (P, 2).
    context : torch.Tensor
        Shape (B, 32): about grid and scene as a whole.
    marks : LagFeatures or None
        By `marks_of`, if talkers have been found.
    echo_table : torch.Tensor or None
        By `blurred`.

    """

    lag_features: LagFeatures
    surroundings: SurroundingsBatch[torch.Tensor]
    pairs: torch.Tensor
    context: torch.Tensor
    marks: LagFeatures | None
    echo_table: torch.Tensor | None


def pairs_of(mic_positions: torch.Tensor) -> torch.Tensor:
    """Return all pairs (P, 2) of microphones (B, M, 3)."""
    return torch.from_numpy(microphone_pairs(mic_positions.shape[1])).to(mic_positions.device)


def spacings(mic_positions: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Return how far the microphones (B, M, 3) of pairs are apart, metres: (B, P)."""
    ends = mic_positions[:, pairs]  # (B, P, 2, 3)
    return torch.linalg.vector_norm(ends[:, :, 0] - ends[:, :, 1], dim=-1)


def lags_needed(spacing: torch.Tensor, config: BackprojectionConfig) -> int:
    """Return the largest lag, samples, to look at for pairs that are `spacing` metres apart."""
    longest = float(spacing.max()) * lags_per_metre(config.sample_rate)
    # However close microphones are, echoes come later than direct sound by metres.
    return min(max(config.least_lags,
                   LAG_STEP * math.ceil((longest + config.lag_margin) / LAG_STEP)),
               config.n_fft // 2 - STRIDE)


def lag_inputs(spacing: torch.Tensor, n_lags: int, sample_rate: float) -> torch.Tensor:
    """
    Describe the lags of pairs.

    Parameters
    ----------
    spacing : torch.Tensor
        Shape (B, P), metres.
    n_lags : int
        The largest lag, samples; L is one more than twice that.
    sample_rate : float
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, P, 2, L): each lag relative to the physically possible ones, and the spacing.

    """
    lag = torch.arange(-n_lags, n_lags + 1, device=spacing.device) / sample_rate
    possible = (lag * SPEED_OF_SOUND / spacing[..., None]).clamp(-1.5, 1.5)
    return torch.stack([possible, spacing[..., None].expand_as(possible) / 10], dim=2)


def view_inputs(first: torch.Tensor, second: torch.Tensor, difference: torch.Tensor,
                spacing: torch.Tensor) -> torch.Tensor:
    """
    Describe where cells lie from pairs.

    Parameters
    ----------
    first, second, difference : torch.Tensor
        Shape (B, P, V), metres: the distances from either microphone, and `path_difference`.
    spacing : torch.Tensor
        Shape (B, P), metres.

    Returns
    -------
    torch.Tensor
        Shape (B, P, V, 6).

    """
    apart = spacing[..., None].expand_as(first)
    return torch.stack([first / 5, second / 5, apart / 5, difference / apart,
                        1 / (first + 0.3), 1 / (second + 0.3)], dim=-1)


def cell_context(area: torch.Tensor, shape: tuple[int, int, int], n_mics: int) -> torch.Tensor:
    """Return the network's input about the grid as a whole: cell sizes and microphones (B, 4)."""
    cell = (area[:, 1] - area[:, 0]) / area.new_tensor(shape[::-1])  # (B, 3), metres
    return torch.cat([2 * cell, torch.full_like(cell[:, :1], math.log2(n_mics))], dim=1)


def place_inputs(surroundings: SurroundingsBatch[torch.Tensor], area: torch.Tensor,
                 shape: tuple[int, int, int], n_mics: int) -> torch.Tensor:
    """Describe where the cells of a grid lie in the search area, and the grid: (B, V, 10)."""
    points = area_points(area, shape).flatten(1, 3)  # (B, V, 3)
    low, high = surroundings.area[:, :1], surroundings.area[:, 1:]
    context = cell_context(area, shape, n_mics)[:, None].expand(-1, points.shape[1], -1)
    return torch.cat([(points - low) / 5, (high - points) / 5, context], dim=-1)


def knowledge_inputs(surroundings: SurroundingsBatch[torch.Tensor],
                     found: FoundTalkers | None) -> torch.Tensor:
    """
    Sum up how much is known of scenes.

    Returns
    -------
    torch.Tensor
        Shape (B, 5): the doubt about walls, floor and ceiling, 0 to 1, the share of the walls
        that is not known, and how many talkers have been found.

    """
    planes = planes_of(surroundings)
    counts = planes.kind.sum(dim=1)  # (B, 3)
    doubt = (planes.kind * (1 - planes.trust)[..., None]).sum(dim=1) / counts.clamp(min=1)
    doubt = doubt.where(counts > 0, torch.ones_like(doubt))
    # Four walls are all of a box; where more are known, nothing is missing either.
    missing = (1 - counts[:, :1] / 4).clamp(min=0)
    n_found = torch.zeros_like(missing) if found is None else found.count[:, None]
    return torch.cat([doubt, missing, n_found.to(missing.dtype)], dim=1)


def marks_of(lag_features: LagFeatures, surroundings: SurroundingsBatch[torch.Tensor],
             found: FoundTalkers) -> LagFeatures:
    """Mark the lags that found talkers explain, in place of the direct features."""
    pairs = pairs_of(lag_features.mic_positions)
    return replace(lag_features, direct=explained_lags(lag_features, found, pairs, surroundings))


def evidence_inputs(scene: Scene, mirrors: Mirrors, difference: torch.Tensor) -> torch.Tensor:
    """
    Describe what speaks against the evidence of pairs for cells.

    Parameters
    ----------
    scene : Scene
        With P pairs.
    mirrors : Mirrors
        Of V cells.
    difference : torch.Tensor
        Shape (B, P, V), metres, by `path_difference`.

    Returns
    -------
    torch.Tensor
        Shape (B, P, V, 4), 0 to 1: whether a wall hides the cell from either microphone, and
        whether found talkers explain its lag by direct sound or by echoes.

    """
    first, second = mirrors.hidden[:, scene.pairs].unbind(dim=2)  # (B, P, V)
    hidden = torch.stack([first, second], dim=-1)
    explained = (torch.zeros_like(hidden) if scene.marks is None
                 else sample_direct(scene.marks, difference))
    return torch.cat([hidden, explained], dim=-1)


def searched(outline: torch.Tensor, area: torch.Tensor,
             shape: tuple[int, int, int]) -> torch.Tensor:
    """
    Tell which cells of the floor are to be searched: their centres are within the outline.

    Parameters
    ----------
    outline : torch.Tensor
        Shape (B, C, 2), metres; see `SurroundingsBatch`.
    area, shape
        As of `Backprojection.forward`.

    Returns
    -------
    torch.Tensor
        Shape (B, Y, X), bool; in scenes without any such cell, all cells.

    """
    x, y, _ = axis_centres(area, shape)
    cells = torch.stack([x[:, None].expand(-1, y.shape[1], -1),
                         y[:, :, None].expand(-1, -1, x.shape[1])], dim=-1)  # (B, Y, X, 2)
    inside: torch.Tensor = inside_outline(cells, outline[:, None, None])
    return inside | ~inside.flatten(1).any(dim=1)[:, None, None]
