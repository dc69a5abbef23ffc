"""How long tests wait: deadlines that grow with the load of the machine."""

from collections.abc import Callable
import os
import time


def slowdown() -> float:
    """Return how many runnable processes share a core, at least 1, over the last minute."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def patience(seconds: float) -> float:
    """
    Return the deadline for something that takes less than some seconds on an idle machine.

    It only matters where a test fails: tests wait for conditions, which end the wait.
    """
    return 2 * seconds * slowdown()


def wait_until(condition: Callable[[], object], seconds: float = 20.0,
               meanwhile: Callable[[], None] = lambda: time.sleep(0.01)) -> bool:
    """
    Wait for a condition.

    Parameters
    ----------
    condition : callable
        Returns something true once it holds.
    seconds : float
        How long it may take on an idle machine. Load that sets in while waiting counts as well.
    meanwhile : callable
        Called between two checks.

    Returns
    -------
    bool
        Whether it holds.

    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() > begin + patience(seconds):
            return False
        meanwhile()
    return True
