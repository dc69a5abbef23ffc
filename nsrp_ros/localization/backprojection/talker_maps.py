"""
Maps of further talkers, in the cells of the first one's.

Shapes: (ny, nx) cells.
"""

from dataclasses import replace

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.localization.backprojection.coarse_to_fine import Look
import numpy as np
from numpy.typing import NDArray


def on_map_of(seen: Look, first: Estimate) -> Estimate:
    """Express a further talker's map in the cells of the first one's, as finely as is known."""
    whole, refined = seen.whole, seen.refined
    rows, columns = (_nearest(own, of) for own, of in ((first.y, whole.y), (first.x, whole.x)))
    # Each cell's probability is shared among the cells that lie in it.
    spread = whole.floor[rows][:, columns] / (
        np.bincount(rows, minlength=len(whole.y))[rows][:, None]
        * np.bincount(columns, minlength=len(whole.x))[columns])
    inside = _covered(first.y, refined, 1)[:, None] & _covered(first.x, refined, 0)
    share = float(spread[inside].sum())
    spread = np.where(inside, 0.0, spread)
    np.add.at(spread, np.ix_(_nearest(refined.y, first.y), _nearest(refined.x, first.x)),
              share * refined.floor)
    if first.searched is not None:
        spread = np.where(first.searched, spread, 0.0)
    return replace(seen.estimate, likelihood_map=spread / spread.sum(), x=first.x, y=first.y,
                   searched=first.searched)


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each point which of the rising centres is nearest."""
    between = (centres[1:] + centres[:-1]) / 2
    return np.asarray(np.searchsorted(between, points))


def _covered(centres: NDArray[np.float64], refined: Posterior, axis: int) -> NDArray[np.bool_]:
    """Tell which centres a refinement grid covers along an axis."""
    fine, half = (refined.x, refined.y)[axis], refined.step(axis) / 2
    return np.asarray((centres >= fine[0] - half) & (centres <= fine[-1] + half))
