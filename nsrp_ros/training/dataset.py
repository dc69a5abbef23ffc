"""
Data sets of simulated scenes on disk.

    python -m nsrp_ros.training.dataset hard --mics 6 --split test

makes the folder data/hard-6-test with these NumPy files and a manifest:

=====================  =========  ==========================================================
signals.npy            (B, M, T)  int16
scale.npy              (B,)       float32: signals times scale is pressure, 1 at 1 m of speech
                                  at full scale
mic_positions.npy      (B, M, 3)  float64, metres
source_position.npy    (B, 3)     float64, metres
room_dims.npy          (B, 3)     float64, metres
done.npy               (B,)       bool: which scenes have been made
manifest.json                     preset and its settings, split, seed, simulator, speech,
                                  sample rate; when all is done, the sha256 of the arrays
=====================  =========  ==========================================================

Every scene is drawn from its own seed, made of the set's seed, the split and its index: a set can
be made by any number of jobs and taken up again where it stopped, and its first scenes are those
of a smaller set. The first four microphones of a set with six make the set with four.
"""

import argparse
from contextlib import nullcontext
from dataclasses import asdict
import hashlib
import json
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from nsrp_ros.training.rooms import PRESETS
from nsrp_ros.training.rooms import Rooms
from nsrp_ros.training.scenes import Scenes
from nsrp_ros.training.simulation import add_sensor_noise
from nsrp_ros.training.simulation import draw_scenes
from nsrp_ros.training.simulation import hear
from nsrp_ros.training.simulation import window_length
from nsrp_ros.training.speech import find_speech
from nsrp_ros.training.speech import TALKERS

FORMAT = 'nsrp_ros-scenes-1'
SPLITS = {'train': 10000, 'val': 2500, 'test': 2500}
"""Scenes of each split, as in the paper."""
ARRAYS = ('signals', 'scale', 'mic_positions', 'source_position', 'room_dims')
_AT_ONCE = 16  # scenes between two writes


class DatasetError(RuntimeError):
    """A data set is incomplete, damaged, or another than the one that was asked for."""


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

    def __init__(self, quantized, scale):
        self._quantized, self._scale = quantized, scale
        self.shape, self.ndim = quantized.shape, quantized.ndim

    def __len__(self):
        """Return B."""
        return len(self._quantized)

    def __getitem__(self, key):
        """Return float32 signals as a NumPy array would be indexed, the scene coming first."""
        values = self._quantized[key].astype(np.float32)
        scale = np.asarray(self._scale[key[0] if isinstance(key, tuple) else key])
        return values * scale.reshape(scale.shape + (1,) * (values.ndim - scale.ndim))

    def __array__(self, dtype=None, copy=None):
        """Return all signals."""
        return self[:].astype(dtype or self.dtype)


def make(preset, n_mics, split, out, count=None, seed=0, simulator='pyroomacoustics',
         speech='prompts', cache=None, jobs=1):
    """
    Make a data set, or finish one that was begun.

    Parameters
    ----------
    preset : str
        One of `rooms.PRESETS`.
    n_mics : int
        M.
    split : str
        'train', 'val' or 'test'; decides the talkers and the seeds.
    out : path
        Folder in which the data set's own folder lies.
    count : int, optional
        B; by default as many as the paper has.
    seed : int
        Of the whole set.
    simulator : str
        'pyroomacoustics' or 'torch'.
    speech, cache : str, path
        See `speech.find_speech`.
    jobs : int
        Processes.

    Returns
    -------
    pathlib.Path
        The data set's folder.

    Raises
    ------
    DatasetError
        If the folder holds a set with other settings.

    """
    count = SPLITS[split] if count is None else count
    folder = Path(out) / f'{preset}-{n_mics}-{split}'
    # Fetch and decode here, before several jobs try to do so at once.
    bank, description = find_speech(speech, TALKERS[split], cache)
    manifest = {'format': FORMAT, 'preset': preset, 'config': asdict(PRESETS[preset]),
                'split': split, 'n_mics': n_mics, 'count': count, 'seed': seed,
                'simulator': simulator, 'speech': description, 'sample_rate': bank.sample_rate}
    arrays = _open_arrays(folder, json.loads(json.dumps(manifest, allow_nan=True)))
    todo = np.flatnonzero(~arrays['done'])
    tasks = [(manifest, tuple(part.tolist()), speech, cache)
             for part in np.split(todo, range(_AT_ONCE, len(todo), _AT_ONCE)) if len(part)]
    # Workers are spawned: a fork of a process in which torch has run threads can hang.
    pool = multiprocessing.get_context('spawn').Pool(jobs) if jobs > 1 else nullcontext()
    with pool, tqdm(total=count, initial=count - len(todo), desc=folder.name, unit='room') as bar:
        for indices, made in (pool.imap_unordered if jobs > 1 else map)(_make_scenes, tasks):
            for name, values in made.items():
                arrays[name][indices,] = values
                arrays[name].flush()
            arrays['done'][indices,] = True  # only now, so that a break leaves no half scene
            arrays['done'].flush()
            bar.update(len(indices))
    manifest['sha256'] = _checksum(arrays)
    _write_manifest(folder, manifest)
    return folder


