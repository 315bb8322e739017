"""Which vendor or distribution a cluster is, told from marks in what was read, with every mark kept as evidence.

The rules, in the order in which they are tried:

1. A platform is claimed by one mark that only it leaves, or by one that its relatives leave too where machines of the
   platform's own cloud are seen.
2. One claim is the answer. Two claims are a contradiction, and so is a managed service whose control plane is among
   the nodes: nothing is decided, and both sides are said.
3. Without a claim: visible control-plane nodes mean self-managed; else the machines' cloud is all that is known.

So evidence that goes missing can make an answer less, and never another vendor. docs/vendors.md has the details.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from auditor.facts.kube.nodes import Node
from auditor.facts.kube.storage import StorageClass
from auditor.facts.parts import Resource, UnreadableError, part_of, raw
from auditor.facts.store import Facts
from auditor.facts.vendor_marks import MARKS, Cloud, Mark, Platform, Source, Weight
from auditor.model import Vendor

SELF_MANAGED = "self-managed"
"""Id of a cluster whose control plane is visible and that no platform claims."""

UNDETERMINED = "undetermined"
"""Id of no vendor: marks were seen, and they contradict each other or do not suffice."""

API_GROUPS = raw("apis.json")
"""The API server's list of its groups, as it sent it."""

VENDOR_PARTS = (part_of(Node), part_of(StorageClass), API_GROUPS)
"""What detection reads where it can; none of it must be there."""


_ORDER = tuple(Source)

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What detection says of a cluster.

    Attributes:
        vendor: who it is, with the evidence; None where no mark was seen.
        is_development: whether it is of a kind that is made for development, such as kind, minikube or k3d.
    """

    vendor: Vendor | None
    is_development: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What marks are looked for in."""

    nodes: Sequence[Node]
    classes: Sequence[StorageClass]
    server_version: str
    api_groups: Collection[str]
    api_host: str
    unread: tuple[str, ...]

    @property
    def control_plane_count(self) -> int:
        """How many nodes carry the control plane's role."""
        return sum(node.is_control_plane for node in self.nodes)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A mark that was seen, and what there is to say of it."""

    mark: Mark
    sentences: tuple[str, ...]

    def evidence(self, claimed: Platform | None) -> list[str]:
        """The sentences, with whom they speak for where that is not the platform that claims the cluster."""
        mark = self.mark
        asides = [mark.note] if mark.note else []
        if mark.weight is Weight.FAMILY and mark.of != claimed:
            asides.append(f"{mark.of.name} leaves it, and so do others")
        elif mark.of != claimed:
            asides.append(mark.of.name)
        return [f"{sentence} ({'; '.join(asides)})" if asides else sentence for sentence in self.sentences]


@dataclass(frozen=True, slots=True)
class _Case:
    """What was looked at and which marks were seen in it."""

    seen: _Seen
    sightings: tuple[_Sighting, ...]

    @property
    def clouds(self) -> list[Cloud]:
        """Whose machines were seen."""
        clouds = {sighting.mark.of for sighting in self.sightings if isinstance(sighting.mark.of, Cloud)}
        return sorted(clouds, key=lambda cloud: cloud.name)

    @property
    def claims(self) -> list[Platform]:
        """The platforms that the cluster may be."""
        clouds = self.clouds
        claims = {
            mark.of
            for mark in (sighting.mark for sighting in self.sightings)
            if isinstance(mark.of, Platform)
            and (mark.weight is Weight.PRODUCT or (mark.weight is Weight.FAMILY and mark.of.home in clouds))
        }
        return sorted(claims, key=lambda platform: platform.name)

    def vendor(self) -> Vendor | None:
        """What the claims come to."""
        match self.claims:
            case []:
                return self._unclaimed()
            case [platform] if platform.hides_control_plane and self.seen.control_plane_count:
                what = f"marks of {platform.name}, which never shows its control plane, and control-plane nodes"
                return self._undetermined(what)
            case [platform]:
                name = platform.name if platform.home is not None else self._placed(platform.name)
                return Vendor(id=platform.id, name=name, evidence=self._evidence(platform))
            case several:
                return self._undetermined(f"marks of {_listing(several)}")

    def _unclaimed(self) -> Vendor | None:
        clouds = self.clouds
        if self.seen.control_plane_count:
            return Vendor(id=SELF_MANAGED, name=self._placed("Self-managed"), evidence=self._evidence())
        if len(clouds) == 1:
            name = f"{clouds[0].name}, distribution not known"
            return Vendor(id=clouds[0].id, name=name, evidence=self._evidence())
        if clouds:
            return self._undetermined(f"machines of {_listing(clouds)}")
        return self._undetermined("only marks that several vendors leave") if self.sightings else None

    def _undetermined(self, what: str) -> Vendor:
        return Vendor(id=UNDETERMINED, name=f"Undetermined: {what}", evidence=self._evidence())

    def _placed(self, name: str) -> str:
        return f"{name} on {_listing(self.clouds)}" if self.clouds else name

    def _evidence(self, claimed: Platform | None = None) -> tuple[str, ...]:
        """All that was seen, the claimed platform's marks first, and what could not be read."""
        seen = self.seen
        own_first = sorted(
            self.sightings, key=lambda sighting: (sighting.mark.of != claimed, _ORDER.index(sighting.mark.source))
        )
        said = [sentence for sighting in own_first for sentence in sighting.evidence(claimed)]
        if seen.control_plane_count:
            said.append(_share(seen.control_plane_count, len(seen.nodes), "nodes", "the control plane's role"))
        elif claimed is None and seen.nodes:
            said.append(f"none of {len(seen.nodes)} nodes has the control plane's role")
        return (*said, *seen.unread)


