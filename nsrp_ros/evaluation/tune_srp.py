"""
Choose the settings of srp_phat on validation rooms, so that it is as strong a baseline as it can.

    python -m nsrp_ros.evaluation.tune_srp --limit 250

prints the mean error of each rule for heights and each number of heights. The best settings are
the defaults in core/config.py.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path

from nsrp_ros.core.config import SrpConfig
from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.srp_phat import SrpPhat
import numpy as np


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.tune_srp', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--data', type=Path, default=Path('data'), help='folder of the data sets (data)')
    add('--sets', nargs='+', default=['hard-6-val'],
        help='validation sets (default: %(default)s)')
    add('--mics', type=int, nargs='+', default=[4, 6], help='default: %(default)s')
    add('--nz', type=int, nargs='+', default=[1, 6, 12, 24], help='default: %(default)s')
    add('--sharpness', type=float, nargs='+', default=[0, 20, 50, 100],
        help='default: %(default)s; 0 is the maximum')
    add('--cells', type=int, default=SrpConfig().nx, help='cells a side (default: %(default)s)')
    add('--limit', type=int, help='rooms of each set')
    options = parser.parse_args(arguments)
    print(f'{"nz":>4}{"sharpness":>11}' + ''.join(
        f'{name + ", " + str(m):>16}' for name in options.sets for m in options.mics)
        + f'{"mean":>8}')
    for nz in options.nz:
        for sharpness in options.sharpness if nz > 1 else [0.0]:
            config = replace(SrpConfig(), nx=options.cells, ny=options.cells, nz=nz,
                             sharpness=sharpness)
            means = []
            for name in options.sets:
                manifest = json.loads((options.data / name / 'manifest.json').read_text())
                if manifest['split'] != 'val':
                    parser.error(f'{name} is no validation set')
                for n_mics in options.mics:
                    scenes = load(options.data / name, n_mics)
                    scores = score(f'nz {nz}, sharpness {sharpness:g}', scenes, '', None,
                                   options.limit, localizer=Localizer(SrpPhat(config)))
                    means.append(scores.errors(scenes.source_position).mean())
            print(f'{nz:4d}{sharpness:11g}' + ''.join(f'{m:16.3f}' for m in means)
                  + f'{np.mean(means):8.3f}', flush=True)


if __name__ == '__main__':
    main()
