"""
Voice presence: how well windows with a talker are distinguished from those without.

    python -m nsrp_ros.evaluation.voice_presence --out runs/silence --rooms 100

The detector is `Estimate.confidence`. For each method it prints the area under the receiver's
operating characteristic, for each noise and signal-to-noise ratio, and how many talkers are
detected when 1 % and 5 % of all silent windows give false alarms, with 95 % bootstrap intervals
over rooms; then the false alarms of each kind of silence at these thresholds. It leaves
results.json, tables.md and a picture; confidences are cached.
"""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
import json
from pathlib import Path
import sys
from typing import Any

from nsrp_ros.evaluation.detection_metrics import alarm_threshold
from nsrp_ros.evaluation.detection_metrics import area_under_curve
from nsrp_ros.evaluation.detection_metrics import bootstrap_over_rooms
from nsrp_ros.evaluation.detection_metrics import share_above
from nsrp_ros.evaluation.method_scores import checksum
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.plots import detection_figure
from nsrp_ros.evaluation.result_cache import cached
from nsrp_ros.evaluation.robustness import METHODS
from nsrp_ros.evaluation.scenarios.conditions import BASES
from nsrp_ros.evaluation.scenarios.silent_windows import AMBIGUOUS
from nsrp_ros.evaluation.scenarios.silent_windows import NOISES
from nsrp_ros.evaluation.scenarios.silent_windows import SILENCES
from nsrp_ros.evaluation.scenarios.silent_windows import silent_and_talking_windows
from nsrp_ros.evaluation.scenarios.silent_windows import SNRS
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.curves import save_figure
import numpy as np
from numpy.typing import NDArray

COMMAND = 'python -m nsrp_ros.evaluation.voice_presence'
FALSE_ALARMS = (0.01, 0.05)


def confidences(method: str, windows: Mapping[tuple[str, int | None], Scenes],
                cache: Path | None = None, device: str = 'cpu',
                ) -> dict[tuple[str, int | None], NDArray[np.float64]]:
    """
    Compute a method's confidence in each window.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes.
    windows : dict of tuple to Scenes
        See `silent_and_talking_windows`.
    cache : pathlib.Path, optional
        See `cached`.
    device : str
        For networks.

    Returns
    -------
    dict of tuple to numpy.ndarray
        Shape (B,) for each of the windows' keys.

    """
    localizer = Localizer.load(method, device)
    # A fingerprint leaves out the confidence model, on which these numbers depend.
    known = f'confidences {fingerprint(method)} {localizer.config.confidence}'
    found = {}
    for key, scenes in windows.items():
        def measure(k: int, scenes: Scenes = scenes) -> list[float]:
            return [localizer.locate(scenes.signals[k], scenes.sample_rate,
                                     scenes.mic_positions[k], scenes.room_dims[k]).confidence]

        kind, snr_db = key
        name = f'{method}, {kind}, ' + ('silent' if snr_db is None else f'{snr_db} dB')
        found[key] = cached(measure, len(scenes), f'{known} {checksum(scenes)}', cache,
                            name)[:, 0]
    return found


def detection_scores(found: Mapping[tuple[str, int | None], NDArray[np.floating]],
                     ) -> dict[str, Any]:
    """
    Summarize how well a method's confidences detect talkers.

    Parameters
    ----------
    found : dict of tuple to numpy.ndarray
        See `confidences`.

    Returns
    -------
    dict
        `thresholds`, for each of `FALSE_ALARMS` the confidence that this share of the windows of
        all `SILENCES` exceeds; `talking`, a row for each noise and ratio and one for all, with
        its `area` and `detected`, each a value with its interval; `silent`, a row for each kind,
        with its mean confidence and false `alarms`.

    """
    silent = np.stack([found[kind, None] for kind in SILENCES])  # (S, B)
    rows: list[tuple[str, int | None, NDArray, NDArray]] = [
        ('all', None, silent, np.stack([found[kind, snr] for kind in NOISES for snr in SNRS]))]
    rows += [(kind, snr, found[kind, None], found[kind, snr]) for kind in NOISES for snr in SNRS]
    talking = []
    for kind, snr, own, scores in rows:
        talking.append({
            'noise': kind, 'snr_db': snr,
            'area': bootstrap_over_rooms(area_under_curve, own, scores,
                                         np.random.default_rng(0)),
            'detected': [bootstrap_over_rooms(partial(_detected_share, false_alarms=share),
                                              silent, scores, np.random.default_rng(0))
                         for share in FALSE_ALARMS]})
    thresholds = [alarm_threshold(silent, share) for share in FALSE_ALARMS]
    return {'thresholds': thresholds, 'talking': talking, 'silent': [
        {'kind': kind, 'mean': float(found[kind, None].mean()),
         'alarms': [share_above(found[kind, None], threshold) for threshold in thresholds]}
        for kind in (*SILENCES, *AMBIGUOUS)]}


