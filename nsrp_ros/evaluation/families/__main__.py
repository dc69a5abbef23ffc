"""
Print what methods are worth in each family of scenes, on frozen test sets.

    python -m nsrp_ros.evaluation.families backprojection srp_phat xsrp music norm_music

A family is a preset with a frozen set (definitions.py). Methods are what Localizer.load takes, and
xsrp, for several talkers, and music and norm_music, for directions of small arrays; each is asked
in the families that suit it. What was found is cached: a broken run goes on where it stopped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
import sys

from nsrp_ros.evaluation.families.definitions import FAMILIES
from nsrp_ros.evaluation.families.measure import measure
from nsrp_ros.evaluation.families.measure import missing_sets
from nsrp_ros.evaluation.families.report import markdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.families', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='+', metavar='METHOD')
    add('--data', type=Path, default=Path('data'), help='folder of the test sets (data)')
    add('--families', nargs='+', default=list(FAMILIES), choices=list(FAMILIES),
        metavar='FAMILY', help='their presets (default: all of %(choices)s)')
    add('--limit', type=int, help='windows of each set')
    add('--out', type=Path, default=Path('runs/families'),
        help='folder of the cache and of results.json (%(default)s)')
    add('--device', default='cpu', help='for networks (cpu)')
    options = parser.parse_args(arguments)
    families = [FAMILIES[name] for name in options.families]
    missing = missing_sets(families, options.data)
    if missing:
        print('test sets are missing; make them, seeded and resumable, by\n' + '\n'.join(
            f'    python -m nsrp_ros.datasets.generate {preset} --split test --mics {n_mics} '
            f'--simulator torch --out {options.data}' for preset, n_mics in missing),
            file=sys.stderr)
        return 1
    results = list(measure(families, options.methods, options.data, options.out / 'cache',
                           options.limit, options.device))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'results.json').write_text(json.dumps(
        [asdict(result) for result in results], indent=1))
    print(markdown(results))
    return 0


if __name__ == '__main__':
    sys.exit(main())
