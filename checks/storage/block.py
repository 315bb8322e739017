"""Do brokers and DataNodes get disks, and no shared file system?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, Subject, Workload, check, threshold
from auditor.facts.kube import PersistentVolumeClaim, StorageClass

from .._provisioners import BLOCK, NODE_LOCAL, OBJECT_STORES, SHARED_FILE_SYSTEMS, matches
from .._wording import counted, listed
from ._classes import class_of, described, no_classes, volume_classes


class BlockParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners, and how its brokers' and DataNodes' claims are labelled."""

    block_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that hand out block devices or local disks.",
            source="The site's own provisioners; the drivers of the large clouds, Ceph RBD and others are known.",
        ),
    ] = ()
    file_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that hand out shared file systems or object stores.",
            source="The site's own provisioners; NFS, SMB and the clouds' file services are known.",
        ),
    ] = ()
    claim_labels: Annotated[
        tuple[str, ...],
        threshold(
            "Globs over `key=value` labels that tell a broker's or DataNode's claim.",
            source="Labels that Strimzi, Stackable and common Helm charts set on their claims.",
        ),
    ] = (
        "strimzi.io/cluster=*",
        "app.kubernetes.io/name=kafka",
        "app.kubernetes.io/name=hdfs",
        "app.kubernetes.io/name=hadoop",
        "app=kafka",
        "app=cp-kafka",
        "app=hdfs",
        "app=hdfs-datanode",
    )


class Kind(StrEnum):
    """What a class hands out."""

    DISK = "block or local"
    SHARED = "a shared file system or object store"
    NOT_TOLD = "of an unknown kind"
    GONE = "gone"


