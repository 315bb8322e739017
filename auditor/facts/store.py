"""Facts: what checks ask, with look-ups that stay fast on large clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

from auditor.facts.kube.meta import KubeObject, LabelSelector
from auditor.facts.parts import (
    MISSING,
    Document,
    Part,
    PartState,
    PartStatus,
    Readable,
    Resource,
    UndeclaredReadError,
    UnreadableError,
    named,
    part_of,
    raw,
)

R = TypeVar("R", bound=Resource)
K = TypeVar("K", bound=KubeObject)
D = TypeVar("D", bound=Document)

Content = Sequence[Resource] | Document | str
"""What a readable part holds: objects, one document, or text."""

PartKey = tuple[str, str | None]
OwnerKey = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class PartFacts:
    """One part as it was read: its state and, where that is ok, what it holds."""

    status: PartStatus
    content: Content | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the facts come from.

    Attributes:
        name: the kubeconfig context, or what the bundle calls itself.
        description: free text of the bundle's maker.
        server_version: the API server's ``gitVersion``, empty where it is not known.
        collected_at: when the collection ended; the only "now" that a check may know.
        path: the bundle.
        warnings: what a reader must know, such as "changed since it was collected".
    """

    name: str = ""
    description: str = ""
    server_version: str = ""
    collected_at: datetime | None = None
    path: str = ""
    warnings: tuple[str, ...] = ()


class Index:
    """Look-up tables over the objects of one resource type, each built when it is first asked for."""

    def __init__(self, objects: Sequence[KubeObject]) -> None:
        self.objects = objects
        self._by_name: dict[tuple[str | None, str], KubeObject] | None = None
        self._by_namespace: dict[str | None, list[KubeObject]] | None = None
        self._by_label: dict[str, dict[str, list[KubeObject]]] = {}
        self._by_owner: dict[OwnerKey, list[KubeObject]] | None = None

    def named(self, namespace: str | None, name: str) -> KubeObject | None:
        """The object of that name."""
        if self._by_name is None:
            self._by_name = {(obj.metadata.namespace, obj.metadata.name): obj for obj in self.objects}
        return self._by_name.get((namespace, name))

    def in_namespace(self, namespace: str) -> Sequence[KubeObject]:
        """The objects of one namespace, in the bundle's order."""
        if self._by_namespace is None:
            self._by_namespace = defaultdict(list)
            for obj in self.objects:
                self._by_namespace[obj.metadata.namespace].append(obj)
        return self._by_namespace.get(namespace, ())

    def labelled(self, key: str, value: str) -> Sequence[KubeObject]:
        """The objects that carry ``key=value``, in the bundle's order."""
        if key not in self._by_label:
            table: dict[str, list[KubeObject]] = defaultdict(list)
            for obj in self.objects:
                labels = obj.metadata.labels
                if labels is not None and key in labels:
                    table[labels[key]].append(obj)
            self._by_label[key] = table
        return self._by_label[key].get(value, ())

    def owned_by(self, owner: OwnerKey) -> Sequence[KubeObject]:
        """The objects with an owner reference to ``(kind, namespace, name)``, in the bundle's order."""
        if self._by_owner is None:
            self._by_owner = defaultdict(list)
            for obj in self.objects:
                for reference in obj.metadata.owner_references or ():
                    self._by_owner[reference.kind, obj.metadata.namespace, reference.name].append(obj)
        return self._by_owner.get(owner, ())