def load(path, n_mics=None, verify=False):
    """
    Open a data set.

    Parameters
    ----------
    path : path
        A data set's folder.
    n_mics : int, optional
        Keep only the first microphones of each scene.
    verify : bool
        Whether to compare the checksum, which reads everything.

    Returns
    -------
    Scenes
        NumPy arrays, `signals` being `StoredSignals`.

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
    if verify and _checksum(arrays) != manifest['sha256']:
        raise DatasetError(f'{path} is damaged: its checksum differs')
    if n_mics is not None and not 2 <= n_mics <= manifest['n_mics']:
        raise DatasetError(f'{path} has {manifest["n_mics"]} microphones, not {n_mics}')
    return Scenes(StoredSignals(arrays['signals'][:, :n_mics], arrays['scale']),
                  arrays['mic_positions'][:, :n_mics], arrays['source_position'],
                  arrays['room_dims'], manifest['sample_rate'])


def scene_generator(seed, split, index):
    """Return the random generator of one scene."""
    words = np.random.SeedSequence([seed, list(SPLITS).index(split), index]).generate_state(
        1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


_banks = {}  # of this process: jobs load their speech once


def _make_scenes(task):
    """Make some scenes of a data set; returns their indices and arrays."""
    manifest, indices, speech, cache = task
    key = speech, manifest['split'], cache
    if key not in _banks:
        torch.set_num_threads(1)
        _banks[key] = find_speech(speech, TALKERS[manifest['split']], cache)[0]
    bank, config = _banks[key], PRESETS[manifest['preset']]
    generators = [scene_generator(manifest['seed'], manifest['split'], k) for k in indices]
    drawn = [draw_scenes(config, manifest['n_mics'], 1, bank, g) for g in generators]
    rooms = Rooms(*(torch.cat([getattr(room, field) for room, _ in drawn]) for field in (
        'dims', 'mic_positions', 'source_position', 'absorption')))
    said = torch.cat([speech for _, speech in drawn])
    if manifest['simulator'] == 'torch':
        clean = hear(config, rooms, said, bank.sample_rate, max_bytes=2 ** 28)
    else:
        # Imported where it is used: machines that only train do without pyroomacoustics.
        from nsrp_ros.training.reference import hear_reference
        clean = hear_reference(config, rooms, said, bank.sample_rate)
    signals = torch.cat([add_sensor_noise(scene[None], config.snr_db, g)
                         for scene, g in zip(clean, generators, strict=True)]).numpy()
    scale = np.abs(signals).max(axis=(1, 2)) / 32767
    return indices, {
        'signals': np.rint(signals / scale[:, None, None]).astype(np.int16), 'scale': scale,
        'mic_positions': rooms.mic_positions.numpy(),
        'source_position': rooms.source_position.numpy(), 'room_dims': rooms.dims.numpy()}


def _open_arrays(folder, manifest):
    """Open a data set's files for writing, or make them."""
    shape = manifest['count'], manifest['n_mics']
    kinds = {'signals': ((*shape, window_length(manifest['sample_rate'])), np.int16),
             'scale': (shape[:1], np.float32), 'mic_positions': ((*shape, 3), np.float64),
             'source_position': ((shape[0], 3), np.float64),
             'room_dims': ((shape[0], 3), np.float64), 'done': (shape[:1], np.bool_)}
    if (folder / 'manifest.json').is_file():
        stored = json.loads((folder / 'manifest.json').read_text())
        stored.pop('sha256', None)
        if stored != manifest:
            differing = sorted(k for k in manifest if stored.get(k) != manifest[k])
            raise DatasetError(f'{folder} holds a set that differs in {differing}; '
                               'remove it or choose another --out')
        return {name: np.load(folder / f'{name}.npy', mmap_mode='r+') for name in kinds}
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.lib.format.open_memmap(folder / f'{name}.npy', 'w+', kind, size)
              for name, (size, kind) in kinds.items()}
    _write_manifest(folder, manifest)
    return arrays


def _write_manifest(folder, manifest):
    part = folder / 'manifest.json.part'
    part.write_text(json.dumps(manifest, indent=1) + '\n')
    part.replace(folder / 'manifest.json')


def _checksum(arrays):
    """Hash the arrays' bytes, scene by scene, in the order of ARRAYS."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        for scene in arrays[name]:
            digest.update(np.ascontiguousarray(scene).tobytes())
    return digest.hexdigest()


def main(arguments=None):
    """Make a data set from the command line."""
    parser = argparse.ArgumentParser(description='Make a data set of simulated scenes.')
    add = parser.add_argument
    add('preset', choices=sorted(PRESETS))
    add('--mics', type=int, default=6, help='microphones in each room (6)')
    add('--split', choices=list(SPLITS), required=True)
    add('--count', type=int, help='rooms; as many as the paper has if left out')
    add('--seed', type=int, default=0)
    add('--simulator', choices=('pyroomacoustics', 'torch'), default='pyroomacoustics')
    add('--speech', default='prompts', help="'prompts', 'synthetic', 'auto' or a folder")
    add('--cache', help='where fetched speech is kept')
    add('--jobs', type=int, default=1, help='processes (1)')
    add('--out', default='data', help="folder of data sets ('data')")
    options = parser.parse_args(arguments)
    folder = make(options.preset, options.mics, options.split, options.out, options.count,
                  options.seed, options.simulator, options.speech, options.cache, options.jobs)
    manifest = json.loads((folder / 'manifest.json').read_text())
    print(f'{folder}: {manifest["count"]} rooms, sha256 {manifest["sha256"]}')


if __name__ == '__main__':
    main()
