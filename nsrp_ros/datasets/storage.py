"""
The storage format of data sets: a folder of NumPy files with a manifest.

=====================  =========  ==========================================================
signals.npy            (B, M, T)  int16
scale.npy              (B,)       float32: signals times scale is pressure, 1 at 1 m from speech
                                  at full scale
mic_positions.npy      (B, M, 3)  float64, metres
source_position.npy    (B, 3)     float64, metres
room_dims.npy          (B, 3)     float64, metres
done.npy               (B,)       bool: which scenes have been made
manifest.json                     preset and its settings, split, seed, simulator, speech,
                                  sample rate; when all is done, the sha256 of the arrays
=====================  =========  ==========================================================

The first four microphones of a set with six make the set with four.
"""

from collections.abc import Mapping
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from typing import cast

from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
from numpy.typing import DTypeLike
from numpy.typing import NDArray

FORMAT = 'nsrp_ros-scenes-1'
ARRAYS = ('signals', 'scale', 'mic_positions', 'source_position', 'room_dims')


class DatasetError(RuntimeError):
    """A data set is incomplete, damaged, or not the one that was asked for."""


class StoredSignals:
    """
    Memory-mapped int16 signals (B, M, T) that become float32 when they are indexed.

    Parameters
    ----------
    quantized : numpy.ndarray
        Shape (B, M, T), int16.
    scale : numpy.ndarray
        Shape (B,), float32.

    """

    dtype = np.dtype(np.float32)

    def __init__(self, quantized: NDArray[np.int16], scale: NDArray[np.float32]) -> None:
        self._quantized, self._scale = quantized, scale
        self.shape, self.ndim = quantized.shape, quantized.ndim

    def __len__(self) -> int:
        """Return B."""
        return len(self._quantized)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Return float32 signals; keys are those of a NumPy array, scenes on the first axis."""
        values = self._quantized[key].astype(np.float32)
        scale = np.asarray(self._scale[key[0] if isinstance(key, tuple) else key])
        return values * scale.reshape(scale.shape + (1,) * (values.ndim - scale.ndim))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return all signals."""
        return self[:].astype(dtype or self.dtype)


def load(path: str | os.PathLike[str], n_mics: int | None = None,
         verify: bool = False) -> Scenes[np.ndarray]:
    """
    Open a data set.

    Parameters
    ----------
    path : str or path
        A data set's folder.
    n_mics : int, optional
        Keep only the first microphones of each scene.
    verify : bool
        Whether to compare the checksum, which reads everything.

    Returns
    -------
    Scenes
        NumPy arrays, except `signals`, which is a `StoredSignals`.

    Raises
    ------
    DatasetError
        If the set is incomplete, damaged, or has too few microphones.

    """
    path = Path(path)
    try:
        manifest = json.loads((path / 'manifest.json').read_text())
        if manifest.get('format') != FORMAT:
            raise DatasetError(f'{path} is not a data set of format {FORMAT}')
        if 'sha256' not in manifest:
            raise DatasetError(f'{path} is incomplete; run the command that made it again')
        arrays = {name: np.load(path / f'{name}.npy', mmap_mode='r') for name in ARRAYS}
    except (OSError, ValueError) as error:
        raise DatasetError(f'cannot read the data set {path}: {error}') from error
    if verify and checksum(arrays) != manifest['sha256']:
        raise DatasetError(f'{path} is damaged: its checksum differs')
    if n_mics is not None and not 2 <= n_mics <= manifest['n_mics']:
        raise DatasetError(f'{path} has {manifest["n_mics"]} microphones, not {n_mics}')
    signals = StoredSignals(arrays['signals'][:, :n_mics], arrays['scale'])
    return Scenes(cast(np.ndarray, signals), arrays['mic_positions'][:, :n_mics],
                  arrays['source_position'], arrays['room_dims'], manifest['sample_rate'])


def open_arrays(folder: Path, manifest: Mapping[str, Any]) -> dict[str, np.memmap]:
    """
    Open a data set's files for writing, or create them.

    Parameters
    ----------
    folder : pathlib.Path
        The data set's own.
    manifest : dict
        The one to be written, without a checksum.

    Returns
    -------
    dict of str to numpy.ndarray
        Memory-mapped, `done` among them.

    Raises
    ------
    DatasetError
        If the folder holds a set with a different manifest.

    """
    shape = manifest['count'], manifest['n_mics']
    kinds: dict[str, tuple[tuple[int, ...], type]] = {
        'signals': ((*shape, window_length(manifest['sample_rate'])), np.int16),
        'scale': (shape[:1], np.float32), 'mic_positions': ((*shape, 3), np.float64),
        'source_position': ((shape[0], 3), np.float64),
        'room_dims': ((shape[0], 3), np.float64), 'done': (shape[:1], np.bool_)}
    if (folder / 'manifest.json').is_file():
        stored = json.loads((folder / 'manifest.json').read_text())
        stored.pop('sha256', None)
        wanted = json.loads(json.dumps(manifest))  # lists for tuples, as JSON has them
        if stored != wanted:
            differing = sorted(k for k in wanted if stored.get(k) != wanted[k])
            raise DatasetError(f'{folder} holds a set that differs in {differing}; '
                               'remove it or choose another --out')
        return {name: np.load(folder / f'{name}.npy', mmap_mode='r+') for name in kinds}
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.lib.format.open_memmap(folder / f'{name}.npy', 'w+', kind, size)
              for name, (size, kind) in kinds.items()}
    write_manifest(folder, manifest)
    return arrays


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json so that no reader ever finds it incomplete."""
    part = folder / 'manifest.json.part'
    part.write_text(json.dumps(manifest, indent=1) + '\n')
    part.replace(folder / 'manifest.json')


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of the arrays' bytes, scene by scene, in the order of ARRAYS."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        for scene in arrays[name]:
            digest.update(np.ascontiguousarray(scene).tobytes())
    return digest.hexdigest()
