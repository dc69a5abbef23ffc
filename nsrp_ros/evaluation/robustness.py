"""
How errors grow as conditions worsen: a table and a picture for each family of conditions.

    python -m nsrp_ros.evaluation.robustness --out runs/robustness --rooms 100 --mics 6

Every family changes one thing (conditions.py): noise, babble, reverberation, latencies, drifting
clocks, wrong positions, a broken microphone, wrong room dimensions, a walking talker, furniture,
polygonal rooms. It leaves results.json, a picture for each family, and tables.md, which can be
pasted into a model card. Estimates are cached: a broken run goes on where it stopped, and a second
one measures only what changed.
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

from nsrp_ros.evaluation.method_scores import accepts
from nsrp_ros.evaluation.method_scores import checksum
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.evaluation.metrics import summarize
from nsrp_ros.evaluation.plots import conditions_figure
from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.conditions import families
from nsrp_ros.evaluation.scenarios.conditions import Family
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.curves import save_figure
import numpy as np

METHODS = ('srp_phat', 'neural_srp', 'backprojection')
COMMAND = 'python -m nsrp_ros.evaluation.robustness'


def score_family(family: Family, methods: Sequence[str], n_mics: int, n_rooms: int,
                 bank: SpeechBank, cache: Path | None = None, seed: int = 0,
                 device: str = 'cpu') -> list[dict[str, Any]]:
    """
    Score methods under all conditions of a family.

    Parameters
    ----------
    family : Family
        See conditions.py.
    methods : list of str
        What `Localizer.load` takes.
    n_mics, n_rooms : int
        M and B of each condition.
    bank : SpeechBank
        Speech of the talkers.
    cache : pathlib.Path, optional
        See `method_scores.score`.
    seed : int
        Of the scenes.
    device : str
        For networks.

    Returns
    -------
    list of dict
        A row for each condition: its label, value, the scenes' checksum, and each method's
        `Summary` as a dict.

    """
    rows = []
    for condition in family.conditions:
        print(f'{family.name}: {condition.label}', flush=True)
        scenes = condition.make(n_mics, n_rooms, bank, seed)
        data_checksum = checksum(scenes)
        n_left = scenes.mic_positions.shape[1]
        scores = {method: score(method, scenes, data_checksum, cache, device=device)
                  for method in methods if accepts(method, n_left)}
        rows.append({'label': condition.label, 'value': condition.value,
                     'checksum': data_checksum, 'n_mics': n_left,
                     'methods': {method: asdict(summarize(found.errors(scenes.source_position),
                                                          np.random.default_rng(0)))
                                 for method, found in scores.items()}})
    return rows


def table(family: Family, rows: Sequence[Mapping[str, Any]], picture: str | None = None) -> str:
    """
    Write a family as Markdown.

    Parameters
    ----------
    family : Family
        See conditions.py.
    rows : list of dict
        See `score_family`.
    picture : str, optional
        File name to show below.

    Returns
    -------
    str
        A heading, a sentence, a table and the picture.

    """
    methods = list(dict.fromkeys(method for row in rows for method in row['methods']))
    lines = [f'### {family.title}', '', family.note, '',
             f'| {family.axis or "condition"} | '
             + ' | '.join(Path(method).stem for method in methods) + ' |',
             '|' + ' --- |' * (1 + len(methods))]
    for row in rows:
        cells = [_cell(row['methods'].get(method)) for method in methods]
        lines.append(f'| {row["label"]} | ' + ' | '.join(cells) + ' |')
    if picture:
        lines += ['', f'![{family.title}]({picture})']
    return '\n'.join(lines) + '\n'


def _cell(summary: Mapping[str, Any] | None) -> str:
    """Write a table's cell: the mean, its interval, and the share within half a metre."""
    if summary is None:
        return ''
    low, high = summary['interval']
    return (f'{summary["mean"]:.2f} m ({low:.2f} to {high:.2f}), '
            f'{summary["below_half"]:.0%}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='*', default=METHODS,
        help='what Localizer.load takes (default: %(default)s)')
    add('--families', nargs='+', choices=sorted(families()), metavar='FAMILY',
        help='only these: ' + ', '.join(families()))
    add('--base', choices=sorted(BASES), default='hard',
        help='kind of rooms apart from the condition (hard)')
    add('--rooms', type=int, default=100, help='of each condition (100)')
    add('--mics', type=int, default=6, help='microphones in each room (6)')
    add('--seed', type=int, default=0, help="0: the test sets' rooms (0)")
    add('--speech', default='prompts',
        help="test voice: 'prompts' (ru), 'synthetic' or a folder (prompts)")
    add('--cache', help='where fetched speech is kept')
    add('--out', type=Path, default=Path('runs/robustness'), help='folder (runs/robustness)')
    add('--device', default='cpu', help='for networks (cpu)')
    options = parser.parse_args(arguments)
    all_families = families(options.base)
    chosen = [all_families[name] for name in options.families or all_families]
    bank, speech = find_speech(options.speech, TALKERS['test'], options.cache)

    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        'python': platform.python_version(), 'base': options.base, 'speech': speech,
        'rooms': options.rooms, 'mics': options.mics, 'seed': options.seed,
        'fingerprints': {method: fingerprint(method) for method in options.methods},
        'families': {}}
    command = (f'{COMMAND} {" ".join(Path(m).stem for m in options.methods)} '
               f'--base {options.base} --rooms {options.rooms} --mics {options.mics}')
    tables = [f'    {command}\n\n{options.rooms} rooms a condition, {options.mics} microphones, '
              f'0.5 s, {speech}; base: {options.base} rooms. Mean error with its 95 % interval, '
              'and the share of windows within 0.5 m.\n']
    measured = []
    for family in chosen:
        rows = score_family(family, options.methods, options.mics, options.rooms, bank,
                            options.out / 'cache', options.seed, options.device)
        results['families'][family.name] = rows
        picture = f'{options.base}-{family.name}.png'
        measured.append((family, rows))
        save_figure(conditions_figure(measured[-1:]), options.out / picture)
        tables.append(table(family, rows, picture))
        print('\n' + table(family, rows), flush=True)
        # After each family, so that a broken run leaves its results.
        (options.out / 'results.json').write_text(json.dumps(results, indent=1))
        (options.out / 'tables.md').write_text('\n'.join(tables))
    save_figure(conditions_figure(measured), options.out / f'{options.base}.png')
    print(f'wrote {options.out}/results.json, tables.md and pictures')
    return 0


if __name__ == '__main__':
    sys.exit(main())
