"""Nodes of this package as processes, for the commands that watch them from outside."""

import contextlib
import subprocess
import sys
import time


class ProcessEnded(RuntimeError):
    """A node's process ended, or did not do its part; the text says which and why."""


@contextlib.contextmanager
def node_process(module, name, folder, arguments):
    """
    Start a node with its log in a file, and end it when the context does.

    Parameters
    ----------
    module : str
        Of nsrp_ros/ros.
    name : str
        What the process is called in sentences, and its log in the folder.
    folder : pathlib.Path
        Where the log goes.
    arguments : list of str
        What follows --ros-args.

    Yields
    ------
    subprocess.Popen
        Also with its `name`, its `log` and when it `began` by the monotonic clock.

    """
    log = folder / f'{name}.log'
    with log.open('w') as file:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, '-m', f'nsrp_ros.ros.{module}', '--ros-args', *arguments],
            stdout=file, stderr=subprocess.STDOUT)
        process.name, process.log, process.began = name, log, began
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # SIGINT is ignored where jobs run in the background
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()


def check_alive(processes):
    """
    Look whether no process has failed.

    Raises
    ------
    ProcessEnded
        With the last lines of the log of the one that has.

    """
    for process in processes:
        if process.poll() not in (None, 0):
            tail = process.log.read_text().strip().splitlines()[-3:]
            raise ProcessEnded(f'{process.name} ended with {process.returncode} '
                               f'({process.log}):\n' + '\n'.join(tail))


def wait_until(condition, processes, spin, timeout, what):
    """
    Wait for a condition while processes live.

    Parameters
    ----------
    condition : callable
        Returns whether it holds.
    processes : list
        See `node_process`.
    spin : callable
        Called again and again meanwhile.
    timeout : float
        Seconds.
    what : str
        What did not happen, for the error's sentence.

    Raises
    ------
    ProcessEnded
        If a process fails, or the time is over.

    """
    deadline = time.monotonic() + timeout
    while not condition():
        check_alive(processes)
        if time.monotonic() > deadline:
            raise ProcessEnded(f'{what} within {timeout:.0f} s')
        spin()
