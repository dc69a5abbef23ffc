"""
Judge methods by responses that were measured in a real room, for validation only.

    git clone https://github.com/Chutlhu/dEchorate /somewhere/dEchorate
    python -m nsrp_ros.training.measured \
        /somewhere/dEchorate/recipes/room_geometry_estimation/data_rooge.mat

That file of the dEchorate project (Di Carlo et al. 2021) holds the responses of twelve
microphones, two on each of six stands, to one directional loudspeaker in a room of 5.7 x 6.0 x
2.4 m with five reflecting surfaces, and where all of them were. Windows of speech are played
through them, with one microphone of each stand; rooms are mirrored and turned at random, so that
the one place of the loudspeaker cannot be guessed. All windows share that place: they tell of
one room and not of rooms in general, and their intervals are too narrow for more.

Three of the responses are stored with the opposite sign of the others; `--polarity mended` turns
them, `as stored` plays them as microphones whose wires are swapped.
"""

import argparse
import json
from pathlib import Path

from nsrp_ros.training.metrics import summarize
from nsrp_ros.training.noise import add_sensor_noise
from nsrp_ros.training.scenes import Scenes
from nsrp_ros.training.scoring import CENTRE
from nsrp_ros.training.scoring import score
from nsrp_ros.training.speech import find_speech
from nsrp_ros.training.speech import TALKERS
import numpy as np
from scipy.io import loadmat
from scipy.signal import fftconvolve
from scipy.signal import resample_poly
import torch

ROOM_DIMS = (5.705, 5.965, 2.355)
"""Metres, of the dEchorate room."""
RATE = 16000
SNR_DB = 25.0
POLARITIES = ('mended', 'as stored')
METHODS = (CENTRE, 'srp_phat', 'neural_srp', 'backprojection')
_WINDOW = RATE // 2


def read_responses(path):
    """
    Read the measured responses and where they were measured.

    Parameters
    ----------
    path : path
        Of data_rooge.mat.

    Returns
    -------
    responses : numpy.ndarray
        Shape (12, N), at 16 kHz; microphones k and k + 6 share a stand.
    mic_positions, source_position : numpy.ndarray
        Shapes (12, 3) and (3,), metres.

    Raises
    ------
    ValueError
        If the file holds something else.

    """
    try:
        data = loadmat(str(path))
        responses, rate = data['rirs'][:, :, 0].T, int(data['fs'].item())
        mics, source = data['mics'].T, data['src'][:, 0]
    except (KeyError, IndexError, ValueError, NotImplementedError) as error:
        raise ValueError(f'{path} does not hold the responses of dEchorate: {error}') from error
    if responses.shape[0] != 12 or mics.shape != (12, 3) or rate % RATE:
        raise ValueError(f'{path} holds {responses.shape[0]} responses at {rate} Hz, not 12 at a '
                         f'multiple of {RATE} Hz')
    return resample_poly(responses, 1, rate // RATE, axis=1), mics, source


def upright(responses):
    """Turn responses (M, N) whose direct sound, their greatest sample, is negative."""
    peak = np.take_along_axis(responses, np.abs(responses).argmax(axis=1)[:, None], axis=1)
    return responses * np.sign(peak)


def make_windows(responses, mic_positions, source_position, speech_bank, n_windows, seed=0):
    """
    Play speech through measured responses.

    Parameters
    ----------
    responses, mic_positions, source_position : numpy.ndarray
        Of `read_responses`.
    speech_bank : SpeechBank
        What is said.
    n_windows, seed : int
        How many windows, and where their random choices start.

    Returns
    -------
    Scenes
        Of NumPy arrays, six microphones each, with white noise at 25 dB.

    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    said = speech_bank.draw(n_windows, responses.shape[1] + _WINDOW, generator).numpy()
    signals, mics, sources, rooms = [], [], [], []
    for talk in said:
        chosen = rng.permutation(6) + 6 * rng.integers(2, size=6)
        heard = fftconvolve(talk[None], responses[chosen], axes=1)
        heard = heard[:, responses.shape[1]:responses.shape[1] + _WINDOW]
        # The responses are stored at one peak, so their levels mean nothing.
        signals.append(0.05 * heard / np.sqrt((heard ** 2).mean(axis=1, keepdims=True)))
        places = np.vstack([mic_positions[chosen], source_position])
        dims = np.array(ROOM_DIMS)
        mirrored = rng.integers(2, size=3).astype(bool)
        mirrored[2] = False
        places = np.where(mirrored, dims - places, places)
        if rng.integers(2):
            places, dims = places[:, [1, 0, 2]], dims[[1, 0, 2]]
        mics.append(places[:-1])
        sources.append(places[-1])
        rooms.append(dims)
    clean = torch.as_tensor(np.stack(signals), dtype=torch.float32)
    return Scenes(add_sensor_noise(clean, SNR_DB, generator).numpy(), np.stack(mics),
                  np.stack(sources), np.stack(rooms), RATE)


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.training.measured', description=__doc__,
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
        played = upright(responses) if polarity == 'mended' else responses
        scenes = make_windows(played, mics, source, bank, options.windows)
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
