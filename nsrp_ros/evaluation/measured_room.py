"""
Evaluate methods with impulse responses measured in a real room, for validation only.

    git clone https://github.com/Chutlhu/dEchorate /somewhere/dEchorate
    python -m nsrp_ros.evaluation.measured_room \
        /somewhere/dEchorate/recipes/room_geometry_estimation/data_rooge.mat

That file of the dEchorate project (Di Carlo et al. 2021) holds the responses of twelve
microphones, two on each of six stands, to one directional loudspeaker in a room of 5.7 x 6.0 x
2.4 m with five reflecting surfaces, and where all of them were. Windows of speech are played
through them, with one microphone of each stand; rooms are mirrored and rotated at random, so that
the one place of the loudspeaker cannot be guessed. All windows share that place: the results and
their intervals hold for one room, not for rooms in general.

Three of the responses are stored with the opposite sign of the others; `--polarity mended` inverts
them, `as stored` keeps them, as if those microphones had swapped wires.
"""

import argparse
from collections.abc import Sequence
import json
from pathlib import Path

from nsrp_ros.datasets.dechorate import correct_polarity
from nsrp_ros.datasets.dechorate import make_windows
from nsrp_ros.datasets.dechorate import read_responses
from nsrp_ros.evaluation.method_scores import CENTRE
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.evaluation.metrics import summarize
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
import numpy as np

POLARITIES = ('mended', 'as stored')
METHODS = (CENTRE, 'srp_phat', 'neural_srp', 'backprojection')


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.measured_room', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('file', type=Path, help='data_rooge.mat of a clone of dEchorate')
    add('methods', nargs='*', default=list(METHODS), help='default: %(default)s')
    add('--windows', type=int, default=200, help='default %(default)s')
    add('--mics', type=int, nargs='+', default=[4, 6], choices=range(2, 7),
        help='default %(default)s')
    add('--polarity', choices=POLARITIES, nargs='+', default=list(POLARITIES))
    add('--out', type=Path, default=Path('runs/measured'), help='folder (%(default)s)')
    options = parser.parse_args(arguments)
    try:
        responses, mics, source = read_responses(options.file)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    bank, voice = find_speech('auto', TALKERS['val'])
    results = []
    for polarity in options.polarity:
        chosen = correct_polarity(responses) if polarity == 'mended' else responses
        scenes = make_windows(chosen, mics, source, bank, options.windows)
        for n_mics in options.mics:
            some = scenes.with_microphones(slice(n_mics))
            for method in options.methods:
                errors = score(method, some, '').errors(some.source_position)
                row = summarize(errors, np.random.default_rng(0))
                results.append({'polarity': polarity, 'mics': n_mics, 'method': method,
                                'mean': row.mean, 'interval': row.interval,
                                'median': row.median, 'below_half': row.below_half})
                print('polarity {polarity}, {mics} microphones, {method}: mean {mean:.2f} m '
                      '({0:.2f} to {1:.2f}), median {median:.2f} m, {below_half:.0%} below 0.5 m'
                      .format(*row.interval, **results[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'results.json').write_text(json.dumps(
        {'voice': voice, 'windows': options.windows, 'rows': results}, indent=1))


if __name__ == '__main__':
    main()
