"""Do a volume's bytes follow its pod, and come back from a snapshot? Seen by the storage probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.storage import MOVE, RESTORE, SNAPSHOT, StorageObservations

from ._observed import (
    Outcomes,
    classes,
    evidence,
    failures,
    late,
    longest,
    nothing_proved,
    subjects,
    volumes,
)


class MoveParameters(Parameters, frozen=True, kw_only=True):
    """How long a move may take."""

    move_seconds: Annotated[
        float,
        threshold(
            "Seconds from the removal of the pod to its successor's start on another node.",
            source="No upstream number; a volume that is not released is taken away after 6 minutes "
            "(maxWaitForUnmountDuration of the attach-detach controller), which is what this tells apart.",
            ge=1,
        ),
    ] = 120


@check(
    "storage.volume-moves",
    title="A volume follows its pod to another node, with its data",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageObservations,),
    aliases=("STO-011",),
)
def volume_moves(facts: Facts, params: MoveParameters) -> Iterator[Finding]:
    """A pod was deleted, and its successor on another node read what it had written.

    ## What it checks
    The probe deletes its pod and starts another with the same claim on another node, in the same zone where the volume
    is zonal. It runs within `move_seconds`, and finds the same bytes. Slower is a warning; a pod that does not start,
    or finds other bytes, fails. Volumes on a node's own disks do not move and are left out; where no second node can
    reach the volume, nothing can be told.

    ## Why it matters
    This is what happens to every broker at every upgrade of the nodes. A disk that is not released keeps its successor
    waiting with `Multi-Attach error` for 6 minutes, broker by broker.

    ## How to fix
    Let nodes shut down gracefully, so that the driver can unmount (kubelet `shutdownGracePeriod`, the driver's preStop
    hook), use Karpenter 1.0 or newer, and look at VolumeAttachments that stay:

        kubectl get volumeattachments

    ## References
    - [Amazon EBS CSI driver: FAQ](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/faq.md)
    - [Volumes are not detached from a node that is gone](https://github.com/kubernetes/kubernetes/issues/53059)
    - [Non-graceful node shutdown](https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    outcomes = Outcomes.of(document, MOVE)
    fix = "Look at the pod's events and the VolumeAttachments, and at the log of the driver on both nodes."
    yield from failures(outcomes.failed, "Volumes do not follow their pods to another node", fix=fix)
    slow = late(outcomes.ok, params.move_seconds)
    if slow:
        yield Finding.warn(
            f"Volumes of {classes(slow)} followed their pod to another node in {longest(slow):.0f} s, "
            f"at most {params.move_seconds:g} s were expected.",
            subjects=subjects(slow),
            fix="Look at how long detaching takes, in the VolumeAttachments and the log of the driver's controller.",
            command="kubectl get volumeattachments",
            evidence=evidence(slow),
        )
    if good := {name: pair for name, pair in outcomes.ok.items() if name not in slow}:
        yield Finding.ok(
            f"Volumes of {classes(good)} followed their pod to another node in {longest(good):.0f} s at most, "
            "with the same bytes.",
            subjects=subjects(good),
            evidence=evidence(good),
        )
    yield from outcomes.others("volumes follow their pods to another node")


@check(
    "storage.snapshot-restores",
    title="A volume made from a snapshot holds the same data",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageObservations,),
)
def snapshot_restores(facts: Facts) -> Iterator[Finding]:
    """A snapshot was taken of a volume in use, and read again from another volume.

    ## What it checks
    Where a VolumeSnapshotClass is for the driver of the class, the probe takes a snapshot of its volume, makes a new
    volume from it, and a pod compares the bytes that had been synced. A snapshot that is never ready, a volume that
    cannot be made from it and other bytes fail. Where there is no VolumeSnapshotClass, `storage.volume-snapshots`
    judges that.

    ## Why it matters
    A backup that was never restored is a hope. Controllers without the right to copy snapshots, missing keys and
    drivers of the wrong version show only then.

    ## How to fix
    Read what the snapshot and the claim say, and the log of the driver's csi-snapshotter:

        kubectl describe volumesnapshots -A

    ## References
    - [Volume snapshots](https://kubernetes.io/docs/concepts/storage/volume-snapshots/)
    - [Restore a volume from a snapshot](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#volume-snapshot-and-restore-volume-from-snapshot-support)
    - [external-snapshotter](https://github.com/kubernetes-csi/external-snapshotter)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    taken, restored = Outcomes.of(document, SNAPSHOT), Outcomes.of(document, RESTORE)
    fix = "Look at the snapshot's error and the log of the driver's csi-snapshotter."
    yield from failures(taken.failed, "Snapshots do not become ready", fix=fix)
    fix = "Look at the events of the claim that names the snapshot, and the log of the driver's controller."
    yield from failures(restored.failed, "Volumes from snapshots do not come with the same data", fix=fix)
    if restored.ok:
        yield Finding.ok(
            f"Snapshots of volumes of {classes(restored.ok)} were restored with the same bytes.",
            subjects=subjects(restored.ok),
            evidence=evidence(restored.ok),
        )
    yield from taken.others("snapshots can be restored")
    yield from restored.only(taken.ok).others("snapshots can be restored")
