"""Can snapshots be taken?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Status, check, if_served, threshold
from auditor.facts.kube import Deployment, Node, PersistentVolumeClaim, StatefulSet, StorageClass
from auditor.facts.kube.snapshot import VolumeSnapshot, VolumeSnapshotClass
from auditor.facts.times import age_at_collection

from .._provisioners import MIGRATED_TO, TAKES_SNAPSHOTS, WITHOUT_SNAPSHOTS, driver_of, matches
from .._wording import counted, examples, full_name, full_names, listed
from ._ages import ageless, by_age
from ._classes import Need, by_need, described, no_classes, volume_classes

_CONTROLLER = re.compile(r"(^|[/-])snapshot-controller(?=$|[:@])")
"""The name of a container, or its image: vendors mirror the image under longer names, and OpenShift under none."""

_EKS_KUBELET = "-eks-"


class SnapshotParameters(Parameters, frozen=True, kw_only=True):
    """How long a snapshot may wait."""

    unbound_minutes: Annotated[
        int,
        threshold(
            "Minutes after which a VolumeSnapshot that no snapshot-controller has bound counts as stuck.",
            source="No upstream number; the controller binds within seconds, before the storage does its part.",
            ge=1,
        ),
    ] = 10


@check(
    "storage.volume-snapshots",
    title="Snapshots can be taken of every data volume",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(
        StorageClass,
        if_served(VolumeSnapshotClass),
        if_served(VolumeSnapshot),
        Deployment,
        StatefulSet,
        Node,
        PersistentVolumeClaim,
    ),
    aliases=("STO-014",),
)
def volume_snapshots(facts: Facts, params: SnapshotParameters) -> Iterator[Finding]:
    """Backups of volumes start from snapshots, and these need three parts that are installed apart from each other.

    ## What it checks
    - The API `snapshot.storage.k8s.io` is served, and a VolumeSnapshotClass names the driver of each StorageClass.
      Without either, a default class or one in use fails if its driver is known to take snapshots, and any other is a
      warning. Provisioners that cannot take snapshots (local-path, EFS, hand-made volumes …) are left out. A class
      with an in-tree name (`kubernetes.io/aws-ebs` …) is judged as one without: its volumes are no CSI volumes.
    - Exactly one Deployment or StatefulSet runs the snapshot-controller; replicas of one count as one, since they elect
      a leader. Managed control planes (GKE, AKS, DigitalOcean …) run it out of sight: where no workload runs it and
      no snapshot shows that it works, that is said and not judged. Where the control plane is among the nodes, and on
      EKS, where it is an add-on, its absence is a warning.
    - No VolumeSnapshot waits for its controller longer than `unbound_minutes`, and none reports an error (a warning).

    That a snapshot can be restored is proved by a probe.

    ## Why it matters
    Velero and its like fall back to copying files, pod by pod, or fail. A snapshot that nobody binds stays there
    without an error, so that the backup is found to be empty on the day it is needed. Two controllers work on the same
    objects and take each other's place.

    ## How to fix
    Install the CRDs and one snapshot-controller from the external-snapshotter project, or the vendor's add-on (EKS:
    `snapshot-controller`), then create a VolumeSnapshotClass per driver:

        kubectl get volumesnapshotclasses
        kubectl get deployments -A | grep snapshot-controller

    ## References
    - [Volume snapshots](https://kubernetes.io/docs/concepts/storage/volume-snapshots/)
    - [external-snapshotter: one controller per cluster](https://github.com/kubernetes-csi/external-snapshotter#usage)
    - [Snapshot controller](https://kubernetes-csi.github.io/docs/snapshot-controller.html)
    - [EKS add-on: CSI snapshot controller](https://docs.aws.amazon.com/eks/latest/userguide/csi-snapshot-controller.html)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    unable = [cls for cls in classes if matches(cls.provisioner, WITHOUT_SNAPSHOTS)]
    if unable:
        yield Finding.skip(
            f"Snapshots of {described(unable)} cannot be taken: the provisioner has none.",
            subjects=[cls.subject for cls in unable],
        )
    able = [cls for cls in classes if cls not in unable]
    if not able:
        return
    yield from _judge_snapshots(facts, params)
    if not (facts.served(VolumeSnapshotClass) and facts.served(VolumeSnapshot)):
        yield from _not_served(facts, able)
        return
    yield from _judge_controllers(facts)
    in_tree = [cls for cls in able if cls.provisioner in MIGRATED_TO]
    yield from _in_tree(facts, in_tree)
    drivers = {snapshot_class.driver for snapshot_class in facts.list(VolumeSnapshotClass)}
    rest = [cls for cls in able if cls not in in_tree]
    if covered := [cls for cls in rest if cls.provisioner in drivers]:
        yield Finding.ok(
            f"Snapshots of {described(covered)} have a VolumeSnapshotClass.",
            subjects=[cls.subject for cls in covered],
        )
    yield from _without_class(facts, [cls for cls in rest if cls not in covered])


def _by_need_and_ability(
    facts: Facts, classes: Sequence[StorageClass]
) -> Iterator[tuple[Status, Need, list[StorageClass]]]:
    """The classes by need; a driver that is not known to take snapshots comes to a warning at most."""
    for need, group in by_need(facts, classes):
        known = [cls for cls in group if matches(cls.provisioner, TAKES_SNAPSHOTS)]
        if known:
            yield need.status, need, known
        if others := [cls for cls in group if cls not in known]:
            yield Status.WARN, need, others


def _not_served(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[Finding]:
    for status, need, group in _by_need_and_ability(facts, classes):
        yield Finding.of(
            status,
            "The API server does not serve VolumeSnapshots (the CRDs of snapshot.storage.k8s.io are not installed, or "
            f"not all of them): no snapshot of volumes of {described(group, need)} can be taken.",
            subjects=[cls.subject for cls in group],
            fix="Install the CRDs and the snapshot-controller of external-snapshotter, or the vendor's add-on.",
        )


def _in_tree(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[Finding]:
    """Volumes made under an in-tree name are of the in-tree type; the snapshot-controller takes CSI volumes only."""
    for need, group in by_need(facts, classes):
        drivers = sorted({driver_of(cls.provisioner) for cls in group})
        yield Finding.of(
            need.status,
            f"Snapshots of {described(group, need)} cannot be taken, since volumes made under an in-tree name are no "
            f"CSI volumes; a class that names {listed(drivers)} was expected.",
            subjects=[cls.subject for cls in group],
            fix=f"Create a class whose provisioner is {listed(drivers)}, and let new claims name it.",
            evidence=examples({cls.name: {"provisioner": cls.provisioner} for cls in group}),
        )


def _without_class(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[Finding]:
    for status, need, group in _by_need_and_ability(facts, classes):
        names = sorted({driver_of(cls.provisioner) for cls in group})
        yield Finding.of(
            status,
            f"No VolumeSnapshotClass names the driver {listed(names)} of {described(group, need)}, one was expected: "
            "no snapshot of its volumes can be taken.",
            subjects=[cls.subject for cls in group],
            fix="Create a VolumeSnapshotClass for the driver, or plan backups without snapshots if it has none.",
            evidence={"drivers": names},
        )


def _judge_snapshots(facts: Facts, params: SnapshotParameters) -> Iterator[Finding]:
    wanted = sorted((s for s in facts.list(VolumeSnapshot) if s.metadata.deletion_timestamp is None), key=full_name)
    yield from _judge_waiting(facts, [s for s in wanted if not s.is_bound and not _error(s)], params)
    if failed := [s for s in wanted if _error(s)]:
        yield Finding.warn(
            f"{counted(len(failed), 'VolumeSnapshot')} could not be taken ({full_names(failed)}).",
            subjects=[s.subject for s in failed],
            fix="Look at the error of each; delete snapshots that nobody needs any more.",
            command=f"kubectl describe volumesnapshot -n {failed[0].namespace} {failed[0].name}",
            evidence=examples({full_name(s): _error(s) for s in failed}),
        )


def _judge_waiting(facts: Facts, snapshots: Sequence[VolumeSnapshot], params: SnapshotParameters) -> Iterator[Finding]:
    """Snapshots of which no controller has said anything."""
    limit = timedelta(minutes=params.unbound_minutes)
    aged = by_age(((s, age_at_collection(facts, s.metadata.creation_timestamp)) for s in snapshots), limit)
    if aged.old:
        yield Finding.fail(
            f"No snapshot-controller has bound {counted(len(aged.old), 'VolumeSnapshot')} for more than "
            f"{counted(params.unbound_minutes, 'minute')} ({full_names(aged.old)}), seconds were expected.",
            subjects=[s.subject for s in aged.old],
            fix="Install the snapshot-controller, or look at its log.",
            command=f"kubectl describe volumesnapshot -n {aged.old[0].namespace} {aged.old[0].name}",
            evidence=examples({full_name(s): {"created": s.metadata.creation_timestamp} for s in aged.old}),
        )
    if aged.ageless:
        yield ageless("waited for a snapshot-controller", aged.ageless)


def _error(snapshot: VolumeSnapshot) -> str:
    """What a snapshot that cannot be used says of the reason; nothing where it reports no error."""
    status = snapshot.status
    if status is None or status.error is None or status.ready_to_use:
        return ""
    return status.error.message or "an error without a message"


def _judge_controllers(facts: Facts) -> Iterator[Finding]:
    workloads: list[Deployment | StatefulSet] = [*facts.list(Deployment), *facts.list(StatefulSet)]
    running = sorted((w for w in workloads if w.replicas > 0 and _runs_controller(w)), key=full_name)
    if len(running) > 1:
        yield Finding.warn(
            f"{len(running)} workloads run a snapshot-controller ({full_names(running)}), one was expected.",
            subjects=[workload.subject for workload in running],
            fix="Keep the one of the cluster's vendor or of external-snapshotter and remove the others.",
        )
    elif running and not running[0].status.ready_replicas:
        yield Finding.fail(
            f"The snapshot-controller {full_name(running[0])} has no ready replica: no snapshot is bound.",
            subjects=[running[0].subject],
            fix="Look at the events and the log of its pods.",
            command=f"kubectl describe {running[0].api.kind.lower()} -n {running[0].namespace} {running[0].name}",
        )
    elif running:
        yield Finding.ok(
            f"{running[0].api.kind} {full_name(running[0])} runs the only snapshot-controller.",
            subjects=[running[0].subject],
        )
    else:
        yield _out_of_sight(facts)


def _runs_controller(workload: Deployment | StatefulSet) -> bool:
    return any(
        _CONTROLLER.search(container.name) or _CONTROLLER.search(container.image or "")
        for container in workload.spec.template.spec.containers
    )


def _out_of_sight(facts: Facts) -> Finding:
    """No workload runs a controller: what else tells of one."""
    if bound := [snapshot for snapshot in facts.list(VolumeSnapshot) if snapshot.is_bound]:
        return Finding.ok(
            f"A snapshot-controller works out of sight: {counted(len(bound), 'VolumeSnapshot')} bound by it, "
            "and no workload of the cluster runs one."
        )
    fix = "Install the snapshot-controller of external-snapshotter, or the vendor's add-on."
    if any(node.is_control_plane for node in facts.list(Node)):
        return Finding.warn(
            "No Deployment and no StatefulSet runs a snapshot-controller, although the control plane is among the "
            "nodes, one was expected: a VolumeSnapshot waits for ever.",
            fix=fix,
        )
    if any(_EKS_KUBELET in node.status.node_info.kubelet_version for node in facts.list(Node)):
        return Finding.warn(
            "No Deployment and no StatefulSet runs a snapshot-controller, which EKS has as an add-on only, "
            "one was expected: a VolumeSnapshot waits for ever.",
            fix=fix,
        )
    return Finding.skip(
        "No workload of the cluster runs a snapshot-controller, and no snapshot shows that one works: the control "
        "plane is out of sight and may run it (GKE, AKS and others do); taking a snapshot tells."
    )
