"""
Data sets of simulated scenes on disk.

    python -m nsrp_ros.datasets.generate hard --mics 6 --split train val test

makes the folders data/hard-6-train, -val and -test, whose files are described in storage.py.

Every scene is drawn from its own seed, made of the set's seed, the split and its index: a set can
be made by any number of jobs and taken up again where it stopped, and its first scenes are those
of a smaller set.
"""

import argparse
from contextlib import nullcontext
from dataclasses import asdict
from functools import lru_cache
import json
import multiprocessing
from pathlib import Path

from nsrp_ros.datasets.storage import checksum
from nsrp_ros.datasets.storage import DatasetError
from nsrp_ros.datasets.storage import FORMAT
from nsrp_ros.datasets.storage import load
from nsrp_ros.datasets.storage import open_arrays
from nsrp_ros.datasets.storage import write_manifest
from nsrp_ros.simulation.acoustics.room_responses import hear
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.simulator import draw_scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
import numpy as np
import torch
from tqdm import tqdm

SPLITS = {'train': 10000, 'val': 2500, 'test': 2500}
"""Scenes of each split, as in the paper."""
__all__ = ['DatasetError', 'load', 'main', 'make', 'scene_generator', 'SPLITS']
_AT_ONCE = 16  # scenes between two writes
_ROOMS_TRIED = 30  # before devices are said not to fit; every other room holds sixteen


def make(preset, n_mics, split, out, count=None, seed=0, simulator='pyroomacoustics',
         speech='prompts', cache=None, jobs=1, device='cpu'):
    """
    Make a data set, or finish one that was begun.

    Parameters
    ----------
    preset : str
        One of `presets.PRESETS`.
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
        'pyroomacoustics' or 'torch'; rooms that are not ideal can only be had of the latter.
    speech, cache : str, path
        See `speech.find_speech`.
    jobs : int
        Processes.
    device : str
        Where the torch simulator runs. The scenes are the same on each, but for rounding.

    Returns
    -------
    pathlib.Path
        The data set's folder.

    Raises
    ------
    DatasetError
        If the folder holds a set with other settings, or pyroomacoustics is to make rooms that
        it does not know.

    """
    if simulator != 'torch' and not isinstance(PRESETS[preset], RoomConfig):
        raise DatasetError(f"rooms of {preset} are made by the simulator 'torch'")
    count = SPLITS[split] if count is None else count
    folder = Path(out) / f'{preset}-{n_mics}-{split}'
    # Fetch and decode here, before several jobs try to do so at once.
    bank, description = _speech(speech, split, cache)
    manifest = {'format': FORMAT, 'preset': preset, 'config': asdict(PRESETS[preset]),
                'split': split, 'n_mics': n_mics, 'count': count, 'seed': seed,
                'simulator': simulator, 'speech': description,
                'speech_sha256': bank.checksum(), 'sample_rate': bank.sample_rate}
    arrays = open_arrays(folder, manifest)
    todo = np.flatnonzero(~arrays['done'])
    tasks = [(manifest, tuple(part.tolist()), speech, cache, device)
             for part in np.split(todo, range(_AT_ONCE, len(todo), _AT_ONCE)) if len(part)]
    # Workers are spawned: a fork of a process in which torch has run threads can hang.
    pool = nullcontext() if jobs == 1 else multiprocessing.get_context('spawn').Pool(
        jobs, initializer=torch.set_num_threads, initargs=(1,))
    with pool, tqdm(total=count, initial=count - len(todo), desc=folder.name, unit='room') as bar:
        for indices, made in (pool.imap_unordered if jobs > 1 else map)(_make_scenes, tasks):
            for name, values in made.items():
                arrays[name][indices,] = values
                arrays[name].flush()
            arrays['done'][indices,] = True  # only now, so that a break leaves no half scene
            arrays['done'].flush()
            bar.update(len(indices))
    manifest['sha256'] = checksum(arrays)
    write_manifest(folder, manifest)
    return folder


