"""Do volumes come when they are asked for, and go when they are not wanted any more? Seen by the storage probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.storage import BIND, DELETE, MOUNT, WRITE, StorageObservations

from ._classes import WORKLOADS_WITH_VOLUMES
from ._observed import (
    Outcomes,
    classes,
    evidence,
    failures,
    is_not_the_storage,
    late,
    longest,
    nothing_proved,
    quoted,
    subjects,
    volumes,
)


class MountParameters(Parameters, frozen=True, kw_only=True):
    """How long a new volume may take."""

    bound_seconds: Annotated[
        float,
        threshold(
            "Seconds after which a claim with a pod must be bound.",
            source="No upstream number; cloud disks are made within 5 to 20 s.",
            ge=1,
        ),
    ] = 60
    mounted_seconds: Annotated[
        float,
        threshold(
            "Seconds after which the volume must be mounted in its pod, counted from the claim's creation.",
            source="No upstream number; attaching and formatting a cloud disk takes 10 to 40 s.",
            ge=1,
        ),
    ] = 120


class BurstParameters(Parameters, frozen=True, kw_only=True):
    """How long many volumes at once may take."""

    burst_seconds: Annotated[
        float,
        threshold(
            "Seconds within which all pods of a burst of claims must run.",
            source="No upstream number; executors that start later than that outlast Spark's patience for them.",
            ge=1,
        ),
    ] = 180


@check(
    "storage.volume-mounts",
    title="A new volume is bound, mounted and written in time",
    severity=Severity.CRITICAL,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageObservations,),
    aliases=("STO-010",),
)
def volume_mounts(facts: Facts, params: MountParameters) -> Iterator[Finding]:
    """A claim of each class was made, and a pod wrote to its volume.

    ## What it checks
    The probe makes a claim and a pod of the default class and of each class that is in use. The claim is bound within
    `bound_seconds`, the volume is mounted within `mounted_seconds` (the pull of the image does not count), and the pod,
    which is no root, writes a file and syncs it. What takes longer is a warning; what does not come about fails, with
    the reason that the cluster gives. A pod that does not start for another reason (no image, a quota, a webhook, no
    room on the nodes) says nothing about volumes: unknown.

    ## Why it matters
    Every broker, DataNode, TaskManager and every Spark executor with a volume begins with this. A provisioner that
    hangs is not to be seen in its Deployment, which stays ready.

    ## How to fix
    Read the events of the claim and the log of the driver's controller; look at the cloud account's quota for disks,
    and at the driver's permissions:

        kubectl get events -A --field-selector reason=ProvisioningFailed
        kubectl get events -A --field-selector reason=FailedAttachVolume

    ## References
    - [Persistent volumes](https://kubernetes.io/docs/concepts/storage/persistent-volumes/)
    - [Volume binding mode](https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode)
    - [external-provisioner](https://kubernetes-csi.github.io/docs/external-provisioner.html)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    bound, mounted, written = (Outcomes.of(document, name) for name in (BIND, MOUNT, WRITE))
    fix = "Read the events of the claim and the log of the driver's controller, and look at the account's disk quota."
    yield from failures(bound.failed, "Claims are not bound", fix=fix)
    fix = "Read the pod's events and the log of the driver on its node."
    yield from failures(mounted.failed, "Volumes are not mounted", fix=fix)
    fix = "Let the class or driver give volumes to the pod's fsGroup; see storage.volume-ownership."
    yield from failures(written.failed, "Volumes cannot be written", fix=fix)
    for outcomes, limit, word in ((bound, params.bound_seconds, "bound"), (mounted, params.mounted_seconds, "mounted")):
        if slow := late(outcomes.ok, limit):
            yield Finding.warn(
                f"Volumes of {classes(slow)} were {word} after {longest(slow):.0f} s, "
                f"at most {limit:g} s were expected.",
                subjects=subjects(slow),
                fix="Look at the log of the driver's controller, and at limits of the cloud's API.",
                evidence=evidence(slow),
            )
    gone_wrong = {*late(bound.ok, params.bound_seconds), *late(mounted.ok, params.mounted_seconds)}
    if good := {name: mounted.ok[name] for name in written.ok if name not in gone_wrong and name in mounted.ok}:
        yield Finding.ok(
            f"New volumes of {classes(good)} were mounted after {longest(good):.1f} s at most, and written.",
            subjects=subjects(good),
            evidence=evidence(good),
        )
    what = "volumes are bound, mounted and written"
    yield from bound.others(what)
    yield from mounted.only(bound.ok).others(what)
    yield from written.only(mounted.ok).others(what)


@check(
    "storage.claim-burst",
    title="Several volumes at once are mounted in time",
    severity=Severity.MEDIUM,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageObservations,),
)
def claim_burst(facts: Facts, params: BurstParameters) -> Iterator[Finding]:
    """Many claims come at once when a job starts or a node is drained.

    ## What it checks
    The probe makes several claims of the default class (or the first that it proves) at once, ten unless the option
    `burst_claims` says otherwise, each with a pod. All pods run within `burst_seconds`. Slower, or pods that did not
    start, are a warning.

    ## Why it matters
    A Spark job with volumes on demand makes one claim per executor, and a node that goes takes all its volumes along.
    Provisioners that make one volume after another, and clouds that limit calls, take minutes then.

    ## How to fix
    Raise the provisioner's `--worker-threads` and `--kube-api-qps`, ask the cloud for a higher limit of calls, or let
    Spark reuse claims (`spark.kubernetes.driver.reusePersistentVolumeClaim`).

    ## References
    - [external-provisioner: command line options](https://github.com/kubernetes-csi/external-provisioner#command-line-options)
    - [Spark on Kubernetes: PVC-oriented executor pod allocation](https://spark.apache.org/docs/latest/running-on-kubernetes.html#pvc-oriented-executor-pod-allocation)
    """
    document = volumes(facts)
    burst = document.burst
    if burst is None and not document.classes:
        yield from nothing_proved(document)
        return
    if burst is None:
        yield Finding.unknown(
            "No burst of claims was made: there was no class for it, its volumes do not even work one by one, or the "
            "option burst_claims is 0.",
            fix="Make single volumes work, set burst_claims, and probe again.",
        )
        return
    names = [burst.class_name]
    if burst.cause and is_not_the_storage(burst.cause):
        yield Finding.unknown(
            f"Whether several volumes at once come in time could not be told ({burst.cause.reason}): "
            f"{quoted(burst.cause.message)}.",
            subjects=subjects(names),
            fix="Remove what kept the probe's pods from starting, and probe again.",
        )
        return
    if burst.failed:
        why = f" ({burst.cause.reason}): {quoted(burst.cause.message)}" if burst.cause else ""
        yield Finding.warn(
            f"{burst.failed} of {burst.claims} pods, each with a claim of {classes(names)}, did not start when all "
            f"were made at once{why}.",
            subjects=subjects(names),
            fix="Look at the events of the first claim; raise quotas, volume limits or the provisioner's threads.",
            evidence={"events": list(burst.cause.events) if burst.cause else []},
        )
        return
    slowest = burst.mounted.max_seconds if burst.mounted else 0.0
    is_late = slowest > params.burst_seconds
    told = (
        f"{burst.claims} pods, each with a claim of {classes(names)}, all made at once, ran after {slowest:.0f} s"
        f"{f', at most {params.burst_seconds:g} s were expected' if is_late else ''}."
    )
    if is_late:
        yield Finding.warn(
            told, subjects=subjects(names), fix="Raise the provisioner's threads and the cloud's limit of calls."
        )
    else:
        yield Finding.ok(told, subjects=subjects(names))


@check(
    "storage.volume-deleted",
    title="The volume of a deleted claim goes",
    severity=Severity.MEDIUM,
    workloads={**dict.fromkeys(STATEFUL_WORKLOADS, Severity.LOW), Workload.SPARK: Severity.MEDIUM},
    reads=(StorageObservations,),
)
def volume_deleted(facts: Facts) -> Iterator[Finding]:
    """A volume whose claim was deleted is deleted too, where the class says so.

    ## What it checks
    The probe deletes its claim and waits until the PersistentVolume is gone. Classes that keep volumes (`Retain`) are
    left out; where volumes cannot be read, that is unknown.

    ## Why it matters
    Volumes that stay cost money, count against the account's quota of disks, and stay attached to nodes, which take
    only so many. Jobs that make volumes on demand leave hundreds of them.

    ## How to fix
    Look at what the volume says, and at the log of the driver's controller; mostly it may not delete disks, or the disk
    is still attached:

        kubectl get persistentvolumes | grep -E 'Released|Failed'

    ## References
    - [Reclaiming](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming)
    - [external-provisioner](https://kubernetes-csi.github.io/docs/external-provisioner.html)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    outcomes = Outcomes.of(document, DELETE)
    fix = "Look at the events of the volume and the log of the driver's controller, and delete what is left."
    yield from failures(outcomes.failed, "Volumes of deleted claims stay", fix=fix)
    if outcomes.ok:
        yield Finding.ok(
            f"Volumes of {classes(outcomes.ok)} were gone {longest(outcomes.ok):.0f} s after their claim at most.",
            subjects=subjects(outcomes.ok),
        )
    yield from outcomes.others("volumes go with their claim")
