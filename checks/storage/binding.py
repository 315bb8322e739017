"""Are volumes made where their pods will run?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, check, threshold
from auditor.facts.kube import CSINode, Node, PersistentVolume, PersistentVolumeClaim, StatefulSet, StorageClass

from .._nodes import data_nodes, no_data_nodes
from .._provisioners import driver_of
from ._classes import (
    WORKLOADS_WITH_VOLUMES,
    Need,
    by_need,
    create_copy,
    described,
    mark_as_default,
    no_classes,
    volume_classes,
)
from ._reach import Reach, Reaches, ReachKind


class BindingParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners, where the CSINodes do not tell."""

    zonal_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners whose volumes can be reached from one zone only.",
            source="The site's own provisioners; those of the large clouds are known.",
        ),
    ] = ()
    node_local_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners whose volumes can be reached from one node only.",
            source="The site's own provisioners; TopoLVM, OpenEBS, local-path and their like are known.",
        ),
    ] = ()
    shared_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners whose volumes can be reached from every node.",
            source="The site's own provisioners; shared file systems and object stores are known.",
        ),
    ] = ()


@check(
    "storage.waits-for-consumer",
    title="Volumes of one zone or one node are made where their pod runs",
    severity=Severity.CRITICAL,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageClass, Node, CSINode, PersistentVolume, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-003",),
)
def waits_for_consumer(facts: Facts, params: BindingParameters) -> Iterator[Finding]:
    """A volume that only one zone or one node can reach must wait until the scheduler has chosen a place for its pod.

    ## What it checks
    `volumeBindingMode` is `WaitForFirstConsumer` wherever a volume's place matters:

    - volumes of one zone, when the data nodes span more than one zone;
    - volumes of one node, when there is more than one data node.

    What a volume is bound to is read from the topology keys that its driver registers in the CSINodes; where the driver
    is not registered, known provisioners tell, and the parameters below. Zones are those of the driver's own node
    labels, else of `topology.kubernetes.io/zone`. Data nodes are those that take ordinary pods. Shared file systems,
    and classes that `allowedTopologies` pins to one zone, need no waiting. An unset mode means `Immediate`.

    A default class, one that a claim or a StatefulSet template names, and one whose driver has no waiting class beside
    it, fails. Any other is a warning: several vendors ship Immediate classes that cannot be deleted.

    ## Why it matters
    An Immediate volume is made as soon as the claim exists, in a zone or on a node picked without the pod. If no node
    there has room, or anti-affinity forbids it, the pod is unschedulable for ever: the well-known StatefulSet of five
    pods in two zones whose last pod never starts, or three Kafka brokers whose local volumes all lie on one node.

    ## How to fix
    The mode of an existing class cannot be changed. Create a class beside it that waits, let claims name it, and make
    it the default if the old one was. On ACK that is `alicloud-disk-topology-alltype`, on EKS a gp3 class of your own.

    ## References
    - [Volume binding mode](https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode)
    - [Allowed topologies](https://kubernetes.io/docs/concepts/storage/storage-classes/#allowed-topologies)
    - [CSI topology](https://kubernetes-csi.github.io/docs/topology.html)
    - [StatefulSet volumes made in the wrong zones](https://github.com/kubernetes/kubernetes/issues/49906)
    - [Kafka brokers and local volumes](https://github.com/strimzi/strimzi-kafka-operator/issues/10011)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    waiting = [cls for cls in classes if cls.waits_for_consumer]
    if waiting:
        yield Finding.ok(
            f"Volumes of {described(waiting)} wait for their first pod.", subjects=[cls.subject for cls in waiting]
        )
    if immediate := [cls for cls in classes if cls not in waiting]:
        yield from _judge_immediate(facts, params, immediate, waiting)


def _judge_immediate(
    facts: Facts, params: BindingParameters, classes: Sequence[StorageClass], waiting: Sequence[StorageClass]
) -> Iterator[Finding]:
    nodes = data_nodes(facts)
    if not nodes:
        yield no_data_nodes(facts)
        return
    reaches = Reaches(
        facts,
        nodes,
        zonal=params.zonal_provisioners,
        node_local=params.node_local_provisioners,
        shared=params.shared_provisioners,
    )
    reach_of = {cls.name: reaches.of(cls) for cls in classes}
    harmless = [cls for cls in classes if reach_of[cls.name].kind is ReachKind.EVERY_NODE]
    for reach, group in _grouped(harmless, reach_of):
        yield Finding.ok(
            f"Volumes of {described(group)} need not wait for their pod: {reach.reason}.",
            subjects=[cls.subject for cls in group],
        )
    for need, needed in by_need(facts, [cls for cls in classes if cls not in harmless]):
        for reach, group in _grouped(needed, reach_of):
            yield from _too_early(group, need, reach, waiting)


def _grouped(classes: Sequence[StorageClass], reach_of: dict[str, Reach]) -> Iterator[tuple[Reach, list[StorageClass]]]:
    groups: defaultdict[Reach, list[StorageClass]] = defaultdict(list)
    for cls in classes:
        groups[reach_of[cls.name]].append(cls)
    yield from groups.items()


def _too_early(
    classes: Sequence[StorageClass], need: Need, reach: Reach, waiting: Sequence[StorageClass]
) -> Iterator[Finding]:
    """What to say of classes that share need and reach; one with a waiting class beside it is easier to mend."""
    if reach.kind is ReachKind.NOT_TOLD:
        yield _perhaps_too_early(classes, need, reach)
        return
    beside = {driver_of(cls.provisioner): cls for cls in reversed(waiting)}
    alone = [cls for cls in classes if driver_of(cls.provisioner) not in beside]
    if alone:
        yield Finding.fail(
            _message(alone, need, reach) + ", and no class of the same driver waits.",
            subjects=[cls.subject for cls in alone],
            fix=_waiting_copies(alone),
            evidence=_seen(alone),
        )
    by_alternative: defaultdict[str, list[StorageClass]] = defaultdict(list)
    for cls in classes:
        if cls not in alone:
            by_alternative[driver_of(cls.provisioner)].append(cls)
    for driver, group in by_alternative.items():
        yield Finding.of(
            need.status,
            f"{_message(group, need, reach)}; StorageClass {beside[driver].name} of the same driver waits.",
            subjects=[cls.subject for cls in group],
            fix=_use_instead(beside[driver], group, need),
            evidence=_seen(group),
        )


def _perhaps_too_early(classes: Sequence[StorageClass], need: Need, reach: Reach) -> Finding:
    return Finding.of(
        Status.WARN if need is Need.UNUSED else Status.UNKNOWN,
        f"Volumes of {described(classes, need)} are made before their pod is scheduled, and whether every node "
        f"can reach them cannot be told: {reach.reason}.",
        subjects=[cls.subject for cls in classes],
        fix=reach.how_to_tell,
        evidence=_seen(classes),
    )


def _message(classes: Sequence[StorageClass], need: Need, reach: Reach) -> str:
    return (
        f"Volumes of {described(classes, need)} are made before their pod is scheduled (volumeBindingMode Immediate, "
        f"WaitForFirstConsumer was expected), although {reach.reason}"
    )


def _seen(classes: Sequence[StorageClass]) -> dict[str, object]:
    return {cls.name: {"provisioner": cls.provisioner, "volumeBindingMode": cls.volume_binding_mode} for cls in classes}


def _use_instead(alternative: StorageClass, classes: Sequence[StorageClass], need: Need) -> Fix:
    if need is not Need.DEFAULT:
        return Fix(text=f"Let new claims name {alternative.name} instead; volumes that exist stay where they are.")
    return Fix(
        text=f"Make {alternative.name} the default instead; volumes that exist stay where they are.",
        command="\n".join([mark_as_default(alternative, "true"), *(mark_as_default(cls, "false") for cls in classes)]),
    )


def _waiting_copies(classes: Sequence[StorageClass]) -> Fix:
    return Fix(
        text="Create a class that waits beside it (the mode of a class cannot be changed) and let claims name it.",
        command="\n".join(
            create_copy(cls, f"{cls.name}-wait", volumeBindingMode="WaitForFirstConsumer") for cls in classes
        ),
    )
