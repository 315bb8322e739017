"""Is the driver behind each class installed, on every node that needs it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import (
    CSIDriver,
    CSINode,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    StatefulSet,
    StorageClass,
)

from .._nodes import data_nodes, no_data_nodes
from .._provisioners import NO_PROVISIONER, WITHOUT_CSI_DRIVER, driver_of, matches
from .._wording import counted, listed
from ._classes import WORKLOADS_WITH_VOLUMES, Need, by_need, described, no_classes, volume_classes


class DriverParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners."""

    external_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that make volumes without a CSI driver.",
            source="The site's own provisioners; rancher.io/local-path and its like are known.",
        ),
    ] = ()


@check(
    "storage.driver-installed",
    title="Every StorageClass has its driver on every data node",
    severity=Severity.CRITICAL,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageClass, Node, CSINode, CSIDriver, PersistentVolume, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-002",),
)
def driver_installed(facts: Facts, params: DriverParameters) -> Iterator[Finding]:
    """What a class promises, a driver has to deliver, on the node where the pod lands.

    ## What it checks
    The CSI driver of every StorageClass is registered in the CSINode of every data node. A data node is one that takes
    ordinary pods: nodes that are cordoned or carry a NoSchedule or NoExecute taint, such as the control plane's, do not
    count. In-tree names (`kubernetes.io/aws-ebs` …) stand for the CSI driver that took their work over.

    Nothing has to be registered for `kubernetes.io/no-provisioner`, for known provisioners that are no CSI drivers
    (local-path, NFS subdir and others), or for a class that evidently has volumes of Kubernetes' own types. Anything
    else that neither a CSIDriver nor a CSINode knows is served by nobody.

    A default class, or one that a claim or a StatefulSet template names, fails; any other is a warning.

    ## Why it matters
    Without the driver a claim stays Pending. With the driver on some nodes only, the pod is scheduled all the same and
    hangs in ContainerCreating: the scheduler looks at the driver only where the CSIDriver says
    `preventPodSchedulingIfMissing` (off by default). On EKS the EBS driver is an add-on that nobody installs for you,
    and an old gp2 class depends on it as well.

    ## How to fix
    Install the driver, or let its node DaemonSet run on every data node (look at its tolerations and node selector):

        kubectl get csidrivers
        kubectl get csinodes -o custom-columns=NODE:.metadata.name,DRIVERS:.spec.drivers[*].name

    Delete classes whose provisioner is gone. Name a provisioner of your own in `external_provisioners`.

    ## References
    - [Provisioner](https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner)
    - [CSI migration](https://kubernetes.io/docs/concepts/storage/volumes/#csi-migration)
    - [CSIDriver object](https://kubernetes-csi.github.io/docs/csi-driver-object.html)
    - [CSINode object](https://kubernetes-csi.github.io/docs/csi-node-object.html)
    - [Amazon EBS CSI driver as an add-on](https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    driverless = (NO_PROVISIONER, *WITHOUT_CSI_DRIVER, *params.external_provisioners)
    free = [cls for cls in classes if matches(cls.provisioner, driverless)]
    if free:
        yield _needs_no_driver(free)
    if bound := [cls for cls in classes if cls not in free]:
        yield from _judge_drivers(facts, bound)


def _judge_drivers(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[Finding]:
    nodes = data_nodes(facts)
    if not nodes:
        yield no_data_nodes(facts)
        return
    nodes_with = _registrations(facts)
    known = {driver.name for driver in facts.list(CSIDriver)} | nodes_with.keys()
    driven = [cls for cls in classes if driver_of(cls.provisioner) in known]
    gaps = {name: [node for node in nodes if node.name not in nodes_with.get(name, ())] for name in known}
    complete = [cls for cls in driven if not gaps[driver_of(cls.provisioner)]]
    if complete:
        yield _registered_everywhere(complete, nodes)
    incomplete = [cls for cls in driven if cls not in complete]
    defaults = [cls for cls in incomplete if cls.is_default]
    yield from _missing_somewhere(Need.DEFAULT, defaults, gaps, nodes)

    unserved = []
    if strangers := [cls for cls in classes if cls not in driven]:
        served = _served_without_csi(facts, strangers)
        unserved = [cls for cls in strangers if cls not in served]
        if served:
            yield _needs_no_driver(served)
    for need, group in by_need(facts, [cls for cls in (*incomplete, *unserved) if cls not in defaults]):
        yield from _missing_somewhere(need, [cls for cls in group if cls in incomplete], gaps, nodes)
        if nobodys := [cls for cls in group if cls in unserved]:
            yield _served_by_nobody(need, nobodys)


def _registrations(facts: Facts) -> dict[str, set[str]]:
    """The names of the nodes on which each driver is registered."""
    nodes_with: defaultdict[str, set[str]] = defaultdict(set)
    for csi_node in facts.list(CSINode):
        for driver in csi_node.drivers:
            nodes_with[driver.name].add(csi_node.name)
    return dict(nodes_with)


def _served_without_csi(facts: Facts, classes: Iterable[StorageClass]) -> list[StorageClass]:
    """The classes that have volumes of Kubernetes' own types; in-tree provisioners no longer make any."""
    served = {volume.spec.storage_class_name for volume in facts.list(PersistentVolume) if volume.spec.csi is None}
    return [cls for cls in classes if cls.name in served and not cls.provisioner.startswith("kubernetes.io/")]


