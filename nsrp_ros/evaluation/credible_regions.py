"""
Whether posteriors mean what they say: how many sources are inside the regions of a probability.

    python -m nsrp_ros.evaluation.credible_regions backprojection --out runs/regions

A region of a level is made of the likeliest cells whose probabilities add up to it. The last cell
usually holds more than is missing, and counts with the share that is needed: under a calibrated
posterior the sources inside are then exactly the level, however few cells there are. Only methods
whose maps sum to one take part. It leaves results.json, tables.md and a picture.
"""

import argparse
import json
from pathlib import Path
import sys

from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.metrics import bootstrap_interval
from nsrp_ros.evaluation.plots import draw_regions
from nsrp_ros.evaluation.result_cache import remember
from nsrp_ros.localization.localizer import Localizer
import numpy as np

COMMAND = 'python -m nsrp_ros.evaluation.credible_regions'
LEVELS = (0.5, 0.8, 0.9, 0.95)
SETS = ('hard-6-val', 'easy-6-val', 'hard-6-test', 'easy-6-test', 'real-8-test')


def is_posterior(likelihood_map):
    """Tell whether a map is made of probabilities."""
    return bool(likelihood_map.min() >= 0 and abs(likelihood_map.sum(dtype=float) - 1) < 1e-3)


def place_in_posterior(probabilities, x, y, source_position):
    """
    Find how far down a posterior the source's cell is.

    Parameters
    ----------
    probabilities : numpy.ndarray
        Shape (ny, nx), summing to one.
    x, y : numpy.ndarray
        Shapes (nx,), (ny,), the cells' centres in metres.
    source_position : array_like
        Shape (2,) or more, metres; outside the map, the nearest cell counts.

    Returns
    -------
    tuple of float
        The probability of all likelier cells, and of the source's own.

    """
    own = float(probabilities[np.abs(y - source_position[1]).argmin(),
                              np.abs(x - source_position[0]).argmin()])
    return float(probabilities[probabilities > own].sum(dtype=float)), own


def region_areas(probabilities, x, y, levels=LEVELS):
    """Measure the regions of some levels, square metres, the last cell as far as it counts."""
    falling = np.sort(probabilities.ravel().astype(float))[::-1]
    held = np.concatenate([[0.0], np.cumsum(falling)])
    cell = (x[1] - x[0]) * (y[1] - y[0])
    return [float(cell * np.interp(level, held, np.arange(len(held)))) for level in levels]


def inside(likelier, own, level):
    """
    Tell how much of each source is inside its region of a level.

    Parameters
    ----------
    likelier, own : array_like
        Shape (n,); see `place_in_posterior`.
    level : float
        Of the regions.

    Returns
    -------
    numpy.ndarray
        Shape (n,): 1 inside, 0 outside, between them in the region's last cell.

    """
    return np.clip((level - np.asarray(likelier)) / np.maximum(own, 1e-12), 0, 1)


def measure(method, folder, n_mics, cache=None, limit=None, device='cpu'):
    """
    Hold a method's posteriors against the sources of a data set.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes.
    folder : pathlib.Path
        A data set.
    n_mics : int
        Its first microphones.
    cache : pathlib.Path, optional
        See `remember`.
    limit : int, optional
        Only so many first scenes.
    device : str
        For networks.

    Returns
    -------
    list of dict
        For each of `LEVELS`: how many sources are inside, with a 95 % interval, and the regions'
        median area in square metres.

    Raises
    ------
    ValueError
        If the method's maps are not posteriors.

    """
    localizer = Localizer.load(method, device)
    scenes = load(folder, n_mics)
    checksum = json.loads((folder / 'manifest.json').read_text())['sha256']

    def one(k):
        estimate = localizer.locate(
            np.array(scenes.signals[k]), scenes.sample_rate, np.array(scenes.mic_positions[k]),
            np.array(scenes.room_dims[k]))
        shown = estimate.likelihood_map, estimate.x, estimate.y
        if not is_posterior(estimate.likelihood_map):
            raise ValueError(f'the maps of {method} are scores, not posteriors')
        return [*place_in_posterior(*shown, scenes.source_position[k]), *region_areas(*shown)]

    rows = remember(one, min(len(scenes), limit or len(scenes)),
                    f'regions {LEVELS} {fingerprint(method)} {checksum} {n_mics}', cache,
                    f'{method}, {folder.name}, {n_mics} microphones')
    likelier, own, areas = rows[:, 0], rows[:, 1], rows[:, 2:]
    found = []
    for level, area in zip(LEVELS, areas.T, strict=True):
        hit = inside(likelier, own, level)
        found.append({'level': level, 'inside': float(hit.mean()),
                      'interval': bootstrap_interval(hit, np.random.default_rng(0)),
                      'area': float(np.median(area)), 'count': len(hit)})
    return found


def table(method, found):
    """Write Markdown of {title: what `measure` returned}."""
    lines = [f'### {Path(method).stem}', '', '| rooms | windows | '
             + ' | '.join(f'inside {level:.0%}' for level in LEVELS) + ' | area of 80 % |',
             '|' + ' --- |' * (3 + len(LEVELS))]
    for title, rows in found.items():
        cells = [f'{row["inside"]:.1%} ({row["interval"][0]:.0%} to {row["interval"][1]:.0%})'
                 for row in rows]
        area = next(row['area'] for row in rows if row['level'] == 0.8)
        lines.append(f'| {title} | {rows[0]["count"]} | ' + ' | '.join(cells)
                     + f' | {area:.2f} m² |')
    return '\n'.join(lines) + '\n'


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='*', default=['backprojection'],
        help='what Localizer.load takes (backprojection)')
    add('--data', type=Path, default=Path('data'), help='folder of the data sets (data)')
    add('--sets', nargs='+', default=SETS, help='default: %(default)s')
    add('--mics', type=int, nargs='+', default=[4, 6],
        help='numbers of first microphones (default: %(default)s)')
    add('--limit', type=int, default=300, help='rooms of each set (300)')
    add('--out', type=Path, default=Path('runs/regions'), help='folder (runs/regions)')
    add('--device', default='cpu', help='for networks (cpu)')
    options = parser.parse_args(arguments)
    for name in options.sets:
        if not (options.data / name / 'manifest.json').is_file():
            parser.error(f'there is no set {options.data / name}; '
                         'python -m nsrp_ros.datasets.generate makes it')
    options.out.mkdir(parents=True, exist_ok=True)
    every, tables = {}, []
    for method in options.methods:
        every[method] = {
            f'{name}, {n_mics} mics': measure(method, options.data / name, n_mics,
                                              options.out / 'cache', options.limit,
                                              options.device)
            for name in options.sets for n_mics in options.mics}
        tables.append(table(method, every[method]))
        print('\n' + tables[-1], flush=True)
        draw_regions(every[method], options.out / f'regions-{Path(method).stem}.png')
    (options.out / 'tables.md').write_text('\n'.join(tables))
    (options.out / 'results.json').write_text(json.dumps(every, indent=1))
    print(f'wrote {options.out}/results.json, tables.md and pictures')
    return 0


if __name__ == '__main__':
    sys.exit(main())
