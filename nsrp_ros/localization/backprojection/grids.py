"""
The grids that a network evaluates: the whole map, and a finer one around a position.

Shapes: (nz, ny, nx) cells.
"""

from dataclasses import dataclass

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.posterior import expected_position
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.localization.backprojection.approximations import REFINEMENT_CELLS
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

REFINEMENT_REACH = 1.5
"""Cells of the map, to either side of the expected position, that the refinement grid covers."""


def cells_searched(grid: Grid | Posterior, search: Surroundings) -> NDArray[np.bool_]:
    """Return which of the floor's cells (ny, nx) have their centres in the search area."""
    return search.contains(np.stack(np.meshgrid(grid.x, grid.y), axis=-1))


@dataclass(frozen=True)
class CornerGrid(Grid):
    """A grid that keeps its corners (2, 3), metres."""

    corners: NDArray[np.float64]

    @classmethod
    def between(cls, corners: NDArray[np.float64], nx: int, ny: int, nz: int) -> 'CornerGrid':
        """Divide the box between two corners."""
        grid = Grid.over_box(corners[0], corners[1], nx, ny, nz)
        return cls(grid.x, grid.y, grid.z, corners)

    def posterior(self, cells: NDArray[np.floating]) -> Posterior:
        """Return the posterior that has these probabilities (nz, ny, nx)."""
        return Posterior(cells, self.x, self.y, self.z, self.corners)


def map_grid(config: BackprojectionConfig, room: NDArray[np.float64] | Surroundings,
             area: ArrayLike | None = None, shape: tuple[int, int] | None = None) -> CornerGrid:
    """Divide the floor of a room (3,), or of a search area, or a part of it, into cells."""
    if isinstance(room, Surroundings):
        corners = np.stack([room.lower, room.upper])
    else:
        corners = np.stack([np.zeros(3), np.asarray(room, dtype=np.float64)])
    rows, columns = shape or config.shape[1:]
    return CornerGrid.between(_corners(area, corners), columns, rows, config.heights)


def refinement_grid(whole: Posterior, grid: CornerGrid) -> CornerGrid:
    """Divide the surroundings of a posterior's expected position into finer cells."""
    centre, reach = expected_position(whole), REFINEMENT_REACH * whole.cell_size
    corners = grid.corners.copy()
    corners[0, :2] = np.maximum(corners[0, :2], centre - reach)
    corners[1, :2] = np.minimum(corners[1, :2], centre + reach)
    return CornerGrid.between(corners, REFINEMENT_CELLS, REFINEMENT_CELLS, len(grid.z))


def _corners(area: ArrayLike | None, room: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part (2, 3), metres, of a room (2, 3) that is above an area of its floor."""
    if area is None:
        return room
    area = np.asarray(area, dtype=np.float64)
    if (area.shape != (2, 2) or not np.isfinite(area).all() or (area[0] < room[0, :2]).any()
            or (area[1] > room[1, :2]).any() or (area[0] >= area[1]).any()):
        width, depth = room[1, :2] - room[0, :2]
        start = '' if not room[0, :2].any() else (
            f' from ({room[0, 0]:g}, {room[0, 1]:g})')
        raise ValueError('area must be the lower and upper corner (x, y) of a part of the floor '
                         f'of {width:g} x {depth:g} m{start}, got {area.tolist()}')
    return np.column_stack([area, room[:, 2]])
