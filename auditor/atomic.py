"""Writing files and folders whole or not at all: aside first, then renamed into place."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import OutputError

_STORAGE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def write_file(path: Path, data: bytes | str) -> None:
    """Write a file; whoever looks sees the old content or the new one, never a part of it.

    Missing parent folders are made, a link is followed, and a device such as ``/dev/stdout`` is written to directly.

    Args:
        path: the file.
        data: its content; text is written as UTF-8.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    content = data.encode() if isinstance(data, str) else data
    with output_errors(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(content)
            return
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = beside(target)
        try:
            with aside.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill aside; it is renamed to ``path`` when the block ends, and removed when it raises.

    Missing parent folders are made.

    Yields:
        The temporary folder, a sibling of ``path``.

    Raises:
        OutputError: ``path`` exists and is not an empty folder, or cannot be written.
    """
    with output_errors(path):
        refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = beside(path)
        aside.mkdir()
    try:
        with output_errors(path, within=aside):
            yield aside
        with output_errors(path):
            aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def refuse_existing(path: Path) -> None:
    """Make sure that nothing would be overwritten; an empty folder may be.

    Raises:
        OutputError: something is there.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise OutputError(
            f"{path} is there already.",
            cause="Nothing is overwritten, so that no earlier run is lost.",
            next_step="Give another name, or remove what is there first.",
        )


@contextmanager
def output_errors(path: Path, *, within: Path | None = None) -> Iterator[None]:
    """Turn an :class:`OSError` of the block into an :class:`OutputError` that names ``path`` and the cause.

    Args:
        path: what is being written.
        within: let errors pass that concern neither this folder nor the storage, such as a lost connection.

    Raises:
        OutputError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        concerned = within is None or error.errno in _STORAGE_ERRNOS or str(error.filename).startswith(str(within))
        if not concerned:
            raise
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path} cannot be written.",
            cause=f"{reason} ({error.filename})" if error.filename else reason,
            next_step="Name a place that you may write to, on a file system with enough space.",
        ) from error


def beside(path: Path) -> Path:
    """A free hidden name in the same folder, and so on the same file system, as ``path``."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.partial")
