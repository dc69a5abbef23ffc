"""
The long run: an hour of audio through the localizer, and an account of every window.

    python -m nsrp_ros.apps.soak_test.main      # an hour, in six minutes
    python -m nsrp_ros.apps.soak_test.main --speed 1 --hop 0.1 --minutes 1  # in real time

It plays a simulated performance to a real localizer over DDS, spoils a chunk now and then, prints
what became of the windows, and how latency, memory and processor time went; it exits with 1
where a window is not accounted for or memory grows. A picture and endurance.json are left in
runs/endurance/.
"""

import argparse
import contextlib
from dataclasses import replace
import json
from pathlib import Path
import sys
import time

from nsrp_ros.apps.node_process import check_alive
from nsrp_ros.apps.node_process import node_process
from nsrp_ros.apps.node_process import ProcessEnded
from nsrp_ros.apps.node_process import wait_until
from nsrp_ros.apps.process_metrics import peak_memory_mb
from nsrp_ros.apps.process_metrics import read_process
from nsrp_ros.apps.soak_test.ledger import Ledger
from nsrp_ros.apps.soak_test.player import Stage
from nsrp_ros.apps.soak_test.report import draw
from nsrp_ros.apps.soak_test.report import Measured
from nsrp_ros.apps.soak_test.report import Sample
from nsrp_ros.apps.soak_test.report import summarize
from nsrp_ros.apps.soak_test.report import table
from nsrp_ros.simulation.live_scene import CHUNK
from nsrp_ros.simulation.live_scene import DEFAULT_SCENE
from nsrp_ros.simulation.live_scene import perform
from nsrp_ros.simulation.live_scene import SAMPLE_RATE
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
import numpy as np
import rclpy
from tqdm import tqdm

NAMESPACE = '/endurance'
"""Of the run's nodes and topics, so that a localizer at work is not disturbed."""
START_TIMEOUT = 60.0
"""Seconds that the localizer may take until it listens."""
SETTLE_TIME = 10.0
"""Seconds after the last chunk until which every window must have its fate."""
SAMPLE_EVERY = 0.5
"""Seconds between two looks at the processes."""


def main(args=None):
    """Run; return 0, or 1 where a window is unaccounted for, memory grew or a process failed."""
    options = _options(args)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        bank, speech = find_speech(options.speech, TALKERS['test'], sample_rate=SAMPLE_RATE)
        print(f'speech: {speech}')
        scene = replace(DEFAULT_SCENE, rt60=options.rt60, pause_seconds=options.pause)
        signals, turns = perform(scene, bank.utterances(min_seconds=1.0),
                                 np.random.default_rng(options.seed))
    except (SpeechError, ValueError) as error:
        print(f'endurance: {error}', file=sys.stderr)
        return 1
    ledger = Ledger(round(options.window * SAMPLE_RATE), round(options.hop * SAMPLE_RATE),
                    SAMPLE_RATE)
    rclpy.init()
    try:
        with contextlib.ExitStack() as stack:
            stage = Stage(signals, scene, ledger, options.speed, 60 * options.minutes,
                          options.fault_every, options.chunk, namespace=NAMESPACE)
            stack.callback(stage.destroy_node)
            measured = _run(stage, scene, ledger, stack, options)
    except ProcessEnded as error:
        print(f'endurance: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
    told = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    summary = summarize(ledger, turns, len(signals), measured, told)
    print(table(summary))
    (options.output / 'endurance.json').write_text(json.dumps(summary, indent=2) + '\n')
    draw(options.output / 'endurance.png', ledger, measured, summary)
    print(f'\nwritten to {options.output}: endurance.png, endurance.json')
    for sentence in summary['failures']:
        print(f'endurance: {sentence}', file=sys.stderr)
    return 1 if summary['failures'] else 0


def _options(args):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].strip())

    def add(name, default, text, kind=float):
        parser.add_argument(name, type=kind, default=default, help=f'{text} (default: {default})')
    add('--minutes', 60.0, 'how much audio is played')
    add('--speed', 10.0, 'how many times as fast as real time')
    add('--hop', 0.5, "the localizer's window_hop, s")
    add('--window', 0.5, "the localizer's window_length, s")
    add('--method', 'backprojection', "the localizer's method", str)
    add('--threads', 1, "the localizer's threads", int)
    add('--queue-size', 4, "the localizer's queue_size", int)
    parser.add_argument('--chunk', type=int, help='samples that are published together '
                        f'(default: {CHUNK} in real time, and up to four times as many where '
                        'it is faster)')
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
        # Not that the reading of thousands of small messages becomes what is measured.
        options.chunk = CHUNK * int(np.clip(options.speed, 1, 4))
    if min(options.minutes, options.speed, options.hop) <= 0 or options.fault_every < 0 or (
            options.window < options.hop or options.chunk < 1):
        parser.error('minutes, speed, hop and chunk must be above 0, fault-every not below, '
                     'and hop at most window')
    return options


