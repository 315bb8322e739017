"""Do nodes take as many volumes as data systems will attach?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import CSIDriver, CSINode, Node, PersistentVolumeClaim, StatefulSet, StorageClass
from auditor.facts.kube.storage import VolumeAttachment

from .._provisioners import ATTACH_LIMITED, NODE_LOCAL, WITHOUT_CSI_DRIVER, driver_of, matches
from .._wording import counted, examples, full_names, listed
from ._classes import Need, by_need, described, is_shared, no_classes, volume_classes


class LimitParameters(Parameters, frozen=True, kw_only=True):
    """What a site plans per node."""

    volumes_per_node_expected: Annotated[
        int,
        threshold(
            "Volumes of one driver that a node must take, such as the disks of a DataNode; 0 where nothing is planned.",
            source="The site's own plan; how many volumes a broker or DataNode has is not visible before it exists.",
            ge=0,
        ),
    ] = 0
    attached_percent: Annotated[
        int,
        threshold(
            "Per cent of a node's volumes from which on it counts as nearly full.",
            source="No upstream number; at 90 per cent of 25 volumes there is room for two more.",
            ge=1,
            le=100,
        ),
    ] = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registration:
    """One driver on one node.

    Attributes:
        node: the node.
        driver: the driver's name.
        limit: how many volumes the driver says that it can attach there.
    """

    node: Node
    driver: str
    limit: int | None


@dataclass(frozen=True, slots=True)
class _Use:
    """How many volumes of one driver are attached to a node, of how many."""

    node: Node
    count: int
    limit: int


@check(
    "storage.volume-limits",
    title="Every node takes the volumes that data systems attach",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA, Workload.HDFS, Workload.SPARK),
    reads=(StorageClass, CSIDriver, CSINode, Node, VolumeAttachment, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-015",),
)
def volume_limits(facts: Facts, params: LimitParameters) -> Iterator[Finding]:
    """A machine of a cloud takes only so many disks, and the scheduler has to know how many.

    ## What it checks
    For the driver of each StorageClass whose volumes are attached (`attachRequired` of the CSIDriver), on every node:

    - `allocatable.count` in the CSINode is set where the driver belongs to a cloud or hypervisor, whose machines have a
      limit. A default class, or one in use, fails; any other is a warning. Drivers without such a limit (Ceph, Longhorn
      …) report none, which is right.
    - It is at least `volumes_per_node_expected`, if that is set.
    - Fewer than `attached_percent` per cent of it are attached now; a node above that is a warning.

    ## Why it matters
    Where no number is reported, the scheduler takes the node for unbounded, sends one pod after the other, and those
    beyond the limit hang in ContainerCreating. The number can also be too high: on EC2, network interfaces and root
    disks share the slots of most machines (25 to 39), so that a node which says 25 may take fewer. Google's smallest
    shapes take 15 disks, others 127.

    ## How to fix
    Upgrade the driver, or let its node plugin tell (EBS: `--reserved-volume-attachments`). Choose shapes with slots of
    their own for volumes. Since Kubernetes 1.34 a driver can correct its number while the node runs
    (`nodeAllocatableUpdatePeriodSeconds` of the CSIDriver).

        kubectl get csinodes -o custom-columns=NODE:.metadata.name,LIMIT:.spec.drivers[*].allocatable.count

    ## References
    - [Node-specific volume limits](https://kubernetes.io/docs/concepts/storage/storage-limits/)
    - [KEP-4876: mutable CSINode allocatable count](https://github.com/kubernetes/enhancements/issues/4876)
    - [Amazon EBS volume limits](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/volume_limits.html)
    - [EBS: the node takes fewer volumes than it says](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/1163)
    - [EBS: no limit reported](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/1361)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    attached = _attached(facts, classes)
    if not attached:
        yield Finding.skip(f"Volumes of {described(classes)} are not attached to nodes.")
        return
    registrations = _registrations(facts, {driver_of(cls.provisioner) for cls in attached})
    if not registrations:
        yield Finding.skip(
            f"The driver of {described(attached)} is registered on no node, so there is no limit to judge."
        )
        return
    yield from _judge_unbounded(facts, attached, registrations)
    yield from _judge_plan(facts, attached, registrations, params.volumes_per_node_expected)
    yield from _judge_use(facts, registrations, params.attached_percent)


def _attached(facts: Facts, classes: Sequence[StorageClass]) -> list[StorageClass]:
    """The classes whose volumes a controller attaches to machines."""
    never = (*NODE_LOCAL, *WITHOUT_CSI_DRIVER)
    some = [cls for cls in classes if not is_shared(cls) and not matches(cls.provisioner, never)]
    free = {driver.name for driver in facts.list(CSIDriver) if driver.spec.attach_required is False} if some else set()
    return [cls for cls in some if driver_of(cls.provisioner) not in free]


def _registrations(facts: Facts, drivers: set[str]) -> list[_Registration]:
    """Where these drivers are registered, by driver and node. CSINodes of nodes that are gone do not count."""
    found = [
        _Registration(
            node=node, driver=driver.name, limit=driver.allocatable.count if driver.allocatable is not None else None
        )
        for csi_node in facts.list(CSINode)
        for driver in csi_node.drivers
        if driver.name in drivers and (node := facts.get(Node, csi_node.name)) is not None
    ]
    return sorted(found, key=lambda registration: (registration.driver, registration.node.name))


def _judge_unbounded(
    facts: Facts, classes: Sequence[StorageClass], registrations: Sequence[_Registration]
) -> Iterator[Finding]:
    unbounded = [registration for registration in registrations if registration.limit is None]
    drivers = {registration.driver for registration in unbounded}
    limited = {driver for driver in drivers if matches(driver, ATTACH_LIMITED)}
    if endless := sorted(drivers - limited):
        yield Finding.ok(f"The driver {listed(endless)} reports no limit, and none is known to exist.")
    for need, group in by_need(facts, [cls for cls in classes if driver_of(cls.provisioner) in limited]):
        for driver in sorted({driver_of(cls.provisioner) for cls in group}):
            nodes = [registration.node for registration in unbounded if registration.driver == driver]
            yield Finding.of(
                need.status,
                f"How many volumes of {driver} a node takes is not reported on {counted(len(nodes), 'node')} "
                f"({full_names(nodes)}), a number was expected for {described(group, need)}: the scheduler takes these "
                "nodes for unbounded.",
                subjects=[node.subject for node in nodes],
                fix=f"Upgrade the driver {driver}, and look at the log of its node plugin.",
                evidence={"driver": driver, "classes": [cls.name for cls in group]},
            )


def _judge_plan(
    facts: Facts, classes: Sequence[StorageClass], registrations: Sequence[_Registration], expected: int
) -> Iterator[Finding]:
    short = [r for r in registrations if r.limit is not None and r.limit < expected]
    drivers = {registration.driver for registration in short}
    for need, group in by_need(facts, [cls for cls in classes if driver_of(cls.provisioner) in drivers]):
        for driver in sorted({driver_of(cls.provisioner) for cls in group}):
            its = [registration for registration in short if registration.driver == driver]
            yield _too_few(need, group, its, expected)


def _too_few(
    need: Need, classes: Sequence[StorageClass], registrations: Sequence[_Registration], expected: int
) -> Finding:
    nodes = [registration.node for registration in registrations]
    fewest = min(registration.limit or 0 for registration in registrations)
    driver = registrations[0].driver
    return Finding.of(
        need.status,
        f"On {counted(len(nodes), 'node')} ({full_names(nodes)}), as few as {counted(fewest, 'volume')} of {driver} "
        f"can be attached, {expected} per node were expected for {described(classes, need)}.",
        subjects=[node.subject for node in nodes],
        fix="Choose machines that take more volumes, or plan fewer and larger volumes per pod.",
        evidence=examples({registration.node.name: registration.limit for registration in registrations}),
    )


def _judge_use(facts: Facts, registrations: Sequence[_Registration], percent: int) -> Iterator[Finding]:
    bounded = [(r, r.limit) for r in registrations if r.limit is not None]
    if not bounded:
        return
    used = _volumes_at(facts.list(VolumeAttachment))
    full: defaultdict[str, list[_Use]] = defaultdict(list)
    roomy: defaultdict[str, list[_Use]] = defaultdict(list)
    for registration, limit in bounded:
        use = _Use(registration.node, used[registration.node.name, registration.driver], limit)
        (full if use.count * 100 >= percent * limit else roomy)[registration.driver].append(use)
    for driver, uses in full.items():
        yield _nearly_full(driver, uses, percent)
    for driver, uses in roomy.items():
        yield _with_room(driver, uses)


def _volumes_at(attachments: Sequence[VolumeAttachment]) -> Mapping[tuple[str, str], int]:
    """How many volumes each driver attaches to each node, or is about to."""
    return Counter((attachment.spec.node_name, attachment.spec.attacher) for attachment in attachments)


def _nearly_full(driver: str, uses: Sequence[_Use], percent: int) -> Finding:
    shares = listed([f"{use.node.name} with {use.count} of {use.limit}" for use in uses])
    return Finding.warn(
        f"On {counted(len(uses), 'node')}, {percent} % or more of the volumes of {driver} that fit are attached "
        f"({shares}), less was expected: a further pod finds no slot there.",
        subjects=[use.node.subject for use in uses],
        fix="Add nodes, or move pods with many volumes to machines that take more.",
        evidence=examples({use.node.name: {"attached": use.count, "limit": use.limit} for use in uses}),
    )


def _with_room(driver: str, uses: Sequence[_Use]) -> Finding:
    limits = sorted({use.limit for use in uses})
    span = f"{limits[0]}" if len(limits) == 1 else f"{limits[0]} to {limits[-1]}"
    most = max(use.count for use in uses)
    return Finding.ok(
        f"Room for {span} volumes of {driver} per node ({counted(len(uses), 'node')}); at most {most} are attached to "
        "one of them."
    )
