"""
How well two talkers are followed, one standing and one walking, both with pauses.

    python -m nsrp_ros.evaluation.tracking --scenes 50

Conversations (conversations.py) go through what runs on the robot: windows, localizer, the map as
the node draws it, peaks, tracker. A talker has to be known from half a second after he first began
to talk until the end, pauses included. Judged by GOSPA (Rahmathullah et al. 2016, order 2, cut-off
1 m, Stone Soup's), every window; it leaves results.json and tracks.png. Maps are kept in
the folder's cache: what is run again only tracks.
"""

import argparse
from dataclasses import asdict
from dataclasses import replace
import hashlib
import json
from pathlib import Path
import sys

from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.tracking_metrics import draw
from nsrp_ros.evaluation.tracking_metrics import judge
from nsrp_ros.evaluation.tracking_metrics import summarize
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
from nsrp_ros.simulation.conversations import ConversationConfig
from nsrp_ros.simulation.conversations import converse
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.tracking.peaks import find_peaks
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from tqdm import tqdm

RESOLUTION = 0.1
"""Metres a side of the node's map."""
MIN_CONFIDENCE = 0.5
"""Below which the node publishes no pose by default, and the tracker does not listen."""
KNOWN_AFTER = WindowConfig().length
"""Seconds after his first word from which on a talker has to be known."""
COMMAND = 'python -m nsrp_ros.evaluation.tracking'


def look(conversation, localizer, keep=None):
    """
    Localize every window of a conversation.

    Parameters
    ----------
    conversation : Conversation
        What was recorded.
    localizer : Localizer
        What locates.
    keep : pathlib.Path, optional
        A file that the maps are read from if it is there, and kept in if it is not.

    Returns
    -------
    list of tuple
        For each window, its last sample's time in seconds and its Estimate.

    """
    if keep is not None and keep.is_file():
        with np.load(keep) as kept:
            return [(float(time), Estimate(position, likelihood, kept['x'], kept['y'],
                                           float(confidence)))
                    for time, position, likelihood, confidence in zip(
                        kept['time'], kept['position'], kept['map'], kept['confidence'],
                        strict=True)]
    buffer, looks = WindowBuffer(), []
    for window in buffer.push(conversation.signals.T, 0, conversation.sample_rate):
        looks.append((window.stamp_ns / NS, localizer.locate(
            window.signals, window.sample_rate, conversation.mic_positions,
            conversation.room_dims)))
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        estimates = [estimate for _, estimate in looks]
        np.savez_compressed(
            keep, time=[time for time, _ in looks], x=estimates[0].x, y=estimates[0].y,
            position=[e.position for e in estimates], map=[e.likelihood_map for e in estimates],
            confidence=[e.confidence for e in estimates])
    return looks


def peaks_of(estimate, room_dims, config):
    """Return an estimate's peaks, found on the map that the node draws, as tracker_node does."""
    if estimate.confidence < MIN_CONFIDENCE:
        return []
    cells = occupancy(square_map(estimate, room_dims, RESOLUTION))
    y, x = ((np.arange(n) + 0.5) * RESOLUTION for n in cells.shape)
    peaks = find_peaks(np.where(cells < 0, np.nan, cells), x, y, config)
    if peaks and np.linalg.norm(estimate.position - peaks[0].position) <= config.radius:
        peaks[0] = replace(peaks[0], position=estimate.position)
    return peaks


def follow(conversation, looks, config):
    """
    Track the talkers of a conversation.

    Parameters
    ----------
    conversation : Conversation
        For the truth.
    looks : list
        See `look`.
    config : TrackingConfig
        Of the tracker.

    Returns
    -------
    list of dict
        For each window: its `time`, `peaks`, `tracks` ({number: (2,)}), `truth` (K, 2), who is
        `known` (K,) to have talked, and `talking` (K,), the share of the window in which each
        talks.

    """
    tracker, steps = TalkerTracker(config), []
    first = np.array([turns[0, 0] for turns in conversation.turns])
    floor = np.stack([np.zeros(2), conversation.room_dims[:2]])
    for time, estimate in looks:
        peaks = peaks_of(estimate, conversation.room_dims, config.peaks)
        talkers = tracker.update(round(time * NS), peaks, floor)
        steps.append({
            'time': time, 'peaks': peaks, 'tracks': {t.number: t.position for t in talkers},
            'truth': conversation.positions(time)[:, :2], 'known': time >= first + KNOWN_AFTER,
            'talking': conversation.talking(time - WindowConfig().length, time)})
    return steps


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--scenes', type=int, default=50, help='conversations (50)')
    add('--mics', type=int, default=6, help='microphones in each room (6)')
    add('--method', default='backprojection', help='what Localizer.load takes (backprojection)')
    add('--seed', type=int, default=0, help='of the first conversation (0)')
    add('--speech', default='prompts',
        help="test voice: 'prompts' (ru), 'synthetic' or a folder (prompts)")
    add('--split', default='test', choices=sorted(TALKERS), help='whose voices (test)')
    add('--seconds', type=float, default=ConversationConfig().seconds, help='of each (20)')
    add('--out', type=Path, default=Path('runs/tracking'), help='folder (runs/tracking)')
    options = parser.parse_args(arguments)
    bank, speech = find_speech(options.speech, TALKERS[options.split])
    scenery = ConversationConfig(seconds=options.seconds)
    localizer, config = Localizer.load(options.method), TrackingConfig()
    options.out.mkdir(parents=True, exist_ok=True)
    what = json.dumps([options.method, fingerprint(options.method), asdict(scenery), options.mics,
                       bank.checksum()], sort_keys=True)
    known = hashlib.sha256(what.encode()).hexdigest()[:16]  # all that a map depends on
    scenes, judged = [], []
    for seed in tqdm(range(options.seed, options.seed + options.scenes), unit='scene'):
        conversation = converse(scenery, options.mics, bank, seed)
        looks = look(conversation, localizer, options.out / 'cache' / f'{known}-{seed}.npz')
        steps = follow(conversation, looks, config)
        if len(scenes) < 4:
            scenes.append((conversation, steps))
        judged.append(judge(steps))
    summary = summarize(judged)
    (options.out / 'results.json').write_text(json.dumps({
        'command': f'{COMMAND} --scenes {options.scenes} --mics {options.mics} '
                   f'--seed {options.seed}',
        'method': options.method, 'fingerprint': fingerprint(options.method), 'speech': speech,
        'mics': options.mics, 'tracking': asdict(config), 'conversations': asdict(scenery),
        **summary, 'by_scene': [
            {'seed': options.seed + k,
             'gospa_m': float(np.mean(scene['gospa'])) if scene['gospa'] else None,
             **{name: int(scene[name]) for name in (
                 'expected', 'misses', 'false_tracks', 'switches', 'numbers')}}
            for k, scene in enumerate(judged)]}, indent=1))
    draw(scenes, options.out / 'tracks.png')
    for name, value in summary.items():
        print(f'{name}: {value:.3f}' if isinstance(value, float) else f'{name}: {value}')
    print(f'wrote {options.out}/results.json and tracks.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
