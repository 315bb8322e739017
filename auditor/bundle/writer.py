"""Writing a bundle: redacted, streamed, and whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, Self

import msgspec

import auditor
from auditor.atomic import beside, new_folder, output_errors, refuse_existing
from auditor.bundle.limits import MIB
from auditor.bundle.manifest import MANIFEST, FileEntry, Manifest, ResourceEntry, encode_manifest, resource_path
from auditor.bundle.redaction import Redaction
from auditor.bundle.source import FOLDERS
from auditor.facts.parts import CORE_GROUP, Api, PartState
from auditor.model import Tool

ARCHIVE_SUFFIX = ".tar.gz"

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Sink:
    """Where the objects of one List go, one after the other.

    Attributes:
        count: objects written so far.
        tries: how often the List had to be begun, for the manifest.
        http_status: of the last answer, for the manifest.
        from_watch_cache: whether the server may have answered from its cache, for the manifest.
    """

    def __init__(self, output: _Output, kind: str, redaction: Redaction, objects: frozenset[str]) -> None:
        self.count = 0
        self.tries = 1
        self.http_status: int | None = None
        self.from_watch_cache = False
        self.written_objects: set[str] = set()
        self._output = output
        self._kind = kind
        self._redaction = redaction
        self._objects = objects

    def write(self, item: bytes) -> None:
        """Add one object.

        Args:
            item: its JSON as the API server sent it.

        Raises:
            msgspec.DecodeError: it is no JSON object.
            OutputError: it cannot be written.
        """
        original = _decode(item)
        if self._objects:
            metadata = original.get("metadata", {})
            self.written_objects.add("/".join(filter(None, (metadata.get("namespace"), metadata.get("name")))))
        redacted = self._redaction.item(original, kind=self._kind)
        self._output.write((b",\n" if self.count else b"\n") + _encode(redacted))
        self.count += 1

    def mark(self) -> Mark:
        """The place after the object written last."""
        return Mark(self.count, frozenset(self.written_objects), *self._output.position())

    def rewind(self, mark: Mark) -> None:
        """Forget what was written since, such as the beginning of a page that broke off.

        Raises:
            OutputError: the file cannot be cut.
        """
        self._output.rewind(mark.position, mark.sha256)
        self.count = mark.count
        self.written_objects = set(mark.written_objects)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a List to which its sink can go back."""

    count: int
    written_objects: frozenset[str]
    position: int
    sha256: Any


