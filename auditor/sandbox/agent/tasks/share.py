"""One half of two pods that share a volume: what one writes the other reads, and a lock of one keeps the other out.

The two halves speak to each other through files on the volume, which is what is to be shown.

Arguments:
    path: where the volume is mounted.
    role: ``first`` writes and locks; ``second`` reads and tries to lock.
    seconds: for which each waits for the other.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DATA, _LOCK = "auditor-shared", "auditor-lock"
_HELD, _TRIED = "auditor-held", "auditor-tried"
_TEXT = "written by the first pod\n"
_LOOK_EVERY_SECONDS = 0.2


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Play one part to its end."""
    play = first if arguments["role"] == "first" else second
    yield play(Path(arguments["path"]), float(arguments["seconds"]))


def first(folder: Path, seconds: float) -> dict[str, Any]:
    """Write, lock, let the other try, and let go."""
    _put(folder / _DATA, _TEXT)
    with (folder / _LOCK).open("wb") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _put(folder / _HELD, "locked\n")
        met = _appears(folder / _TRIED, seconds)
        fcntl.lockf(lock, fcntl.LOCK_UN)
    return {"role": "first", "met": met}


def second(folder: Path, seconds: float) -> dict[str, Any]:
    """Read, try while the lock is held, and wait until it is free."""
    if not _appears(folder / _HELD, seconds):
        return {"role": "second", "met": False}
    read = (folder / _DATA).read_text() == _TEXT
    with (folder / _LOCK).open("r+b") as lock:
        kept_out = not _locks(lock.fileno())
        if not kept_out:
            fcntl.lockf(lock, fcntl.LOCK_UN)
        _put(folder / _TRIED, "tried\n")
        ends, got = time.monotonic() + seconds, _locks(lock.fileno())
        while not got and time.monotonic() < ends:
            time.sleep(_LOOK_EVERY_SECONDS)
            got = _locks(lock.fileno())
    return {"role": "second", "met": True, "read": read, "kept_out": kept_out, "locked_later": got}


def _locks(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put(file: Path, text: str) -> None:
    """Whole or not at all: the other may look at any moment."""
    aside = file.with_name(f"{file.name}.new")
    with aside.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)


def _appears(file: Path, seconds: float) -> bool:
    """Whether a file comes into being; clients of network file systems may learn of it seconds later."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if any(found.name == file.name for found in file.parent.iterdir()):
            return True
        time.sleep(_LOOK_EVERY_SECONDS)
    return False
