"""The queue of windows is bounded, and hands back what it drops."""

import threading
import time

from nsrp_ros.pipeline.window_queue import WindowQueue


def test_items_are_processed_in_order():
    """One after another, in a thread of its own."""
    done, ready = [], threading.Event()

    def process(item):
        done.append((item, threading.current_thread().name))
        if item == 9:
            ready.set()
    queue = WindowQueue(process, size=100)
    assert [queue.put(k) for k in range(10)] == [None] * 10
    assert ready.wait(5)
    assert done == [(k, 'window_queue') for k in range(10)]
    queue.stop()


def test_the_oldest_is_dropped_and_returned():
    """While one item is processed, only `size` others wait; the dropped ones are handed back."""
    started, go, done = threading.Event(), threading.Event(), []

    def process(item):
        started.set()
        go.wait(5)
        done.append(item)
    queue = WindowQueue(process, size=2)
    queue.put(0)
    assert started.wait(5)
    assert [queue.put(k) for k in range(1, 6)] == [None, None, 1, 2, 3]
    go.set()
    deadline = time.monotonic() + 5
    while len(done) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == [0, 4, 5]
    queue.stop()


def test_stopping_waits_for_the_current_item_only():
    """Waiting items are dropped and handed back; afterwards nothing is processed."""
    started, done = threading.Event(), []

    def process(item):
        started.set()
        time.sleep(0.1)
        done.append(item)
    queue = WindowQueue(process, size=5)
    for k in range(4):
        queue.put(k)
    assert started.wait(5)
    assert queue.stop() == [1, 2, 3]
    assert done == [0]


def test_an_item_that_is_not_ready_waits_in_the_queue():
    """Items keep their order while the oldest waits, and the queue stays bounded."""
    ready, done = threading.Event(), []
    queue = WindowQueue(done.append, size=3, ready=lambda item, waited: ready.is_set())
    assert [queue.put(k) for k in range(5)] == [None, None, None, 0, 1]
    time.sleep(0.05)
    assert done == []
    ready.set()
    deadline = time.monotonic() + 5
    while len(done) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == [2, 3, 4]
    queue.stop()


def test_waiting_ends_after_a_time_and_when_stopping():
    """`ready` receives the seconds that an item has waited; stopping drops it at once."""
    done = []
    queue = WindowQueue(done.append, size=3, ready=lambda item, waited: waited > 0.1)
    queue.put('patient')
    begin = time.monotonic()
    while not done and time.monotonic() < begin + 5:
        time.sleep(0.005)
    assert done == ['patient'] and time.monotonic() - begin >= 0.1
    never = WindowQueue(done.append, size=3, ready=lambda item, waited: False)
    never.put('lost')
    begin = time.monotonic()
    never.stop()
    assert time.monotonic() - begin < 0.5 and done == ['patient']
    queue.stop()
