"""Measure scene by scene, and keep what has been measured: a broken job goes on."""

import hashlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

_KEPT_EVERY = 25  # rows between two writes


def remember(measure, n, key, cache=None, description='', unit='room'):
    """
    Measure a row of numbers for each of n scenes.

    Parameters
    ----------
    measure : callable
        Takes the scene's index, returns a sequence of c numbers.
    n : int
        How many.
    key : str
        All that the numbers depend on but the index.
    cache : path, optional
        Folder in which they are kept.
    description, unit : str
        Of the progress bar.

    Returns
    -------
    numpy.ndarray
        Shape (n, c). A longer job begins with what a shorter one has left.

    """
    path = None
    if cache is not None:
        path = Path(cache) / f'{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy'
        path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(np.load(path)) if path is not None and path.is_file() else []
    if len(rows) < n:
        for k in tqdm(range(len(rows), n), initial=len(rows), total=n, unit=unit,
                      desc=description):
            rows.append(np.asarray(measure(k), dtype=np.float64))
            if path is not None and (len(rows) % _KEPT_EVERY == 0 or len(rows) == n):
                part = path.with_suffix('.part.npy')  # a break leaves the old file
                np.save(part, np.array(rows))
                part.replace(path)
    return np.array(rows[:n])
