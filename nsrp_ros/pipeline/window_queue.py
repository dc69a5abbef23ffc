"""A thread with a bounded queue, so that slow work never holds up the audio."""

from collections import deque
import threading
import time

POLL = 0.005
"""Seconds between two looks at an item that is not ready."""


class Worker:
    """
    Process items one after another in a thread of its own, the newest at any price.

    Parameters
    ----------
    process : callable
        Called with each item; must not raise.
    size : int
        How many items may wait; beyond it the oldest is dropped.
    ready : callable, optional
        Called with the oldest item and the seconds that it has waited: whether it can be
        processed now. An item that is not ready waits in the queue, those behind it as well.
        Must not raise.

    """

    def __init__(self, process, size, ready=lambda item, waited: True):
        self._process = process
        self._size = size
        self._ready = ready
        self._items = deque()  # (item, when it was put)
        self._condition = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    def put(self, item):
        """Queue an item; return the one that was dropped for it, or None."""
        with self._condition:
            self._items.append((item, time.monotonic()))
            dropped = self._items.popleft()[0] if len(self._items) > self._size else None
            self._condition.notify()
        return dropped

    def stop(self, timeout=0.7):
        """
        Let the item in hand finish, for at most `timeout` seconds, and drop the others.

        Returns
        -------
        list
            Those that were dropped, the oldest first.

        """
        with self._condition:
            self._stopped = True
            dropped = [item for item, _ in self._items]
            self._items.clear()
            self._condition.notify()
        self._thread.join(timeout)
        return dropped

    def _run(self):
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._items or self._stopped)
                if self._stopped:
                    return
                oldest = self._items[0]
            # Looked at without the lock, so that the audio's thread is not held up by it.
            item, since = oldest
            if not self._ready(item, time.monotonic() - since):
                with self._condition:
                    self._condition.wait_for(lambda: self._stopped, timeout=POLL)
                continue
            with self._condition:
                if not self._items or self._items[0] is not oldest:
                    continue  # dropped meanwhile
                self._items.popleft()
            self._process(item)
