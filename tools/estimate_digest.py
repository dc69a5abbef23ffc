"""
Print a fingerprint of every number that methods answer on a data set.

    PYTHONPATH=<a checkout> .venv/bin/python tools/estimate_digest.py data/hard-6-test --mics 4 6

Run it in both checkouts on the same machine: equal lines mean equal estimates, bit for bit. Data
sets are made by `python -m nsrp_ros.datasets.generate`; only their arrays are read.
"""

import argparse
import hashlib
from pathlib import Path
import sys

try:
    from nsrp_ros.localization.localizer import Localizer
except ImportError:  # a checkout of before 0.2
    from nsrp_ros.core.localizer import Localizer
import numpy as np
from tqdm import tqdm

METHODS = ('backprojection', 'backprojection.onnx', 'srp_phat', 'srp_phat_2d', 'neural_srp',
           'neural_srp_plus', 'crnn4', 'crnn6')
FIELDS = ('position', 'likelihood_map', 'x', 'y', 'confidence', 'covariance', 'presence',
          'height')


def digest(localizer, folder, n_mics, limit):
    """Return how many scenes were located, and the sha256 of all that was answered."""
    arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r')
              for name in ('signals', 'scale', 'mic_positions', 'room_dims')}
    total, count = hashlib.sha256(), 0
    for k in tqdm(range(min(len(arrays['signals']), limit)), leave=False, disable=None):
        signals = arrays['signals'][k, :n_mics].astype(np.float32) * arrays['scale'][k]
        try:
            estimate = localizer.locate(signals, 16000, arrays['mic_positions'][k, :n_mics],
                                        arrays['room_dims'][k])
        except ValueError as error:  # refused for a reason: that is an answer, too
            total.update(str(error).encode())
            continue
        count += 1
        for name in FIELDS:
            value = getattr(estimate, name)
            total.update(f'{name} {value is None}'.encode())
            if value is not None:
                total.update(np.ascontiguousarray(value, dtype=np.float64).tobytes())
    return count, total.hexdigest()


def main():
    """Print a line for each data set, number of microphones and method."""
    parser = argparse.ArgumentParser(description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('sets', type=Path, nargs='+', help='folders of data sets')
    add('--mics', type=int, nargs='+', default=(4, 6), help='numbers of microphones (4 6)')
    add('--methods', nargs='+', default=METHODS, help='what Localizer.load takes')
    add('--limit', type=int, default=sys.maxsize, help='only so many first scenes of each set')
    options = parser.parse_args()
    for method in options.methods:
        localizer = Localizer.load(method, threads=1)
        for folder in options.sets:
            for n_mics in options.mics:
                count, total = digest(localizer, folder, n_mics, options.limit)
                print(f'{folder.name} {n_mics} {method} {count} {total}', flush=True)


if __name__ == '__main__':
    main()