class Facts:
    """All that one run knows of a cluster, or the share of it that one check declares to read.

    Reading a part that was forbidden, absent, failed or not collected raises
    :class:`~auditor.facts.parts.UnreadableError`, which judging turns into an ``unknown`` finding; a check has
    nothing to do for that. What it yielded before stays.
    """

    def __init__(self, parts: Mapping[PartKey, PartFacts], *, origin: Origin | None = None) -> None:
        self.origin = origin or Origin()
        self._parts = parts
        self._indexes: dict[PartKey, Index] = {}
        self._declared: dict[PartKey, Part] | None = None

    def restricted_to(self, reads: Iterable[Readable]) -> Facts:
        """The same facts as one check sees them: only what it declares. Look-up tables are shared."""
        view = Facts(self._parts, origin=self.origin)
        view._indexes = self._indexes
        view._declared = {part.key: part for part in map(part_of, reads)}
        return view

    def status(self, read: Readable) -> PartStatus:
        """What became of a part."""
        part = self._declared_part(part_of(read))
        found = self._parts.get(part.key)
        return found.status if found is not None else MISSING

    def served(self, read: Readable) -> bool:
        """Whether the cluster has such a part at all; the check declares it with :func:`auditor.if_served`.

        Raises:
            UnreadableError: it was forbidden or failed, so that it cannot be told.
        """
        status = self.status(read)
        if status.state in (PartState.OK, PartState.ABSENT):
            return status.state is PartState.OK
        raise UnreadableError(part_of(read), status)

    def list(self, view: type[R]) -> Sequence[R]:
        """All objects of a type, in the bundle's order. Empty for an absent part that is read with ``if_served``.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("Sequence[R]", self._content(part_of(view), empty=()))

    def get(self, view: type[K], name: str, *, namespace: str | None = None) -> K | None:
        """The object of that name, or None where there is none.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("K | None", self._index(view).named(namespace, name))

    def get_named(self, view: type[K], name: str, *, namespace: str | None = None) -> K | None:
        """The object that the check declares with :func:`auditor.named`, or None where there is none.

        Raises:
            UnreadableError: the part was not read.
        """
        objects = cast("Sequence[K]", self._content(named(view, name, namespace=namespace), empty=()))
        return next(iter(objects), None)

    def in_namespace(self, view: type[K], namespace: str) -> Sequence[K]:
        """The objects of one namespace.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("Sequence[K]", self._index(view).in_namespace(namespace))

    def labelled(self, view: type[K], key: str, value: str) -> Sequence[K]:
        """The objects that carry the label ``key=value``.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("Sequence[K]", self._index(view).labelled(key, value))

    def selected(self, view: type[K], selector: LabelSelector, *, namespace: str) -> Sequence[K]:
        """The objects of a namespace that a label selector selects.

        Raises:
            UnreadableError: the part was not read.
        """
        narrowed = min(
            (self.labelled(view, key, value) for key, value in (selector.match_labels or {}).items()),
            key=len,
            default=self.in_namespace(view, namespace),
        )
        return [obj for obj in narrowed if obj.namespace == namespace and selector.matches(obj.labels)]

    def owned_by(self, view: type[K], owner: KubeObject) -> Sequence[K]:
        """The objects that name ``owner`` in their owner references.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("Sequence[K]", self._index(view).owned_by((owner.api.kind, owner.namespace, owner.name)))

    def document(self, view: type[D]) -> D | None:
        """A probe's observations or a benchmark's measurements; None if absent and read with ``if_served``.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("D | None", self._content(part_of(view), empty=None))

    def text(self, name: str) -> str:
        """A raw answer of the API server, declared with :func:`auditor.raw`.

        Raises:
            UnreadableError: the part was not read.
        """
        return cast("str", self._content(raw(name), empty=""))

    def counts(self) -> dict[str, int]:
        """Objects per resource type that was read whole."""
        return {
            part_id: len(found.content)
            for (part_id, name), found in self._parts.items()
            if name is None and isinstance(found.content, Sequence) and not isinstance(found.content, str)
        }

    def _declared_part(self, part: Part) -> Part:
        if self._declared is None:
            return part
        if part.key not in self._declared:
            raise UndeclaredReadError(f"{part} is read but not declared in reads=(…)")
        return self._declared[part.key]

    def _content(self, part: Part, *, empty: Content | None) -> Content | None:
        part = self._declared_part(part)
        found = self._parts.get(part.key)
        status = found.status if found is not None else MISSING
        if found is not None and status.state is PartState.OK:
            return found.content
        if status.state is PartState.ABSENT and part.optional:
            return empty
        raise UnreadableError(part, status)

    def _index(self, view: type[KubeObject]) -> Index:
        objects = cast("Sequence[KubeObject]", self._content(part_of(view), empty=()))
        key = (view.api.id, None)
        if key not in self._indexes:
            self._indexes[key] = Index(objects)
        return self._indexes[key]
