"""Work beside a user interface whose event loop keeps Python's lock, as Slicer's does."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

import pytest

from lnsegfm.base.background import Task, let_threads_run

TICK_US = 20_000


@pytest.mark.skipif(os.name == "nt", reason="usleep is POSIX")
def test_work_goes_on_while_the_event_loop_keeps_the_lock() -> None:
    # PyDLL, unlike CDLL, does not let other threads run during the call.
    event_loop = ctypes.PyDLL(None)

    def work() -> str:
        for _ in range(200):
            time.sleep(0)  # like any call of numpy or SimpleITK, this gives the lock away and wants it back
        return "done"

    task, ticks = Task(work), 0
    while not task.done and ticks < 150:
        let_threads_run()
        event_loop.usleep(TICK_US)
        ticks += 1
    assert task.done, "each time the work gave the lock away it waited for a whole tick"
    assert task.result() == "done"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signal to a thread")
def test_a_wait_without_an_end_hears_a_signal_that_did_not_wake_it() -> None:
    never = threading.Event()
    task = Task(never.wait)

    def press() -> None:
        # The handler runs in the main thread, but another one is woken, as when the signal comes just before the wait.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    timer = threading.Timer(0.2, press)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            task.wait()
    finally:
        never.set()
        timer.join()
