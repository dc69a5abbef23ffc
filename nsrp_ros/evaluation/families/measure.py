"""Run methods over families of frozen scenes, window by window, and remember what they found."""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.evaluate import find_set
from nsrp_ros.evaluation.families.definitions import Family
from nsrp_ros.evaluation.families.finders import Finder
from nsrp_ros.evaluation.families.finders import finder
from nsrp_ros.evaluation.families.finders import identity
from nsrp_ros.evaluation.families.finders import suits
from nsrp_ros.evaluation.families.finders import XSRP
from nsrp_ros.evaluation.families.scores import PositionScores
from nsrp_ros.evaluation.families.scores import score_positions
from nsrp_ros.evaluation.families.scores import score_talkers
from nsrp_ros.evaluation.families.scores import TalkerScores
from nsrp_ros.evaluation.result_cache import cached
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Result:
    """What one method is worth in one family with one number of microphones."""

    family: Family
    n_mics: int
    method: str
    scores: PositionScores | TalkerScores


def missing_sets(families: Sequence[Family], data: Path) -> list[tuple[str, int]]:
    """Return the presets of which there is no test set, with the most microphones needed."""
    return [(family.preset, max(family.mics)) for family in families
            if any(find_set(data, family.preset, n) is None for n in family.mics)]


def measure(families: Sequence[Family], methods: Sequence[str], data: Path,
            cache: Path | None = None, limit: int | None = None,
            device: str = 'cpu') -> Iterator[Result]:
    """
    Score methods in families.

    Parameters
    ----------
    families : list of Family
        Their sets are all there, see `missing_sets`.
    methods : list of str
        See `finders.finder`; in each family those that suit it.
    data : pathlib.Path
        Folder of the data sets.
    cache : pathlib.Path, optional
        Folder of what was found before.
    limit : int, optional
        Only so many first windows of each set.
    device : str
        For networks.

    Yields
    ------
    Result
        One after the other, as they are measured.

    Raises
    ------
    ValueError
        If a set of talkers does not say who talks.

    """
    for family in families:
        for n_mics in family.mics:
            folder = find_set(data, family.preset, n_mics)
            assert folder is not None
            checksum = json.loads((folder / 'manifest.json').read_text())['sha256']
            scenes = load(folder, n_mics)
            if family.kind == 'talkers' and scenes.n_talking is None and scenes.talking is None:
                raise ValueError(f'{folder} does not say who talks; make it again')
            n = min(len(scenes), limit or len(scenes))
            talking = np.asarray(scenes.talking_mask)[:n]
            for method in methods:
                # Asked for as many peaks as there are talkers, xsrp finds none where there are
                # none: that is no result.
                if suits(method, family, n_mics) and (method != XSRP or talking.any()):
                    rows = _found(method, family, scenes, checksum, n, cache, device)
                    yield Result(family, n_mics, method, _scored(rows, family, scenes, talking))


def _found(method: str, family: Family, scenes: Scenes, checksum: str, n: int,
           cache: Path | None, device: str) -> NDArray[np.float64]:
    """Return the rows (n, finders.WIDTH) of the first windows."""
    n_mics = scenes.mic_positions.shape[1]
    n_talking = np.asarray(scenes.talking_mask).sum(axis=1)
    loaded: list[Finder] = []

    def find(k: int) -> Sequence[float]:
        if not loaded:  # only once something is not in the cache
            loaded.append(finder(method, family, device))
        told = (Surroundings.box(np.array(scenes.room_dims[k])) if scenes.surroundings is None
                else scenes.surroundings.one(k))
        # Copies, because memory-mapped arrays are read-only, which torch warns about.
        found: list[float] = loaded[0](
            np.array(scenes.signals[k]), scenes.sample_rate, np.array(scenes.mic_positions[k]),
            told, int(n_talking[k])).tolist()
        return found

    return cached(find, n, f'{identity(method, family)} {checksum} {n_mics}', cache,
                  f'{family.preset}, {n_mics}, {Path(method).stem}', 'window')


def _scored(rows: NDArray[np.float64], family: Family, scenes: Scenes,
            talking: NDArray[np.bool_]) -> PositionScores | TalkerScores:
    n = len(rows)
    if family.kind == 'talkers':
        return score_talkers(rows, np.asarray(scenes.all_talkers)[:n], talking)
    centre = None
    if family.kind == 'direction':
        centre = np.asarray(scenes.mic_positions)[:n].mean(axis=1)
    return score_positions(rows, np.asarray(scenes.source_position)[:n], talking[:, 0], centre)
