"""Nodes of this package as child processes, for the commands that run and observe them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from pathlib import Path
import subprocess
import sys
import time


class ProcessEnded(RuntimeError):
    """A node's process has failed, or has not met a condition in time; the text says which."""


class NodeProcess(subprocess.Popen[bytes]):
    """
    A node as a child process with its output in a log file.

    Parameters
    ----------
    module : str
        Of nsrp_ros/ros.
    name : str
        The process' name in messages, and that of its log.
    folder : pathlib.Path
        Where the log is written.
    arguments : list of str
        What follows --ros-args.

    Attributes
    ----------
    name : str
        As above.
    log : pathlib.Path
        The log file.
    started : float
        When the process was started, by the monotonic clock.

    """

    def __init__(self, module: str, name: str, folder: Path, arguments: Sequence[str]) -> None:
        self.name = name
        self.log = folder / f'{name}.log'
        self.started = time.monotonic()
        with self.log.open('w') as file:
            super().__init__(
                [sys.executable, '-m', f'nsrp_ros.ros.{module}', '--ros-args', *arguments],
                stdout=file, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def node_process(module: str, name: str, folder: Path,
                 arguments: Sequence[str]) -> Iterator[NodeProcess]:
    """
    Start a node as a process, and end it with the context.

    Parameters
    ----------
    module, name, folder, arguments
        See NodeProcess.

    Yields
    ------
    NodeProcess
        Running.

    """
    process = NodeProcess(module, name, folder, arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # SIGINT is ignored where jobs run in the background
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def check_alive(processes: Sequence[NodeProcess]) -> None:
    """
    Check that no process has failed.

    Raises
    ------
    ProcessEnded
        With the last lines of the failed process' log.

    """
    for process in processes:
        if process.poll() not in (None, 0):
            tail = process.log.read_text().strip().splitlines()[-3:]
            raise ProcessEnded(f'{process.name} ended with {process.returncode} '
                               f'({process.log}):\n' + '\n'.join(tail))


def wait_until(condition: Callable[[], bool], processes: Sequence[NodeProcess],
               spin: Callable[[], None], timeout: float, failure: str) -> None:
    """
    Wait for a condition while all processes are alive.

    Parameters
    ----------
    condition : callable
        Returns whether it holds.
    processes : list of NodeProcess
        Checked meanwhile.
    spin : callable
        Called repeatedly meanwhile.
    timeout : float
        Seconds.
    failure : str
        What has not happened if the time is over, for the message of the error.

    Raises
    ------
    ProcessEnded
        If a process fails, or the time is over.

    """
    deadline = time.monotonic() + timeout
    while not condition():
        check_alive(processes)
        if time.monotonic() > deadline:
            raise ProcessEnded(f'{failure} within {timeout:.0f} s')
        spin()
