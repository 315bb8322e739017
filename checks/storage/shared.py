"""Can several nodes write to one file system?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import PersistentVolume, StorageClass

from .._provisioners import BLOCK, MANY_WRITERS, NO_PROVISIONER, NODE_LOCAL, OBJECT_STORES, matches
from .._wording import counted, full_names, listed
from ._classes import described, is_shared, parameter, volume_classes

MANY = "ReadWriteMany"

_USABLE = ("Bound", "Available")


class SharedParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners."""

    shared_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that give file systems which several nodes write at once.",
            source="The site's own provisioners; CephFS, NFS, Longhorn and the clouds' file services are known.",
        ),
    ] = ()
    single_node_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that give disks for one node at a time.",
            source="The site's own provisioners; the disks of the large clouds, Ceph RBD and others are known.",
        ),
    ] = ()


@check(
    "storage.shared-volumes",
    title="Volumes that several nodes write at once can be had",
    severity=Severity.HIGH,
    workloads=(Workload.FLINK, Workload.ZEPPELIN, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(StorageClass, PersistentVolume),
    aliases=("STO-009",),
)
def shared_volumes(facts: Facts, params: SharedParameters) -> Iterator[Finding]:
    """Checkpoints, notebooks and training data are read and written from many nodes.

    ## What it checks
    One of these exists:

    - a StorageClass whose provisioner gives shared file systems (CephFS, NFS, EFS, FSx, Azure Files, Filestore, Alibaba
      NAS, HPE Data Fabric, Longhorn and others, Portworx with `sharedv4`), or mounts buckets of an object store;
    - a volume with the access mode ReadWriteMany and a file system. A raw device that several machines attach, as
      virtual machines use it, does not count.

    None of them is a warning, since Flink and TensorFlow may as well speak to an object store or HDFS over the network,
    which is not visible here. Whether two nodes really share a volume is proved by a probe.

    ## Why it matters
    A Flink JobManager that moves to another node must find its checkpoints and its high-availability metadata there;
    notebooks of Zeppelin and the data of a distributed training job are shared by their nature. A claim with
    ReadWriteMany on a class of disks stays Pending, or is bound and then refuses its second node.

    ## How to fix
    Install a driver for a shared file system and create a class, or configure `state.checkpoints.dir` and its like with
    an object store. Name a driver of your own in `shared_provisioners`.

    ## References
    - [Access modes](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes)
    - [Flink Kubernetes operator: stateful upgrades](https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-main/docs/custom-resource/job-management/)
    - [Longhorn: ReadWriteMany volumes](https://longhorn.io/docs/latest/nodes-and-volumes/volumes/rwx-volumes/)
    - [Zeppelin on Kubernetes](https://zeppelin.apache.org/docs/latest/quickstart/kubernetes.html)
    """
    classes = volume_classes(facts)
    if shared := [cls for cls in classes if _is_written_by_many(cls, params)]:
        yield Finding.ok(
            f"Several nodes can write volumes of {described(shared)}.", subjects=[cls.subject for cls in shared]
        )
        return
    if volumes := [volume for volume in facts.list(PersistentVolume) if _is_shared_volume(volume)]:
        volumes.sort(key=lambda volume: volume.name)
        yield Finding.ok(
            f"Several nodes can write {counted(len(volumes), 'volume')} with ReadWriteMany ({full_names(volumes)}); "
            "no StorageClass makes such volumes.",
            subjects=[volume.subject for volume in volumes],
        )
        return
    yield _nothing_shared(classes, params)


def _is_written_by_many(cls: StorageClass, params: SharedParameters) -> bool:
    if matches(cls.provisioner, params.single_node_provisioners):
        return False
    if matches(cls.provisioner, ("pxd.portworx.com",)):
        return parameter(cls, "sharedv4") == "true"
    return is_shared(cls) or matches(cls.provisioner, (*MANY_WRITERS, *OBJECT_STORES, *params.shared_provisioners))


def _is_shared_volume(volume: PersistentVolume) -> bool:
    spec = volume.spec
    return MANY in (spec.access_modes or ()) and spec.volume_mode != "Block" and volume.status.phase in _USABLE


def _nothing_shared(classes: Sequence[StorageClass], params: SharedParameters) -> Finding:
    for_one = (*BLOCK, *NODE_LOCAL, NO_PROVISIONER, *params.single_node_provisioners)
    if untold := [cls for cls in classes if not matches(cls.provisioner, for_one)]:
        provisioners = sorted({cls.provisioner for cls in untold})
        return Finding.unknown(
            f"Whether several nodes can write volumes of {described(untold)} cannot be told: the provisioner "
            f"{listed(provisioners)} is not known, and no volume with ReadWriteMany exists.",
            subjects=[cls.subject for cls in untold],
            fix="Name the provisioner in shared_provisioners or single_node_provisioners of this check.",
        )
    seen = f"only disks: {described(classes)}" if classes else "there is no StorageClass that makes volumes"
    return Finding.warn(
        "No StorageClass and no volume with ReadWriteMany gives a file system that several nodes write "
        f"({seen}); one was expected, unless checkpoints and training data go to an object store.",
        subjects=[cls.subject for cls in classes],
        fix="Install the driver of a shared file system and create a class, or configure an object store.",
    )
