"""Memory and processor time of another process, from Linux' /proc."""

from dataclasses import dataclass
import os
from pathlib import Path


@dataclass(frozen=True)
class ProcessUsage:
    """
    What a process uses at one time.

    Attributes
    ----------
    memory_mb : float
        Resident memory, megabytes of 10^6 bytes.
    cpu : float
        Seconds of processor time since its start, all threads together.

    """

    memory_mb: float
    cpu: float


def read_process(pid: int) -> ProcessUsage:
    """
    Read the present usage of a process.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    ProcessUsage
        As of now.

    Raises
    ------
    OSError
        If the process does not exist, or the system is not Linux.

    """
    folder = Path(f'/proc/{pid}')
    pages = int((folder / 'statm').read_text().split()[1])
    # The command's name may hold any character; after its closing bracket there are only numbers.
    numbers = (folder / 'stat').read_text().rpartition(')')[2].split()
    ticks = int(numbers[11]) + int(numbers[12])
    return ProcessUsage(pages * os.sysconf('SC_PAGE_SIZE') / 1e6,
                        ticks / os.sysconf('SC_CLK_TCK'))


def peak_memory_mb(pid: int) -> float:
    """
    Return the peak resident memory of a process, megabytes.

    Parameters
    ----------
    pid : int
        Its number.

    Raises
    ------
    OSError
        If the process does not exist, or the system is not Linux.

    """
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f'process {pid} has no memory any more')
