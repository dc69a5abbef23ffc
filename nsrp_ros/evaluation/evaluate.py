"""
Print the paper's Table I on frozen test sets, through the localizer that runs on the robot.

    python -m nsrp_ros.evaluation.evaluate

For each test set and number of microphones it lists every method's mean error with its 95 %
bootstrap interval, the paper's values beside it, and paired tests between methods; then the
recorded scenes. It leaves results.json, error distributions and maps in its folder. Estimates are
cached there too: a broken run goes on where it stopped.

The sets `hard` and `easy` are the paper's ReverbSim as its text and as its authors' code have it;
`real` is of rooms with furniture, noise and imperfect devices (presets.py). Each number of
microphones takes the smallest stored set that has as many, and of its scenes the first ones.
"""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
import platform
import sys
from typing import Any

from nsrp_ros.datasets.recordings import cut_windows
from nsrp_ros.datasets.recordings import RecordingError
from nsrp_ros.datasets.recordings import shared_recordings
from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.baselines.ngcc_phat import NGCC_PHAT
from nsrp_ros.evaluation.baselines.published_results import PUBLISHED
from nsrp_ros.evaluation.method_scores import accepts
from nsrp_ros.evaluation.method_scores import CENTRE
from nsrp_ros.evaluation.method_scores import checksum
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.method_scores import known_methods
from nsrp_ros.evaluation.method_scores import load_method
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.evaluation.metrics import paired_test
from nsrp_ros.evaluation.metrics import summarize
from nsrp_ros.evaluation.plots import error_cdfs_figure
from nsrp_ros.evaluation.plots import maps_figure
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.training.curves import save_figure
import numpy as np
from numpy.typing import NDArray

MICS = (4, 6)
"""Numbers of microphones in the paper's table."""
REFERENCES = ('srp_phat_2d', 'neural_srp', NGCC_PHAT)
"""Methods that all others are compared with, as far as they are evaluated."""
NOTES = {'neural_srp_plus': 'fine-tuned on simulated rooms of the geometry of the recordings: '
                            'only two real ones were available'}


def find_set(data: Path, preset: str, n_mics: int) -> Path | None:
    """
    Find the test set that has enough microphones.

    Parameters
    ----------
    data : pathlib.Path
        Folder of data sets.
    preset : str
        See `presets.PRESETS`.
    n_mics : int
        How many are wanted. Fewer than six are the first ones of the paper's sets of six, so that
        smaller sets are used only where there is none of six or more.

    Returns
    -------
    pathlib.Path or None
        The smallest set of `n_mics` microphones or more, and of six or more if there is one.

    """
    sizes: dict[int, Path] = {}
    for manifest in data.glob(f'{preset}-*-test/manifest.json'):
        size = manifest.parent.name.removeprefix(f'{preset}-').removesuffix('-test')
        if size.isdecimal() and int(size) >= n_mics:
            sizes[int(size)] = manifest.parent
    if not sizes:
        return None
    return sizes[min(sizes, key=lambda size: (size < MICS[-1], size))]


def evaluate_set(title: str, key: tuple[str, int], scenes: Scenes, data_checksum: str,
                 methods: Sequence[str], cache: Path | None, limit: int | None = None,
                 device: str = 'cpu',
                 ) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """
    Score methods on one set and print its part of the table.

    Parameters
    ----------
    title : str
        Printed above.
    key : tuple
        Of `PUBLISHED`.
    scenes : Scenes
        Of NumPy arrays.
    data_checksum : str
        See `method_scores.score`.
    methods : list of str
        Those that cannot use this number of microphones are left out.
    cache, limit, device :
        See `method_scores.score`.

    Returns
    -------
    tuple of dict
        The entry for results.json, and each method's errors.

    """
    n_mics = scenes.mic_positions.shape[1]
    errors: dict[str, NDArray[np.float64]] = {}
    rows: dict[str, dict[str, Any]] = {}
    for method in methods:
        if accepts(method, n_mics):
            scores = score(method, scenes, data_checksum, cache, limit, device)
            errors[method] = scores.errors(np.asarray(scenes.source_position))
            rows[method] = asdict(summarize(errors[method], np.random.default_rng(0)))
            rows[method]['fingerprint'] = fingerprint(method)
    count = len(next(iter(errors.values())))
    print(f'\n{title}, {n_mics} microphones, {count} windows\n{"method":<18}{"mean":>7}'
          f'{"95 % interval":>16}{"std":>7}{"median":>8}{"< 0.5 m":>9}{"< 1 m":>8}'
          f'{"paper: mean":>14}{"std":>6}')
    for method, row in rows.items():
        low, high = row['interval']
        published = PUBLISHED.get(key, {}).get(method)
        print(f'{Path(method).stem:<18}{row["mean"]:7.2f}{f"{low:.2f} to {high:.2f}":>16}'
              f'{row["std"]:7.2f}{row["median"]:8.2f}{row["below_half"]:9.1%}'
              f'{row["below_one"]:8.1%}'
              + (f'{published[0]:14.2f}{published[1]:6.2f}' if published else ''))
    tests = compare(errors)
    return {'title': title, 'n_mics': n_mics, 'checksum': data_checksum, 'rows': rows,
            'paired': tests}, errors


