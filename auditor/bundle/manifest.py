"""manifest.json: what the files of a bundle cannot say themselves.

Who collected when and from where, what was asked for and did not come, and the hash of what did.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from auditor.errors import BundleError, BundleFormatError
from auditor.facts.parts import PartState
from auditor.model import Tool

MANIFEST = "manifest.json"
"""Its path in a bundle."""

FORMAT_VERSION = 1
"""The format that this auditor writes."""

KNOWN_VERSIONS = (1,)
"""The formats that this auditor reads."""


class ResourceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one resource type, or of one named object of a type that is not listed whole."""

    group: str
    """``core`` for the legacy group."""
    version: str
    plural: str
    object: str | None = None
    """``namespace/name`` (``name`` where not namespaced) when only that object was asked for."""
    asked: bool = True
    status: PartState
    """``ok`` for a named object that the server does not have, with a count of 0."""
    reason: str = ""
    http_status: int | None = None
    tries: int = 1
    count: int | None = None
    """Objects in the file, or of that name in it."""
    sha256: str | None = None
    """Of the file, in hexadecimal."""
    from_watch_cache: bool = False
    """Whether the server may have answered from its cache and not from etcd."""

    @property
    def name(self) -> str:
        """How people call it: ``group/plural``, and the object where it is one."""
        return f"{self.group}/{self.plural}{' ' + self.object if self.object else ''}"

    @property
    def path(self) -> str:
        """The file that holds the objects."""
        return resource_path(self.group, self.version, self.plural)


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one file below raw/, observations/ or measurements/."""

    path: str
    status: PartState
    reason: str = ""
    sha256: str | None = None

    @property
    def name(self) -> str:
        """How people call it: its path."""
        return self.path


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All of manifest.json. Fields that are not known here are ignored."""

    version: int = FORMAT_VERSION
    """The bundle's format."""
    tool: Tool
    name: str = ""
    """The kubeconfig context, or what the bundle calls itself."""
    description: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    server_version: str = ""
    resources: tuple[ResourceEntry, ...] = ()
    files: tuple[FileEntry, ...] = ()


class _Versioned(msgspec.Struct, frozen=True, kw_only=True):
    version: int


def resource_path(group: str, version: str, plural: str) -> str:
    """The path of a resource's List in a bundle."""
    return f"resources/{group}/{version}/{plural}.json"


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as it is written, indented for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(data: bytes, *, file: str = MANIFEST) -> Manifest:
    """The manifest as it was written.

    Args:
        data: content of the file.
        file: how errors call it.

    Raises:
        BundleFormatError: the format's version is not known here.
        BundleError: it is not JSON, not UTF-8, or a field has the wrong type.
    """
    try:
        data.decode()  # msgspec does not look into fields that it passes over
        version = msgspec.json.decode(data, type=_Versioned).version
        if version not in KNOWN_VERSIONS:
            raise BundleFormatError(
                f"{file} declares bundle format {version}, which is not known here.",
                cause=f"This auditor reads format {', '.join(map(str, KNOWN_VERSIONS))}; "
                "the bundle was written by a newer one, or its manifest was edited.",
                next_step="Upgrade the auditor, or collect again with this one.",
            )
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"{file} is not a bundle's manifest: {error}",
            cause="The file was cut short or edited.",
            next_step="Collect again; or remove the file, and the bundle counts as made by hand.",
        ) from error
