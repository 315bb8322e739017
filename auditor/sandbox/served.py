"""Every kind of object that a cluster serves and that can be listed and removed, in two requests."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from auditor.cluster import ApiServer, RequestError
from auditor.cluster.pace import Deadline
from auditor.facts.parts import CORE_GROUP, Api

_AGGREGATED = ",".join(
    [
        *(f"application/json;g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList" for v in ("v2", "v2beta1")),
        "application/json",
    ]
)
_PIECE_BYTES = 64 * 1024
_SECONDS = 5.0

log = logging.getLogger(__name__)


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    kind: str = ""


class _Resource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource: str
    scope: str = ""
    verbs: tuple[str, ...] = ()
    response_kind: _Kind = _Kind()


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    resources: tuple[_Resource, ...] = ()


class _Name(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    metadata: _Name = _Name()
    versions: tuple[_Version, ...] = ()


class _Discovery(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[_Group, ...] | None = None


def _removable(group: _Group) -> Iterable[Api]:
    """The kinds of a group, each at the first version that holds it, which is the preferred one."""
    found: dict[str, Api] = {}
    for version in group.versions:
        for each in version.resources:
            if {"list", "delete"} <= set(each.verbs):
                api = Api(
                    group=group.metadata.name or CORE_GROUP,
                    versions=(version.version,),
                    plural=each.resource,
                    kind=each.response_kind.kind,
                    namespaced=each.scope == "Namespaced",
                )
                found.setdefault(api.plural, api)
    return found.values()


def removable_kinds(server: ApiServer) -> list[Api]:
    """The kinds of aggregated discovery, which servers have since 1.27; none on older ones.

    Args:
        server: is asked.
    """
    return [api for root in ("/api", "/apis") for group in _groups(server, root) for api in _removable(group)]


def _groups(server: ApiServer, root: str) -> Iterable[_Group]:
    try:
        with server.open(root, accept=_AGGREGATED, deadline=Deadline(_SECONDS)) as answer:
            text = b"".join(iter(lambda: answer.body.read(_PIECE_BYTES), b""))
        return msgspec.json.decode(text, type=_Discovery).items or ()
    except (RequestError, msgspec.DecodeError) as error:
        log.debug("discovery of %s: %s", root, error)
        return ()
