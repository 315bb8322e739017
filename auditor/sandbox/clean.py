"""Removing what runs left behind: found by labels, followed to the last volume, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from auditor.cluster import ObjectError, Objects
from auditor.facts.kube import Deployment, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, StatefulSet
from auditor.facts.observations.sandbox import LeftBehind, SandboxObservations
from auditor.facts.parts import Api
from auditor.sandbox import labels
from auditor.sandbox.kinds import JOB, VOLUME_SNAPSHOT_CONTENT
from auditor.sandbox.leftovers import Leftover, leftover, node_is_gone
from auditor.sandbox.traces import (
    CLAIMS,
    VOLUMES,
    Finder,
    Trace,
    belongs_to,
    claimed,
    claims_of_sets,
    is_made_for_its_claim,
    own_namespace,
    owned_by,
    reclaim_policy,
)

__all__ = ["Leftover", "Removal", "remove_run"]

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
_GRACE_SECONDS = 1
"""Pods of probes hold nothing that is worth a longer farewell."""
_FORCE_AFTER_SECONDS = 20.0
"""A kubelet that lives has ended a pod by then; on a node that is not ready the pod is removed without it."""
_SETTLE_SECONDS = 10.0
"""A volume that was being made when its claim was removed appears within that."""
_MAKERS = (StatefulSet.api.kind, Deployment.api.kind, JOB.kind)
"""Removed before what else they would make again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of the objects of a run.

    Attributes:
        removed: how many are gone, by kind.
        left: those that are not.
        unseen: what could not be looked at, so that something may be left there: the resource, and why.
        notes: what else a reader should know.
        began_at: when the removal began.
        seconds: that it took.
    """

    removed: dict[str, int]
    left: tuple[Leftover, ...] = ()
    unseen: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0

    def observations(self, run_id: str, *, namespace: str) -> SandboxObservations:
        """What a bundle holds of it.

        Args:
            run_id: of the run.
            namespace: in which it was.
        """
        return SandboxObservations(
            started_at=self.began_at,
            took_seconds=self.seconds,
            run_id=run_id,
            namespace=namespace,
            removed=self.removed,
            left=tuple(LeftBehind(**asdict(each)) for each in self.left),
            unseen=self.unseen,
            notes=self.notes,
        )


def remove_run(
    objects: Objects,
    run_id: str,
    *,
    namespace: str = "",
    seconds: float = 180,
    dry_run: bool = False,
    pause: Callable[[float], object] = time.sleep,
) -> Removal:
    """Remove everything of one run, and wait until it is gone. What the cluster refuses is told, and raises nothing.

    Args:
        objects: the cluster's.
        run_id: of the run.
        namespace: the existing one that it used; empty: it made its own, which goes too.
        seconds: after that, what is still there counts as left.
        dry_run: remove nothing, and count what would be.
        pause: sleeps.
    """
    work = _Work(objects, run_id, namespace)
    ends = time.monotonic() + seconds
    pause_seconds = _FIRST_PAUSE_SECONDS
    found = work.look(everywhere=True)
    if dry_run:
        return work.outcome([])
    while True:
        work.remove(found)
        if work.is_done(found):
            found = work.look(everywhere=True)  # what was made meanwhile, or is of a kind that was not there before
            if work.is_settled and work.is_done(found):
                break
        if time.monotonic() >= ends:
            break
        pause(min(pause_seconds, max(0.0, ends - time.monotonic())))
        pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        found = work.look(everywhere=False)
    return work.outcome(found)


class _Work:
    """The removal of one run, as far as it has got."""

    def __init__(self, objects: Objects, run_id: str, namespace: str) -> None:
        self._objects = objects
        self._run_id = run_id
        self._finder = Finder(objects, namespace=namespace)
        self._own = "" if namespace else own_namespace(run_id)
        self._kinds: list[Api] = []
        self._seen: dict[str, Trace] = {}
        self._going_since: dict[str, float] = {}
        self._refused: dict[str, ObjectError] = {}
        self._asked: set[tuple[str, str]] = set()
        self._notes: list[str] = []
        self._settled_at = 0.0
        self._began_at, self._began = datetime.now(UTC), time.monotonic()

    @property
    def is_settled(self) -> bool:
        """Whether no volume can appear any more for a claim that is gone."""
        return time.monotonic() >= self._settled_at

    def look(self, *, everywhere: bool) -> list[Trace]:
        """What is there of the run: of all kinds, or of those that were seen before."""
        kinds = list({trace.api.id: trace.api for trace in self._seen.values() if trace.api not in VOLUMES}.values())
        if everywhere:
            self._kinds = kinds = self._kinds or self._finder.kinds()
        kinds = [api for api in kinds if api != Namespace.api]
        marked = self._finder.marked(labels.of_run(self._run_id), kinds, own_namespace=self._own)
        found = {trace.uid: trace for trace in (*self._namespaces(), *marked)}
        for trace in self._unmarked(list(found.values())):
            found.setdefault(trace.uid, trace)
        for trace in found.values():
            self._note(trace)
        for trace in self._volumes(everywhere=everywhere):
            found.setdefault(trace.uid, trace)
            self._note(trace)
        return list(found.values())

    def is_done(self, found: Iterable[Trace]) -> bool:
        """Whether waiting is in vain: nothing is there, or what is there is kept on purpose or for want of a right."""
        return all(self._is_kept(trace) or self._lacks_right(trace) for trace in found)

    def remove(self, found: Iterable[Trace]) -> None:
        """Ask for the removal of each, in the order in which they go best."""
        present = {trace.uid for trace in found}
        namespace_goes = False
        for trace in sorted(found, key=_order):
            if trace.kind == Namespace.api.kind:
                namespace_goes = trace.is_going or self._delete(trace)
            elif trace.api in VOLUMES:
                self._release(trace, present)
            elif trace.kind == Pod.api.kind:
                self._end(trace)
            elif not trace.is_going and not (namespace_goes and trace.namespace == self._own):
                self._delete(trace)

    def outcome(self, found: Iterable[Trace]) -> Removal:
        """What became of everything that was seen."""
        left = {trace.uid: trace for trace in found}
        removed: dict[str, int] = {}
        for uid, trace in self._seen.items():
            if uid not in left and self._is_ours(trace):
                removed[trace.kind] = removed.get(trace.kind, 0) + 1
        return Removal(
            removed=dict(sorted(removed.items())),
            left=tuple(
                leftover(self._objects, trace, run_id=self._run_id, refusal=self._refused.get(trace.uid))
                for trace in sorted(left.values(), key=_order)
            ),
            unseen=dict(sorted(self._finder.unseen.items())),
            notes=tuple(self._notes),
            began_at=self._began_at,
            seconds=time.monotonic() - self._began,
        )

    # Looking

    def _namespaces(self) -> list[Trace]:
        """The run's own namespace; one that is only called like it stays as it is."""
        if not self._own:
            return []
        return [trace for trace in self._finder.named(Namespace.api, self._own) if self._is_marked(trace)]

    def _unmarked(self, found: list[Trace]) -> list[Trace]:
        """Claims and snapshots without marks, made by marked objects or living in the run's own namespace."""
        makers = [
            trace
            for trace in {**self._seen, **{trace.uid: trace for trace in found}}.values()
            if trace.kind in (StatefulSet.api.kind, Pod.api.kind)
        ]
        places = {trace.namespace for trace in makers if trace.namespace}
        if any(trace.kind == Namespace.api.kind for trace in found):
            places.add(self._own)
        return [trace for place in sorted(places) for trace in self._unmarked_in(place, makers)]

    def _unmarked_in(self, place: str, makers: list[Trace]) -> list[Trace]:
        found = [trace for api in CLAIMS for trace in self._finder.in_namespace(api, place)]
        return found if place == self._own else [*claims_of_sets(makers, found), *owned_by(makers, found)]

    def _volumes(self, *, everywhere: bool) -> list[Trace]:
        """Volumes and contents of the run's claims; those only that are known already, unless looking everywhere.

        The claims of a run that is being removed name their volumes, so that the long list of all volumes is read
        twice and not every second.
        """
        claims = [trace for trace in self._seen.values() if trace.api in CLAIMS]
        if everywhere:
            every = [trace for api in VOLUMES for trace in self._finder.all(api)]
        else:
            known = {(trace.name, trace.api.id): trace.api for trace in self._seen.values() if trace.api in VOLUMES}
            known |= {(name, PersistentVolume.api.id): PersistentVolume.api for name in _volume_names(claims)}
            every = [trace for (name, _), api in sorted(known.items()) if (trace := self._finder.get(api, name))]
        return [trace for trace in every if belongs_to(trace, self._run_id, claims)]

    def _note(self, trace: Trace) -> None:
        self._seen[trace.uid] = trace
        if trace.is_going:
            self._going_since.setdefault(trace.uid, time.monotonic())
        if trace.api == PersistentVolumeClaim.api and not trace.spec.get("volumeName"):
            self._settled_at = time.monotonic() + _SETTLE_SECONDS

    # Removing

    def _release(self, trace: Trace, present: set[str]) -> None:
        """Let the driver remove a volume or content with what is behind it, marked lest a later run lose sight of it.

        A volume is not deleted here: its provisioner does that when it has removed the disk, and would leave the disk
        if the object went first. A content is, when its snapshot is gone: nothing else would begin it.
        """
        if not is_made_for_its_claim(trace):
            if self._is_marked(trace) and not trace.is_going:
                self._delete(trace)
            return
        change: dict[str, Any] = {}
        if not self._is_marked(trace):
            change["metadata"] = {"labels": labels.marks(self._run_id, expires_at=self._expiry()), "uid": trace.uid}
        if reclaim_policy(trace) == "Retain":
            key = "deletionPolicy" if trace.api == VOLUME_SNAPSHOT_CONTENT else "persistentVolumeReclaimPolicy"
            change["spec"] = {key: "Delete"}
        if change and not self._try(trace, lambda: self._objects.patch(trace.api, trace.name, change)):
            return
        is_orphan = trace.api == VOLUME_SNAPSHOT_CONTENT and claimed(trace).get("uid") not in present
        if is_orphan and not trace.is_going:
            self._delete(trace)

    def _end(self, trace: Trace) -> None:
        """End a pod; on a node that is not ready, remove it without waiting for the kubelet."""
        waited_seconds = time.monotonic() - self._going_since.get(trace.uid, time.monotonic())
        if waited_seconds >= _FORCE_AFTER_SECONDS and node_is_gone(self._objects, trace):
            if self._once(trace, "forced") and self._delete(trace, grace_seconds=0):
                self._notes.append(
                    f"Pod {trace.namespace}/{trace.name} was removed without its node {trace.spec['nodeName']}, "
                    "which is not ready: what still runs of it ends when the node is back, or with it."
                )
        elif not trace.is_going or (_is_slow(trace) and self._once(trace, "hurried")):
            self._delete(trace, grace_seconds=_GRACE_SECONDS)

    def _once(self, trace: Trace, what: str) -> bool:
        first = (trace.uid, what) not in self._asked
        self._asked.add((trace.uid, what))
        return first

    def _delete(self, trace: Trace, *, grace_seconds: int | None = None) -> bool:
        return self._try(
            trace,
            lambda: self._objects.delete(
                trace.api, trace.name, namespace=trace.namespace, grace_seconds=grace_seconds, uid=trace.uid
            ),
        )

    def _try(self, trace: Trace, request: Callable[[], object]) -> bool:
        try:
            request()
        except ObjectError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):  # gone, or another by now
                self._refused[trace.uid] = error
            return False
        self._refused.pop(trace.uid, None)
        return True

    def _expiry(self) -> datetime:
        expiries = (labels.expiry(trace.labels) for trace in self._seen.values())
        return max((expiry for expiry in expiries if expiry), default=datetime.now(UTC))

    # Telling

    def _is_ours(self, trace: Trace) -> bool:
        """Whether it is to be removed: not a volume that was there before, and that a claim of ours was bound to."""
        return trace.api not in VOLUMES or is_made_for_its_claim(trace) or self._is_marked(trace)

    def _is_marked(self, trace: Trace) -> bool:
        return trace.labels.get(labels.RUN) == self._run_id

    def _is_kept(self, trace: Trace) -> bool:
        """Whether nothing will remove it: somebody made it before, to be kept."""
        return not self._is_ours(trace) and reclaim_policy(trace) == "Retain"

    def _lacks_right(self, trace: Trace) -> bool:
        refusal = self._refused.get(trace.uid)
        return refusal is not None and refusal.missing_permission is not None


def _order(trace: Trace) -> tuple[int, str, str, str]:
    """Volumes are told to go with their claims before the claims do.

    Pods go before their makers and their namespace, which would give them all the time that their spec names; once a
    kubelet has begun to wait, it does not always let itself be hurried.
    """
    if trace.api in VOLUMES:
        rank = 0
    elif trace.kind == Pod.api.kind:
        rank = 1
    elif trace.kind == Namespace.api.kind:
        rank = 2
    else:
        rank = 3 if trace.kind in _MAKERS else 4
    return rank, trace.kind, trace.namespace or "", trace.name


def _is_slow(pod: Trace) -> bool:
    """Whether a pod that is ending takes longer than it may."""
    return int(pod.metadata.get("deletionGracePeriodSeconds") or 0) > _GRACE_SECONDS


def _volume_names(claims: Iterable[Trace]) -> set[str]:
    return {
        name for claim in claims if claim.api == PersistentVolumeClaim.api and (name := claim.spec.get("volumeName"))
    }
