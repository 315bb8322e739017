"""Do volumes carry a file system that brokers are run on?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import PersistentVolume, PersistentVolumeClaim, StatefulSet, StorageClass

from .._provisioners import EXT4_UNLESS_TOLD, NO_PROVISIONER, WITHOUT_CSI_DRIVER, matches
from .._wording import examples, listed
from ._classes import (
    Need,
    by_need,
    create_copy,
    described,
    file_system_of,
    is_shared,
    no_classes,
    volume_classes,
)

NO_ACCESS_TIMES = "noatime"


class FileSystemParameters(Parameters, frozen=True, kw_only=True):
    """The file systems that a site accepts."""

    accepted_file_systems: Annotated[
        tuple[str, ...],
        threshold(
            "File systems that brokers may be run on, as classes and volumes write them.",
            source="Apache Kafka documentation, Filesystem Selection: XFS and EXT4 are the ones with experience.",
        ),
    ] = ("xfs", "ext4")


@check(
    "storage.file-system",
    title="Disks carry XFS or ext4, mounted without access times",
    severity=Severity.MEDIUM,
    workloads=(Workload.KAFKA,),
    reads=(StorageClass, PersistentVolume, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-008",),
)
def file_system(facts: Facts, params: FileSystemParameters) -> Iterator[Finding]:
    """Kafka is run on XFS or ext4, and reads nothing from access times.

    ## What it checks
    - The file system of every class of disks is one of `accepted_file_systems`. It is told by the parameter
      `csi.storage.k8s.io/fstype`, else by the volumes that the class has made, else by what is known of its driver:
      most make ext4 unless told otherwise.
    - At least one such class mounts with `noatime`.

    A default class, or one that a claim or a StatefulSet template names, fails on another file system; any other class,
    and a missing `noatime`, is a warning. Shared file systems, volumes made by hand and folders of nodes (local-path)
    have no file system of their own to choose and are not judged.

    ## Why it matters
    Kafka's documentation compares the two: XFS needs no tuning and showed shorter request times than even a tuned ext4
    (160 ms against 250 ms and more on one cluster). Other file systems have no such record. Access times make a read
    write to the disk, and no data system reads them.

    ## How to fix
    Parameters and mount options of a class cannot be changed. Create one for brokers:

        parameters: {csi.storage.k8s.io/fstype: xfs}
        mountOptions: [noatime]

    ## References
    - [Apache Kafka: filesystem selection](https://kafka.apache.org/documentation/#filesystems)
    - [Strimzi: considerations for data storage](https://strimzi.io/docs/operators/latest/deploying#considerations-for-data-storage-str)
    - [Mount options of a StorageClass](https://kubernetes.io/docs/concepts/storage/storage-classes/#mount-options)
    - [Parameters that Kubernetes itself reads](https://kubernetes-csi.github.io/docs/secrets-and-credentials-storage-class.html)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    unformatted = (NO_PROVISIONER, *WITHOUT_CSI_DRIVER)
    disks = [cls for cls in classes if not is_shared(cls) and not matches(cls.provisioner, unformatted)]
    if not disks:
        yield Finding.skip(f"Volumes of {described(classes)} are not formatted by a driver.")
        return
    if lacking := _without_noatime(disks):
        yield lacking
    accepted = {name.lower() for name in params.accepted_file_systems}
    named = [cls for cls in disks if file_system_of(cls)]
    yield from _judge_known(facts, named, {cls.name: (file_system_of(cls) or "").lower() for cls in named}, accepted)
    if unnamed := [cls for cls in disks if cls not in named]:
        yield from _judge_unnamed(facts, unnamed, accepted)


def _without_noatime(classes: Sequence[StorageClass]) -> Finding | None:
    if any(NO_ACCESS_TIMES in (cls.mount_options or ()) for cls in classes):
        return None
    model = min(classes, key=lambda cls: (not cls.is_default, cls.name))
    options = [*(model.mount_options or ()), NO_ACCESS_TIMES]
    return Finding.warn(
        f"No class of disks mounts with noatime ({described(classes)}), at least one was expected for brokers.",
        subjects=[cls.subject for cls in classes],
        fix="Create a class for brokers that mounts with noatime.",
        command=create_copy(model, f"{model.name}-noatime", mountOptions=options),
        evidence=examples({cls.name: {"mountOptions": list(cls.mount_options or ())} for cls in classes}),
    )


def _judge_unnamed(facts: Facts, classes: Sequence[StorageClass], accepted: set[str]) -> Iterator[Finding]:
    """Classes that leave the file system to their driver."""
    of_volumes = _of_volumes(facts)
    told = {cls.name: name for cls in classes if (name := _told(cls, of_volumes, accepted))}
    yield from _judge_known(facts, [cls for cls in classes if cls.name in told], told, accepted)
    for need, group in by_need(facts, [cls for cls in classes if cls.name not in told]):
        speak = Finding.skip if need is Need.UNUSED else Finding.unknown
        yield speak(
            f"Which file system {described(group, need)} gives cannot be told: the class names none, no volume of it "
            "tells, and what the driver takes then is not known.",
            subjects=[cls.subject for cls in group],
            fix="Set csi.storage.k8s.io/fstype in a class for brokers.",
        )


def _of_volumes(facts: Facts) -> dict[str | None, set[str]]:
    """The file systems that the volumes of each class say they have."""
    found: defaultdict[str | None, set[str]] = defaultdict(set)
    for volume in facts.list(PersistentVolume):
        if volume.spec.csi is not None and volume.spec.csi.fs_type:
            found[volume.spec.storage_class_name].add(volume.spec.csi.fs_type.lower())
    return found


def _told(cls: StorageClass, of_volumes: dict[str | None, set[str]], accepted: set[str]) -> str | None:
    """The file system that a class gives; of several, one that is not accepted."""
    if names := of_volumes.get(cls.name):
        return min(names, key=lambda name: (name in accepted, name))
    return "ext4" if matches(cls.provisioner, EXT4_UNLESS_TOLD) else None


def _judge_known(
    facts: Facts, classes: Sequence[StorageClass], names: dict[str, str], accepted: set[str]
) -> Iterator[Finding]:
    if fit := [cls for cls in classes if names[cls.name] in accepted]:
        found = sorted({names[cls.name] for cls in fit})
        yield Finding.ok(f"Volumes of {described(fit)} carry {listed(found)}.", subjects=[cls.subject for cls in fit])
    for need, group in by_need(facts, [cls for cls in classes if names[cls.name] not in accepted]):
        found = sorted({names[cls.name] for cls in group})
        yield Finding.of(
            need.status,
            f"Volumes of {described(group, need)} carry {listed(found)}; {' or '.join(sorted(accepted))} was expected.",
            subjects=[cls.subject for cls in group],
            fix="Create a class for brokers with csi.storage.k8s.io/fstype xfs.",
            command="\n".join(_with_xfs(cls) for cls in group),
            evidence=examples({cls.name: {"fstype": names[cls.name]} for cls in group}),
        )


def _with_xfs(cls: StorageClass) -> str:
    others = {key: value for key, value in (cls.parameters or {}).items() if "fstype" not in key.lower()}
    return create_copy(cls, f"{cls.name}-xfs", parameters={**others, "csi.storage.k8s.io/fstype": "xfs"})