@check(
    "storage.block-storage",
    title="Kafka and HDFS keep their data on block or local volumes",
    severity=Severity.CRITICAL,
    workloads=(Workload.KAFKA, Workload.HDFS),
    reads=(StorageClass, PersistentVolumeClaim),
    aliases=("STO-007",),
)
def block_storage(facts: Facts, params: BlockParameters) -> Iterator[Finding]:
    """Brokers and DataNodes need a file system of their own, on a block device or a local disk.

    ## What it checks
    - The default StorageClass hands out no shared file system (NFS, SMB, a cloud's file service) and no mounted object
      store: a broker that names no class gets it.
    - No claim that evidently belongs to Kafka or HDFS, by the labels in `claim_labels`, names such a class.
    - At least one class hands out block or local volumes.

    What a class hands out is told by its provisioner, and by the parameter `csi.storage.k8s.io/fstype: nfs`. A
    provisioner that is not known is never taken for granted: the finding is unknown until `block_provisioners` or
    `file_provisioners` says what it is. File classes beside a block default are welcome, other systems need them.

    ## Why it matters
    A Kafka broker locks its log directory and renames and deletes open segments. On NFS the lock outlives a dead
    broker, so that its replacement cannot start, and a deleted open file comes back as `.nfs…` and stops the cleaner.
    Strimzi and Confluent require block storage. An HDFS DataNode on a shared file system stores three replicas of
    every block in one place.

    ## How to fix
    Make a class of the cluster's disk driver the default, and name it in the storage section of Kafka and HDFS. Claims
    that exist cannot change their class: add brokers or DataNodes on the new class, move the partitions or blocks, and
    remove the old ones.

    ## References
    - [Strimzi: storage considerations](https://strimzi.io/docs/operators/latest/deploying#considerations-for-data-storage-str)
    - [Confluent for Kubernetes: plan storage](https://docs.confluent.io/operator/current/co-plan-storage.html)
    - [Kafka on NFS: the replacement broker cannot take the lock](https://github.com/Yolean/kubernetes-kafka/issues/157)
    - [Kafka on a file class: permission denied](https://github.com/strimzi/strimzi-kafka-operator/issues/1720)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    kinds = {cls.name: _kind(cls, params) for cls in classes}
    of_classes = [*_judge_default(classes, kinds), *_judge_choice(classes, kinds)]
    yield from of_classes
    of_claims = list(_judge_claims(facts.list(PersistentVolumeClaim), kinds, params))
    yield from of_claims
    if not of_classes and not of_claims:
        disks = [cls for cls in classes if kinds[cls.name] is Kind.DISK]
        yield Finding.ok(
            f"Brokers and DataNodes can have block or local volumes: {described(disks)}.",
            subjects=[cls.subject for cls in disks],
        )


def _kind(cls: StorageClass, params: BlockParameters) -> Kind:
    if matches(cls.provisioner, params.block_provisioners):
        return Kind.DISK
    if (cls.parameters or {}).get("csi.storage.k8s.io/fstype", "").startswith("nfs"):
        return Kind.SHARED
    if matches(cls.provisioner, (*params.file_provisioners, *SHARED_FILE_SYSTEMS, *OBJECT_STORES)):
        return Kind.SHARED
    return Kind.DISK if matches(cls.provisioner, (*BLOCK, *NODE_LOCAL)) else Kind.NOT_TOLD


def _judge_default(classes: Sequence[StorageClass], kinds: dict[str, Kind]) -> Iterator[Finding]:
    defaults = [cls for cls in classes if cls.is_default]
    if shared := [cls for cls in defaults if kinds[cls.name] is Kind.SHARED]:
        yield Finding.fail(
            f"The default {described(shared)} hands out a shared file system or object store, "
            "block or local volumes were expected: a broker or DataNode that names no class gets it.",
            subjects=[cls.subject for cls in shared],
            fix="Make a block or local class the default, or name one in the storage section of every broker.",
            evidence=_seen(shared),
        )
    if not_told := [cls for cls in defaults if kinds[cls.name] is Kind.NOT_TOLD]:
        yield _not_told(f"the default {described(not_told)}", not_told)


def _judge_choice(classes: Sequence[StorageClass], kinds: dict[str, Kind]) -> Iterator[Finding]:
    if Kind.DISK in kinds.values():
        return
    not_told = [cls for cls in classes if kinds[cls.name] is Kind.NOT_TOLD and not cls.is_default]
    if not_told:
        yield _not_told(described(not_told), not_told)
    elif Kind.NOT_TOLD not in kinds.values():
        yield Finding.fail(
            f"No StorageClass hands out block or local volumes, at least one was expected: {described(classes)} "
            "can only give shared file systems or object stores.",
            subjects=[cls.subject for cls in classes],
            fix="Install a CSI driver for block or local storage and create a class for it.",
            evidence=_seen(classes),
        )


def _not_told(name: str, classes: Sequence[StorageClass]) -> Finding:
    provisioners = sorted({cls.provisioner for cls in classes})
    return Finding.unknown(
        f"Whether {name} hands out block volumes or a shared file system cannot be told: "
        f"the provisioner {listed(provisioners)} is not known.",
        subjects=[cls.subject for cls in classes],
        fix="Name the provisioner in block_provisioners or file_provisioners of this check.",
        evidence=_seen(classes),
    )


_REMEDY = {
    Kind.SHARED: "Add brokers or DataNodes on a block or local class, move the data there, then remove these.",
    Kind.NOT_TOLD: "Name the provisioner of the class in block_provisioners or file_provisioners of this check.",
    Kind.GONE: "Look at the volumes behind these claims: the class that would tell their kind is gone.",
}


def _judge_claims(
    claims: Sequence[PersistentVolumeClaim], kinds: dict[str, Kind], params: BlockParameters
) -> Iterator[Finding]:
    concerned: defaultdict[tuple[Kind, str], list[Subject]] = defaultdict(list)
    for claim in claims:
        name = class_of(claim)
        if name and kinds.get(name) is not Kind.DISK and _keeps_replicated_data(claim, params):
            concerned[kinds.get(name, Kind.GONE), name].append(claim.subject)
    for (kind, name), subjects in sorted(concerned.items()):
        subjects.sort(key=str)
        names = listed([f"{subject.namespace}/{subject.name}" for subject in subjects])
        yield Finding.of(
            Status.FAIL if kind is Kind.SHARED else Status.UNKNOWN,
            f"{counted(len(subjects), 'claim')} of Kafka or HDFS ({names}) on StorageClass {name}, which is {kind}; "
            "block or local was expected.",
            subjects=subjects,
            fix=_REMEDY[kind],
        )


def _keeps_replicated_data(claim: PersistentVolumeClaim, params: BlockParameters) -> bool:
    labels = [f"{key}={value}" for key, value in claim.labels.items()]
    return any(fnmatchcase(label, pattern) for label in labels for pattern in params.claim_labels)


def _seen(classes: Sequence[StorageClass]) -> dict[str, object]:
    return {cls.name: {"provisioner": cls.provisioner} for cls in classes}