class _Output:
    """A file that is hashed as it is written."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        with output_errors(self._path):
            self._stream.write(data)
        self._sha256.update(data)

    def position(self) -> tuple[int, Any]:
        return self._stream.tell(), self._sha256.copy()

    def rewind(self, position: int, sha256: Any) -> None:
        with output_errors(self._path):
            self._stream.seek(position)
            self._stream.truncate()
        self._sha256 = sha256.copy()

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class BundleWriter:
    """A bundle in the making, used as a context manager; what stands at ``path`` in the end is whole.

    Everything is written aside. When the block ends, the manifest is added and the bundle renamed into place; when it
    raises, Ctrl-C included, nothing stays.

    Args:
        path: the folder to make, or the archive where it ends in ``.tar.gz``; it must not exist.
        name: the kubeconfig context, or what the bundle calls itself.
        description: free text.
        server_version: the API server's ``gitVersion``.
        redaction: applied to all that is written.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        description: str = "",
        server_version: str = "",
        redaction: Redaction | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self.description = description
        self.server_version = server_version
        self._redaction = redaction or Redaction()
        self._resources: list[ResourceEntry] = []
        self._files: list[FileEntry] = []
        self._folder = path
        self._started_at = datetime.now(UTC)
        self._making: AbstractContextManager[Path]

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            OutputError: ``path`` exists, or cannot be written.
        """
        self._making = _new_archive(self.path) if self.path.name.endswith(ARCHIVE_SUFFIX) else new_folder(self.path)
        self._folder = self._making.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Add the manifest and put the bundle into place, or remove all of it.

        Raises:
            OutputError: it cannot be written.
        """
        with ExitStack() as stack:
            stack.push(self._making.__exit__)
            if error is not None:
                raise error
            self._write(MANIFEST, encode_manifest(self._manifest()))

    @contextmanager
    def resource(self, api: Api, version: str, *, objects: Iterable[str] = ()) -> Iterator[Sink]:
        """A List to fill. If the block raises, its file is dropped; record then why it did not come.

        Args:
            api: the objects' type.
            version: the version that they are in.
            objects: ``namespace/name`` of the objects that were asked for, where the type is not listed whole.

        Raises:
            OutputError: it cannot be written.
        """
        named = tuple(objects)
        target = self._folder / resource_path(api.group, version, api.plural)
        group = "" if api.group == CORE_GROUP else f"{api.group}/"
        head = {"kind": f"{api.kind}List", "apiVersion": f"{group}{version}", "metadata": {}}
        try:
            with self._opened(target) as output:
                sink = Sink(output, api.kind, self._redaction, frozenset(named))
                output.write(_encode(head)[:-1] + b',"items":[')
                yield sink
                output.write(b"\n]}\n")
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        for name in named or (None,):
            self._resources.append(
                ResourceEntry(
                    group=api.group,
                    version=version,
                    plural=api.plural,
                    object=name,
                    status=PartState.OK,
                    http_status=sink.http_status,
                    tries=sink.tries,
                    count=sink.count if name is None else int(name in sink.written_objects),
                    sha256=output.hexdigest(),
                    from_watch_cache=sink.from_watch_cache,
                )
            )

    def unavailable(
        self,
        api: Api,
        version: str,
        state: PartState,
        *,
        reason: str = "",
        object: str | None = None,  # noqa: A002  the manifest's word
        http_status: int | None = None,
        tries: int = 1,
    ) -> None:
        """Record that a resource type, or one named object of it, was asked for and did not come.

        Args:
            api: the type.
            version: the version that was asked for.
            state: ``forbidden``, ``absent`` or ``failed``.
            reason: what the server said.
            object: ``namespace/name``, where only that object was asked for.
            http_status: of the last answer, if there was one.
            tries: how often it was asked for.
        """
        self._resources.append(
            ResourceEntry(
                group=api.group,
                version=version,
                plural=api.plural,
                object=object,
                status=state,
                reason=self._redaction.text(reason),
                http_status=http_status,
                tries=tries,
            )
        )

    def file(self, path: str, data: bytes) -> None:
        """Add a file that is no List.

        Args:
            path: below ``raw/``, ``observations/`` or ``measurements/``.
            data: its content, UTF-8.

        Raises:
            OutputError: it cannot be written.
        """
        redacted = self._redaction.text(data.decode()).encode()
        sha256 = self._write(_allowed(path), redacted)
        self._files.append(FileEntry(path=path, status=PartState.OK, sha256=sha256))

    def file_unavailable(self, path: str, state: PartState, *, reason: str = "") -> None:
        """Record that such a file was asked for and did not come; arguments as in :meth:`unavailable`."""
        self._files.append(FileEntry(path=_allowed(path), status=state, reason=self._redaction.text(reason)))

    @property
    def entries(self) -> tuple[ResourceEntry | FileEntry, ...]:
        """What the manifest says of each part, by path."""
        return (*sorted(self._resources, key=lambda each: (each.path, each.object or "")), *self._files)

    def _manifest(self) -> Manifest:
        return Manifest(
            tool=Tool(name="auditor", version=auditor.__version__),
            name=self._redaction.text(self.name),
            description=self._redaction.text(self.description),
            started_at=self._started_at,
            finished_at=datetime.now(UTC),
            server_version=self.server_version,
            resources=tuple(sorted(self._resources, key=lambda each: (each.path, each.object or ""))),
            files=tuple(self._files),
        )

    def _write(self, path: str, data: bytes) -> str:
        with self._opened(self._folder / path) as output:
            output.write(data)
        return output.hexdigest()

    @contextmanager
    def _opened(self, target: Path) -> Iterator[_Output]:
        shown = self.path / target.relative_to(self._folder)
        with output_errors(shown, within=self._folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb", buffering=MIB) as stream:
                yield _Output(stream, shown)


def _allowed(path: str) -> str:
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] not in FOLDERS[1:] or ".." in parts:
        raise ValueError(f"{path} is no place for a file of a bundle; it belongs below {', '.join(FOLDERS[1:])}")
    return path


@contextmanager
def _new_archive(path: Path) -> Iterator[Path]:
    """A folder to fill; packed to ``path`` when the block ends, and removed in any case."""
    with output_errors(path):
        refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside, packed = beside(path), beside(path)
        aside.mkdir()
    try:
        with output_errors(path, within=aside):
            yield aside
        with output_errors(path):
            _pack(aside, packed)
            packed.rename(path)
    finally:
        packed.unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)


def _pack(folder: Path, archive: Path) -> None:
    """Pack the files, the manifest first, the rest by name; equal bundles give equal archives."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths.sort(key=lambda path: path != folder / MANIFEST)
    with (
        archive.open("xb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as members,
    ):
        for path in paths:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as stream:
                members.addfile(member, stream)
