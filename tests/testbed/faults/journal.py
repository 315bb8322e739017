"""What makes a function a fault, and the journal of the faults that are on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from tests.testbed.layout import STATE

FOLDER = STATE / "faults"

P = ParamSpec("P")
T = TypeVar("T")


def fault(make: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """Make a generator function a fault: a context manager with an entry in the journal while it is on.

    The entry goes when the fault is undone, whatever the body did. It stays when the fault could not be set or undone,
    and when the process is killed: then the test bed is not as it was.
    """
    manager = contextmanager(make)

    @wraps(make)
    @contextmanager
    def journaled(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        entry = _enter(make.__name__)
        raised_by_body: BaseException | None = None
        try:
            with manager(*args, **kwargs) as value:
                try:
                    yield value
                except BaseException as error:
                    raised_by_body = error
                    raise
        except BaseException as error:
            if error is raised_by_body:
                entry.unlink()
            raise
        entry.unlink()

    return journaled


def active(*, of_pid: int | None = None) -> list[str]:
    """The names of the faults that are on, set by whichever process or by one."""
    return [name for name, pid in _entries() if _is_alive(pid) and of_pid in (None, pid)]


def abandoned() -> list[str]:
    """The names of faults that nobody will undo any more, because the process that set them is gone."""
    return [name for name, pid in _entries() if not _is_alive(pid)]


def _enter(name: str) -> Path:
    FOLDER.mkdir(exist_ok=True)
    entry = FOLDER / f"{name}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    entry.touch()
    return entry


def _entries() -> list[tuple[str, int]]:
    parts = [path.name.split(".") for path in sorted(FOLDER.glob("*.*.*"))]
    return [(name, int(pid)) for name, pid, _ in parts]


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
