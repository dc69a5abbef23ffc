"""
The soak test: an hour of audio through the localizer, and the outcome of every window.

    python -m nsrp_ros.apps.soak_test.main      # an hour, in six minutes
    python -m nsrp_ros.apps.soak_test.main --speed 1 --hop 0.1 --minutes 1  # in real time

It plays a simulated live scene to a real localizer over DDS, injects faults, and prints the
outcomes of the windows, latency, memory and processor time. It exits with 1 if a window is not
accounted for or memory grows. A picture and endurance.json are written to runs/endurance/.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
from dataclasses import replace
import json
from pathlib import Path
import sys
import time

from nsrp_ros.apps.node_process import check_alive
from nsrp_ros.apps.node_process import node_process
from nsrp_ros.apps.node_process import NodeProcess
from nsrp_ros.apps.node_process import ProcessEnded
from nsrp_ros.apps.node_process import wait_until
from nsrp_ros.apps.process_metrics import peak_memory_mb
from nsrp_ros.apps.process_metrics import read_process
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.apps.soak_test.player import Player
from nsrp_ros.apps.soak_test.report import draw
from nsrp_ros.apps.soak_test.report import table
from nsrp_ros.apps.soak_test.summary import Measurements
from nsrp_ros.apps.soak_test.summary import Sample
from nsrp_ros.apps.soak_test.summary import summarize
from nsrp_ros.simulation.live_scene import CHUNK
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
from nsrp_ros.simulation.live_scene import render
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
from nsrp_ros.simulation.live_scene import Scene
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
import numpy as np
import rclpy
from tqdm import tqdm

NAMESPACE = '/soak_test'
"""Of the test's nodes and topics, so that a running localizer is not disturbed."""
CONNECTION_TIME = 1.5
"""Seconds that two nodes may need to connect to each other once both are discovered."""
START_TIMEOUT = 60.0
"""Seconds that the localizer may take until it is connected."""
SETTLE_TIME = 10.0
"""Seconds after the last chunk within which every window must have its outcome."""
SAMPLE_EVERY = 0.5
"""Seconds between two samples of the processes' usage."""