def _needs_no_driver(classes: Sequence[StorageClass]) -> Finding:
    provisioners = sorted({cls.provisioner for cls in classes})
    return Finding.ok(
        f"{described(classes)} (provisioner {listed(provisioners)}): nothing has to be registered on nodes, "
        "since these volumes need no CSI driver.",
        subjects=[cls.subject for cls in classes],
    )


def _registered_everywhere(classes: Sequence[StorageClass], nodes: Sequence[Node]) -> Finding:
    drivers = sorted({driver_of(cls.provisioner) for cls in classes})
    return Finding.ok(
        f"{described(classes)}: {listed(drivers)} registered on {len(nodes)} of {counted(len(nodes), 'data node')}.",
        subjects=[cls.subject for cls in classes],
    )


def _missing_somewhere(
    need: Need, classes: Sequence[StorageClass], gaps: Mapping[str, Sequence[Node]], nodes: Sequence[Node]
) -> Iterator[Finding]:
    """One finding per driver, with the nodes that lack it."""
    by_driver: defaultdict[str, list[StorageClass]] = defaultdict(list)
    for cls in classes:
        by_driver[driver_of(cls.provisioner)].append(cls)
    for driver, its_classes in sorted(by_driver.items()):
        gap = gaps[driver]
        yield Finding.of(
            need.status,
            f"The CSI driver {driver} of {described(its_classes, need)} is not registered on {len(gap)} of "
            f"{counted(len(nodes), 'data node')} ({listed([node.name for node in gap])}), all were expected: "
            "a pod that is scheduled there never gets its volume.",
            subjects=[node.subject for node in gap],
            fix=f"Let the node DaemonSet of {driver} run on every data node; see its tolerations and node selector.",
            evidence={"driver": driver, "classes": [cls.name for cls in its_classes], "nodes": len(nodes)},
        )


def _served_by_nobody(need: Need, classes: Sequence[StorageClass]) -> Finding:
    provisioners = sorted({cls.provisioner for cls in classes})
    drivers = sorted({driver_of(provisioner) for provisioner in provisioners} - set(provisioners))
    through = f", whose work {listed(drivers)} does today" if drivers else ""
    return Finding.of(
        need.status,
        f"Nothing serves {described(classes, need)}: no CSIDriver and no CSINode knows {listed(provisioners)}"
        f"{through}; a driver was expected, a claim stays Pending.",
        subjects=[cls.subject for cls in classes],
        fix="Install the driver or delete the class; name a provisioner without CSI driver in external_provisioners.",
        evidence={cls.name: {"provisioner": cls.provisioner} for cls in classes},
    )
