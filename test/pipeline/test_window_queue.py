"""The worker's queue is bounded, and loses nothing without a word."""

import threading
import time

from nsrp_ros.pipeline.window_queue import Worker


def test_items_are_processed_in_order():
    """One after another, in a thread of its own."""
    done, ready = [], threading.Event()

    def process(item):
        done.append((item, threading.current_thread().name))
        if item == 9:
            ready.set()
    worker = Worker(process, size=100)
    assert [worker.put(k) for k in range(10)] == [None] * 10
    assert ready.wait(5)
    assert done == [(k, 'worker') for k in range(10)]
    worker.stop()


def test_the_oldest_is_dropped_and_returned():
    """While one item is in hand, only `size` others wait; the dropped ones are handed back."""
    started, go, done = threading.Event(), threading.Event(), []

    def process(item):
        started.set()
        go.wait(5)
        done.append(item)
    worker = Worker(process, size=2)
    worker.put(0)
    assert started.wait(5)
    assert [worker.put(k) for k in range(1, 6)] == [None, None, 1, 2, 3]
    go.set()
    deadline = time.monotonic() + 5
    while len(done) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == [0, 4, 5]
    worker.stop()


def test_stopping_waits_for_the_item_in_hand_only():
    """What waits is dropped and handed back; afterwards nothing runs."""
    started, done = threading.Event(), []

    def process(item):
        started.set()
        time.sleep(0.1)
        done.append(item)
    worker = Worker(process, size=5)
    for k in range(4):
        worker.put(k)
    assert started.wait(5)
    assert worker.stop() == [1, 2, 3]
    assert done == [0]


def test_what_is_not_ready_waits_in_the_queue():
    """Items keep their order while the oldest waits, and the bound holds then, too."""
    ready, done = threading.Event(), []
    worker = Worker(done.append, size=3, ready=lambda item, waited: ready.is_set())
    assert [worker.put(k) for k in range(5)] == [None, None, None, 0, 1]
    time.sleep(0.05)
    assert done == []
    ready.set()
    deadline = time.monotonic() + 5
    while len(done) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == [2, 3, 4]
    worker.stop()


def test_nobody_waits_for_ever():
    """The item is told how long it has waited, and stopping does not wait for it at all."""
    done = []
    worker = Worker(done.append, size=3, ready=lambda item, waited: waited > 0.1)
    worker.put('patient')
    begin = time.monotonic()
    while not done and time.monotonic() < begin + 5:
        time.sleep(0.005)
    assert done == ['patient'] and time.monotonic() - begin >= 0.1
    never = Worker(done.append, size=3, ready=lambda item, waited: False)
    never.put('lost')
    begin = time.monotonic()
    never.stop()
    assert time.monotonic() - begin < 0.5 and done == ['patient']
    worker.stop()
