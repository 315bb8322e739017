"""What runs left on a cluster: found by their marks in everything that is served, and by the claims of volumes."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from auditor.cluster import Manifest, ObjectError, Objects
from auditor.facts.kube import PersistentVolume, PersistentVolumeClaim, StatefulSet
from auditor.facts.parts import Api
from auditor.sandbox import labels
from auditor.sandbox.kinds import KINDS, VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CONTENT
from auditor.sandbox.served import removable_kinds

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"

NAMESPACE_PREFIX = "auditor-"
"""Of the namespaces that runs make; the run's id follows."""

CLAIMS = (PersistentVolumeClaim.api, VOLUME_SNAPSHOT)
"""What volumes and contents are made for."""
VOLUMES = (PersistentVolume.api, VOLUME_SNAPSHOT_CONTENT)
"""What is made for claims and snapshots, and carries no label of theirs."""

_NEVER_OURS = frozenset({"Node", "Event", "Secret"})
"""Kinds that no run creates. There may be very many events, and Secrets are never asked for."""
_LISTS_AT_ONCE = 8
_UNKNOWN_KIND_SECONDS = 5.0
"""What the sandbox does not know by itself may be served by something that is broken: it is not waited for long."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trace:
    """An object of a run, as it was last seen.

    Attributes:
        api: where its kind is served.
        manifest: the object.
    """

    api: Api
    manifest: Manifest

    @property
    def metadata(self) -> dict[str, Any]:
        """The object's own."""
        found: dict[str, Any] = self.manifest["metadata"]
        return found

    @property
    def kind(self) -> str:
        """Of the object."""
        return self.api.kind

    @property
    def name(self) -> str:
        """Of the object."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str | None:
        """None where the kind has none."""
        return self.metadata.get("namespace") or None

    @property
    def uid(self) -> str:
        """What tells it from another of the same name."""
        return str(self.metadata.get("uid", ""))

    @property
    def labels(self) -> dict[str, str]:
        """Of the object."""
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> dict[str, str]:
        """Of the object."""
        return self.metadata.get("annotations") or {}

    @property
    def is_going(self) -> bool:
        """Whether its deletion has begun."""
        return "deletionTimestamp" in self.metadata

    @property
    def spec(self) -> dict[str, Any]:
        """Of the object."""
        return self.manifest.get("spec") or {}

    @property
    def status(self) -> dict[str, Any]:
        """Of the object."""
        return self.manifest.get("status") or {}


class Finder:
    """Looks for what runs left, as far as the account may.

    Attributes:
        unseen: what could not be looked at, and why; by the resource.

    Args:
        objects: the cluster's.
        namespace: the only one to look in; empty: all, or where the account may not, those that are asked for.
    """

    def __init__(self, objects: Objects, *, namespace: str = "") -> None:
        self.objects = objects
        self.unseen: dict[str, str] = {}
        self._namespace = namespace
        self._quick = Objects(objects.server, deadline_seconds=_UNKNOWN_KIND_SECONDS)
        self._confined: set[str] = set()
        self._lock = threading.Lock()

    def kinds(self) -> list[Api]:
        """Every kind of object that can be listed and removed; those that the sandbox knows, on older servers."""
        found = {api.id: api for api in KINDS.values()}
        for served in removable_kinds(self.objects.server):
            known = found.setdefault(served.id, served)
            if served.versions[0] not in known.versions[:1]:
                found[served.id] = replace(known, versions=served.versions)
        return [api for api in found.values() if api.kind not in _NEVER_OURS]

    def marked(self, selector: str, apis: Iterable[Api], *, own_namespace: str = "") -> list[Trace]:
        """The objects of these kinds that a selector of :mod:`auditor.sandbox.labels` selects.

        Args:
            selector: of labels.
            apis: the kinds.
            own_namespace: to look in where the account may not look in all.
        """
        with ThreadPoolExecutor(_LISTS_AT_ONCE) as pool:
            lists = pool.map(lambda api: self.all(api, labels=selector, own_namespace=own_namespace), apis)
            return [trace for found in lists for trace in found]

    def all(self, api: Api, *, labels: str = "", own_namespace: str = "") -> list[Trace]:
        """The objects of one kind; none, and a note of it, where they cannot be had."""
        try:
            found = self._listed(api, labels, own_namespace)
        except ObjectError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                self._note(api, error)
            return []
        with self._lock:
            self.unseen.pop(api.plural, None)
        return [Trace(api, manifest) for manifest in found]

    def get(self, api: Api, name: str) -> Trace | None:
        """One object of a kind without namespaces; None where it is not there or may not be read."""
        try:
            found = self.objects.get(api, name)
        except ObjectError as error:
            self._note(api, error)
            return None
        return None if found is None else Trace(api, found)

    def named(self, api: Api, name: str) -> list[Trace]:
        """The object of a name, of a kind without namespaces, for accounts that may either get or list."""
        try:
            found = self.objects.get(api, name)
        except ObjectError as error:
            if not error.missing_permission:
                self._note(api, error)
                return []
            return [trace for trace in self.all(api) if trace.name == name]
        return [] if found is None else [Trace(api, found)]

    def in_namespace(self, api: Api, namespace: str) -> list[Trace]:
        """The objects of one kind in one namespace, whatever their labels; none where they cannot be had."""
        try:
            return [Trace(api, each) for each in self.objects.list(api, namespace=namespace)]
        except ObjectError as error:
            log.debug("%s", error)  # the list of the marked says it
            return []

    def _listed(self, api: Api, selector: str, own_namespace: str) -> list[Manifest]:
        objects = self.objects if api.kind in KINDS else self._quick
        if not api.namespaced:
            return objects.list(api, labels=selector)
        if self._namespace:
            return objects.list(api, namespace=self._namespace, labels=selector)
        if not (own_namespace and api.id in self._confined):
            try:
                return objects.list(api, labels=selector)
            except ObjectError as error:
                if not (own_namespace and error.missing_permission):
                    raise
                self._confined.add(api.id)
        return objects.list(api, namespace=own_namespace, labels=selector)

    def _note(self, api: Api, error: ObjectError) -> None:
        is_elsewhere = self._namespace and not api.namespaced and api not in VOLUMES
        if api.kind not in KINDS or is_elsewhere:  # no probe creates it, nor an account that is kept to a namespace
            log.debug("%s", error)
            return
        lacks = error.missing_permission
        with self._lock:
            self.unseen[api.plural] = f"the account may not {lacks}" if lacks else str(error)


def own_namespace(run_id: str) -> str:
    """The namespace that a run makes for itself, where it is not given one."""
    return f"{NAMESPACE_PREFIX}{run_id}"


def claimed(trace: Trace) -> dict[str, str]:
    """The claim of a volume, or the snapshot of a snapshot's content: namespace, name, uid."""
    key = "claimRef" if trace.kind == PersistentVolume.api.kind else "volumeSnapshotRef"
    return trace.spec.get(key) or {}


