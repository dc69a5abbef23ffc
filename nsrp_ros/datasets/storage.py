"""
The storage format of data sets: a folder of NumPy files with a manifest.

=====================  =========  ==========================================================
signals.npy            (B, M, T)  int16
scale.npy              (B,)       float32: signals times scale is pressure, 1 at 1 m from speech
                                  at full scale
mic_positions.npy      (B, M, 3)  float64, metres
source_position.npy    (B, 3)     float64, metres
room_dims.npy          (B, 3)     float64, metres
talkers.npy            (B, K, 3)  float64, metres: everybody, those who talk first
n_talking.npy          (B,)       int64: how many of them talk
outline.npy            (B, C, 2)  float64, metres: the true floor of rooms that are no boxes
told_area.npy          (B, 2, 3)  float64, metres; this and the following are what the localizer
                                  is told, see `SurroundingsBatch`
told_planes.npy        (B, N, 4)  float64
told_std.npy           (B, N)     float64, metres, infinite where there is no plane
told_ends.npy          (B, N, 2)  float64, metres
told_outline.npy       (B, C, 2)  float64, metres
done.npy               (B,)       bool: which scenes have been made
manifest.json                     preset and its settings, split, seed, simulator, speech,
                                  sample rate; when all is done, the sha256 of the arrays
=====================  =========  ==========================================================

The first four microphones of a set with six make the set with four. From talkers to told_outline
there is what the scenes of the preset have, named in the manifest; C and N have room for any, and
the last corner is repeated.
"""

from collections.abc import Mapping
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from typing import cast

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.scenes import Scenes
import numpy as np
from numpy.typing import DTypeLike
from numpy.typing import NDArray

FORMAT = 'nsrp_ros-scenes-1'
ARRAYS = ('signals', 'scale', 'mic_positions', 'source_position', 'room_dims')
"""What every set holds."""
MOST_CORNERS = 16
MOST_PLANES = MOST_CORNERS + 2
FURTHER: dict[str, tuple[tuple[int, ...], type]] = {
    'talkers': ((-1, 3), np.float64), 'n_talking': ((), np.int64),
    'outline': ((MOST_CORNERS, 2), np.float64), 'told_area': ((2, 3), np.float64),
    'told_planes': ((MOST_PLANES, 4), np.float64), 'told_std': ((MOST_PLANES,), np.float64),
    'told_ends': ((MOST_PLANES, 2), np.float64), 'told_outline': ((MOST_CORNERS, 2), np.float64)}
"""What only some sets hold: shapes of a scene, with -1 for K, and types."""


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
        arrays = {name: np.load(path / f'{name}.npy', mmap_mode='r')
                  for name in (*ARRAYS, *manifest.get('further', ()))}
    except (OSError, ValueError) as error:
        raise DatasetError(f'cannot read the data set {path}: {error}') from error
    if verify and checksum(arrays) != manifest['sha256']:
        raise DatasetError(f'{path} is damaged: its checksum differs')
    if n_mics is not None and not 2 <= n_mics <= manifest['n_mics']:
        raise DatasetError(f'{path} has {manifest["n_mics"]} microphones, not {n_mics}')
    signals = StoredSignals(arrays['signals'][:, :n_mics], arrays['scale'])
    n_talking = arrays.get('n_talking')
    return Scenes(cast(np.ndarray, signals), arrays['mic_positions'][:, :n_mics],
                  arrays['source_position'], arrays['room_dims'], manifest['sample_rate'],
                  talking=None if n_talking is None else n_talking > 0,
                  talkers=arrays.get('talkers'), n_talking=n_talking,
                  surroundings=_surroundings(arrays),
                  outline=_trimmed(arrays['outline']) if 'outline' in arrays else None)


def _surroundings(arrays: Mapping[str, np.ndarray]) -> SurroundingsBatch[np.ndarray] | None:
    """Return what the localizer is told, without the planes that no scene has."""
    if 'told_area' not in arrays:
        return None
    some = np.flatnonzero(np.isfinite(arrays['told_std']).any(axis=0))
    n = int(some.max()) + 1 if len(some) else 0
    (x1, y1, _), (x2, y2, _) = np.moveaxis(arrays['told_area'], 0, -1)
    boxes = np.stack([np.stack([x1, x2, x2, x1], axis=1), np.stack([y1, y1, y2, y2], axis=1)],
                     axis=2)
    outline = _trimmed(arrays['told_outline'])
    return SurroundingsBatch(
        arrays['told_area'], arrays['told_planes'][:, :n], arrays['told_std'][:, :n],
        arrays['told_ends'][:, :n], None if np.array_equal(outline, boxes) else outline)


def _trimmed(outline: np.ndarray) -> np.ndarray:
    """Return outlines without the corners that all scenes only repeat."""
    new = np.flatnonzero((outline[:, 1:] != outline[:, :-1]).any(axis=(0, 2)))
    return outline[:, :int(new.max(initial=2)) + 2]


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
    for name in manifest.get('further', ()):
        of_one, kind = FURTHER[name]
        size = tuple(manifest['n_talkers'] if n == -1 else n for n in of_one)
        kinds[name] = (*shape[:1], *size), kind
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
    """Return the sha256 of the arrays' bytes, scene by scene: of ARRAYS, then of FURTHER ones."""
    digest = hashlib.sha256()
    for name in (*ARRAYS, *(name for name in FURTHER if name in arrays)):
        for scene in arrays[name]:
            digest.update(np.ascontiguousarray(scene).tobytes())
    return digest.hexdigest()