def compare(errors: Mapping[str, NDArray[np.floating]]) -> list[dict[str, Any]]:
    """Test every method against the references; print the tests and return them for JSON."""
    tests = []
    for reference in REFERENCES:
        for method in errors:
            if reference in errors and method not in (CENTRE, reference):
                test = paired_test(errors[method], errors[reference], np.random.default_rng(0))
                tests.append({'method': method, 'reference': reference, **asdict(test)})
                low, high = test.interval
                way = 'cut' if test.cut >= 0 else 'up'
                print(f'  {Path(method).stem} against {reference}: mean error {way}'
                      f' by {abs(test.cut):.1%}, difference {test.difference:+.2f} m '
                      f'({low:+.2f} to {high:+.2f}), Wilcoxon p '
                      + (f'= {test.p_value:.1e}' if test.p_value > 0 else '< 1e-300'))
    return tests


def recorded_set() -> Scenes | None:
    """Return all windows of the shared recordings; print a sentence and return None without."""
    try:
        return cut_windows(shared_recordings())
    except RecordingError as error:
        print(f'\nrecorded scenes are left out: {error}')
        return None


def draw_examples(scenes: Scenes, methods: Sequence[str], picture: Path, device: str,
                  count: int = 2) -> None:
    """Draw the first scenes' maps by several methods, like the paper's Fig. 1."""
    signals, mic_positions, source_position, room_dims = (np.array(array[:count]) for array in (
        scenes.signals, scenes.mic_positions, scenes.source_position, scenes.room_dims))
    some = Scenes(signals, mic_positions, source_position, room_dims, scenes.sample_rate)
    methods = [m for m in methods if m != CENTRE and accepts(m, scenes.mic_positions.shape[1])]
    localizers = [load_method(m, device) for m in methods]
    estimates = [[localizer.locate(some.signals[k], some.sample_rate, some.mic_positions[k],
                                   some.room_dims[k]) for localizer in localizers]
                 for k in range(len(some))]
    save_figure(maps_figure(some, methods, estimates), picture)


def _simulator_option(preset: str) -> str:
    """Return the option of `generate` that realistic rooms need."""
    return '' if isinstance(PRESETS.get(preset), RoomConfig) else ' --simulator torch'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.evaluate', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='*', help='what Localizer.load takes, and `centre`, the centre of the '
                                   'room (default: all methods)')
    add('--data', type=Path, default=Path('data'), help='folder of the test sets (data)')
    add('--sets', nargs='+', default=['hard', 'easy'], help='default: %(default)s')
    add('--mics', type=int, nargs='+', default=MICS,
        help='numbers of microphones (default: %(default)s)')
    add('--limit', type=int, help='only so many first rooms of each set')
    add('--out', type=Path, default=Path('runs/evaluate'), help='folder (runs/evaluate)')
    add('--device', default='cpu', help='for networks (cpu)')
    options = parser.parse_args(arguments)
    methods = options.methods or known_methods()
    folders = {(preset, n_mics): find_set(options.data, preset, n_mics)
               for preset in options.sets for n_mics in options.mics}
    missing: dict[str, int] = {}
    for (preset, n_mics), folder in folders.items():
        if folder is None:
            missing[preset] = max(missing.get(preset, MICS[-1]), n_mics)
    if missing:
        print('test sets are missing; make them, seeded and resumable, by\n' + '\n'.join(
            f'    python -m nsrp_ros.datasets.generate {preset} --split test --mics {n_mics} '
            f'--jobs 2 --out {options.data}' + _simulator_option(preset)
            for preset, n_mics in missing.items()), file=sys.stderr)
        return 1

    options.out.mkdir(parents=True, exist_ok=True)
    results, cache = [], options.out / 'cache'
    for (preset, n_mics), folder in folders.items():
        assert folder is not None  # or it would be missing
        manifest = json.loads((folder / 'manifest.json').read_text())
        scenes = load(folder, n_mics)
        name = 'reverb_sim' if preset in ('hard', 'easy') else preset
        result, errors = evaluate_set(
            f'{preset} rooms', (name, n_mics), scenes, manifest['sha256'], methods, cache,
            options.limit, options.device)
        results.append(result)
        save_figure(error_cdfs_figure(errors, f'{preset} rooms, {n_mics} microphones'),
                    options.out / f'errors-{preset}-{n_mics}.png')
        draw_examples(scenes, methods, options.out / f'maps-{preset}-{n_mics}.png',
                      options.device)
    recorded = recorded_set()
    if recorded is not None:
        n_mics = recorded.mic_positions.shape[1]
        result, _ = evaluate_set('recorded scenes', ('recorded', n_mics), recorded,
                                 checksum(recorded), methods, cache, None, options.device)
        results.append(result)
        first = np.unique(recorded.source_position, axis=0, return_index=True)[1]
        draw_examples(recorded.take(first), methods, options.out / 'maps-recorded.png',
                      options.device)
    for method in methods:
        if method in NOTES:
            print(f'\n{method}: {NOTES[method]}')
    (options.out / 'results.json').write_text(json.dumps(
        {'python': platform.python_version(), 'sets': results}, indent=1))
    print(f'\nwrote {options.out}/results.json and pictures')
    return 0


if __name__ == '__main__':
    sys.exit(main())
