"""How much memory and processor time another process takes, from Linux' /proc."""

from dataclasses import dataclass
import os
from pathlib import Path


@dataclass(frozen=True)
class Reading:
    """
    A look at a process.

    Attributes
    ----------
    memory_mb : float
        What it holds in memory now, megabytes of 10^6 bytes.
    cpu : float
        Seconds of processor time since it began, all threads together.

    """

    memory_mb: float
    cpu: float


def read_process(pid):
    """
    Look at a process.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    Reading
        As it is now.

    Raises
    ------
    OSError
        If it is gone, or this is no Linux.

    """
    folder = Path(f'/proc/{pid}')
    pages = int((folder / 'statm').read_text().split()[1])
    # The command's name may hold anything; what follows its bracket is numbers.
    numbers = (folder / 'stat').read_text().rpartition(')')[2].split()
    ticks = int(numbers[11]) + int(numbers[12])
    return Reading(pages * os.sysconf('SC_PAGE_SIZE') / 1e6, ticks / os.sysconf('SC_CLK_TCK'))


def peak_memory_mb(pid):
    """
    Return the most memory that a process has ever held, megabytes.

    Parameters
    ----------
    pid : int
        Its number.

    Raises
    ------
    OSError
        If it is gone, or this is no Linux.

    """
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f'process {pid} has no memory any more')
