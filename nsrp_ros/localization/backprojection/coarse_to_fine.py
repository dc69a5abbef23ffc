"""
From a network's posteriors to an estimate: the whole map first, then a refinement grid.

The same functions serve every engine, torch or ONNX Runtime, which exchange arrays with them.

Shapes: B scenes, M microphones, T samples, (nz, ny, nx) cells.
"""

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.posterior import expected_position
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.localization.backprojection.approximations import REFINEMENT_CELLS
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

REFINEMENT_REACH = 1.5
"""Cells of the map, to either side of the expected position, that the refinement grid covers."""

Scene = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]
"""Signals (M, T), microphones (M, 3) and room (3,)."""


@dataclass(frozen=True)
class GridPosterior:
    """
    A network's posterior over a grid; one of B scenes has B before all shapes.

    Attributes
    ----------
    cells : numpy.ndarray
        Shape (nz, ny, nx), probabilities that sum to one.
    presence : float or numpy.ndarray
        The probability that somebody talks.
    state : object
        What the network needs to evaluate a grid inside this one.

    """

    cells: NDArray[np.float32]
    presence: Any
    state: Any


Evaluate = Callable[[NDArray[np.float64], tuple[int, int, int], GridPosterior | None],
                    GridPosterior]
"""Evaluates a grid: given its corners (2, 3), metres, its cells (nz, ny, nx) and the posterior
over a coarser grid around it, if any."""


def locate(encode: Callable[..., Evaluate], config: BackprojectionConfig,
           signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
           room_dims: NDArray[np.float64], area: ArrayLike | None = None,
           shape: tuple[int, int] | None = None) -> Estimate:
    """
    Locate the talker of one window.

    Parameters
    ----------
    encode : callable
        Takes signals (M, T) and positions (M, 3) of the microphones with a signal, and returns
        an `Evaluate`.
    config : BackprojectionConfig
        Has the number of cells of the floor and of heights.
    signals, mic_positions, room_dims : numpy.ndarray
        As of `SrpPhat.likelihood`.
    area : array_like, optional
        Shape (2, 2), metres: the lower and upper corner (x, y) of the part of the floor
        that the talker is known to be in; the whole floor if left out.
    shape : tuple of int, optional
        Rows and columns of the map; the network's own grid if left out.

    Returns
    -------
    Estimate
        Its map is a posterior over cells that tile the area. Where fewer than two channels have
        a signal it is flat, and the presence is 0.

    Raises
    ------
    ValueError
        If the area is not inside the room or the shape is empty.

    """
    grid = _map_grid(config, room_dims, area, shape)
    active = channels_with_signal(signals)
    if active.sum() < 2:
        return no_talker_estimate(grid)
    evaluate = encode(signals[active], mic_positions[active])
    coarse = evaluate(grid.corners, grid.shape, None)
    whole = Posterior(coarse.cells, grid.x, grid.y, grid.z)
    fine = _refinement_grid(whole, grid)
    refined = Posterior(evaluate(fine.corners, fine.shape, coarse).cells, fine.x, fine.y, fine.z)
    return from_posterior(whole, refined, coarse.presence)


def locate_all(encode: Callable[..., Evaluate], config: BackprojectionConfig,
               scenes: Sequence[Scene]) -> list[Estimate]:
    """
    Locate the talkers of many windows, as many at once as have equally many microphones.

    Parameters
    ----------
    encode : callable
        As for `locate`, but of B scenes: takes signals (B, M, T), positions (B, M, 3) and rooms
        (B, 3); what it returns takes corners (B, 2, 3) and gives a GridPosterior whose cells and
        presence have B first.
    config : BackprojectionConfig
        See `locate`.
    scenes : sequence of tuple
        Of numpy.ndarray: signals (M, T), all with the same T, positions and room.

    Returns
    -------
    list of Estimate
        In the order of the scenes.

    """
    estimates: dict[int, Estimate] = {}
    groups: dict[int, list[tuple[int, NDArray[np.bool_]]]] = defaultdict(list)
    grids = [_map_grid(config, room_dims) for _, _, room_dims in scenes]
    for k, (signals, _, _) in enumerate(scenes):
        active = channels_with_signal(signals)
        if active.sum() < 2:
            estimates[k] = no_talker_estimate(grids[k])
        else:
            groups[int(active.sum())].append((k, active))
    for group in groups.values():
        evaluate = encode(*(np.stack(parts) for parts in zip(
            *((scenes[k][0][active], scenes[k][1][active], scenes[k][2])
              for k, active in group), strict=True)))
        own = [grids[k] for k, _ in group]
        coarse, wholes = _evaluate_all(evaluate, own, None)
        _, refined = _evaluate_all(
            evaluate, [_refinement_grid(*each) for each in zip(wholes, own, strict=True)], coarse)
        for (k, _), *found in zip(group, wholes, refined, coarse.presence.tolist(), strict=True):
            estimates[k] = from_posterior(*found)
    return [estimates[k] for k in range(len(scenes))]


