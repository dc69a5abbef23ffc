"""The metrics of this process agree with what it has done."""

import mmap
import os
import subprocess
import sys
import time

from nsrp_ros.apps.process_metrics import peak_memory_mb
from nsrp_ros.apps.process_metrics import read_process
import pytest


def test_memory_and_processor_time_are_measured():
    """Fifty megabytes more, then released; a fifth of a second of work."""
    before = read_process(os.getpid())
    # Mapped from the system: the allocator may still hold memory that earlier tests have freed.
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


def test_a_process_that_has_ended():
    """It has no metrics."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    for read in (read_process, peak_memory_mb):
        with pytest.raises(OSError):
            read(process.pid)
