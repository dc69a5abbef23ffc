"""
Run a method over scenes through `Localizer`, and cache its estimates.

They depend on the method (its weights or settings) and on the data, by checksum; they are kept in
a cache folder under both, so that a broken run goes on where it stopped and a longer one begins
with the shorter one's scenes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
import hashlib
import json
import os
from pathlib import Path

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import peak_prominence
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import model_folders
from nsrp_ros.evaluation.baselines.ngcc_checkout import load_network
from nsrp_ros.evaluation.baselines.ngcc_checkout import VARIABLE
from nsrp_ros.evaluation.baselines.ngcc_phat import NGCC_PHAT
from nsrp_ros.evaluation.baselines.ngcc_phat import NgccPhat
from nsrp_ros.evaluation.metrics import position_errors
from nsrp_ros.localization.backprojection.approximations import Approximations
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.methods import registered
from nsrp_ros.localization.weights import ANY_ROOM
from nsrp_ros.localization.weights import DEFAULT
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

CENTRE = 'centre'
"""The trivial baseline: every estimate is the centre of the room."""
ORDER = (CENTRE, 'srp_phat_2d', 'srp_phat', NGCC_PHAT, 'neural_srp', 'neural_srp_plus',
         'crnn4', 'crnn6')
"""Rows in the paper's order; other networks in models/ follow."""
_CACHED_EVERY = 25  # scenes between two writes


@dataclass(frozen=True)
class Scores:
    """
    Estimates of one method on n scenes.

    Attributes
    ----------
    positions : numpy.ndarray
        Shape (n, 2), metres.
    prominences : numpy.ndarray
        Shape (n,), see `estimate.peak_prominence`.

    """

    positions: NDArray[np.float64]
    prominences: NDArray[np.float64]

    def errors(self, source_positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distances to sources (n, 3) on the floor plan, metres."""
        return position_errors(self.positions, source_positions[:len(self.positions)])


def known_methods() -> list[str]:
    """List every method that can be loaded by name, in the order of the table."""
    networks = {p.stem for folder in model_folders() for p in folder.glob('*.safetensors')}
    names = {CENTRE, *registered(), *networks}
    if os.environ.get(VARIABLE):
        names.add(NGCC_PHAT)
    return [m for m in ORDER if m in names] + sorted(names - set(ORDER))


def accepts(method: str, n_mics: int) -> bool:
    """Tell whether a method can use that many microphones."""
    if method in (CENTRE, NGCC_PHAT) or method in registered():
        return True
    return load_checkpoint(find_weights(method)).config.n_channels in (2, n_mics)


def load_method(method: str, device: str = 'cpu') -> Localizer:
    """Load what `Localizer.load` takes, or the baseline that needs the user's own clone."""
    if method == NGCC_PHAT:
        return Localizer(NgccPhat(load_network(), device=device))
    return Localizer.load(method, device)


def fingerprint(method: str) -> str:
    """
    Return a checksum of everything that decides where a method locates.

    That is everything except its confidence model: the settings and, of a network, the weights
    and the approximations on a CPU.
    """
    if method == CENTRE:
        return CENTRE
    if method in registered():
        config, tensors = Localizer.load(method).config, {}
    elif method == NGCC_PHAT:
        baseline = NgccPhat(load_network())
        config, tensors = baseline.config, baseline.weights
    else:
        network = load_checkpoint(find_weights(method))
        config, tensors = network.config, network.state_dict()
    settings = asdict(replace(config, confidence=Confidence()))
    if isinstance(config, BackprojectionConfig):
        settings['shortcuts'] = asdict(Approximations())
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors.values():
        digest.update(tensor.contiguous().numpy().tobytes())
    if method == DEFAULT:  # which asks another network where rooms are no exact boxes
        digest.update(fingerprint(ANY_ROOM).encode())
    return digest.hexdigest()


def checksum(scenes: Scenes) -> str:
    """Return the checksum of scenes that have no manifest."""
    digest = hashlib.sha256(str(scenes.sample_rate).encode())
    for array in (scenes.signals, scenes.mic_positions, scenes.source_position,
                  scenes.room_dims):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def score(method: str, scenes: Scenes, data_checksum: str, cache: Path | None = None,
          limit: int | None = None, device: str = 'cpu',
          localizer: Localizer | None = None) -> Scores:
    """
    Locate the talkers of scenes.

    Parameters
    ----------
    method : str
        What `load_method` takes, or `CENTRE`.
    scenes : Scenes
        Of NumPy arrays.
    data_checksum : str
        Of the scenes as they are stored, for the cache.
    cache : pathlib.Path, optional
        Folder of cached estimates.
    limit : int, optional
        Only so many first scenes.
    device : str
        For networks.
    localizer : Localizer, optional
        The method itself instead of loading it by name; then nothing is cached.

    Returns
    -------
    Scores
        Of min(limit, len(scenes)) scenes.

    """
    n = len(scenes) if limit is None else min(limit, len(scenes))
    if method == CENTRE:
        positions = np.asarray(scenes.room_dims)[:n, :2] / 2
        return Scores(positions, np.zeros(n))
    n_mics = scenes.mic_positions.shape[1]
    path = None
    if cache is not None and localizer is None:
        key = f'{fingerprint(method)} {data_checksum} {n_mics}'
        path = Path(cache) / f'{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(np.load(path)) if path is not None and path.is_file() else []
    if len(rows) < n:
        localizer = localizer or load_method(method, device)
        bar = tqdm(initial=len(rows), total=n, unit='room',
                   desc=f'{method}, {n_mics} microphones')
        for start in range(len(rows), n, _CACHED_EVERY):
            rows += _locate(localizer, scenes, range(start, min(start + _CACHED_EVERY, n)), bar)
            if path is not None:
                _write(path, rows)
    table = np.array(rows[:n]).reshape(n, 3)
    return Scores(table[:, :2], table[:, 2])


def _locate(localizer: Localizer, scenes: Scenes, numbers: range,
            bar: tqdm) -> list[NDArray[np.float64]]:
    """Locate the talkers of some scenes: a row (x, y, prominence) of each."""
    # Copies, because memory-mapped arrays are read-only, which torch warns about.
    windows = [(np.array(scenes.signals[k]), scenes.sample_rate,
                np.array(scenes.mic_positions[k]), np.array(scenes.room_dims[k]))
               for k in numbers]
    rows = []
    for estimate in localizer.locate_all(windows):
        rows.append(np.array([*estimate.position, peak_prominence(estimate.likelihood_map)]))
        bar.update()
    return rows


def _write(path: Path, rows: Sequence[NDArray[np.float64]]) -> None:
    """Replace a cache file at once, so that an interruption leaves the old one."""
    part = path.with_suffix('.part.npy')
    np.save(part, np.array(rows))
    part.replace(path)
