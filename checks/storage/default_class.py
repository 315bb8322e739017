"""Is there one default class?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube import StorageClass
from auditor.facts.kube.storage import DEFAULT_CLASS_ANNOTATIONS

from .._provisioners import OBJECT_STORES, SHARED_FILE_SYSTEMS, matches
from .._wording import listed
from ._classes import WORKLOADS_WITH_VOLUMES, mark_as_default, volume_classes


@check(
    "storage.default-class",
    title="Exactly one StorageClass is the default",
    severity=Severity.CRITICAL,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageClass,),
    aliases=("STO-001",),
)
def default_class(facts: Facts) -> Iterator[Finding]:
    """A claim that names no class gets the one default class.

    ## What it checks
    Exactly one StorageClass carries the annotation `storageclass.kubernetes.io/is-default-class` (or its deprecated
    form `storageclass.beta.kubernetes.io/is-default-class`) with the value `"true"`. Any other value, `"True"` too,
    counts as not set. Classes that hand out buckets or certificates instead of volumes are left out.

    No default is a failure; more than one is a warning.

    ## Why it matters
    Charts and operators for Kafka, HDFS, Flink, Zeppelin and Spark leave the class of their claims empty unless told
    otherwise. Without a default such a claim stays Pending and its pod never starts. New EKS clusters since 1.30 mark
    no class, EKS Auto Mode and ACK Serverless bring none at all.

    With several defaults Kubernetes takes the one created last (before 1.26 it refused the claim). Which volume a
    broker gets then depends on the order in which add-ons were installed.

    ## How to fix
    Mark the class that databases should get, and take the mark from all others:

        kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true --overwrite
        kubectl annotate storageclass OTHER storageclass.kubernetes.io/is-default-class=false --overwrite

    Where the cluster has no class, install a CSI driver for its storage and create one.

    ## References
    - [Default StorageClass](https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass)
    - [Change the default StorageClass](https://kubernetes.io/docs/tasks/administer-cluster/change-default-storage-class/)
    - [EKS 1.30: gp2 is no longer the default](https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions-extended.html)
    - [EKS Auto Mode: create a storage class](https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html)
    """
    classes = volume_classes(facts)
    defaults = [cls for cls in classes if cls.is_default]
    if not classes:
        yield Finding.fail(
            "The cluster has no StorageClass that makes volumes, so that no claim is ever bound by itself; "
            "exactly one default was expected.",
            fix="Install the CSI driver of the cluster's storage and create a StorageClass that is the default.",
        )
    elif not defaults:
        yield _none(classes)
    elif len(defaults) > 1:
        yield _several(defaults)
    else:
        yield Finding.ok(f"StorageClass {defaults[0].name} is the only default.", subjects=[defaults[0].subject])


def _none(classes: Sequence[StorageClass]) -> Finding:
    names = [cls.name for cls in classes]
    values = {cls.name: value for cls in classes if (value := _useless_mark(cls)) is not None}
    hint = f'; the mark on {listed(sorted(values))} has a value other than "true" and does not count' if values else ""
    return Finding.fail(
        f"No StorageClass is the default (candidates: {listed(names)}), exactly one was expected: "
        f"a claim that names no class stays Pending{hint}.",
        subjects=[cls.subject for cls in classes],
        fix="Mark the class that databases should get as the default.",
        command=mark_as_default(_most_suitable(classes), "true"),
        evidence={"classes": names, **({"marks": values} if values else {})},
    )


def _several(defaults: Sequence[StorageClass]) -> Finding:
    oldest_first = sorted(defaults, key=lambda cls: cls.name, reverse=True)
    oldest_first.sort(key=lambda cls: cls.metadata.creation_timestamp or "")
    winner, others = oldest_first[-1], sorted(oldest_first[:-1], key=lambda cls: cls.name)
    known = all(cls.metadata.creation_timestamp for cls in defaults)
    taken = winner.name if known else "the newest"
    return Finding.warn(
        f"{len(defaults)} StorageClasses are the default ({listed([cls.name for cls in defaults])}), "
        f"exactly one was expected: Kubernetes takes {taken}.",
        subjects=[cls.subject for cls in defaults],
        fix="Keep one default and take the mark from the others.",
        command="\n".join(mark_as_default(cls, "false") for cls in others) if known else None,
        evidence={"created": {cls.name: cls.metadata.creation_timestamp for cls in defaults}},
    )


def _useless_mark(cls: StorageClass) -> str | None:
    values = (cls.annotations.get(key) for key in DEFAULT_CLASS_ANNOTATIONS)
    return next((value for value in values if value not in (None, "true", "false")), None)


def _most_suitable(classes: Sequence[StorageClass]) -> StorageClass:
    """The class to propose: block before file, waiting and growing volumes before others."""
    return min(
        classes,
        key=lambda cls: (
            matches(cls.provisioner, (*SHARED_FILE_SYSTEMS, *OBJECT_STORES)),
            not cls.waits_for_consumer,
            not cls.allow_volume_expansion,
            cls.name,
        ),
    )