def belongs_to(trace: Trace, run_id: str, claims: Iterable[Trace] = ()) -> bool:
    """Whether a volume, or a snapshot's content, was made for a run or is used by it.

    Args:
        trace: of the volume or content.
        run_id: of the run.
        claims: its claims and snapshots, as far as they are known.
    """
    reference = claimed(trace)
    return (
        trace.labels.get(labels.RUN) == run_id
        or reference.get("namespace") == own_namespace(run_id)
        or run_id in reference.get("name", "").split("-")
        or any(reference.get("uid") == claim.uid for claim in claims)
    )


def reclaim_policy(trace: Trace) -> str:
    """What becomes of a volume or content when its claim or snapshot is gone: ``Delete`` or ``Retain``."""
    policy = "deletionPolicy" if trace.api == VOLUME_SNAPSHOT_CONTENT else "persistentVolumeReclaimPolicy"
    return str(trace.spec.get(policy, ""))


def is_made_for_its_claim(trace: Trace) -> bool:
    """Whether a volume or content was made on demand, and not by somebody who may want to keep it.

    A volume that was there before is bound by the controller, which notes that; one that is made on demand comes with
    its claim already entered. Provisioners of local disks put their name on volumes that nobody has asked for yet.
    """
    if trace.kind == VOLUME_SNAPSHOT_CONTENT.kind:
        return bool((trace.spec.get("source") or {}).get("volumeHandle"))
    return PROVISIONED_BY in trace.annotations and BOUND_BY_CONTROLLER not in trace.annotations


def claims_of_sets(sets: Iterable[Trace], claims: Iterable[Trace]) -> list[Trace]:
    """The claims that StatefulSets made of their templates, told by their names."""
    patterns = [
        (each.namespace, re.compile(rf"{re.escape(template['metadata']['name'])}-{re.escape(each.name)}-\d+"))
        for each in sets
        if each.kind == StatefulSet.api.kind
        for template in each.spec.get("volumeClaimTemplates") or ()
    ]
    return [
        claim
        for claim in claims
        if any(claim.namespace == namespace and pattern.fullmatch(claim.name) for namespace, pattern in patterns)
    ]


def owned_by(owners: Iterable[Trace], traces: Iterable[Trace]) -> list[Trace]:
    """The objects that name one of these as their owner."""
    uids = {owner.uid for owner in owners}
    return [
        trace
        for trace in traces
        if any(reference.get("uid") in uids for reference in trace.metadata.get("ownerReferences") or ())
    ]
