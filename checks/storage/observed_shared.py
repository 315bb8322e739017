"""Do two nodes really share a volume? Seen by the storage probe."""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.observations.storage import SHARE, StorageObservations

from ._observed import Outcomes, classes, evidence, failures, nothing_proved, subjects, volumes


@check(
    "storage.shared-in-use",
    title="Two nodes write one volume at once, and respect each other's locks",
    severity=Severity.HIGH,
    workloads=(Workload.FLINK, Workload.ZEPPELIN, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(StorageObservations,),
)
def shared_in_use(facts: Facts) -> Iterator[Finding]:
    """Two pods on two nodes used one volume at the same time.

    ## What it checks
    Where the class is known to make shared file systems, or is named in the probe's option `shared_storage_classes`, a
    claim with ReadWriteMany is mounted by two pods on two nodes. The second reads what the first has written, which
    fails otherwise; a lock (fcntl) that the first holds keeps the second out until it is let go, which is a warning
    otherwise. Where no class is known to be shared, `storage.shared-volumes` judges that.

    ## Why it matters
    A JobManager that is started anew on another node reads its checkpoints from there. Mounts with `nolock` or `nobrl`
    let two writers into one file, and what comes of it is found weeks later.

    ## How to fix
    Read the events of the pods; let the network pass NFS or SMB between all nodes and the server; take `nolock` and
    `nobrl` from the class's mountOptions.

    ## References
    - [Access modes](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes)
    - [nfs(5): mount options](https://man7.org/linux/man-pages/man5/nfs.5.html)
    - [Azure Files: mount options](https://learn.microsoft.com/azure/aks/azure-csi-files-storage-provision)
    """
    document = volumes(facts)
    yield from nothing_proved(document, SHARE)
    outcomes = Outcomes.of(document, SHARE)
    fix = "Read the events of the pods, and let all nodes reach the file server."
    yield from failures(outcomes.failed, "Volumes are not shared by two nodes", fix=fix)
    loose = {
        name: pair
        for name, pair in outcomes.ok.items()
        if not (pair[1].detail.get("kept_out") and pair[1].detail.get("locked_later"))
    }
    if loose:
        yield Finding.warn(
            f"Two nodes share volumes of {classes(loose)}, and a lock of one does not bind the other as it should: a "
            "lock that is held must keep others out, and one that was let go must be had.",
            subjects=subjects(loose),
            fix="Take nolock and nobrl from the class's mountOptions, and run the lock service of the file server.",
            evidence=evidence(loose),
        )
    if good := {name: pair for name, pair in outcomes.ok.items() if name not in loose}:
        yield Finding.ok(
            f"Two nodes write volumes of {classes(good)} at once, and respect each other's locks.",
            subjects=subjects(good),
            evidence=evidence(good),
        )
    yield from outcomes.others("two nodes share a volume")
