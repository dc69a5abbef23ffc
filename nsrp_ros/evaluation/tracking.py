"""
How well two talkers are tracked, one standing and one walking, both with pauses.

    python -m nsrp_ros.evaluation.tracking --scenes 50

Conversations (conversations.py) go through what runs on the robot: windows, localizer, the map as
the node draws it, peaks, tracker. A talker has to be known from half a second after he first began
to talk until the end, pauses included. Judged by GOSPA (Rahmathullah et al. 2016, order 2, cut-off
1 m, Stone Soup's), every window; it leaves results.json and tracks.png. Maps are kept in
the folder's cache: what is run again only tracks.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import hashlib
import json
from pathlib import Path
import sys
from typing import Any

from nsrp_ros.audio.windowing import Window
from nsrp_ros.audio.windowing import WindowBuffer
from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.evaluation.method_scores import fingerprint
from nsrp_ros.evaluation.tracking_metrics import draw
from nsrp_ros.evaluation.tracking_metrics import judge
from nsrp_ros.evaluation.tracking_metrics import summarize
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.settings import LocalizationSettings
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.pipeline.talkers import LikelihoodMap
from nsrp_ros.pipeline.talkers import MapTracker
from nsrp_ros.simulation.conversations import Conversation
from nsrp_ros.simulation.conversations import ConversationConfig
from nsrp_ros.simulation.conversations import simulate_conversation
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
from tqdm import tqdm

_SETTINGS = LocalizationSettings()  # as the node's parameters are by default
KNOWN_AFTER = WindowConfig().length
"""Seconds after his first word from which on a talker has to be known."""
COMMAND = 'python -m nsrp_ros.evaluation.tracking'


def locate_windows(conversation: Conversation, localizer: Localizer,
                   keep: Path | None = None) -> list[tuple[float, Estimate]]:
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
    buffer, estimates = WindowBuffer(), []
    for window in buffer.push(conversation.signals.T, 0, conversation.sample_rate):
        assert isinstance(window, Window)  # one recording has no seam
        estimates.append((window.stamp_ns / NS, localizer.locate(
            window.signals, window.sample_rate, conversation.mic_positions,
            conversation.room_dims)))
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        maps = [estimate for _, estimate in estimates]
        np.savez_compressed(
            keep, time=[time for time, _ in estimates], x=maps[0].x, y=maps[0].y,
            position=[e.position for e in maps], map=[e.likelihood_map for e in maps],
            confidence=[e.confidence for e in maps])
    return estimates


def track_talkers(conversation: Conversation, estimates: Sequence[tuple[float, Estimate]],
                  config: TrackingConfig) -> list[dict[str, Any]]:
    """
    Track the talkers of a conversation.

    Parameters
    ----------
    conversation : Conversation
        For the truth.
    estimates : list
        See `locate_windows`.
    config : TrackingConfig
        Of the tracker.

    Returns
    -------
    list of dict
        For each window: its `time`, `peaks`, `tracks` ({number: (2,)}), `truth` (K, 2), who is
        `known` (K,) to have talked, and `talking` (K,), the share of the window in which each
        talks.

    """
    tracker, steps = MapTracker(config), []
    first = np.array([turns[0, 0] for turns in conversation.turns])
    room = Room((0.0, 0.0, 0.0), tuple(conversation.room_dims))
    for time, estimate in estimates:
        stamp_ns = round(time * NS)
        likelihood_map = LikelihoodMap.of_estimate(estimate, room, _SETTINGS.map_resolution)
        if estimate.confidence >= _SETTINGS.min_confidence:
            talkers = tracker.update(stamp_ns, likelihood_map, estimate.position)
        else:
            talkers = tracker.update_without_detections(stamp_ns, likelihood_map)
        steps.append({
            'time': time, 'peaks': tracker.peaks,
            'tracks': {t.number: t.position for t in talkers},
            'truth': conversation.positions(time)[:, :2], 'known': time >= first + KNOWN_AFTER,
            'talking': conversation.talking(time - WindowConfig().length, time)})
    return steps


def main(arguments: Sequence[str] | None = None) -> int:
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
    scenes: list[tuple[Conversation, list[dict[str, Any]]]] = []
    judged = []
    for seed in tqdm(range(options.seed, options.seed + options.scenes), unit='scene'):
        conversation = simulate_conversation(scenery, options.mics, bank, seed)
        estimates = locate_windows(conversation, localizer,
                                   options.out / 'cache' / f'{known}-{seed}.npz')
        steps = track_talkers(conversation, estimates, config)
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
