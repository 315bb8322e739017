"""Is there a class whose volumes outlive their claims?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import PersistentVolume, StorageClass

from .._provisioners import NO_PROVISIONER
from .._wording import examples
from ._classes import create_copy, described, is_shared, no_classes, volume_classes

RETAIN = "Retain"


@check(
    "storage.retain-class",
    title="A StorageClass keeps volumes whose claims were deleted",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA, Workload.HDFS, Workload.DATA_FABRIC),
    reads=(StorageClass, PersistentVolume),
    aliases=("STO-005",),
)
def retain_class(facts: Facts) -> Iterator[Finding]:
    """Data that must survive the deletion of a namespace needs volumes that are kept without their claims.

    ## What it checks
    At least one StorageClass that hands out block or local volumes has `reclaimPolicy: Retain`; an unset policy means
    `Delete`. A class without a provisioner counts when all of its volumes, which are made by hand, carry the policy
    `Retain`. Shared file systems and object stores do not count.

    Where there is none this is a warning: the policy of a single volume can be changed at any time, but somebody has to
    think of it for each.

    ## Why it matters
    With `Delete`, the disk goes when its claim goes: with a namespace deleted by mistake, with an operator's custom
    resource, with a StatefulSet whose claims are not retained. All replicas go in the same minute, so replication does
    not help. Strimzi's recovery from the loss of a namespace starts from volumes that were retained.

    ## How to fix
    The policy of a class cannot be changed. Create one beside it with `reclaimPolicy: Retain` and name it in the
    storage section of Kafka and HDFS; for volumes that exist:

        kubectl patch persistentvolume NAME --patch '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}'

    Retained volumes are paid for until somebody deletes them: watch volumes in the phase Released.

    ## References
    - [Reclaim policy](https://kubernetes.io/docs/concepts/storage/storage-classes/#reclaim-policy)
    - [Change the reclaim policy of a volume](https://kubernetes.io/docs/tasks/administer-cluster/change-pv-reclaim-policy/)
    - [Strimzi: cluster recovery from persistent volumes](https://strimzi.io/docs/operators/latest/deploying#cluster-recovery_str)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    disks = [cls for cls in classes if not is_shared(cls)]
    if keeping := [cls for cls in disks if cls.reclaim_policy == RETAIN]:
        yield _kept(f"Volumes of {described(keeping)} are kept when their claims are deleted.", keeping)
        return
    if hand_made := _kept_by_hand(facts, [cls for cls in disks if cls.provisioner == NO_PROVISIONER]):
        yield _kept(f"All volumes of {described(hand_made)} were made with the reclaim policy Retain.", hand_made)
        return
    yield _all_deleted(classes, disks)


def _kept(message: str, classes: Sequence[StorageClass]) -> Finding:
    return Finding.ok(message, subjects=[cls.subject for cls in classes])


def _kept_by_hand(facts: Facts, classes: Sequence[StorageClass]) -> list[StorageClass]:
    """The classes that have volumes, all of which are kept."""
    if not classes:
        return []
    policies: dict[str | None, set[str | None]] = {}
    for volume in facts.list(PersistentVolume):
        spec = volume.spec
        policies.setdefault(spec.storage_class_name, set()).add(spec.persistent_volume_reclaim_policy)
    return [cls for cls in classes if policies.get(cls.name) == {RETAIN}]


def _all_deleted(classes: Sequence[StorageClass], disks: Sequence[StorageClass]) -> Finding:
    retained = [cls for cls in classes if cls.reclaim_policy == RETAIN]
    only = f" (only {described(retained)}, which hands out no disks)" if retained else ""
    made = [cls for cls in disks if cls.provisioner != NO_PROVISIONER]
    model = min(made, key=lambda cls: (not cls.is_default, cls.name), default=None)
    return Finding.warn(
        f"No StorageClass keeps disks whose claims are deleted{only}, at least one with reclaimPolicy Retain was "
        "expected: the data of all replicas goes with their namespace.",
        subjects=[cls.subject for cls in classes],
        fix="Create a class that retains its volumes (or give volumes made by hand that policy) and name it in the "
        "storage section of Kafka and HDFS.",
        command=create_copy(model, f"{model.name}-retain", reclaimPolicy=RETAIN) if model else None,
        evidence=examples({cls.name: {"reclaimPolicy": cls.reclaim_policy or "Delete"} for cls in classes}),
    )
