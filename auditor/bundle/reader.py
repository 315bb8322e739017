"""Reading a bundle: exactly the parts that checks ask for, each file once, in one pass."""

from __future__ import annotations

import gc
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from auditor.bundle.limits import Limits
from auditor.bundle.lists import list_items
from auditor.bundle.manifest import Manifest, decode_manifest
from auditor.bundle.sharing import Sharing
from auditor.bundle.source import BundleFile, bundle_files, whole
from auditor.bundle.statuses import Loaded, Statuses, skipped
from auditor.errors import BundleError, PluginError
from auditor.facts.kube.meta import ObjectMeta
from auditor.facts.parts import Document, Part, Resource
from auditor.facts.store import Content, Facts, Origin, PartKey
from auditor.model import Tool

VERSION_FILE = "raw/version.json"
"""The API server's answer to ``/version``."""


def read_bundle(path: Path, parts: Iterable[Part], *, limits: Limits | None = None) -> Facts:
    """The facts of a bundle, as far as they are asked for.

    A part that was forbidden, absent, failed or not collected is no error: it has that status. A file that is there
    and cannot be read is one.

    Args:
        path: a folder, or a .tar.gz of one.
        parts: what to load; everything else is passed over.
        limits: how much to take before the bundle counts as a bomb.

    Raises:
        UsageError: there is nothing at the path.
        BundleError: it is no bundle, or a file that is needed is damaged.
        BundleFormatError: its manifest declares a format that is not known here.
        PluginError: two views of the same part are asked for.
    """
    reading = _Reading(path, parts, limits or Limits())
    with _collector_paused():
        for file in bundle_files(path, reading.limits):
            reading.take(file)
    return reading.facts()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Views form no cycles: walking them again and again while they pile up would only cost time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Reading:
    """One pass over the files of a bundle."""

    def __init__(self, path: Path, parts: Iterable[Part], limits: Limits) -> None:
        self.limits = limits
        self._path = path
        self._parts = _distinct(parts)
        self._manifest: Manifest | None = None
        self._loaded: dict[str, Loaded] = {}
        self._versions: dict[str, set[str]] = defaultdict(set)
        self._server_version = ""

    def take(self, file: BundleFile) -> None:
        """Load the file, if a part needs it."""
        match file.path.removesuffix(".json").split("/"):
            case ["manifest"]:
                data, _ = self._whole(file)
                self._manifest = decode_manifest(data, file=self._name(file))
            case ["resources", group, version, plural] if file.path.endswith(".json"):
                self._versions[f"{group}/{plural}"].add(version)
                wanted = [
                    part
                    for part in self._parts
                    if part.id == f"{group}/{plural}" and version in _resource_view(part).api.versions
                ]
                if wanted and not skipped(self._manifest, file.path):
                    self._loaded[file.path] = self._list(file, wanted)
            case _:
                self._take_whole(file)

    def facts(self) -> Facts:
        """What was read, with the state of every part."""
        statuses = Statuses(self._manifest, self._loaded, self._versions)
        found = {part.key: statuses.part_facts(part) for part in self._parts}
        own_name = self._path.resolve().name.removesuffix(".tar.gz")
        manifest = self._manifest or Manifest(tool=Tool(name="", version=""), name=own_name)
        return Facts(
            found,
            origin=Origin(
                name=manifest.name,
                description=manifest.description,
                server_version=manifest.server_version or self._server_version,
                collected_at=manifest.finished_at,
                path=str(self._path),
                warnings=statuses.warnings,
            ),
        )

    def _take_whole(self, file: BundleFile) -> None:
        wanted = [part for part in self._parts if part.id == file.path]
        if not wanted and file.path != VERSION_FILE:
            return
        data, sha256 = self._whole(file)
        if file.path == VERSION_FILE:
            self._server_version = _git_version(data)
        contents = {part.key: _content(part, data, self._name(file)) for part in wanted}
        self._loaded[file.path] = Loaded(sha256=sha256, contents=contents)

    def _whole(self, file: BundleFile) -> tuple[bytes, str]:
        with file.open() as stream:
            data = whole(stream, self._name(file), self.limits)
        return data, hashlib.sha256(data).hexdigest()

    def _list(self, file: BundleFile, parts: Sequence[Part]) -> Loaded:
        selections = [_Selection(part) for part in parts]

        def decode(item: bytes) -> list[Resource | None]:
            return [selection.decode(item) for selection in selections]

        with file.open() as stream:
            hashing = _Hashing(stream)
            api = _resource_view(parts[0]).api
            for decoded in list_items(hashing, decode, file=self._name(file), api=api, limits=self.limits):
                for selection, resource in zip(selections, decoded, strict=True):
                    selection.keep(resource)
        contents: dict[PartKey, Content] = {selection.part.key: tuple(selection.kept) for selection in selections}
        return Loaded(sha256=hashing.hexdigest(), contents=contents)

    def _name(self, file: BundleFile) -> str:
        return str(self._path / file.path) if self._path.is_dir() else f"{file.path} in {self._path}"


class _Identity(Resource, frozen=True, kw_only=True, gc=False):
    """Enough of an object to tell whether it is the one that is asked for."""

    metadata: ObjectMeta


class _Selection:
    """The objects of a List that one part asks for: all, or the one of its name."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.kept: list[Resource] = []
        self._decode = msgspec.json.Decoder(_resource_view(part)).decode
        self._identify = msgspec.json.Decoder(_Identity).decode
        self._share = Sharing().share

    def decode(self, item: bytes) -> Resource | None:
        """The item, or None where it is another one than the part's."""
        if self.part.object is not None:
            metadata = self._identify(item).metadata
            if self.part.object != (f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name):
                return None
        return self._decode(item)

    def keep(self, resource: Resource | None) -> None:
        """Add a decoded item."""
        if resource is not None:
            self.kept.append(self._share(resource))


class _Hashing:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._sha256.update(block)
        return block

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class _Version(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    git_version: str = ""


def _git_version(data: bytes) -> str:
    try:
        return msgspec.json.decode(data, type=_Version).git_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""  # it is only shown; a check that depends on it reads the file itself


def _content(part: Part, data: bytes, name: str) -> Content:
    try:
        text = data.decode()  # msgspec does not look into fields that it passes over
        if part.view is not None and issubclass(part.view, Document):
            return msgspec.json.decode(text, type=part.view)
        return text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"{name} cannot be read: {error}",
            cause="The file was damaged or edited, or another version of the auditor wrote it.",
            next_step="Collect again, or remove the file; what depends on it is then unknown.",
        ) from error


def _resource_view(part: Part) -> type[Resource]:
    if part.view is not None and issubclass(part.view, Resource):
        return part.view
    raise PluginError(
        f"A check reads {part} without a view of its objects.",
        next_step="List a subclass of auditor.Resource under reads.",
    )


def _distinct(parts: Iterable[Part]) -> tuple[Part, ...]:
    distinct: dict[PartKey, Part] = {}
    for part in parts:
        first = distinct.setdefault(part.key, part)
        if first.view is not part.view:
            raise PluginError(
                f"Two checks read {part} through different views: {first.view} and {part.view}.",
                cause="A plugin declares a view of its own for a type that has one.",
                next_step="Use one view in both; auditor.facts.kube has those of the core.",
            )
    return tuple(distinct.values())