def _detected_share(silent: NDArray, talking: NDArray, false_alarms: float) -> float:
    """Return the share of talkers detected at a share of false alarms."""
    return share_above(talking, alarm_threshold(silent, false_alarms))


def table(method: str, scores: Mapping[str, Any]) -> str:
    """Write what `detection_scores` returned as Markdown."""
    shares = [f'{share:.0%}' for share in FALSE_ALARMS]
    lines = [f'### {Path(method).stem}', '',
             '| talker in | SNR | area under curve | '
             + ' | '.join(f'detected at {share} false alarms' for share in shares) + ' |',
             '|' + ' --- |' * (3 + len(shares))]
    for row in scores['talking']:
        area, low, high = row['area']
        snr = '' if row['snr_db'] is None else f'{row["snr_db"]} dB'
        cells = [f'{value:.0%} ({a:.0%} to {b:.0%})' for value, a, b in row['detected']]
        lines.append(f'| {row["noise"]} | {snr} | {area:.3f} ({low:.3f} to {high:.3f}) | '
                     + ' | '.join(cells) + ' |')
    lines += ['', '| nobody talks in | mean confidence | ' + ' | '.join(
        f'false alarms above {above:.3f}' for above in scores['thresholds']) + ' |',
        '|' + ' --- |' * (2 + len(shares))]
    for row in scores['silent']:
        lines.append(f'| {row["kind"]} | {row["mean"]:.3f} | '
                     + ' | '.join(f'{alarms:.0%}' for alarms in row['alarms']) + ' |')
    return '\n'.join(lines) + '\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='*', default=METHODS,
        help='what Localizer.load takes (default: %(default)s)')
    add('--base', choices=sorted(BASES), default='hard', help='kind of rooms (hard)')
    add('--rooms', type=int, default=100, help='each gives 27 windows (100)')
    add('--mics', type=int, default=6, help='microphones in each room (6)')
    add('--seed', type=int, default=0, help="0: the test sets' rooms (0)")
    add('--speech', default='prompts',
        help="test voice: 'prompts' (ru), 'synthetic' or a folder (prompts)")
    add('--cache', help='where fetched speech is kept')
    add('--out', type=Path, default=Path('runs/silence'), help='folder (runs/silence)')
    add('--device', default='cpu', help='for networks (cpu)')
    options = parser.parse_args(arguments)
    bank, speech = find_speech(options.speech, TALKERS['test'], options.cache)
    windows = silent_and_talking_windows(BASES[options.base], options.mics, options.rooms, bank,
                                         options.seed)

    options.out.mkdir(parents=True, exist_ok=True)
    command = (f'{COMMAND} {" ".join(Path(m).stem for m in options.methods)} '
               f'--base {options.base} --rooms {options.rooms} --mics {options.mics}')
    tables = [f'    {command}\n\n{options.rooms} {options.base} rooms, {options.mics} '
              f'microphones, 0.5 s, {speech}. 95 % intervals over rooms; thresholds are set on '
              f'all silent windows in {", ".join(SILENCES)} noise together.\n']
    results, curves = {}, {}
    for method in options.methods:
        found = confidences(method, windows, options.out / 'cache', options.device)
        results[method] = {'fingerprint': fingerprint(method), **detection_scores(found)}
        curves[method] = (
            np.concatenate([found[kind, None] for kind in SILENCES]),
            np.concatenate([found[kind, snr] for kind in NOISES for snr in SNRS]))
        tables.append(table(method, results[method]))
        print('\n' + tables[-1], flush=True)
        (options.out / 'tables.md').write_text('\n'.join(tables + [
            '![ROC and confidences](silence.png)\n']))
    save_figure(detection_figure(curves), options.out / 'silence.png')
    (options.out / 'results.json').write_text(json.dumps(
        {'base': options.base, 'rooms': options.rooms, 'mics': options.mics, 'speech': speech,
         'methods': results}, indent=1))
    print(f'wrote {options.out}/results.json, tables.md and silence.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
