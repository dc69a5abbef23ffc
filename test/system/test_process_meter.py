"""The meter agrees with what this process knows of itself."""

import mmap
import os
import subprocess
import sys
import time

from nsrp_ros.apps.process_metrics import peak_memory_mb
from nsrp_ros.apps.process_metrics import read_process
import pytest


def test_memory_and_time_are_seen():
    """Fifty megabytes more, then gone; a fifth of a second of work."""
    before = read_process(os.getpid())
    # From the system itself: what earlier tests have freed may lie about in the process.
    block = mmap.mmap(-1, 50_000_000)
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    assert read_process(os.getpid()).memory_mb - before.memory_mb == pytest.approx(50, abs=5)
    assert peak_memory_mb(os.getpid()) >= before.memory_mb + 45
    block.close()
    begin = time.process_time()
    while time.process_time() < begin + 0.2:
        pass
    used = read_process(os.getpid()).cpu
    assert used - before.cpu >= 0.19 and used == pytest.approx(time.process_time(), abs=0.1)


def test_a_process_that_is_gone():
    """There is nothing to read."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    for look in (read_process, peak_memory_mb):
        with pytest.raises(OSError):
            look(process.pid)
