"""Where a bundle's files come from: a folder, or one pass over a .tar.gz that is never unpacked to disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]  # the first is not in typeshed
from typing import IO, Any, Self

from auditor.bundle.limits import MIB, Limits
from auditor.bundle.manifest import MANIFEST
from auditor.errors import BundleError, UsageError

FOLDERS = ("resources", "raw", "observations", "measurements")
"""What a bundle consists of, besides its manifest."""

_GZIP_MAGIC = b"\x1f\x8b"
_META_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_META_BYTES = MIB
_HOSTILE = "The archive was not written by this auditor, or was changed to do harm."
_PACK_AGAIN = "Pack the bundle's folder itself: tar -czf bundle.tar.gz -C FOLDER ."


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle; it can be read once, before the next one is asked for.

    Attributes:
        path: its path in the bundle, such as ``resources/core/v1/pods.json``.
        open: gives its bytes as a stream; reading it raises BundleError when the file or archive is damaged.
    """

    path: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def bundle_files(path: Path, limits: Limits) -> Iterator[BundleFile]:
    """The files of the bundle at ``path``: the manifest first in a folder, in their order in an archive.

    Raises:
        UsageError: there is nothing at the path.
        BundleError: it is neither a folder with a bundle nor a sound .tar.gz of one.
    """
    if path.is_dir():
        yield from _folder_files(path)
    elif path.is_file():
        yield from _archive_files(path, limits)
    else:
        raise UsageError(
            f"There is no bundle at {path}.",
            next_step="Give the folder or .tar.gz that `auditor collect` wrote; docs/bundles.md tells how to make one.",
        )


def whole(stream: IO[bytes], file: str, limits: Limits) -> bytes:
    """All of a file that is not streamed.

    Raises:
        BundleError: it is larger than the limit for such files.
    """
    data = stream.read(limits.whole_file_bytes + 1)
    if len(data) > limits.whole_file_bytes:
        raise BundleError(
            f"{file} is larger than {limits.whole_file_bytes // MIB} MiB.",
            cause="Files of this kind are small; this one does not belong here, or was made to exhaust memory.",
            next_step=f"Remove {file} from the bundle, or collect again.",
        )
    return data


def _folder_files(root: Path) -> Iterator[BundleFile]:
    paths = [root / MANIFEST, *(path for name in FOLDERS for path in sorted((root / name).rglob("*")))]
    found = [path for path in paths if path.is_file()]
    if not found and not any((root / name).is_dir() for name in FOLDERS):
        raise BundleError(
            f"{root} is not a bundle.",
            cause=f"It holds neither {MANIFEST} nor one of the folders {', '.join(FOLDERS)}.",
            next_step="Give the folder that `auditor collect` wrote, often named bundle/.",
        )
    inside = root.resolve()
    for path in found:
        if not path.resolve().is_relative_to(inside):
            raise BundleError(
                f"{path} is a link that leads out of the bundle.",
                cause="A bundle holds its files itself; a link could lend it any file of this machine.",
                next_step="Replace the link by the file.",
            )
        yield BundleFile(path.relative_to(root).as_posix(), partial(_open_file, path))


@contextmanager
def _open_file(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Make the file readable for this account, or copy the bundle.",
        ) from error


def _archive_files(path: Path, limits: Limits) -> Iterator[BundleFile]:
    with path.open("rb") as packed, _unpacking(path):
        if packed.read(2) != _GZIP_MAGIC:
            raise _refused(path, "is neither a folder nor a .tar.gz", cause="It does not begin as gzip does.")
        packed.seek(0)
        unpacked = _Metered(gzip.GzipFile(fileobj=packed), path, limits)
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_StrictTarInfo, bufsize=MIB) as archive:
            yield from _members(archive, path, limits)
        while unpacked.read(MIB):
            pass  # only the end of the gzip stream tells whether its checksum fits


def _members(archive: tarfile.TarFile, path: Path, limits: Limits) -> Iterator[BundleFile]:
    seen: set[PurePosixPath] = set()
    top: str | None = None
    for number, member in enumerate(archive, start=1):
        if number > limits.members:
            raise _refused(path, f"has more than {limits.members} members", cause=_HOSTILE)
        place = _member_path(member, path)
        if not member.isreg():
            continue
        if top is None and len(place.parts) > 1:
            top = "" if place.parts[0] in FOLDERS else place.parts[0]
        if top and place.parts[0] == top:
            place = place.relative_to(top)
        if place in seen:
            raise _refused(path, f"holds {place} twice", cause="Which one counts cannot be told.")
        seen.add(place)
        stream = archive.extractfile(member)
        if stream is not None and (str(place) == MANIFEST or (place.parts[0] in FOLDERS and len(place.parts) > 1)):
            yield BundleFile(str(place), partial(_open_member, stream, path))


@contextmanager
def _open_member(stream: IO[bytes], archive: Path) -> Iterator[IO[bytes]]:
    with _unpacking(archive):
        yield stream


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, zlib.error, EOFError) as error:
        raise BundleError(
            f"{path} cannot be unpacked: {str(error).rstrip('.')}.",
            cause="The archive was cut short or damaged, often by a broken copy.",
            next_step=f"Copy it again and compare sizes; test it with: gzip -t {path}",
        ) from error


def _member_path(member: tarfile.TarInfo, path: Path) -> PurePosixPath:
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or "\0" in member.name:
        raise _refused(path, f"holds a member that points outside: {member.name!r}", cause=_HOSTILE)
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise _refused(path, f"holds {member.name!r}, which is neither a plain file nor a folder", cause=_HOSTILE)
    return place


def _refused(path: Path, what: str, *, cause: str) -> BundleError:
    return BundleError(f"{path} {what}.", cause=cause, next_step=_PACK_AGAIN)


class _StrictTarInfo(tarfile.TarInfo):
    """Headers that do not let a damaged or cut archive pass for a shorter one, as tarfile does."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """The next header; only the two empty blocks that end an archive end it."""
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            if isinstance(error, EOFHeaderError):
                raise
            raise ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """One header; long names and the like, which tarfile loads whole, must be small."""
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _META_TYPES and info.size > _META_BYTES):
            raise ReadError(f"the header of {info.name!r} claims {info.size} bytes")
        return info


class _Metered(io.RawIOBase):
    """A stream that refuses to unpack more than the limits allow."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, path: Path, limits: Limits) -> None:
        self._stream = stream
        self._path = path
        self._left = limits.unpacked_bytes(path.stat().st_size)

    def read(self, size: int = -1) -> Any:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _refused(
                self._path,
                "unpacks to more than an honest bundle of its size would",
                cause="It was made to exhaust this machine, or is no bundle.",
            )
        return data
