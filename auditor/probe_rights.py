"""What an account needs to run probes: theirs, those of the sandbox around them, those of its removal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.facts.kube import (
    ConfigMap,
    EndpointSlice,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ResourceQuota,
    StorageClass,
)
from auditor.facts.parts import CORE_GROUP, Api
from auditor.sandbox.kinds import EVENT, KINDS, VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CONTENT
from auditor.units.probe import Probe, Right, rights

Rule = dict[str, Any]

_BEFORE = (StorageClass.api, PersistentVolumeClaim.api)
"""Listed in the whole cluster before the probes begin; so are the nodes."""

_NOT_REMOVED = {Node.api.kind, EVENT.kind, "Secret"}
"""Kinds that no run creates, and that the removal does not look for."""


_FOLLOWERS = {
    "StatefulSet": (Pod.api, PersistentVolumeClaim.api),
    "Deployment": (Pod.api,),
    "Job": (Pod.api,),
    "Service": (EndpointSlice.api,),
}
"""What controllers make for an object, with its labels."""

_VOLUMES = (
    (PersistentVolumeClaim.api, PersistentVolume.api, "get patch"),
    (VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CONTENT, "get patch delete"),
)
"""What is made for claims and snapshots, followed until it is gone, and made to go where its class says Retain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Rights, by where they are needed.

    Attributes:
        cluster_wide: in all namespaces, or on types that have none.
        in_namespace: in the sandbox's namespace only.
    """

    cluster_wide: tuple[Right, ...]
    in_namespace: tuple[Right, ...]


def needed_rights(probes: Sequence[Probe], *, own_namespace: bool) -> Needed:
    """The least that a run of these probes needs to leave nothing unknown, and nothing behind.

    Args:
        probes: that run.
        own_namespace: whether the run makes a namespace; its name is not known before, so that rights in it can only be
            given in all namespaces.
    """
    theirs = [right for probe in probes for right in probe.rights]
    every = [
        *_looking_around(),
        *_housing(own_namespace=own_namespace),
        *theirs,
        *_removal(theirs, own_namespace=own_namespace),
    ]
    wide = {right for right in every if right.cluster_wide or own_namespace}
    return Needed(
        cluster_wide=_in_order(wide),
        in_namespace=_in_order({right for right in every if right not in wide}),
    )


def rules(needed: Iterable[Right]) -> list[Rule]:
    """The rules of a role, as few as there can be: one per API group and set of verbs."""
    verbs: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for right in needed:
        verbs[right.group, right.resource].add(right.verb)
    resources: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), own in sorted(verbs.items()):
        resources[group, tuple(sorted(own))].append(resource)
    return [
        {"apiGroups": [group], "resources": own, "verbs": list(together)}
        for (group, together), own in sorted(resources.items())
    ]


def _looking_around() -> Iterable[Right]:
    for api in (Node.api, *_BEFORE):
        yield from _of(api, "list", cluster_wide=True)


def _housing(*, own_namespace: bool) -> Iterable[Right]:
    """The namespace, its quota, the agent; and what tells why something in it does not come about."""
    yield from _of(ConfigMap.api, "create")
    yield from _of(EVENT, "list", optional=True)
    if own_namespace:
        yield from _of(Namespace.api, "create get", cluster_wide=True)
        yield from _of(ResourceQuota.api, "create")


def _removal(theirs: Iterable[Right], *, own_namespace: bool) -> Iterable[Right]:
    """Looking for whatever a run may have made, and removing what these probes do make."""
    made = {(right.group, right.resource) for right in theirs if right.verb == "create"}
    made |= {_key(api) for maker, followers in _FOLLOWERS.items() if _key(KINDS[maker]) in made for api in followers}
    housed = (ConfigMap.api, ResourceQuota.api, Namespace.api) if own_namespace else (ConfigMap.api,)
    for api in KINDS.values():
        is_made = _key(api) in made or api in housed
        if api.kind not in _NOT_REMOVED and (is_made or api.namespaced or own_namespace):
            yield from _of(api, "list delete" if is_made else "list", cluster_wide=not api.namespaced)
    known = {_key(api) for api in KINDS.values()}
    for right in theirs:
        if right.verb == "create" and "/" not in right.resource and (right.group, right.resource) not in known:
            yield from (replace(right, verb=verb) for verb in ("list", "delete"))
    for source, volume, verbs in _VOLUMES:
        yield from _of(volume, f"list {verbs}" if _key(source) in made else "list", cluster_wide=True)
    yield from _of(Node.api, "get", cluster_wide=True, optional=True)


def _of(api: Api, verbs: str, *, cluster_wide: bool = False, optional: bool = False) -> tuple[Right, ...]:
    return rights(verbs, api.plural, group=_key(api)[0], cluster_wide=cluster_wide, optional=optional)


def _key(api: Api) -> tuple[str, str]:
    return ("" if api.group == CORE_GROUP else api.group), api.plural


def _in_order(found: Iterable[Right]) -> tuple[Right, ...]:
    return tuple(sorted(found, key=lambda right: (right.group, right.resource, right.verb)))
