"""Can a pod that is not root write to its volume?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import CSIDriver, PersistentVolume, PersistentVolumeClaim, StatefulSet, StorageClass

from .._provisioners import BLOCK, NODE_LOCAL, OBJECT_STORES, SHARED_FILE_SYSTEMS, driver_of, matches
from .._wording import counted, examples, full_names, listed
from ._classes import Need, by_need, described, no_classes, volume_classes

NEVER = "None"
ALWAYS = "File"


@check(
    "storage.volume-ownership",
    title="Volumes are given to the group of the pod that mounts them",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK, Workload.KAFKA, Workload.ZEPPELIN),
    reads=(StorageClass, CSIDriver, PersistentVolume, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-016",),
)
def volume_ownership(facts: Facts) -> Iterator[Finding]:
    """A new file system belongs to root, and the pods of data systems run as somebody else.

    ## What it checks
    - `fsGroupPolicy` of the CSIDriver behind each StorageClass is `File` or, the default, `ReadWriteOnceWithFSType`.
      With `None`, the kubelet never applies a pod's `fsGroup`: a default class of disks, or one in use, fails, any
      other is a warning. For shared file systems and object stores it is a warning, since the server, an access point
      or mount options decide there.
    - With the default policy, every volume of a disk driver names its file system (`spec.csi.fsType`): the kubelet does
      not apply `fsGroup` to one that does not. Raw devices and volumes without the access mode ReadWriteOnce are left
      out.

    Volumes that no CSI driver makes (local-path, NFS subdir …) are as their provisioner made them, and not judged.

    ## Why it matters
    Spark runs as user 185, Strimzi's Kafka as a user of its namespace. On a volume that stays with root they end with
    "Permission denied", and the next idea is to run them as root. External provisioners since 2.0 leave the file system
    out unless they are started with `--default-fstype`, which turns `fsGroup` off without a word.

    ## How to fix
    Set `csi.storage.k8s.io/fstype` in the class, or start the external-provisioner with `--default-fstype=ext4`. A
    volume that exists keeps its empty field: give its directory to the group once, with a pod that runs as root. The
    policy of a driver comes from its vendor: upgrade it, or set it in its chart.

    ## References
    - [CSI driver fsGroup support](https://kubernetes-csi.github.io/docs/support-fsgroup.html)
    - [Volume permission and ownership change](https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods)
    - [Volumes without a file system type belong to root](https://github.com/cloudscale-ch/csi-cloudscale/issues/26)
    - [Kafka cannot write to a volume of a file class](https://github.com/strimzi/strimzi-kafka-operator/issues/1720)
    - [Spark on Kubernetes: user identity](https://spark.apache.org/docs/latest/running-on-kubernetes.html#user-identity)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    drivers = {driver.name: driver for driver in facts.list(CSIDriver)}
    driven = [cls for cls in classes if driver_of(cls.provisioner) in drivers]
    if others := [cls for cls in classes if cls not in driven]:
        yield Finding.skip(
            f"No CSIDriver makes the volumes of {described(others)}; whom they belong to is up to their provisioner.",
            subjects=[cls.subject for cls in others],
        )
    policies = {cls.name: drivers[driver_of(cls.provisioner)].spec.fs_group_policy for cls in driven}
    if always := [cls for cls in driven if policies[cls.name] == ALWAYS]:
        yield Finding.ok(
            f"Volumes of {described(always)} are always given to the pod's group.",
            subjects=[cls.subject for cls in always],
        )
    for need, group in by_need(facts, [cls for cls in driven if policies[cls.name] == NEVER]):
        yield from _never_given(need, group, drivers)
    if conditional := [cls for cls in driven if policies[cls.name] not in (NEVER, ALWAYS)]:
        yield from _judge_conditional(facts, conditional, drivers)


def _is_disk(driver: CSIDriver) -> bool:
    """Whether a driver hands out disks: it is known to, or it attaches them. File systems are not attached."""
    if matches(driver.name, (*SHARED_FILE_SYSTEMS, *OBJECT_STORES)):
        return False
    return driver.spec.attach_required is not False or matches(driver.name, (*BLOCK, *NODE_LOCAL))


def _never_given(need: Need, classes: Sequence[StorageClass], drivers: Mapping[str, CSIDriver]) -> Iterator[Finding]:
    if disks := [cls for cls in classes if _is_disk(drivers[driver_of(cls.provisioner)])]:
        yield Finding.of(
            need.status,
            f"Volumes of {described(disks, need)} stay with root: the CSIDriver {_drivers(disks)} switches fsGroup off "
            "(fsGroupPolicy), File or ReadWriteOnceWithFSType was expected.",
            subjects=[cls.subject for cls in disks],
            fix="Set fsGroupPolicy in the driver's chart or upgrade the driver; until then use another class.",
            evidence=_policies(disks),
        )
    if shared := [cls for cls in classes if cls not in disks]:
        yield Finding.warn(
            f"Whom volumes of {described(shared, need)} belong to is decided by the server or by mount options: the "
            f"CSIDriver {_drivers(shared)} switches fsGroup off (fsGroupPolicy).",
            subjects=[cls.subject for cls in shared],
            fix="Let the server or mountOptions give the directories to the users that pods run as.",
            evidence=_policies(shared),
        )


def _drivers(classes: Sequence[StorageClass]) -> str:
    return listed(sorted({driver_of(cls.provisioner) for cls in classes}))


def _policies(classes: Sequence[StorageClass]) -> dict[str, object]:
    return {driver_of(cls.provisioner): {"fsGroupPolicy": NEVER} for cls in classes}


def _judge_conditional(
    facts: Facts, classes: Sequence[StorageClass], drivers: Mapping[str, CSIDriver]
) -> Iterator[Finding]:
    """Classes whose volumes are given to the pod's group if they name their file system."""
    concerned = {name for name, driver in drivers.items() if _is_conditional(driver) and _is_disk(driver)}
    unnamed: defaultdict[str, list[PersistentVolume]] = defaultdict(list)
    for volume in facts.list(PersistentVolume):
        csi = volume.spec.csi
        if csi is not None and csi.driver in concerned and not csi.fs_type and _is_given_once(volume):
            unnamed[csi.driver].append(volume)
    for driver, volumes in sorted(unnamed.items()):
        volumes.sort(key=lambda volume: volume.name)
        yield _without_type(driver, volumes)
    if right := [cls for cls in classes if driver_of(cls.provisioner) not in unnamed]:
        yield Finding.ok(
            f"Volumes of {described(right)} are given to the pod's group.", subjects=[cls.subject for cls in right]
        )


def _is_conditional(driver: CSIDriver) -> bool:
    return driver.spec.fs_group_policy not in (NEVER, ALWAYS)


def _is_given_once(volume: PersistentVolume) -> bool:
    """Whether a volume is in use as a file system of one node, so that only the missing type stands in the way."""
    spec = volume.spec
    return (
        spec.volume_mode != "Block" and volume.status.phase == "Bound" and "ReadWriteOnce" in (spec.access_modes or ())
    )


def _without_type(driver: str, volumes: Sequence[PersistentVolume]) -> Finding:
    return Finding.fail(
        f"The kubelet does not give {counted(len(volumes), 'volume')} of {driver} to the pod's group "
        f"({full_names(volumes)}): spec.csi.fsType is empty, a file system such as ext4 was expected.",
        subjects=[volume.subject for volume in volumes],
        fix="Set csi.storage.k8s.io/fstype in the class, or --default-fstype of its external-provisioner, for new "
        "volumes; change the group of those that exist with a pod that runs as root.",
        evidence=examples({volume.name: {"class": volume.spec.storage_class_name or ""} for volume in volumes}),
    )
