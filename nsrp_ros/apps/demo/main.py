"""
The demo: a simulated room and a localizer for each method, as processes that talk over DDS.

    python -m nsrp_ros.apps.demo.main                     # or: make demo, ros2 run nsrp_ros demo

It prints a line for each window, ends with a table, and writes a picture, an animation and
summary.json to demo_output/.
"""

import argparse
from collections.abc import Sequence
import contextlib
import json
from pathlib import Path
import sys
import time
from typing import Any

from nsrp_ros.apps.demo.observer import Observer
from nsrp_ros.apps.demo.pictures import draw_animation
from nsrp_ros.apps.demo.pictures import draw_still
from nsrp_ros.apps.node_process import check_alive
from nsrp_ros.apps.node_process import node_process
from nsrp_ros.apps.node_process import NodeProcess
from nsrp_ros.apps.node_process import ProcessEnded
from nsrp_ros.apps.node_process import wait_until
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
import numpy as np
import rclpy

START_TIMEOUT = 60.0
"""Seconds that the localizers may take until they are connected."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the demo; return 0, or 1 if a process failed."""
    options = _options(args)
    out = options.output
    out.mkdir(parents=True, exist_ok=True)
    if options.speech in ('auto', 'prompts'):
        # Downloaded here, with its progress shown; the simulated room then reads the cache.
        print(f'speech: {find_speech(options.speech, TALKERS["test"])[1]}')

    rclpy.init()
    try:
        with contextlib.ExitStack() as stack:
            observer = Observer(options.methods)
            stack.callback(observer.destroy_node)
            localizers = [stack.enter_context(_localizer(method, observer, options))
                          for method in options.methods]
            _wait_for_localizers(observer, localizers)
            room = stack.enter_context(node_process('simulated_room_node', 'simulated_room', out, [
                '-p', 'loop:=false', '-p', f'turn_seconds:={options.turn_seconds}',
                '-p', f'rt60:={options.rt60}', '-p', f'speech:={options.speech}']))
            print(observer.heading())
            _print_windows(observer, [room, *localizers])
        summary = observer.summary()
    except ProcessEnded as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()

    print(_table(summary))
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    for name in ('map.png', 'map.gif'):
        (out / name).unlink(missing_ok=True)  # of an earlier run
    draw_still(out / 'map.png', observer)
    draw_animation(out / 'map.gif', observer)
    written = [name for name in ('map.png', 'map.gif', 'summary.json') if (out / name).is_file()]
    print(f'\nwritten to {out}: {", ".join(written)}')
    return 0


def _options(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n\n')[0].strip())
    parser.add_argument('--methods', nargs='+', default=['srp_phat', 'backprojection'],
                        help='what to run side by side (default: %(default)s)')
    parser.add_argument('--output', type=Path, default=Path('demo_output'),
                        help='folder for pictures and summary.json (default: %(default)s)')
    parser.add_argument('--turn-seconds', type=float, default=5.0,
                        help='how long each of the four talkers talks (default: %(default)s)')
    parser.add_argument('--rt60', type=float, default=0.4,
                        help='reverberation time in seconds (default: %(default)s)')
    parser.add_argument('--speech', default='auto',
                        help="'prompts', 'synthetic', a folder of audio files, or 'auto'")
    return parser.parse_args(args)


def _localizer(method: str, observer: Observer, options: argparse.Namespace
               ) -> contextlib.AbstractContextManager[NodeProcess]:
    dims = ', '.join(f'{d:.3f}' for d in observer.room_dims)
    frames = ', '.join(f'mic_{k}' for k in range(len(observer.mic_positions)))
    return node_process('localizer_node', f'localizer_{method}', options.output, [
        '-r', f'__ns:=/{observer.namespace(method)}', '-r', 'audio:=/audio',
        '-r', 'audio_info:=/audio_info', '-p', f'method:={method}',
        '-p', f'room_dims:=[{dims}]', '-p', f'microphone_frames:=[{frames}]',
        '-p', 'silence_threshold_db:=-45.0'])


def _wait_for_localizers(observer: Observer, localizers: Sequence[NodeProcess]) -> None:
    def spin() -> None:
        rclpy.spin_once(observer, timeout_sec=0.2)
        print('.', end='', flush=True)
    print('starting the localizers ...', end='', flush=True)
    wait_until(lambda: observer.count_subscribers('/audio') >= len(localizers), localizers, spin,
               START_TIMEOUT, 'the localizers did not connect')
    print(' ready')


def _print_windows(observer: Observer, processes: Sequence[NodeProcess]) -> None:
    """Print a line for each window until the room has ended and the last answers are in."""
    ended: float | None = None
    printed: float | None = None
    while ended is None or time.monotonic() < ended + 2.0:
        rclpy.spin_once(observer, timeout_sec=0.1)
        if printed is not None and time.monotonic() < printed + 0.25:
            continue  # receive first: a late line does no harm, a lost message does
        printed = time.monotonic()
        check_alive(processes)
        for line in observer.new_lines():
            print(line, flush=True)
        if ended is None and processes[0].poll() is not None:
            ended = time.monotonic()
    for line in observer.new_lines(everything=True):
        print(line, flush=True)


def _table(summary: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ('method', 'windows', 'skipped', 'mean', 'median', '< 0.5 m', 'latency p50', 'p95')]
    for method, s in summary['methods'].items():
        if not s['scored']:
            rows.append((method, str(s['windows']), str(s['skipped']), *['-'] * 5))
            continue
        rows.append((method, str(s['windows']), str(s['skipped']), f"{s['mean_error_m']:.2f} m",
                     f"{s['median_error_m']:.2f} m", f"{100 * s['share_below_0.5_m']:.0f} %",
                     f"{s['latency_ms_p50']:.0f} ms", f"{s['latency_ms_p95']:.0f} ms"))
    rows.append(("(the room's centre)", '', '', f"{summary['centre_mean_error_m']:.2f} m",
                 *[''] * 4))
    widths = np.max([[len(cell) for cell in row] for row in rows], axis=0)
    return '\n' + '\n'.join('  '.join(cell.ljust(w) if k == 0 else cell.rjust(w)
                                      for k, (cell, w) in enumerate(zip(row, widths)))
                            for row in rows)


if __name__ == '__main__':
    sys.exit(main())