def _listing(named: Iterable[Platform | Cloud]) -> str:
    return " and ".join(each.name for each in named)


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class _GroupList(msgspec.Struct, frozen=True, kw_only=True):
    groups: tuple[_Group, ...] | None = None


def served_groups(facts: Facts) -> frozenset[str]:
    """The API groups that the server serves; none where that was not collected."""
    try:
        listed = msgspec.json.decode(facts.text("apis.json"), type=_GroupList)
    except (UnreadableError, msgspec.DecodeError):
        return frozenset()
    return frozenset(group.name for group in listed.groups or ())


def detect(facts: Facts, *, api_groups: Collection[str] = (), api_host: str = "") -> Detection:
    """Tell who runs a cluster. What could not be read is left out and said in the evidence.

    Args:
        facts: all facts of a run, or those of a check that reads :data:`VENDOR_PARTS`.
        api_groups: the API groups that the server serves, where they are known.
        api_host: host name of the API server, where it is known.
    """
    seen = _look(facts, api_groups, api_host)
    case = _Case(seen, tuple(_Sighting(mark, said) for mark in MARKS if (said := _sentences(mark, seen))))
    claims = case.claims
    development = any(sighting.mark.development and sighting.mark.of in claims for sighting in case.sightings)
    return Detection(vendor=case.vendor(), is_development=development)


def detect_vendor(facts: Facts, *, api_groups: Collection[str] = (), api_host: str = "") -> Vendor | None:
    """The vendor that :func:`detect` tells; arguments as there."""
    return detect(facts, api_groups=api_groups, api_host=api_host).vendor


def _look(facts: Facts, api_groups: Collection[str], api_host: str) -> _Seen:
    nodes, nodes_unread = _objects(facts, Node)
    classes, classes_unread = _objects(facts, StorageClass)
    return _Seen(
        nodes=nodes,
        classes=classes,
        server_version=facts.origin.server_version,
        api_groups=api_groups,
        api_host=api_host,
        unread=(*nodes_unread, *classes_unread),
    )


def _objects(facts: Facts, view: type[R]) -> tuple[Sequence[R], tuple[str, ...]]:
    """The objects, or why there are none."""
    try:
        objects = facts.list(view)
    except UnreadableError as error:
        return (), (f"{view.api.plural} could not be read: {error.status}",)
    if not all(isinstance(each, view) for each in objects):
        return (), (f"{view.api.plural} could not be used: a plugin reads them through a view of its own",)
    return objects, ()


def _share(count: int, total: int, noun: str, what: str) -> str:
    return f"{count} of {total} {noun} {'has' if count == 1 else 'have'} {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where texts come from that the marks of one source are searched in, and how to say that one was found."""

    texts: Callable[[_Seen], Sequence[str]]
    saying: str
    counted: str = ""
    """What each text belongs to; empty where there is one server only."""

    def sentences(self, mark: Mark, seen: _Seen) -> tuple[str, ...]:
        """What there is to say, in one sentence or none."""
        texts = self.texts(seen)
        found = [match[0] for text in texts if (match := re.search(mark.pattern, text))]
        if not found:
            return ()
        what = f"{self.saying} {', '.join(sorted(set(found)))}"
        return (_share(len(found), len(texts), self.counted, what) if self.counted else what,)


_PLACES = {
    Source.API_GROUP: (_Place(texts=lambda seen: tuple(seen.api_groups), saying="the server serves the API group"),),
    Source.PROVIDER_ID: (
        _Place(
            texts=lambda seen: [node.spec.provider_id or "" for node in seen.nodes],
            saying="a providerID that begins with",
            counted="nodes",
        ),
    ),
    Source.OS_IMAGE: (
        _Place(
            texts=lambda seen: [node.status.node_info.os_image for node in seen.nodes],
            saying="the OS image",
            counted="nodes",
        ),
    ),
    Source.VERSION: (
        _Place(texts=lambda seen: (seen.server_version,), saying="the server's version has"),
        _Place(
            texts=lambda seen: [node.status.node_info.kubelet_version for node in seen.nodes],
            saying="a kubelet whose version has",
            counted="nodes",
        ),
    ),
    Source.PROVISIONER: (
        _Place(
            texts=lambda seen: [each.provisioner for each in seen.classes],
            saying="the provisioner",
            counted="StorageClasses",
        ),
    ),
    Source.CLASS_NAME: (
        _Place(
            texts=lambda seen: [each.name for each in seen.classes],
            saying="a name that begins with",
            counted="StorageClasses",
        ),
    ),
    Source.API_HOST: (_Place(texts=lambda seen: (seen.api_host,), saying="the API server's host name ends in"),),
}


def _sentences(mark: Mark, seen: _Seen) -> tuple[str, ...]:
    """What there is to say of a mark; nothing where it was not seen."""
    match mark.source:
        case Source.NODE_LABEL:
            return _carried(mark, [node.labels for node in seen.nodes])
        case Source.NODE_ANNOTATION:
            return _carried(mark, [node.annotations for node in seen.nodes])
        case _:
            return tuple(sentence for place in _PLACES[mark.source] for sentence in place.sentences(mark, seen))


def _carried(mark: Mark, tables: Sequence[dict[str, str]]) -> tuple[str, ...]:
    key, has_value, value = mark.pattern.partition("=")
    count = sum(key in table and (not has_value or table[key] == value) for table in tables)
    return (_share(count, len(tables), "nodes", f"the {mark.source} {mark.pattern}"),) if count else ()
