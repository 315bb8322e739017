"""Ctrl-C and its like: the first ends a run in order, and those that come while it is cleaned up do not stop that."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what Kubernetes and init systems send, and a terminal that goes away."""

Tell = Callable[[str], object]


class _Guard:
    """What becomes of signals while one of the contexts below is entered."""

    def __init__(self) -> None:
        self.has_ended = False
        self.shields: list[Tell] = []
        self.remedy = ""

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.shields:
            rest = f" To leave it all behind: kill -9; then {self.remedy}" if self.remedy else ""
            self.shields[-1](f"{name}: what the run made is being removed, which ends by itself.{rest}")
        elif not self.has_ended:
            self.has_ended = True
            raise KeyboardInterrupt(name)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP raise :class:`KeyboardInterrupt`, as Ctrl-C does.

    Only the first does: whoever presses Ctrl-C twice wants the same as once, and the second must not hit the clean-up
    between two steps. Outside of the main thread, where Python has no signals, it does nothing.
    """
    with _entered():
        yield


@contextmanager
def shielded(tell: Tell, *, remedy: str = "") -> Iterator[None]:
    """Within it those signals stop nothing, and only make the user know what is going on.

    Args:
        tell: says a sentence to the user.
        remedy: the command that removes what a kill would leave.
    """
    with _entered() as guard:
        if guard is None:
            yield
            return
        before, guard.remedy = guard.remedy, remedy
        guard.shields.append(tell)
        try:
            yield
        finally:
            guard.shields.pop()
            guard.remedy = before


@contextmanager
def _entered() -> Iterator[_Guard | None]:
    """The guard in force, or a new one; None where there can be none."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    current = signal.getsignal(signal.SIGTERM)
    if isinstance(current, _Guard):
        yield current
        return
    guard = _Guard()
    before: dict[signal.Signals, Any] = {number: signal.signal(number, guard) for number in ENDING}
    try:
        yield guard
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
