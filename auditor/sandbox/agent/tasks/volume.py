"""A file on a volume: written down to the disk and kept an eye on, or read again elsewhere.

Arguments:
    path: where the volume is mounted.
    mode: ``hold`` writes, then tells whenever the file system's size changes, until the pod is ended; ``read`` reads
        what ``hold`` has written, and writes another small file.
    bytes: that ``hold`` writes.
    seed: of their content.
    seconds: after which ``hold`` ends by itself.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAME = "auditor-marker"
_AGAIN = "auditor-marker-again"
_BLOCK_BYTES = 1024 * 1024
_LOOK_EVERY_SECONDS = 0.5


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write and watch, or read."""
    folder = Path(arguments["path"])
    if arguments["mode"] == "read":
        yield read(folder)
        return
    yield write(folder, int(arguments["bytes"]), str(arguments["seed"]))
    yield from watch(folder, float(arguments["seconds"]))


def write(folder: Path, wanted: int, seed: str) -> dict[str, Any]:
    """Bytes that only this seed gives, and the folder that names them, down to the disk."""
    source = random.Random(seed)  # noqa: S311  it need not be secret, and must be different for each volume
    digest, written, started = hashlib.sha256(), 0, time.monotonic()
    with (folder / _NAME).open("wb", buffering=0) as stream:
        while written < wanted:
            block = source.getrandbits(8 * _BLOCK_BYTES).to_bytes(_BLOCK_BYTES, "little")[: wanted - written]
            _write_all(stream.fileno(), block)
            digest.update(block)
            written += len(block)
        os.fsync(stream.fileno())
    _sync_folder(folder)
    return {
        "event": "written",
        "bytes": written,
        "sha256": digest.hexdigest(),
        "seconds": time.monotonic() - started,
        "size_bytes": size_bytes(folder),
    }


def watch(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """The sizes that the file system takes on."""
    ends, last = time.monotonic() + seconds, size_bytes(folder)
    while time.monotonic() < ends:
        time.sleep(_LOOK_EVERY_SECONDS)
        now = size_bytes(folder)
        if now != last:
            last = now
            yield {"event": "size", "size_bytes": now}


def read(folder: Path) -> dict[str, Any]:
    """What is there, and whether more can be written."""
    digest, count = hashlib.sha256(), 0
    with (folder / _NAME).open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
            digest.update(block)
            count += len(block)
    (folder / _AGAIN).write_bytes(b"written after the move\n")
    return {"event": "read", "bytes": count, "sha256": digest.hexdigest(), "size_bytes": size_bytes(folder)}


def size_bytes(folder: Path) -> int:
    """The size of the file system, as ``df`` shows it."""
    stat = os.statvfs(folder)
    return stat.f_blocks * stat.f_frsize


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
