"""Results of measurements scene by scene, kept in files so that a broken job can go on."""

from collections.abc import Callable
from collections.abc import Sequence
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

_SAVED_EVERY = 25  # rows between two writes


def cached(measure: Callable[[int], Sequence[float]], n: int, key: str,
           cache: str | os.PathLike[str] | None = None, description: str = '',
           unit: str = 'room') -> NDArray[np.float64]:
    """
    Measure a row of numbers for each of n scenes, unless that has been done.

    Parameters
    ----------
    measure : callable
        Takes the scene's index, returns a sequence of c numbers.
    n : int
        How many.
    key : str
        Everything that the numbers depend on except the index.
    cache : path, optional
        Folder in which they are kept; without it nothing is.
    description, unit : str
        Of the progress bar.

    Returns
    -------
    numpy.ndarray
        Shape (n, c). A longer job begins with the rows that a shorter one has left.

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
            if path is not None and (len(rows) % _SAVED_EVERY == 0 or len(rows) == n):
                part = path.with_suffix('.part.npy')  # an interruption leaves the old file
                np.save(part, np.array(rows))
                part.replace(path)
    return np.array(rows[:n])
