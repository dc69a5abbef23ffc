"""
A network of `uncertain_walls` as a localization method: any surroundings, several talkers.

It is computed as networks/backprojection.py says, without approximations.

Shapes: B scenes, M microphones, T samples, (ny, nx) cells of the map.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from functools import partial
from itertools import islice
import math
from typing import ClassVar

from nsrp_ros.core.config import calibration_for
from nsrp_ros.core.estimate import Estimate
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
from nsrp_ros.localization.backprojection.talker_maps import on_map_of
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
FOUND_STD = (0.02, 0.2)
"""Metres between which networks have been told how far off talkers are."""


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
        found: list[Look] = []
        for seen in islice(self.looks(signals, mic_positions, surroundings), most):
            estimate = seen.estimate
            assert estimate.presence is not None
            same = any(math.dist(estimate.position, other.estimate.position) < _APART
                       for other in found)
            if estimate.presence < SOMEBODY or same:
                break
            found.append(seen)
        return [on_map_of(seen, found[0].estimate) if number else seen.estimate
                for number, seen in enumerate(found)]

    def looks(self, signals: NDArray[np.float32], mic_positions: NDArray[np.float64],
              surroundings: Surroundings) -> Iterator[Look]:
        """Look for one talker after the other, whether or not anybody is left."""
        active = channels_with_signal(signals)
        if active.sum() < 2:
            return
        features = self._encode(signals[active], mic_positions[active])
        batch, centre = self._batch([surroundings]), mic_positions.mean(axis=0)
        grid, found = map_grid(self.config, surroundings), list[Look]()
        further = map_grid(self.config, surroundings, shape=(FURTHER_CELLS, FURTHER_CELLS))
        while True:
            evaluate = self._evaluator(features, batch, self._seconds(signals), found)
            found.append(look(evaluate, further if found else grid, surroundings, centre))
            yield found[-1]

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

    def _posterior(self, answer: tuple[torch.Tensor, torch.Tensor], seconds: float,
                   is_further: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a network's answer into probabilities: (B, Z, Y, X), and presence (B,)."""
        log_posterior, presence = answer
        own = calibration_for(seconds, self.config.calibration)
        cells = (log_posterior.flatten(1) / own.temperature).softmax(dim=1)
        slope, bias = own.line(is_further)
        return cells.view_as(log_posterior).cpu(), (slope * presence + bias).sigmoid().cpu()

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
                   seconds: float, found: Sequence[Look] = ()) -> Evaluate:
        """Evaluate grids of one scene, in which some talkers have been found."""
        talkers = self._found(found) if found else None

        def evaluate(corners: NDArray[np.float64], cells: tuple[int, int, int],
                     coarse: GridPosterior | None) -> GridPosterior:
            posterior, presence = self._posterior(self.model.evaluate_grid(
                features, batch, self._tensor(corners)[None], cells, talkers), seconds,
                talkers is not None)
            return GridPosterior(posterior[0].numpy(), float(presence), None)
        return evaluate

    def _found(self, found: Sequence[Look]) -> FoundTalkers:
        """Tell the network where talkers have been found, and how far off they may be."""
        places = [[*seen.estimate.position, seen.estimate.height] for seen in found]
        stds = [np.clip(_spread(seen), *FOUND_STD) for seen in found]
        return FoundTalkers(self._tensor(np.array(places, np.float64))[None],
                            self._tensor(np.array(stds))[None])


def _spread(seen: Look) -> float:
    """
    Return how far off a talker may be, metres, if he is where the closer look was.

    The whole posterior is wider where several talk, since the first look sees all of them.
    """
    near, place = seen.refined, seen.estimate.position
    squares = (near.x - place[0]) ** 2 + (near.y[:, None] - place[1]) ** 2
    return math.sqrt(float((near.floor * squares).sum()))
