"""Running tasks side by side in threads that do not hold up the end of a cancelled run."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

_CANCEL_SECONDS = 2


def in_parallel(tasks: Sequence[Callable[[], None]], *, threads: int, cancel: Callable[[], None]) -> None:
    """Run all tasks. The first exception of one, or Ctrl-C, cancels the others and is raised here.

    The threads are daemons and no executor's, whose end would wait for the last answer of a slow server.

    Args:
        tasks: what to run, the first ones first.
        threads: how many at one time.
        cancel: makes the tasks that run end soon, with an exception of their own.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    workers = [
        threading.Thread(target=_work, args=(waiting, ended), daemon=True, name=f"auditor-{number}")
        for number in range(threads)
    ]
    try:
        for worker in workers:
            worker.start()
        for _ in workers:
            if (error := ended.get()) is not None:
                raise error
    except BaseException:
        _empty(waiting)
        cancel()
        until = time.monotonic() + _CANCEL_SECONDS
        for worker in workers:
            if worker.ident is not None:
                worker.join(max(0.0, until - time.monotonic()))
        raise


def _work(waiting: queue.SimpleQueue[Callable[[], None]], ended: queue.SimpleQueue[BaseException | None]) -> None:
    """Take tasks until there are none; say how it ended to the thread that waits."""
    try:
        while True:
            waiting.get_nowait()()
    except queue.Empty:
        ended.put(None)
    except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
        ended.put(error)


def _empty(waiting: queue.SimpleQueue[Callable[[], None]]) -> None:
    with suppress(queue.Empty):
        while True:
            waiting.get_nowait()
