"""What the API server serves: groups, versions and resources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from auditor.cluster.pace import Deadline, RequestError
from auditor.cluster.requests import ApiServer
from auditor.facts.parts import CORE_GROUP, Api, PartState, PartStatus


class _Resource(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    verbs: tuple[str, ...] = ()


class _ResourceList(msgspec.Struct, frozen=True, kw_only=True):
    resources: tuple[_Resource, ...] | None = None


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    version: str


class _Group(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    versions: tuple[_Version, ...]
    preferred_version: _Version | None = None


class _GroupList(msgspec.Struct, frozen=True, kw_only=True):
    groups: tuple[_Group, ...] | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a server serves of the resources that were asked about.

    Attributes:
        versions: by the id of an :class:`~auditor.facts.parts.Api`, the version to ask for.
        gaps: by the same id, why a resource cannot be asked for.
        groups: all API groups that the server names; empty where it would not say.
    """

    versions: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, PartStatus] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()


def discover(server: ApiServer, apis: Iterable[Api]) -> Served:
    """Find the version to ask for of each resource: the server's preferred one among those that the view understands.

    Raises:
        RequestError: the server does not answer at all.
    """
    groups = _groups(server)
    served = Served(groups=frozenset(groups or ()))
    lists: dict[str, _ResourceList | RequestError] = {}
    for api in {api.id: api for api in apis}.values():
        if groups is None:  # the account may not discover: the list itself will tell
            served.versions[api.id] = api.versions[0]
            continue
        offered = groups.get(api.group, ())
        candidates = [version for version in offered if version in api.versions]
        version = _version(server, api, candidates, lists)
        if version:
            served.versions[api.id] = version
        else:
            served.gaps[api.id] = _absent(api, candidates or offered)
    return served


def list_path(api: Api, version: str) -> str:
    """The path of a resource's list over all namespaces."""
    return f"{_path(api.group, version)}/{api.plural}"


def object_path(api: Api, version: str, name: str) -> str:
    """The path of one object, given as ``namespace/name`` or ``name``."""
    namespace, _, own = name.rpartition("/")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{_path(api.group, version)}{inside}/{api.plural}/{quote(own, safe=':')}"


def _path(group: str, version: str) -> str:
    return f"/api/{version}" if group == CORE_GROUP else f"/apis/{group}/{version}"


def _groups(server: ApiServer) -> dict[str, tuple[str, ...]] | None:
    """Versions by group, the preferred one first; None where the account may not ask."""
    try:
        answer = server.json("/apis", _GroupList, deadline=Deadline(server.limits.deadline_seconds))
    except RequestError as error:
        if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return None
        raise
    found: dict[str, tuple[str, ...]] = {CORE_GROUP: ("v1",)}
    for group in answer.groups or ():
        preferred = [group.preferred_version.version] if group.preferred_version else []
        found[group.name] = tuple(dict.fromkeys([*preferred, *(each.version for each in group.versions)]))
    return found


def _resources(server: ApiServer, path: str) -> _ResourceList | RequestError:
    """What a group's version holds, or why that cannot be told: the list itself will then say the same."""
    try:
        return server.json(path, _ResourceList, deadline=Deadline(server.limits.request_timeout_seconds))
    except RequestError as error:
        return error


def _version(
    server: ApiServer, api: Api, candidates: Iterable[str], lists: dict[str, _ResourceList | RequestError]
) -> str | None:
    """The first version that holds the resource; else the first of which that could not be told: its list will tell."""
    unsure = None
    for version in candidates:
        path = _path(api.group, version)
        if path not in lists:
            lists[path] = _resources(server, path)
        found = lists[path]
        if isinstance(found, RequestError):
            unsure = unsure or version
        elif _lists(found, api):
            return version
    return unsure


def _lists(found: _ResourceList, api: Api) -> bool:
    return any(each.name == api.plural and "list" in each.verbs for each in found.resources or ())


def _absent(api: Api, offered: Iterable[str]) -> PartStatus:
    versions = ", ".join(offered)
    what = f"only in versions {versions}" if versions else "not at all"
    return PartStatus(state=PartState.ABSENT, reason=f"the server serves {api.group}/{api.plural} {what}")
