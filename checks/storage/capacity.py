"""Does the scheduler know how much room is left on each node?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check, if_served
from auditor.facts.kube import CSIDriver, CSINode, PersistentVolumeClaim, StatefulSet, StorageClass
from auditor.facts.kube.storage import CSIStorageCapacity

from .._provisioners import driver_of
from .._wording import listed
from ._classes import WORKLOADS_WITH_VOLUMES, Need, by_need, described, no_classes, volume_classes
from ._reach import is_on_one_node, topology_keys


@check(
    "storage.capacity-tracking",
    title="The scheduler knows how much room each node has for local volumes",
    severity=Severity.HIGH,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(
        StorageClass,
        CSINode,
        CSIDriver,
        if_served(CSIStorageCapacity),
        PersistentVolumeClaim,
        StatefulSet,
    ),
)
def capacity_tracking(facts: Facts) -> Iterator[Finding]:
    """A local volume fits on one node and not on the next, and only its driver knows which.

    ## What it checks
    For each StorageClass whose CSI driver keeps volumes on a node's own disks, by the topology key that it registers or
    by its name:

    - `storageCapacity` of the CSIDriver is `true`; otherwise this is a warning, since some drivers bring a scheduler
      extension of their own;
    - where it is, the driver has published a CSIStorageCapacity for each class that waits for its first pod. A default
      class without any, or one in use, fails; any other is a warning.

    Drivers of network storage, and local-path and its like, which are no CSI drivers, are not judged.

    ## Why it matters
    Without the numbers the scheduler puts a pod where its CPU fits. If the disk there is full, the volume cannot be
    made, and the pod is tried again and again, with luck elsewhere. With `storageCapacity` set and no number published,
    every node counts as full: all pods with a new volume stay Pending.

    ## How to fix
    Set `storageCapacity` in the driver's chart, which also starts its external-provisioner with `--enable-capacity`,
    and look at what it publishes:

        kubectl get csistoragecapacities -A

    ## References
    - [Storage capacity](https://kubernetes.io/docs/concepts/storage/storage-capacity/)
    - [CSI storage capacity tracking](https://kubernetes-csi.github.io/docs/storage-capacity-tracking.html)
    - [Local volumes that all landed on one node](https://github.com/strimzi/strimzi-kafka-operator/issues/10011)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    keys = topology_keys(facts)
    tracks = {driver.name: driver.spec.storage_capacity is True for driver in facts.list(CSIDriver)}
    local = [cls for cls in classes if driver_of(cls.provisioner) in tracks and is_on_one_node(cls, keys)]
    if not local:
        yield Finding.skip(f"No CSI driver keeps the volumes of {described(classes)} on the nodes' own disks.")
        return
    if untracked := [cls for cls in local if not tracks[driver_of(cls.provisioner)]]:
        yield _untracked(untracked)
    if tracked := [cls for cls in local if cls not in untracked]:
        yield from _judge_tracked(facts, tracked)


def _untracked(classes: Sequence[StorageClass]) -> Finding:
    drivers = sorted({driver_of(cls.provisioner) for cls in classes})
    return Finding.warn(
        f"The scheduler does not know the room that {listed(drivers)} has on each node for {described(classes)} "
        "(storageCapacity of the CSIDriver is not true): a pod may be sent to a node whose disk is full.",
        subjects=[cls.subject for cls in classes],
        fix="Set storageCapacity in the driver's chart, unless it brings a scheduler extension of its own.",
        evidence={"drivers": drivers},
    )


def _judge_tracked(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[Finding]:
    published = {capacity.storage_class_name for capacity in facts.list(CSIStorageCapacity)}
    silent = [cls for cls in classes if cls.waits_for_consumer and cls.name not in published]
    if immediate := [cls for cls in classes if not cls.waits_for_consumer and cls.name not in published]:
        yield Finding.skip(
            f"Volumes of {described(immediate)} are made before their pod is scheduled, which asks for no room.",
            subjects=[cls.subject for cls in immediate],
        )
    if told := [cls for cls in classes if cls.name in published]:
        yield Finding.ok(
            f"The scheduler knows the room for volumes of {described(told)} on each node.",
            subjects=[cls.subject for cls in told],
        )
    for need, group in by_need(facts, silent):
        yield _silent(need, group)


def _silent(need: Need, classes: Sequence[StorageClass]) -> Finding:
    drivers = sorted({driver_of(cls.provisioner) for cls in classes})
    return Finding.of(
        need.status,
        f"The driver {listed(drivers)} of {described(classes, need)} has published no CSIStorageCapacity, one per node "
        "was expected: for the scheduler every node is full.",
        subjects=[cls.subject for cls in classes],
        fix="Start the driver's external-provisioner with --enable-capacity and look at its log.",
        command="kubectl get csistoragecapacities -A",
        evidence={"drivers": drivers},
    )
