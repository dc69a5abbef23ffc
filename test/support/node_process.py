"""A node of the package as a child process of a test."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
from pathlib import Path
import signal
import subprocess
import sys

from support.patience import patience


class NodeProcess(subprocess.Popen[bytes]):
    """
    A node in a process and a DDS domain of its own, with its output in a file.

    Parameters
    ----------
    module : str
        Of nsrp_ros/ros.
    domain : int
        ROS_DOMAIN_ID.
    log : pathlib.Path
        Where its output goes.
    parameters : mapping
        ROS parameters and their values, as text or as what becomes the right text.
    environment : mapping, optional
        Environment variables besides those of this process.
    remap : sequence of str
        Remapping rules such as '__ns:=/kitchen'.

    """

    def __init__(self, module: str, domain: int, log: Path, parameters: Mapping[str, object],
                 environment: Mapping[str, str] | None = None, remap: Sequence[str] = ()) -> None:
        self.log = log
        arguments = [a for name, value in parameters.items() for a in ('-p', f'{name}:={value}')]
        arguments += [a for rule in remap for a in ('-r', rule)]
        with log.open('w') as file:
            super().__init__(
                [sys.executable, '-m', f'nsrp_ros.ros.{module}', '--ros-args', *arguments],
                env=os.environ | {'ROS_DOMAIN_ID': str(domain), 'OMP_NUM_THREADS': '1',
                                  'PYTHONFAULTHANDLER': '1'} | dict(environment or {}),
                stdout=file, stderr=subprocess.STDOUT)

    def exit_code(self, seconds: float = 30.0) -> int:
        """
        Wait for its end.

        Where that takes too long it is aborted: the code is negative, and the log has the
        traceback of every thread.
        """
        try:
            return self.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGABRT)
            return self.wait()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends, unless it has ended."""
        if self.poll() is None:
            self.send_signal(signal.SIGINT)
