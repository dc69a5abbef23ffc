"""A thread with a bounded queue, so that slow processing never delays the audio callback."""

from collections import deque
from collections.abc import Callable
import threading
import time
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')

POLL = 0.005
"""Seconds between two checks of an item that is not ready."""


class WindowQueue(Generic[Item]):
    """
    Processes items in order in its own thread, and drops the oldest where it cannot keep up.

    Parameters
    ----------
    process : callable
        Called with each item; must not raise.
    size : int
        How many items may wait; beyond it the oldest is dropped.
    ready : callable, optional
        Called with the oldest item and the seconds that it has waited: whether it can be
        processed now. An item that is not ready waits in the queue, and so do those behind it.
        Must not raise.

    """

    def __init__(self, process: Callable[[Item], None], size: int,
                 ready: Callable[[Item, float], bool] = lambda item, waited: True) -> None:
        self._process = process
        self._size = size
        self._ready = ready
        self._items: deque[tuple[Item, float]] = deque()  # item, time of `put`
        self._condition = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='window_queue', daemon=True)
        self._thread.start()

    def put(self, item: Item) -> Item | None:
        """Queue an item; return the one that was dropped for it, or None."""
        with self._condition:
            self._items.append((item, time.monotonic()))
            dropped = self._items.popleft()[0] if len(self._items) > self._size else None
            self._condition.notify()
        return dropped

    def stop(self, timeout: float = 0.7) -> list[Item]:
        """
        Let the current item finish, for at most `timeout` seconds, and drop the others.

        Returns
        -------
        list
            The dropped items, oldest first.

        """
        with self._condition:
            self._stopped = True
            dropped = [item for item, _ in self._items]
            self._items.clear()
            self._condition.notify()
        self._thread.join(timeout)
        return dropped

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._items) or self._stopped)
                if self._stopped:
                    return
                oldest = self._items[0]
            # Checked without the lock, so that `put` never waits for it.
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
