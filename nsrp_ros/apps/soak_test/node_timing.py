"""
The latency and processor time of the whole node: six microphones in real time.

    python -m nsrp_ros.apps.soak_test.node_timing

runs the soak test with ten windows a second, hardly a pause and no faults, prints a table of what
the localizer took, and leaves it and results.json in runs/node_timing/.
`nsrp_ros.benchmarks.cpu_latency` times the methods alone.
"""

import argparse
from collections.abc import Sequence
import contextlib
import io
import json
from pathlib import Path
import sys
from typing import Any

from nsrp_ros.apps.soak_test.main import main as run_soak_test


def measure(method: str, minutes: float, folder: Path) -> dict[str, Any] | None:
    """
    Run the node with a method.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes.
    minutes : float
        How long, in real time.
    folder : pathlib.Path
        For the files of the soak test.

    Returns
    -------
    dict or None
        A row of `table`; None where the soak test failed, which has printed why.

    """
    # Pauses are short: silent windows would cost nothing. Memory is not judged in a short run.
    arguments = ['--speed', '1', '--hop', '0.1', '--minutes', str(minutes), '--pause', '0.2',
                 '--fault-every', '0', '--max-growth', '1000', '--method', method,
                 '--output', str(folder)]
    with contextlib.redirect_stdout(io.StringIO()):
        if run_soak_test(arguments):
            return None
    summary = json.loads((folder / 'endurance.json').read_text())
    localizer, whole = summary['whole']['processes']['localizer'], summary['whole']
    return {'network': method, 'windows': summary['windows'], 'fates': summary['fates'],
            'cores': localizer['cores'], 'peak_mb': summary['memory']['localizer']['peak_mb'],
            'p50_ms': whole['latency_ms_p50'], 'p95_ms': whole['latency_ms_p95'],
            'first_pose_s': summary['first_pose_s']}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of `measure` as Markdown."""
    lines = ['The whole node: six microphones in real time, ten windows a second, one '
             "thread; latency from the last sample's publication to the estimate's arrival.", '',
             '| network | windows | cores | latency, median | latency, 95 % | most memory '
             '| first pose after |', '| --- | --- | --- | --- | --- | --- | --- |']
    for row in rows:
        outcomes = ', '.join(f'{n} {outcome}' for outcome, n in row['fates'].items() if n)
        lines.append(f'| {row["network"]} | {row["windows"]}, of which {outcomes} '
                     f'| {row["cores"]:.2f} | {row["p50_ms"]:.0f} ms | {row["p95_ms"]:.0f} ms '
                     f'| {row["peak_mb"]:.0f} MB | {row["first_pose_s"]:.1f} s |')
    return '\n'.join(lines) + '\n'


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 where a run failed."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.apps.soak_test.node_timing', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', nargs='+', default=['backprojection'], help='(%(default)s)')
    parser.add_argument('--minutes', type=float, default=1.0,
                        help='how long each runs in real time (%(default)s)')
    parser.add_argument('--out', type=Path, default=Path('runs/node_timing'),
                        help='folder (%(default)s)')
    options = parser.parse_args(args)
    options.out.mkdir(parents=True, exist_ok=True)
    measured = [measure(method, options.minutes, options.out / method)
                for method in options.methods]
    rows = [row for row in measured if row is not None]
    (options.out / 'results.json').write_text(json.dumps({'node': rows}, indent=1))
    text = table(rows)
    (options.out / 'tables.md').write_text(text)
    print(text + f'\nwrote {options.out}/results.json and tables.md')
    return int(len(rows) < len(measured))


if __name__ == '__main__':
    sys.exit(main())
