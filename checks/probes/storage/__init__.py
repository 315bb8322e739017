"""Volumes of the classes that matter: claimed, written, grown, changed, copied, moved, shared, measured, deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import Manifest
from auditor.facts.kube import Node
from auditor.facts.observations import Step
from auditor.facts.observations import storage as names
from auditor.facts.observations.storage import ClassObservation, DiskSpeed, StorageObservations
from auditor.sandbox import Sandbox
from auditor.sandbox.agent_pods import run
from auditor.sandbox.kinds import VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CLASS
from auditor.sandbox.scope import Scope

from . import _objects as objects
from ._burst import burst
from ._burst import manifests as burst_manifests
from ._choice import Chosen, choose, nodes_for_pods
from ._copies import Copy, attributes_classes, modify
from ._life import Life
from ._shared import share
from ._steps import Detail, Steps

LIVES_AT_ONCE = 3
_PODS_PER_LIFE = 2

_VOLUMES_PER_LIFE = 6
"""Of the size asked for: one, as much again when it has grown, twice that restored, one changed, one shared."""

_LIFE_SECONDS = 60.0
_BURST_SECONDS = 30.0
_MEASUREMENTS = 3
_DISK_SPARE_SECONDS = 180.0
"""For fio to lay out its file and to end, on a slow disk."""

_MOUNTED_NEEDED = (names.DISK, names.EXPAND, names.MODIFY, names.SNAPSHOT, names.RESTORE, names.MOVE)

_OTHER = "storage-changed"


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """The claims and pods of all classes, and the burst."""
    chosen, left_out = choose(scope)
    nodes = nodes_for_pods(sandbox, scope)
    planned: list[Planned] = []
    for each in chosen:
        if each.is_made_by_hand:
            planned += [Planned(manifest=manifest) for manifest in _shared_manifests(sandbox, each, nodes)]
        else:
            planned += _planned(sandbox, scope, each, nodes)
    if scope.options.disk_seconds:
        planned.append(Planned(manifest=_node_disk_pod(sandbox, scope)))
    claims, first = _burst_claims(sandbox, scope, chosen), _first(chosen)
    if claims and first:
        planned += [Planned(manifest=each, count=claims) for each in burst_manifests(sandbox, first, claims)[0]]
    rounds = -(-len(chosen) // LIVES_AT_ONCE)
    disk = _MEASUREMENTS * scope.options.disk_seconds
    return ProbePlan(
        objects=tuple(planned),
        pods_at_once=max(_PODS_PER_LIFE * min(len(chosen), LIVES_AT_ONCE), claims, 1),
        storage_bytes=sum(_VOLUMES_PER_LIFE * each.bytes for each in chosen) + (claims * first.bytes if first else 0),
        seconds=rounds * _LIFE_SECONDS + (len(chosen) + 1) * disk + (_BURST_SECONDS if claims else 0.0),
        notes=tuple(f"StorageClass {name} is left out: {reason}." for name, reason in left_out.items()),
    )


@probe(
    "storage",
    title="What becomes of volumes: made, mounted, grown, changed, copied, moved, shared, deleted, and how fast",
    yields=StorageObservations,
    needs=(
        *rights("create get patch delete", "persistentvolumeclaims"),
        *rights("create get delete", "pods"),
        *rights("get", "pods/log"),
        *rights("list", "events", optional=True),
        *rights("get", "persistentvolumes", cluster_wide=True, optional=True),
        *rights("create get delete", VOLUME_SNAPSHOT.plural, group=VOLUME_SNAPSHOT.group, optional=True),
        *rights("list", VOLUME_SNAPSHOT_CLASS.plural, group=VOLUME_SNAPSHOT.group, cluster_wide=True, optional=True),
        *rights("list", "volumeattributesclasses", group="storage.k8s.io", cluster_wide=True, optional=True),
    ),
    plan=plan,
)
def storage(sandbox: Sandbox, scope: Scope) -> StorageObservations:
    """Lead volumes of each class through their life, a few classes side by side; speed is measured alone."""
    started_at, started = datetime.now(UTC), time.monotonic()
    chosen, left_out = choose(scope)
    measuring = threading.Lock()
    nodes = nodes_for_pods(sandbox, scope)
    with ThreadPoolExecutor(LIVES_AT_ONCE) as pool:
        futures = {each.cls.name: pool.submit(_Course(sandbox, scope, each, nodes, measuring).run) for each in chosen}
        try:
            lives = {name: future.result() for name, future in futures.items()}
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    node_disk, node_step = _node_disk(sandbox, scope) if scope.options.disk_seconds else (None, None)
    claims, first = _burst_claims(sandbox, scope, chosen), _first(chosen)
    works = first is not None and _is_mounted(lives[first.cls.name])
    return StorageObservations(
        classes=lives,
        left_out=left_out,
        node_disk=node_disk,
        node_disk_step=node_step,
        burst=burst(sandbox, first, claims) if claims and first and works else None,
        started_at=started_at,
        took_seconds=time.monotonic() - started,
    )


class _Course:
    """The steps of one class, in their order."""

    def __init__(
        self, sandbox: Sandbox, scope: Scope, chosen: Chosen, nodes: Sequence[Node], measuring: threading.Lock
    ) -> None:
        self._sandbox = sandbox
        self._scope = scope
        self._chosen = chosen
        self._nodes = nodes
        self._measuring = measuring
        self._life = Life(sandbox, chosen, nodes)
        self._steps = Steps()
        self._disk: DiskSpeed | None = None

    def run(self) -> ClassObservation:
        """All steps that can be taken."""
        if not self._chosen.is_made_by_hand:
            self._live()
        self._steps.take(names.SHARE, lambda detail: share(self._life, detail))
        cls = self._chosen.cls
        return ClassObservation(
            provisioner=cls.provisioner,
            is_default=cls.is_default,
            is_used=self._chosen.is_used,
            allows_expansion=cls.allow_volume_expansion,
            bytes=self._chosen.bytes,
            steps=tuple(self._steps.taken),
            disk=self._disk,
        )

    def _live(self) -> None:
        life, steps = self._life, self._steps
        for name, step in ((names.BIND, life.bind), (names.MOUNT, life.mount), (names.WRITE, life.write)):
            if not steps.take(name, step, optional=False):
                later = (names.MOUNT, names.WRITE)[(names.BIND, names.MOUNT, names.WRITE).index(name) :]
                steps.leave_after(name, (*later, *_MOUNTED_NEEDED))
                life.let_go()
                break
        else:
            if self._scope.options.disk_seconds:
                steps.take(names.DISK, self._measure)
            steps.take(names.EXPAND, life.expand)
            steps.take(names.MODIFY, self._modify)
            self._copy()
            steps.take(names.MOVE, life.move)
        if life.is_bound:
            steps.take(names.DELETE, life.delete)
        else:
            steps.leave_after(names.BIND, (names.DELETE,))

    def _measure(self, detail: Detail) -> float:
        with self._measuring:
            since = time.monotonic()
            pod = objects.measurer(
                self._sandbox,
                self._life.name("disk"),
                claim_name=self._life.claim_name,
                node=self._life.node,
                seconds=self._scope.options.disk_seconds,
            )
            self._disk = _measured(self._sandbox, self._scope, pod)
            seconds = time.monotonic() - since
        detail["file_bytes"] = self._disk.file_bytes
        return seconds

    def _modify(self, detail: Detail) -> None:
        found = attributes_classes(self._life, self._scope)
        other = Life(self._sandbox, self._chosen, self._nodes)
        other.claim_name, other.pod_name = other.name("changed"), other.name("changer")
        try:
            modify(other, found, detail)
        finally:
            other.let_go()

    def _copy(self) -> None:
        copy, steps = Copy(self._life, self._scope), self._steps
        if steps.take(names.SNAPSHOT, copy.take):
            steps.take(names.RESTORE, copy.restore)
        else:
            steps.leave_after(names.SNAPSHOT, (names.RESTORE,))
        copy.let_go()


def _measured(sandbox: Sandbox, scope: Scope, pod: Manifest) -> DiskSpeed:
    seconds = _MEASUREMENTS * scope.options.disk_seconds + _DISK_SPARE_SECONDS
    [figures] = run(sandbox, pod, seconds=seconds)
    return msgspec.convert(figures, DiskSpeed)


def _node_disk(sandbox: Sandbox, scope: Scope) -> tuple[DiskSpeed | None, Step]:
    """The speed of an emptyDir, on a node of the scheduler's choice."""
    steps, found = Steps(), []

    def measure(_detail: Detail) -> None:
        found.append(_measured(sandbox, scope, _node_disk_pod(sandbox, scope)))

    steps.take(names.DISK, measure)
    return (found[0] if found else None), steps.taken[0]