def _evaluate_all(evaluate: Evaluate, grids: list['_CornerGrid'], coarse: GridPosterior | None
                  ) -> tuple[GridPosterior, list[Posterior]]:
    """Evaluate one grid of equal shape in each scene of a batch."""
    result = evaluate(np.stack([grid.corners for grid in grids]), grids[0].shape, coarse)
    return result, [Posterior(cells, grid.x, grid.y, grid.z)
                    for cells, grid in zip(result.cells, grids, strict=True)]


def channels_with_signal(signals: ArrayLike) -> NDArray[np.bool_]:
    """Return which channels (M,) are not all zeros: a dead microphone counts as absent."""
    return np.asarray(np.asarray(signals).any(axis=1))


def no_talker_estimate(grid: Grid) -> Estimate:
    """Return the estimate where fewer than two channels have a signal: flat, presence 0."""
    flat = np.full(grid.shape, 1 / math.prod(grid.shape))
    return from_posterior(Posterior(flat, grid.x, grid.y, grid.z), presence=0.0)


@dataclass(frozen=True)
class _CornerGrid(Grid):
    """A grid that keeps its corners (2, 3), metres."""

    corners: NDArray[np.float64]

    @classmethod
    def between(cls, corners: NDArray[np.float64], nx: int, ny: int, nz: int) -> '_CornerGrid':
        """Divide the box between two corners."""
        grid = Grid.over_box(corners[0], corners[1], nx, ny, nz)
        return cls(grid.x, grid.y, grid.z, corners)


def _map_grid(config: BackprojectionConfig, room_dims: NDArray[np.float64],
              area: ArrayLike | None = None, shape: tuple[int, int] | None = None) -> _CornerGrid:
    """Divide the floor, or an area of it, into cells."""
    corners = _corners(area, room_dims)
    rows, columns = shape or config.shape[1:]
    return _CornerGrid.between(corners, columns, rows, config.heights)


def _refinement_grid(whole: Posterior, grid: _CornerGrid) -> _CornerGrid:
    """Divide the surroundings of a posterior's expected position into finer cells."""
    centre, reach = expected_position(whole), REFINEMENT_REACH * whole.cell_size
    corners = grid.corners.copy()
    corners[0, :2] = np.maximum(corners[0, :2], centre - reach)
    corners[1, :2] = np.minimum(corners[1, :2], centre + reach)
    return _CornerGrid.between(corners, REFINEMENT_CELLS, REFINEMENT_CELLS, len(grid.z))


def _corners(area: ArrayLike | None, room_dims: ArrayLike) -> NDArray[np.float64]:
    """Return the box (2, 3) above an area of the floor, metres."""
    corners = np.stack([np.zeros(3), np.asarray(room_dims, dtype=np.float64)])
    if area is not None:
        area = np.asarray(area, dtype=np.float64)
        if (area.shape != (2, 2) or not np.isfinite(area).all() or (area[0] < 0).any()
                or (area[1] > corners[1, :2]).any() or (area[0] >= area[1]).any()):
            raise ValueError('area must be the lower and upper corner (x, y) of a part of the '
                             f'floor of {corners[1, 0]:g} x {corners[1, 1]:g} m, got '
                             f'{area.tolist()}')
        corners[:, :2] = area
    return corners
