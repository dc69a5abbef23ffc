"""
A network of `uncertain_walls` as a localization method: any surroundings, several talkers.

It is computed as networks/backprojection.py says, without approximations.

Shapes: B scenes, M microphones, T samples, (ny, nx) cells of the map.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import math
from typing import ClassVar

from nsrp_ros.core.config import calibration_for
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.posterior import Posterior
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.surroundings.batch import stack
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.localization.backprojection.coarse_to_fine import channels_with_signal
from nsrp_ros.localization.backprojection.coarse_to_fine import Evaluate
from nsrp_ros.localization.backprojection.coarse_to_fine import GridPosterior
from nsrp_ros.localization.backprojection.coarse_to_fine import locate
from nsrp_ros.localization.backprojection.coarse_to_fine import locate_all
from nsrp_ros.localization.backprojection.coarse_to_fine import Look
from nsrp_ros.localization.backprojection.coarse_to_fine import look
from nsrp_ros.localization.backprojection.coarse_to_fine import Scene
from nsrp_ros.localization.backprojection.grids import map_grid
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.backprojection import LagFeatures
from nsrp_ros.networks.explained import FoundTalkers
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
import torch

FURTHER_CELLS = 13
"""Cells along each side at which further talkers are looked for: half as many as of the map."""
SOMEBODY = 0.5
"""Presence from which on there is a talker."""
_APART = 0.3  # metres; nearer than that, a further talker is the same one, found again
_FOUND_STD = (0.02, 0.3)  # metres, between which networks have been told how far talkers are off


class SurroundingsBackprojector:
    """
    Locates talkers in any surroundings.

    Parameters
    ----------
    model : Backprojection
        The network with its weights; of `uncertain_walls`.
    device : str or torch.device
        Where it runs.

    """

    takes_surroundings: ClassVar[bool] = True

    def __init__(self, model: Backprojection, device: str | torch.device = 'cpu') -> None:
        self.config = model.config
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self._tensor = partial(torch.tensor, dtype=torch.float32, device=self.device)

    @torch.inference_mode()
    def estimate(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                 surroundings: Surroundings, area: ArrayLike | None = None,
                 shape: tuple[int, int] | None = None) -> Estimate:
        """
        Locate the talker of one window whom the network is surest of.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at the network's sample rate.
        mic_positions : numpy.ndarray
            Shape (M, 3), metres.
        surroundings : Surroundings
            Where to search, and what is known of walls.
        area, shape
            As of `coarse_to_fine.locate`.

        Returns
        -------
        Estimate
            See there.

        Raises
        ------
        ValueError
            If the area is no part of the search area, or the shape is empty.

        """
        def encode(signals: NDArray[np.float32], mics: NDArray[np.float64]) -> Evaluate:
            return self._evaluator(self._encode(signals, mics), self._batch([surroundings]),
                                   self._seconds(signals))
        dims = surroundings.upper - surroundings.lower
        return locate(encode, self.config, signals, mic_positions, dims, area, shape,
                      surroundings)

    @torch.inference_mode()
    def estimate_talkers(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
                         surroundings: Surroundings, most: int) -> list[Estimate]:
        """
        Locate up to `most` talkers of one window; arguments as of `estimate`.

        Returns
        -------
        list of Estimate
            In the order in which they were found; all maps have the same cells.

        """
        active = channels_with_signal(signals)
        if active.sum() < 2:
            return []
        features = self._encode(signals[active], mic_positions[active])
        batch, centre = self._batch([surroundings]), mic_positions.mean(axis=0)
        grid = map_grid(self.config, surroundings)
        further = map_grid(self.config, surroundings, shape=(FURTHER_CELLS, FURTHER_CELLS))
        found: list[Estimate] = []
        while len(found) < most:
            evaluate = self._evaluator(features, batch, self._seconds(signals), found)
            seen = look(evaluate, further if found else grid, surroundings, centre)
            estimate = seen.estimate
            assert estimate.presence is not None
            same = any(math.dist(estimate.position, other.position) < _APART for other in found)
            if estimate.presence < SOMEBODY or same:
                break
            found.append(_on_map(seen, found[0]) if found else estimate)
        return found

    @torch.inference_mode()
    def estimate_all(self, scenes: Sequence[Scene]) -> list[Estimate]:
        """
        Locate the talkers of many windows: together on a GPU, one by one on a CPU.

        Parameters
        ----------
        scenes : sequence of tuple
            The arguments of `estimate`; all windows of the same length.

        Returns
        -------
        list of Estimate
            In the order of the scenes.

        """
        if self.device.type == 'cpu':
            return [self.estimate(*scene) for scene in scenes]

        def encode(signals: NDArray[np.float32], mics: NDArray[np.float64],
                   rooms: list[Surroundings]) -> Evaluate:
            features = self.model.encode(self._tensor(signals), self._tensor(mics))
            batch, seconds = self._batch(rooms), self._seconds(signals)

            def evaluate(corners: NDArray[np.float64], cells: tuple[int, int, int],
                         coarse: GridPosterior | None) -> GridPosterior:
                posterior, presence = self._posterior(self.model.evaluate_grid(
                    features, batch, self._tensor(corners), cells), seconds)
                return GridPosterior(posterior.numpy(), presence.numpy(), None)
            return evaluate
        return locate_all(encode, self.config, scenes)

    def _posterior(self, answer: tuple[torch.Tensor, torch.Tensor], seconds: float
                   ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a network's answer into probabilities: (B, Z, Y, X), and presence (B,)."""
        log_posterior, presence = answer
        own = calibration_for(seconds, self.config.calibration)
        cells = (log_posterior.flatten(1) / own.temperature).softmax(dim=1)
        return (cells.view_as(log_posterior).cpu(),
                (own.slope * presence + own.bias).sigmoid().cpu())

    def _encode(self, signals: NDArray[np.float32], mics: NDArray[np.float64]) -> LagFeatures:
        return self.model.encode(self._tensor(signals)[None], self._tensor(mics)[None])

    def _batch(self, rooms: Sequence[Surroundings]) -> SurroundingsBatch[torch.Tensor]:
        """Put surroundings into tensors."""
        many = stack(rooms)
        return SurroundingsBatch(
            self._tensor(many.area), self._tensor(many.planes), self._tensor(many.std),
            self._tensor(many.ends), None if many.outline is None else self._tensor(many.outline))

    def _seconds(self, signals: NDArray[np.float32]) -> float:
        return signals.shape[-1] / self.config.sample_rate

    def _evaluator(self, features: LagFeatures, batch: SurroundingsBatch[torch.Tensor],
                   seconds: float, found: Sequence[Estimate] = ()) -> Evaluate:
        """Evaluate grids of one scene, in which some talkers have been found."""
        talkers = self._found(found) if found else None

        def evaluate(corners: NDArray[np.float64], cells: tuple[int, int, int],
                     coarse: GridPosterior | None) -> GridPosterior:
            posterior, presence = self._posterior(self.model.evaluate_grid(
                features, batch, self._tensor(corners)[None], cells, talkers), seconds)
            return GridPosterior(posterior[0].numpy(), float(presence), None)
        return evaluate

    def _found(self, found: Sequence[Estimate]) -> FoundTalkers:
        """Tell the network where talkers have been found, and how far off they may be."""
        places, stds = [], []
        for one in found:
            assert one.height is not None and one.covariance is not None
            places.append([*one.position, one.height])
            stds.append(np.clip(math.sqrt(np.trace(one.covariance) / 2), *_FOUND_STD))
        return FoundTalkers(self._tensor(np.array(places))[None],
                            self._tensor(np.array(stds))[None])


def _on_map(seen: Look, first: Estimate) -> Estimate:
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