def scene_generator(seed, split, index):
    """Return the random generator of one scene."""
    words = np.random.SeedSequence([seed, list(SPLITS).index(split), index]).generate_state(
        1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


@lru_cache(maxsize=8)
def _speech(source, split, cache):
    """Find a split's speech, once in each process."""
    return find_speech(source, TALKERS[split], cache)


def _make_scenes(task):
    """Make some scenes of a data set; returns their indices and arrays."""
    manifest, indices, speech, cache, device = task
    bank = _speech(speech, manifest['split'], cache)[0]
    config = PRESETS[manifest['preset']]
    generators = [scene_generator(manifest['seed'], manifest['split'], k) for k in indices]
    if not isinstance(config, RoomConfig):
        made = [simulate(config, manifest['n_mics'], 1, bank, g, device, 2 ** 28)
                for g in generators]
        return indices, _stored(*(np.concatenate([getattr(scene, field).cpu().numpy()
                                                  for scene in made]) for field in (
            'signals', 'mic_positions', 'source_position', 'room_dims')))
    drawn = [_draw_one_that_fits(config, manifest['n_mics'], bank, g) for g in generators]
    rooms = Rooms(*(torch.cat([getattr(room, field) for room, _ in drawn]) for field in (
        'dims', 'mic_positions', 'source_position', 'absorption')))
    said = torch.cat([speech for _, speech in drawn])
    if manifest['simulator'] == 'torch':
        clean = hear(config, rooms.to(device), said.to(device), bank.sample_rate, 2 ** 28).cpu()
    else:
        # Imported where it is used: machines that only train do without pyroomacoustics.
        from nsrp_ros.simulation.acoustics.pyroomacoustics_reference import hear_reference
        clean = hear_reference(config, rooms, said, bank.sample_rate)
    signals = torch.cat([add_sensor_noise(scene[None], config.snr_db, g)
                         for scene, g in zip(clean, generators, strict=True)]).numpy()
    return indices, _stored(signals, rooms.mic_positions.numpy(), rooms.source_position.numpy(),
                            rooms.dims.numpy())


def _draw_one_that_fits(config, n_mics, bank, generator):
    """Draw a scene; a room too small for its devices is given up for the next one."""
    for _ in range(_ROOMS_TRIED - 1):
        try:
            return draw_scenes(config, n_mics, 1, bank, generator)
        except ValueError:  # the generator has moved on, and the next room is another
            continue
    return draw_scenes(config, n_mics, 1, bank, generator)


def _stored(signals, mic_positions, source_position, room_dims):
    """Return scenes as they are written, the signals in sixteen bits."""
    scale = np.abs(signals).max(axis=(1, 2)) / 32767
    return {'signals': np.rint(signals / scale[:, None, None]).astype(np.int16), 'scale': scale,
            'mic_positions': mic_positions, 'source_position': source_position,
            'room_dims': room_dims}


def main(arguments=None):
    """Make a data set from the command line."""
    parser = argparse.ArgumentParser(description='Make a data set of simulated scenes.')
    add = parser.add_argument
    add('preset', choices=sorted(PRESETS))
    add('--mics', type=int, default=6, help='microphones in each room (6)')
    add('--split', choices=list(SPLITS), nargs='+', required=True, help='one or several')
    add('--count', type=int, help='rooms; as many as the paper has if left out')
    add('--seed', type=int, default=0)
    add('--simulator', choices=('pyroomacoustics', 'torch'), default='pyroomacoustics')
    add('--speech', default='prompts', help="'prompts', 'synthetic', 'auto' or a folder")
    add('--cache', help='where fetched speech is kept')
    add('--jobs', type=int, default=1, help='processes (1)')
    add('--device', default='cpu', help='where the torch simulator runs (cpu)')
    add('--out', default='data', help="folder of data sets ('data')")
    options = parser.parse_args(arguments)
    for split in options.split:
        folder = make(options.preset, options.mics, split, options.out, options.count,
                      options.seed, options.simulator, options.speech, options.cache,
                      options.jobs, options.device)
        manifest = json.loads((folder / 'manifest.json').read_text())
        print(f'{folder}: {manifest["count"]} rooms, sha256 {manifest["sha256"]}')


if __name__ == '__main__':
    main()
