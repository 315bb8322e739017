"""Whether a folder in memory takes as much as was asked for: its size, and how much could be written.

Arguments:
    path: the folder.
    write_bytes: to try.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = b"\0" * (1024 * 1024)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write, look, and remove."""
    stat = os.statvfs(arguments["path"])
    file = Path(arguments["path"]) / "auditor"
    written = _write(file, int(arguments["write_bytes"]))
    file.unlink()
    yield {"size_bytes": stat.f_blocks * stat.f_frsize, "written_bytes": written}


def _write(file: Path, wanted: int) -> int:
    """As much of the wanted bytes as fits."""
    written = 0
    with file.open("wb", buffering=0) as stream:
        try:
            while written < wanted:
                written += stream.write(_BLOCK[: wanted - written]) or 0
        except OSError as error:
            if error.errno not in _FULL:
                raise
    return written