def main(args: Sequence[str] | None = None) -> int:
    """Run; return 0, or 1 if a window is unaccounted for, memory grew or a process failed."""
    options = _options(args)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        bank, speech = find_speech(options.speech, TALKERS['test'], sample_rate=SAMPLE_RATE)
        print(f'speech: {speech}')
        scene = replace(DEFAULT_SCENE, rt60=options.rt60, pause_seconds=options.pause)
        signals, turns = render(scene, bank.utterances(min_seconds=1.0),
                                np.random.default_rng(options.seed))
    except (SpeechError, ValueError) as error:
        print(f'endurance: {error}', file=sys.stderr)
        return 1
    ledger = Ledger(round(options.window * SAMPLE_RATE), round(options.hop * SAMPLE_RATE),
                    SAMPLE_RATE)
    rclpy.init()
    try:
        with contextlib.ExitStack() as stack:
            player = Player(signals, scene, ledger, options.speed, 60 * options.minutes,
                            options.fault_every, options.chunk, namespace=NAMESPACE)
            stack.callback(player.destroy_node)
            measured = _run(player, scene, stack, options)
    except ProcessEnded as error:
        print(f'endurance: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    summary = summarize(ledger, turns, len(signals), measured, plain)
    print(table(summary))
    (options.output / 'endurance.json').write_text(json.dumps(summary, indent=2) + '\n')
    draw(options.output / 'endurance.png', ledger, measured, options.method)
    print(f'\nwritten to {options.output}: endurance.png, endurance.json')
    for sentence in summary['failures']:
        print(f'endurance: {sentence}', file=sys.stderr)
    return 1 if summary['failures'] else 0


def _options(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n\n')[0].strip())

    def add(name: str, default: float | str | Path, text: str,
            kind: Callable[[str], object] = float) -> None:
        parser.add_argument(name, type=kind, default=default, help=f'{text} (default: {default})')
    add('--minutes', 60.0, 'how much audio is played')
    add('--speed', 10.0, 'how many times as fast as real time')
    add('--hop', 0.5, "the localizer's window_hop, s")
    add('--window', 0.5, "the localizer's window_length, s")
    add('--method', 'backprojection', "the localizer's method", str)
    add('--threads', 1, "the localizer's threads", int)
    add('--queue-size', 4, "the localizer's queue_size", int)
    parser.add_argument('--chunk', type=int, help=f'samples of a message (default: {CHUNK} in '
                        'real time, and up to four times as many at higher speeds)')
    add('--fault-every', 60.0, 'seconds of audio between two chunks that are, in turns, lost, '
        'repeated and truncated; 0 for none')
    add('--pause', 2.5, 'seconds without a talker after each turn of 5 s')
    add('--rt60', 0.4, 'reverberation time, s')
    add('--speech', 'auto', "'prompts', 'synthetic', a folder of audio files, or 'auto'", str)
    add('--seed', 0, 'chooses the speech and the noise', int)
    add('--max-growth', 20.0, "megabytes by which the localizer's memory may grow between the "
        'second sixth of the run and the last')
    add('--output', Path('runs/endurance'), 'folder for what is written', Path)
    parser.add_argument('--tracker', action='store_true', help='run the tracker, too')
    options = parser.parse_args(args)
    if options.chunk is None:
        # Otherwise the cost of thousands of small messages would dominate.
        options.chunk = CHUNK * int(np.clip(options.speed, 1, 4))
    if min(options.minutes, options.speed, options.hop) <= 0 or options.fault_every < 0 or (
            options.window < options.hop or options.chunk < 1):
        parser.error('minutes, speed, hop and chunk must be above 0, fault-every not below, '
                     'and hop at most window')
    return options


def _start_nodes(player: Player, spin: Callable[[], None], stack: contextlib.ExitStack,
                 scene: Scene, options: argparse.Namespace) -> dict[str, NodeProcess]:
    """Start the processes that are measured; return them by the node's name."""
    dims = ', '.join(f'{d:.3f}' for d in scene.room_dims)
    space = ['-r', f'__ns:={NAMESPACE}']
    # The localizer last, when the tracker is there: whether these two have discovered each other
    # cannot be seen from here, and no pose may be missed.
    nodes: dict[str, NodeProcess] = {}
    if options.tracker:
        nodes['tracker'] = stack.enter_context(node_process(
            'tracker_node', 'tracker', options.output, space))
        wait_until(lambda: 'tracker' in player.diagnostics, list(nodes.values()), spin,
                   START_TIMEOUT, 'the tracker did not connect')
    nodes['localizer'] = stack.enter_context(node_process(
        'localizer_node', 'localizer', options.output, [
            *space, '-p', f'method:={options.method}', '-p', f'threads:={options.threads}',
            '-p', f'room_dims:=[{dims}]', '-p', f'window_length:={options.window}',
            '-p', f'window_hop:={options.hop}', '-p', f'queue_size:={options.queue_size}',
            '-p', 'microphone_frames:=[' + ', '.join(
                f'mic_{k}' for k in range(len(scene.mic_positions))) + ']',
            '-p', 'silence_threshold_db:=-45.0']))
    return nodes


def _run(player: Player, scene: Scene, stack: contextlib.ExitStack,
         options: argparse.Namespace) -> Measurements:
    """Play from beginning to end; return what was measured meanwhile."""
    def spin() -> None:
        rclpy.spin_once(player, timeout_sec=0.02)
    nodes = _start_nodes(player, spin, stack, scene, options)
    processes = list(nodes.values())
    wait_until(lambda: player.connected and (
        # The player subscribes to the localizer as well, hence two of each.
        not options.tracker or all(
            player.count_subscribers(t) > 1 for t in ('likelihood', 'source_pose'))),
        processes, spin, START_TIMEOUT, 'the localizer did not connect')
    began = time.monotonic()
    while time.monotonic() < began + (CONNECTION_TIME if options.tracker else 0.2):
        spin()  # outputs are connected a moment after they are discovered
    measured = Measurements(ready_after=began - nodes['localizer'].started)
    began = time.monotonic()
    player.begin()
    with tqdm(total=round(60 * options.minutes), unit='s', desc='audio') as bar:
        sampled = 0.0
        while not player.finished:
            spin()
            if time.monotonic() >= sampled + SAMPLE_EVERY:
                sampled = time.monotonic()
                check_alive(processes)
                measured.samples.append(Sample(player.seconds, sampled - began, {
                    name: read_process(process.pid) for name, process in nodes.items()}))
                bar.update(int(player.seconds) - bar.n)
        bar.update(bar.total - bar.n)
    measured.wall = time.monotonic() - began
    # What is not settled by then is reported as unaccounted for.
    ended = time.monotonic()
    while time.monotonic() < ended + SETTLE_TIME and not player.settled('localizer'):
        spin()
        check_alive(processes)
    ended = time.monotonic()
    while time.monotonic() < ended + 1.5:
        spin()  # the tracker publishes its counts once a second
    measured.peaks = {name: peak_memory_mb(process.pid) for name, process in nodes.items()}
    measured.counted = {name: player.diagnostics.get(name, {}) for name in nodes}
    measured.n_tracks = player.n_tracks
    if player.first_pose_time is not None:
        measured.first_pose_after = player.first_pose_time - nodes['localizer'].started
    return measured


if __name__ == '__main__':
    sys.exit(main())