def _node_disk_pod(sandbox: Sandbox, scope: Scope) -> Manifest:
    name = sandbox.name("storage-node-disk")
    return objects.measurer(sandbox, name, claim_name="", node=None, seconds=scope.options.disk_seconds)


def _is_mounted(observation: ClassObservation) -> bool:
    return any(step.name == names.WRITE and step.state == "ok" for step in observation.steps)


def _first(chosen: Sequence[Chosen]) -> Chosen | None:
    """The class of the burst: the default where it is proved."""
    return next((each for each in chosen if not each.is_made_by_hand), None)


def _burst_claims(sandbox: Sandbox, scope: Scope, chosen: Sequence[Chosen]) -> int:
    if _first(chosen) is None:
        return 0
    return max(0, min(scope.options.burst_claims, sandbox.settings.pods_at_once))


def _planned(sandbox: Sandbox, scope: Scope, chosen: Chosen, nodes: Sequence[Node]) -> list[Planned]:
    """What the life of one class may create."""
    life = Life(sandbox, chosen, nodes)
    claim, pod = life.manifests()
    planned = [Planned(manifest=claim, count=3), Planned(manifest=pod, count=4)]
    if scope.options.disk_seconds:
        seconds = scope.options.disk_seconds
        disk = objects.measurer(sandbox, life.name("disk"), claim_name=life.claim_name, node=None, seconds=seconds)
        planned.append(Planned(manifest=disk))
    version = scope.versions.get(VOLUME_SNAPSHOT.id)
    if version:
        snapshot = objects.snapshot_of(
            sandbox, life.name("snapshot"), claim_name=life.claim_name, snapshot_class="", version=version
        )
        planned.append(Planned(manifest=snapshot))
    return [*planned, *(Planned(manifest=each) for each in _shared_manifests(sandbox, chosen, nodes))]


def _shared_manifests(sandbox: Sandbox, chosen: Chosen, nodes: Sequence[Node]) -> list[Manifest]:
    if not chosen.is_shared or len(nodes) < 2:
        return []
    life = Life(sandbox, chosen, nodes)
    name = life.name("shared")
    claim = objects.claim(sandbox, chosen.cls, name, size_bytes=chosen.bytes, shared=True)
    pods = [
        objects.sharer(sandbox, life.name(role), name, role=role, node=node.name, seconds=0.0)
        for role, node in zip(("first", "second"), nodes, strict=False)
    ]
    return [claim, *pods]