def _nodes(stack, scene, options):
    """Start the processes: a dictionary of what is watched, by the node's name."""
    dims = ', '.join(f'{d:.3f}' for d in scene.room_dims)
    space = ['-r', f'__ns:={NAMESPACE}']
    # The localizer last: it is waited for, and must be heard from its first word on.
    watched = {}
    if options.tracker:
        watched['tracker'] = stack.enter_context(node_process(
            'tracker_node', 'tracker', options.output, space))
    watched['localizer'] = stack.enter_context(node_process(
        'localizer_node', 'localizer', options.output, [
            *space, '-p', f'method:={options.method}', '-p', f'threads:={options.threads}',
            '-p', f'room_dims:=[{dims}]', '-p', f'window_length:={options.window}',
            '-p', f'window_hop:={options.hop}', '-p', f'queue_size:={options.queue_size}',
            '-p', 'microphone_frames:=[' + ', '.join(
                f'mic_{k}' for k in range(len(scene.mic_positions))) + ']',
            '-p', 'silence_threshold_db:=-45.0']))
    return watched


def _run(stage, scene, ledger, stack, options):
    """Play from beginning to end; return what was measured meanwhile."""
    def spin(seconds=0.02):
        rclpy.spin_once(stage, timeout_sec=seconds)
    watched = _nodes(stack, scene, options)
    processes = list(watched.values())
    wait_until(lambda: stage.connected and (
        # The stage listens to the localizer as well, hence two of each.
        not options.tracker or 'tracker' in stage.diagnostics and all(
            stage.count_subscribers(t) > 1 for t in ('likelihood', 'source_pose'))),
        processes, spin, START_TIMEOUT, 'the localizer did not listen')
    began = time.monotonic()
    while time.monotonic() < began + 0.2:
        spin()  # its outputs are connected a moment later than they are known
    measured = Measured(listening=began - watched['localizer'].began)
    began = time.monotonic()
    stage.begin()
    with tqdm(total=round(60 * options.minutes), unit='s', desc='audio') as bar:
        looked = 0.0
        while not stage.finished:
            spin()
            if time.monotonic() >= looked + SAMPLE_EVERY:
                looked = time.monotonic()
                check_alive(processes)
                measured.samples.append(Sample(stage.seconds, looked - began, {
                    name: read_process(process.pid) for name, process in watched.items()}))
                bar.update(int(stage.seconds) - bar.n)
        bar.update(bar.total - bar.n)
    measured.wall = time.monotonic() - began
    # What is not settled by then is reported as what it is: unaccounted for.
    ended = time.monotonic()
    while time.monotonic() < ended + SETTLE_TIME and not stage.settled('localizer'):
        spin()
        check_alive(processes)
    ended = time.monotonic()
    while time.monotonic() < ended + 1.5:
        spin()  # the tracker says what it counted once a second
    measured.peaks = {name: peak_memory_mb(process.pid) for name, process in watched.items()}
    measured.counted = {name: stage.diagnostics.get(name, (0, {}))[1] for name in watched}
    measured.n_tracks = stage.n_tracks
    if stage.first_pose is not None:
        measured.first_pose = stage.first_pose - watched['localizer'].began
    return measured


if __name__ == '__main__':
    sys.exit(main())
