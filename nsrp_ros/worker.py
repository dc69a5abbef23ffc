"""A thread with a bounded queue, so that slow work never holds up the audio."""

from collections import deque
import threading


class Worker:
    """
    Process items one after another in a thread of its own, the newest at any price.

    Parameters
    ----------
    process : callable
        Called with each item; must not raise.
    size : int
        How many items may wait; beyond it the oldest is dropped.

    """

    def __init__(self, process, size):
        self._process = process
        self._size = size
        self._items = deque()
        self._condition = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    def put(self, item):
        """Queue an item; return the one that was dropped for it, or None."""
        with self._condition:
            self._items.append(item)
            dropped = self._items.popleft() if len(self._items) > self._size else None
            self._condition.notify()
        return dropped

    def stop(self, timeout=1.0):
        """Let the item in hand finish, for at most `timeout` seconds, and drop the others."""
        with self._condition:
            self._stopped = True
            self._items.clear()
            self._condition.notify()
        self._thread.join(timeout)

    def _run(self):
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._items or self._stopped)
                if self._stopped:
                    return
                item = self._items.popleft()
            self._process(item)
