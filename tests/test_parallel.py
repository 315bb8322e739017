from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from auditor.parallel import in_parallel


def test_all_tasks_run_and_no_more_at_a_time_than_threads() -> None:
    done: list[int] = []
    running = threading.BoundedSemaphore(3)

    def task(number: int) -> None:
        assert running.acquire(blocking=False)
        time.sleep(0.002)
        running.release()
        done.append(number)

    in_parallel([partial(task, number) for number in range(30)], threads=3, cancel=pytest.fail)

    assert sorted(done) == list(range(30))


def test_no_tasks_are_no_wait() -> None:
    in_parallel([], threads=4, cancel=pytest.fail)


def test_the_first_error_cancels_the_others_and_is_raised() -> None:
    cancelled = threading.Event()
    ended: list[str] = []

    def waits() -> None:
        cancelled.wait(10)
        ended.append("waits")
        raise RuntimeError("cancelled")

    def fails() -> None:
        raise KeyError("first")

    def never() -> None:
        ended.append("never")

    started = time.monotonic()
    with pytest.raises(KeyError, match="first"):
        in_parallel([waits, fails, never, never], threads=2, cancel=cancelled.set)

    assert time.monotonic() - started < 1
    assert ended == ["waits"]


def test_a_task_that_does_not_end_is_not_waited_for() -> None:
    released = threading.Event()

    def fails() -> None:
        raise KeyError("first")

    started = time.monotonic()
    with pytest.raises(KeyError):
        in_parallel([lambda: void(released.wait(30)), fails], threads=2, cancel=lambda: None)
    released.set()

    assert time.monotonic() - started < 3


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as at a terminal, also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_cancels() -> None:
    cancelled = threading.Event()
    calls: list[str] = []

    def cancel() -> None:
        calls.append("cancel")
        cancelled.set()

    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_parallel([lambda: void(cancelled.wait(10))] * 4, threads=2, cancel=cancel)

    assert calls == ["cancel"]
    assert time.monotonic() - started < 2


def void(_: object) -> None:
    """Make an expression a statement."""
