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
from nsrp_ros.core.posterior import from_posterior
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization.backprojection.grids import cells_searched
from nsrp_ros.localization.backprojection.grids import CornerGrid
from nsrp_ros.localization.backprojection.grids import map_grid
from nsrp_ros.localization.backprojection.grids import refinement_grid
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

Scene = tuple[NDArray[np.float32], NDArray[np.float64], Any]
"""Signals (M, T), microphones (M, 3) and room: its lengths (3,), or Surroundings."""


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
           shape: tuple[int, int] | None = None, search: Surroundings | None = None) -> Estimate:
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
    search : Surroundings, optional
        The part of the room in which the talker is searched; all of it if left out. The presence
        is then that of a talker there.

    Returns
    -------
    Estimate
        Its map is a posterior over cells that tile the area. Where fewer than two channels have
        a signal it is flat, and the presence is 0.

    Raises
    ------
    ValueError
        If the area is not inside the room, holds nothing of the search area, or the shape is
        empty.

    """
    grid = map_grid(config, room_dims if search is None else search, area, shape)
    active = channels_with_signal(signals)
    if active.sum() < 2:
        return no_talker_estimate(grid, search)
    evaluate = encode(signals[active], mic_positions[active])
    return look(evaluate, grid, search, mic_positions.mean(axis=0)).estimate


@dataclass(frozen=True)
class Look:
    """
    What one look at a grid, and a closer one, have found.

    Attributes
    ----------
    whole, refined : Posterior
        Over the grid, and over finer cells around the position found there.
    estimate : Estimate
        What the two mean.

    """

    whole: Posterior
    refined: Posterior
    estimate: Estimate


def look(evaluate: Evaluate, grid: CornerGrid, search: Surroundings | None,
         centre: NDArray[np.float64]) -> Look:
    """
    Evaluate a grid, and a finer one around the position that its posterior means.

    Parameters
    ----------
    evaluate : Evaluate
        Of one scene.
    grid : CornerGrid
        The whole map.
    search : Surroundings or None
        The part of it in which the talker is searched; None for all of it.
    centre : numpy.ndarray
        Shape (3,), metres: of the microphones.

    Returns
    -------
    Look
        See there.

    """
    coarse = evaluate(grid.corners, grid.shape, None)
    whole, share = _searched(grid.posterior(coarse.cells), search)
    fine = refinement_grid(whole, grid)
    refined = _refined(whole, fine.posterior(evaluate(fine.corners, fine.shape, coarse).cells),
                       search)
    return Look(whole, refined, from_posterior(whole, refined, coarse.presence * share, centre))


def _refined(whole: Posterior, refined: Posterior, search: Surroundings | None) -> Posterior:
    """Limit a refinement to the search area; where it has no part of that, there is none."""
    if search is None or whole.searched is None:
        return refined
    inside = cells_searched(refined, search)
    # An outline can be narrower than cells.
    return refined.within(inside)[0] if inside.any() else whole


def locate_all(encode: Callable[..., Evaluate], config: BackprojectionConfig,
               scenes: Sequence[Scene]) -> list[Estimate]:
    """
    Locate the talkers of many windows, as many at once as have equally many microphones.

    Parameters
    ----------
    encode : callable
        As for `locate`, but of B scenes: takes signals (B, M, T), positions (B, M, 3) and a list
        of B rooms; what it returns takes corners (B, 2, 3) and gives a GridPosterior whose cells
        and presence have B first.
    config : BackprojectionConfig
        See `locate`.
    scenes : sequence of tuple
        Signals (M, T), all with the same T, positions, and the room: its lengths, or Surroundings.

    Returns
    -------
    list of Estimate
        In the order of the scenes.

    """
    estimates: dict[int, Estimate] = {}
    groups: dict[int, list[tuple[int, NDArray[np.bool_]]]] = defaultdict(list)
    searches = [room if isinstance(room, Surroundings) else None for _, _, room in scenes]
    grids = [map_grid(config, room) for _, _, room in scenes]
    for k, (signals, _, _) in enumerate(scenes):
        active = channels_with_signal(signals)
        if active.sum() < 2:
            estimates[k] = no_talker_estimate(grids[k], searches[k])
        else:
            groups[int(active.sum())].append((k, active))
    for group in groups.values():
        numbers = [k for k, _ in group]
        evaluate = encode(np.stack([scenes[k][0][active] for k, active in group]),
                          np.stack([scenes[k][1][active] for k, active in group]),
                          [scenes[k][2] for k in numbers])
        coarse, wholes = _evaluate_all(evaluate, [grids[k] for k in numbers], None)
        found = [_searched(whole, searches[k]) for k, whole in zip(numbers, wholes, strict=True)]
        _, refined = _evaluate_all(evaluate, [
            refinement_grid(whole, grids[k])
            for k, (whole, _) in zip(numbers, found, strict=True)], coarse)
        for k, (whole, share), finer, presence in zip(
                numbers, found, refined, coarse.presence.tolist(), strict=True):
            estimates[k] = from_posterior(whole, _refined(whole, finer, searches[k]),
                                          presence * share, scenes[k][1].mean(axis=0))
    return [estimates[k] for k in range(len(scenes))]


def _evaluate_all(evaluate: Evaluate, grids: list[CornerGrid], coarse: GridPosterior | None
                  ) -> tuple[GridPosterior, list[Posterior]]:
    """Evaluate one grid of equal shape in each scene of a batch."""
    result = evaluate(np.stack([grid.corners for grid in grids]), grids[0].shape, coarse)
    return result, [grid.posterior(cells)
                    for cells, grid in zip(result.cells, grids, strict=True)]


def channels_with_signal(signals: ArrayLike) -> NDArray[np.bool_]:
    """Return which channels (M,) are not all zeros: a dead microphone counts as absent."""
    return np.asarray(np.asarray(signals).any(axis=1))


def no_talker_estimate(grid: CornerGrid, search: Surroundings | None = None) -> Estimate:
    """Return the estimate where fewer than two channels have a signal: flat, presence 0."""
    flat = grid.posterior(np.full(grid.shape, 1 / math.prod(grid.shape)))
    return from_posterior(_searched(flat, search)[0], presence=0.0)


def _searched(posterior: Posterior, search: Surroundings | None) -> tuple[Posterior, float]:
    """Condition on the talker being in the search area, and tell the probability of that."""
    if search is None or search.outline is None:
        return posterior, 1.0
    return posterior.within(cells_searched(posterior, search))
