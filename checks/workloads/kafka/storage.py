"""Do brokers keep their data, on disks that suit them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Severity, Subject, Workload, check
from auditor.facts.kube import Node, StatefulSet, StorageClass
from auditor.facts.kube.pods import Volume
from auditor.facts.kube.strimzi import KafkaVolume

from ..._nodes import data_nodes
from ..._provisioners import (
    FIXED_SIZE,
    NO_PROVISIONER,
    NODE_LOCAL,
    OBJECT_STORES,
    SHARED_FILE_SYSTEMS,
    ZONAL_BLOCK,
    matches,
)
from ..._wording import examples, listed
from ._clusters import STRIMZI, no_kafka, stateful_sets, strimzi_clusters


@dataclass(frozen=True, slots=True)
class _Disk:
    """What one group of nodes keeps its data on.

    Attributes:
        owner: how messages name the group.
        subject: the object that asks for it.
        ephemeral: whether the data goes with the pod.
        storage_class: None is the default class; not meant where the disk is chosen by labels.
        by_labels: whether volumes made by hand are chosen by their labels.
        deletes: whether the claims go with the Kafka.
    """

    owner: str
    subject: Subject
    ephemeral: bool = False
    storage_class: str | None = None
    by_labels: bool = False
    deletes: bool = False


@check(
    "kafka.broker-storage",
    title="Kafka keeps its data on volumes that outlive pods and suit brokers",
    severity=Severity.CRITICAL,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet, StorageClass, Node),
    aliases=("KAF-001",),
)
def broker_storage(facts: Facts) -> Iterator[Finding]:
    """A broker's data must be where it was when its pod comes back.

    ## What it checks
    For every node pool of Strimzi (`spec.storage`; in older clusters `spec.kafka.storage` and `spec.zookeeper.storage`)
    and for StatefulSets that evidently run Kafka:

    - the storage is not `ephemeral`, an emptyDir: a failure;
    - the StorageClass that it names exists, or there is a default class where it names none: otherwise a failure;
    - the class hands out no shared file system and no mounted object store: a failure;
    - volumes of one zone or node are made where the broker runs (`volumeBindingMode: WaitForFirstConsumer`), if the
      data nodes span more than one zone or node: otherwise a failure. Strimzi makes the claims before the pods, so that
      the first thing they meet is the class;
    - the class lets volumes grow: otherwise a warning;
    - `deleteClaim` is not set: otherwise a warning.

    Whether drivers are installed, how fast volumes are and how many a node takes is judged by `storage.*`.

    ## Why it matters
    With an emptyDir a broker that moves to another node starts empty and copies everything from its peers; when all
    move, as in an upgrade, the data is gone. Disks bound at once lie in zones or on nodes that nobody chose: three
    brokers whose volumes are all on one node, or a broker that is Pending for ever. With `deleteClaim: true` whoever
    deletes the Kafka resource deletes every message.

    ## How to fix
    Storage of a node pool cannot be changed in place, except to grow: make a second pool with the right storage, let
    Cruise Control move the partitions (`add-brokers`, then `remove-brokers`), and delete the first:

        storage:
          type: jbod
          volumes:
          - {id: 0, type: persistent-claim, size: 500Gi, class: fast-wait, deleteClaim: false, kraftMetadata: shared}

    ## References
    - [Strimzi: data storage considerations](https://strimzi.io/docs/operators/latest/deploying#considerations-for-data-storage-str)
    - [Strimzi: configuring storage types](https://strimzi.io/docs/operators/latest/deploying#con-config-storage-kraft-str)
    - [Brokers on local volumes stay Pending](https://github.com/strimzi/strimzi-kafka-operator/issues/10011)
    - [An emptyDir filled the node](https://github.com/strimzi/strimzi-kafka-operator/issues/2370)
    - [Volume binding mode](https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode)
    """
    disks = [*_of_strimzi(facts), *_of_stateful_sets(facts)]
    if not disks:
        yield no_kafka()
        return
    if lost := [disk for disk in disks if disk.ephemeral]:
        yield _ephemeral(lost)
    if deleted := [disk for disk in disks if disk.deletes and not disk.ephemeral]:
        yield _deleted_with_kafka(deleted)
    if by_labels := [disk for disk in disks if disk.by_labels]:
        yield Finding.ok(f"{_owners(by_labels)}: volumes made by hand, chosen by their labels.")
    named: defaultdict[str | None, list[_Disk]] = defaultdict(list)
    for disk in disks:
        if not disk.ephemeral and not disk.by_labels:
            named[disk.storage_class].append(disk)
    if named:
        yield from _judge_classes(facts, named)


def _of_strimzi(facts: Facts) -> Iterator[_Disk]:
    for cluster in strimzi_clusters(facts):
        for pool in cluster.pools:
            if pool.storage is not None and pool.replicas:
                yield from (_disk(pool.name, pool.subject, volume) for volume in pool.storage.disks)


def _disk(owner: str, subject: Subject, volume: KafkaVolume) -> _Disk:
    return _Disk(
        owner,
        subject,
        ephemeral=volume.type == "ephemeral",
        storage_class=volume.storage_class,
        by_labels=bool(volume.selector) and volume.storage_class is None,
        deletes=volume.delete_claim,
    )


def _of_stateful_sets(facts: Facts) -> Iterator[_Disk]:
    for each in stateful_sets(facts):
        owner = str(each.subject)
        templates = each.spec.volume_claim_templates or ()
        for template in templates:
            by_labels = template.spec.selector is not None
            yield _Disk(owner, each.subject, storage_class=template.spec.storage_class_name, by_labels=by_labels)
        if not templates and not any(map(_outlives_the_pod, each.spec.template.spec.volumes or ())):
            yield _Disk(owner, each.subject, ephemeral=True)


def _outlives_the_pod(volume: Volume) -> bool:
    sources = (volume.persistent_volume_claim, volume.host_path, volume.ephemeral)
    return any(source is not None for source in sources)


def _owners(disks: Iterable[_Disk]) -> str:
    return listed(sorted({disk.owner for disk in disks}))


def _subjects(disks: Iterable[_Disk]) -> list[Subject]:
    return sorted({disk.subject for disk in disks}, key=str)


def _ephemeral(disks: Sequence[_Disk]) -> Finding:
    return Finding.fail(
        f"{_owners(disks)}: Kafka's data lies in an emptyDir and goes with the pod, a persistent claim was expected.",
        subjects=_subjects(disks),
        fix="Add brokers with persistent claims (a node pool, or volumeClaimTemplates), and move the partitions there.",
    )


def _deleted_with_kafka(disks: Sequence[_Disk]) -> Finding:
    return Finding.warn(
        f"{_owners(disks)}: deleteClaim is true, false was expected: "
        "whoever deletes the Kafka resource deletes the data with it.",
        subjects=_subjects(disks),
        fix="Set deleteClaim to false; that can be changed in place.",
    )


def _judge_classes(facts: Facts, named: Mapping[str | None, Sequence[_Disk]]) -> Iterator[Finding]:
    classes = {cls.name: cls for cls in facts.list(StorageClass)}
    default = min((cls.name for cls in classes.values() if cls.is_default), default=None)
    for name, disks in sorted(named.items(), key=lambda item: item[0] or ""):
        wanted = name if name is not None else default
        if wanted == "":  # no class on purpose: volumes made by hand
            yield Finding.ok(f"{_owners(disks)}: volumes made by hand, without a class.")
        elif wanted is None or wanted not in classes:
            yield _no_class(name, disks)
        else:
            yield from _judge_class(facts, classes[wanted], disks)


def _no_class(name: str | None, disks: Sequence[_Disk]) -> Finding:
    wanted = f"StorageClass {name}, which does not exist" if name else "the default StorageClass, and there is none"
    return Finding.fail(
        f"{_owners(disks)}: volumes of {wanted}; new claims stay Pending.",
        subjects=_subjects(disks),
        fix="Create the class, or let new brokers name one that exists.",
        command="kubectl get storageclasses",
    )


def _judge_class(facts: Facts, cls: StorageClass, disks: Sequence[_Disk]) -> Iterator[Finding]:
    owners, subjects = _owners(disks), _subjects(disks)
    seen = examples({cls.name: {"provisioner": cls.provisioner, "volumeBindingMode": cls.volume_binding_mode}})
    if matches(cls.provisioner, (*SHARED_FILE_SYSTEMS, *OBJECT_STORES)):
        yield Finding.fail(
            f"{owners}: volumes of StorageClass {cls.name}, a shared file system or object store; block or local "
            "volumes were expected: Kafka locks its log directory and renames open files.",
            subjects=subjects,
            fix="Add brokers on a block or local class, and move the partitions there.",
            evidence=seen,
        )
        return
    sound = True
    if not cls.waits_for_consumer and (place := _place(facts, cls)):
        sound = False
        yield Finding.fail(
            f"{owners}: volumes of StorageClass {cls.name} are made before the broker is scheduled (volumeBindingMode "
            f"Immediate, WaitForFirstConsumer was expected), although {place}.",
            subjects=subjects,
            fix="Make a class that waits, add brokers that name it, and move the partitions there.",
            evidence=seen,
        )
    if _is_fixed(cls):
        sound = False
        yield Finding.warn(
            f"{owners}: volumes of StorageClass {cls.name} cannot grow, growing volumes were expected: "
            "a full disk stops the broker, and the way out is a new node pool.",
            subjects=subjects,
            fix="Set allowVolumeExpansion on the class if its driver can resize, or use another class.",
            evidence=seen,
        )
    if sound:
        yield Finding.ok(f"{owners}: volumes of StorageClass {cls.name} suit Kafka.", subjects=subjects)


def _is_fixed(cls: StorageClass) -> bool:
    """Whether volumes cannot grow; those made by hand are left out."""
    if cls.provisioner == NO_PROVISIONER:
        return False
    return not cls.allow_volume_expansion or matches(cls.provisioner, FIXED_SIZE)


def _place(facts: Facts, cls: StorageClass) -> str:
    """Half a sentence on why it matters where a volume is made; empty where it does not."""
    if cls.allowed_topologies:
        return ""  # the site has chosen a place
    nodes = data_nodes(facts)
    if matches(cls.provisioner, NODE_LOCAL):
        return f"each can be reached from one of {len(nodes)} data nodes only" if len(nodes) > 1 else ""
    zones = {node.zone for node in nodes if node.zone}
    if matches(cls.provisioner, ZONAL_BLOCK) and len(zones) > 1:
        return f"each can be reached from one of {len(zones)} zones only"
    return ""
