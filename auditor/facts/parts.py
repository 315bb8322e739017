"""Parts: what a bundle consists of, what a check declares to read, and what became of each in the collection.

A part is one resource type (``storage.k8s.io/storageclasses``), one named object of a type that is never listed whole
(``core/configmaps kube-system/coredns``), one raw answer (``raw/readyz.txt``), one probe's observations
(``observations/dns.json``) or one benchmark's measurements (``measurements/kafka.json``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

import msgspec

CORE_GROUP = "core"
"""How bundles and part ids write the API's legacy group, whose real name is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where the API server serves a resource type.

    Attributes:
        group: API group, :data:`CORE_GROUP` for the legacy one.
        versions: versions whose objects the typed view understands, the preferred one first.
        plural: the resource's name in paths and RBAC rules.
        kind: the objects' kind.
        namespaced: whether objects live in namespaces.
    """

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    namespaced: bool

    @property
    def id(self) -> str:
        """``group/plural``, the part's id."""
        return f"{self.group}/{self.plural}"


class PartState(StrEnum):
    """What became of a part when the cluster was read."""

    OK = "ok"
    FORBIDDEN = "forbidden"
    """The account that read may not."""
    ABSENT = "absent"
    """The server does not serve it."""
    FAILED = "failed"
    """It was asked for and did not come, or not whole."""
    MISSING = "missing"
    """The bundle does not hold it: it was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """State of one part, with the reason where it is not ok."""

    state: PartState
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else str(self.state)


OK = PartStatus(state=PartState.OK)
MISSING = PartStatus(state=PartState.MISSING, reason="the bundle does not hold it")


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Base of the typed views of API objects: only the fields that checks read, others are ignored.

    A subclass states in ``api`` where its objects are served. A plugin may declare views of its own in the same way.
    """

    api: ClassVar[Api]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the typed views of a probe's observations or a benchmark's measurements.

    ``part_id`` states the file in the bundle, such as ``observations/dns.json``.
    """

    part_id: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One part that a check reads.

    Attributes:
        id: ``group/plural`` of a resource, or the path of a file in the bundle.
        view: the type it is decoded to; None for raw text.
        object: ``namespace/name`` (``name`` where not namespaced) when only that object is read.
        optional: whether an absent part counts as "there are none" and not as unknown.
    """

    id: str
    view: type[Resource] | type[Document] | None = None
    object: str | None = None
    optional: bool = False

    @property
    def key(self) -> tuple[str, str | None]:
        """What identifies the part in a bundle."""
        return (self.id, self.object)

    def __str__(self) -> str:
        return f"{self.id} {self.object}" if self.object else self.id


Readable = type[Resource] | type[Document] | Part
"""What a check may list under ``reads``."""


def part_of(read: Readable) -> Part:
    """The part that one entry of ``reads`` stands for."""
    if isinstance(read, Part):
        return read
    if issubclass(read, Resource):
        return Part(read.api.id, read)
    return Part(read.part_id, read)


def if_served(read: Readable) -> Part:
    """The same part, for a check that wants "not served by this cluster" as an answer and not as unknown."""
    return replace(part_of(read), optional=True)


def named(view: type[Resource], name: str, *, namespace: str | None = None) -> Part:
    """One object, for types that are not listed whole, such as ConfigMaps: RBAC is then limited to its name."""
    return Part(view.api.id, view, f"{namespace}/{name}" if namespace else name)


def raw(name: str) -> Part:
    """An answer of the API server that is no object, such as ``readyz.txt``."""
    return Part(f"raw/{name}")


class UnreadableError(Exception):
    """A check asked for a part that is not there; judging turns it into an ``unknown`` finding that names the part."""

    def __init__(self, part: Part, status: PartStatus) -> None:
        super().__init__(f"{part}: {status}")
        self.part = part
        self.status = status


class UndeclaredReadError(Exception):
    """A check asked for a part that it does not declare in ``reads``: a mistake of its author."""
