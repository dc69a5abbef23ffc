"""
Whether posteriors are calibrated: how many sources are inside their credible regions.

    python -m nsrp_ros.evaluation.credible_regions backprojection --out runs/regions

A region of a level is made of the likeliest cells whose probabilities add up to it. The last cell
usually holds more than is missing, and counts with the share that is needed: under a calibrated
posterior the share of sources inside then equals the level exactly, however few cells there are.
Only methods whose maps sum to one can be judged. It leaves results.json, tables.md and a picture.
"""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import json
from pathlib import Path
import sys
from typing import Any

from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.metrics import bootstrap_interval
from nsrp_ros.evaluation.plots import regions_figure
from nsrp_ros.evaluation.result_cache import cached
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.training.curves import save_figure
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

COMMAND = 'python -m nsrp_ros.evaluation.credible_regions'
LEVELS = (0.5, 0.8, 0.9, 0.95)
SETS = ('hard-6-val', 'easy-6-val', 'hard-6-test', 'easy-6-test', 'real-8-test')


def is_posterior(likelihood_map: NDArray[np.floating]) -> bool:
    """Tell whether a map is made of probabilities."""
    return bool(likelihood_map.min() >= 0 and abs(likelihood_map.sum(dtype=float) - 1) < 1e-3)


def rank_in_posterior(probabilities: NDArray[np.floating], x: NDArray[np.floating],
                      y: NDArray[np.floating],
                      source_position: Sequence[float] | NDArray[np.floating],
                      ) -> tuple[float, float]:
    """
    Return how much of a posterior is likelier than the source's cell.

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


def region_areas(probabilities: NDArray[np.floating], x: NDArray[np.floating],
                 y: NDArray[np.floating], levels: Sequence[float] = LEVELS) -> list[float]:
    """Measure the regions of some levels, square metres, the last cell as far as it counts."""
    falling = np.sort(probabilities.ravel().astype(float))[::-1]
    held = np.concatenate([[0.0], np.cumsum(falling)])
    cell = (x[1] - x[0]) * (y[1] - y[0])
    return [float(cell * np.interp(level, held, np.arange(len(held)))) for level in levels]


def inside_region(likelier: ArrayLike, own: ArrayLike, level: float) -> NDArray[np.float64]:
    """
    Return how much of each source is inside its region of a level.

    Parameters
    ----------
    likelier, own : array_like
        Shape (n,); see `rank_in_posterior`.
    level : float
        Of the regions.

    Returns
    -------
    numpy.ndarray
        Shape (n,): 1 inside, 0 outside, between them in the region's last cell.

    """
    return np.clip((level - np.asarray(likelier)) / np.maximum(own, 1e-12), 0, 1)


def measure_coverage(method: str, folder: Path, n_mics: int, cache: Path | None = None,
                     limit: int | None = None, device: str = 'cpu') -> list[dict[str, Any]]:
    """
    Compare a method's credible regions with the sources of a data set.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes.
    folder : pathlib.Path
        A data set.
    n_mics : int
        Its first microphones.
    cache : pathlib.Path, optional
        See `cached`.
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

    def measure(k: int) -> list[float]:
        estimate = localizer.locate(
            np.array(scenes.signals[k]), scenes.sample_rate, np.array(scenes.mic_positions[k]),
            np.array(scenes.room_dims[k]))
        posterior = estimate.likelihood_map, estimate.x, estimate.y
        if not is_posterior(estimate.likelihood_map):
            raise ValueError(f'the maps of {method} are scores, not posteriors')
        return [*rank_in_posterior(*posterior, scenes.source_position[k]),
                *region_areas(*posterior)]

    rows = cached(measure, min(len(scenes), limit or len(scenes)),
                  f'regions {LEVELS} {fingerprint(method)} {checksum} {n_mics}', cache,
                  f'{method}, {folder.name}, {n_mics} microphones')
    likelier, own, areas = rows[:, 0], rows[:, 1], rows[:, 2:]
    found = []
    for level, area in zip(LEVELS, areas.T, strict=True):
        inside = inside_region(likelier, own, level)
        found.append({'level': level, 'inside': float(inside.mean()),
                      'interval': bootstrap_interval(inside, np.random.default_rng(0)),
                      'area': float(np.median(area)), 'count': len(inside)})
    return found


def table(method: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Write Markdown of {title: what `measure_coverage` returned}."""
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
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
    results, tables = {}, []
    for method in options.methods:
        results[method] = {
            f'{name}, {n_mics} mics': measure_coverage(
                method, options.data / name, n_mics, options.out / 'cache', options.limit,
                options.device)
            for name in options.sets for n_mics in options.mics}
        tables.append(table(method, results[method]))
        print('\n' + tables[-1], flush=True)
        save_figure(regions_figure(results[method]),
                    options.out / f'regions-{Path(method).stem}.png')
    (options.out / 'tables.md').write_text('\n'.join(tables))
    (options.out / 'results.json').write_text(json.dumps(results, indent=1))
    print(f'wrote {options.out}/results.json, tables.md and pictures')
    return 0


if __name__ == '__main__':
    sys.exit(main())
