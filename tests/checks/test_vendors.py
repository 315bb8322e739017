"""What the static checks say of each vendor's defaults: what hurts is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from auditor.model import Finding, Status
from auditor.registry import load_checks
from auditor.units.check import Check
from tests.auditing import Outcome, discontent, static_checks
from tests.vendor_clusters import VendorCluster, load_vendor_clusters

JUDGED_AREAS = ("control-plane", "dns", "kafka", "nodes", "platform", "scheduler", "spark", "stateful", "storage")
"""The areas of which the clusters show all that checks read; they show no add-on for networks and load balancers."""

CLUSTERS = load_vendor_clusters()


def fails(*checks: str) -> frozenset[Outcome]:
    """These checks fail."""
    return frozenset((check, Status.FAIL) for check in checks)


def warns(*checks: str) -> frozenset[Outcome]:
    """These checks warn."""
    return frozenset((check, Status.WARN) for check in checks)


def unknown(*checks: str) -> frozenset[Outcome]:
    """These checks cannot tell."""
    return frozenset((check, Status.UNKNOWN) for check in checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must be said of a vendor's cluster.

    Attributes:
        bad: all that is wrong or cannot be told; whatever is missing here must not be said.
        skipped: checks that must say why they do not apply, and nothing else.
    """

    bad: frozenset[Outcome]
    skipped: tuple[str, ...] = ()


NOTHING_ADDED = warns("scheduler.priority-classes") | unknown("nodes.cgroup-v2")
"""No vendor brings priorities for workloads, and none shows its nodes' version of cgroups."""

NO_GANGS = fails("scheduler.gang-scheduling")

KUBELET_UNREAD = unknown("nodes.graceful-shutdown", "nodes.no-swap")
"""Only kubeadm leaves the kubelets' configuration where an auditor may read it."""

NO_ZONES = warns("scheduler.zone-labels")

ONE_WRITER_ONLY = warns("storage.shared-volumes")

NONE_RETAINED = warns("storage.retain-class")

WITHOUT_NOATIME = warns("storage.file-system")

HIDDEN_ETCD = ("control-plane.etcd-members", "control-plane.failure-domains")

HIDDEN_CONTROL_PLANE = (*HIDDEN_ETCD, "control-plane.api-servers", "control-plane.leader-leases")

NO_CLASS = ("storage.block-storage", "storage.driver-installed", "storage.performance-tier", "storage.volume-limits")

NO_DNS_PODS = (
    "dns.autoscaler",
    "dns.no-restarts",
    "dns.replicas",
    "dns.service-endpoints",
    "dns.spread",
)

NO_COREFILE = (
    "dns.cluster-domain",
    "dns.corefile",
    "dns.headless-names",
    "dns.memory-limit",
    "dns.negative-cache",
    "dns.reverse-zones",
)

FOLDERS_AS_VOLUMES = fails("storage.volume-expansion") | warns(
    "platform.default-volumes", "storage.retain-class", "storage.shared-volumes"
)
"""What k3s, kind and minikube give: folders of a node, which neither grow nor move."""

ONE_SERVER = fails("control-plane.api-servers")

SMALLEST_GKE = fails(
    "nodes.burstable-shapes", "nodes.room-for-kafka", "nodes.room-for-spark", "nodes.room-for-zeppelin"
) | warns("nodes.ephemeral-storage")
"""e2-medium with a boot disk of 100 GB, half of it for pods."""

GKE_STORAGE = (
    warns("storage.performance-tier", "storage.waits-for-consumer")  # the older class `standard`
    | fails("storage.volume-snapshots")
    | warns("storage.volume-snapshots")
    | NONE_RETAINED
    | ONE_WRITER_ONLY
    | WITHOUT_NOATIME
)

EXPECTED: dict[str, Expected] = {
    "ack": Expected(
        bad=NOTHING_ADDED
        | KUBELET_UNREAD
        | unknown("scheduler.gang-scheduling")  # in Pro clusters ACK's own scheduler does it
        | fails("storage.default-class")
        | warns("storage.performance-tier", "storage.waits-for-consumer")
        | NONE_RETAINED
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=(*HIDDEN_CONTROL_PLANE, "platform.system-pool"),
    ),
    "aks": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | warns("platform.system-pool", "storage.volume-attributes")
        | fails("storage.performance-tier", "storage.volume-snapshots")
        | warns("storage.performance-tier", "storage.volume-snapshots")
        | NONE_RETAINED
        | WITHOUT_NOATIME,
        skipped=(*HIDDEN_CONTROL_PLANE, "dns.node-local-cache"),
    ),
    "doks": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | NO_ZONES
        | warns("control-plane.api-servers", "dns.corefile", "nodes.ephemeral-storage")
        | fails("nodes.room-for-kafka")
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=HIDDEN_ETCD,
    ),
    "eks": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | fails("nodes.burstable-shapes", "nodes.ephemeral-storage", "nodes.room-for-kafka")
        | fails("storage.default-class")
        | warns("storage.performance-tier", "storage.volume-expansion", "storage.volume-snapshots")
        | NONE_RETAINED
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=(*HIDDEN_ETCD, "platform.webhook-endpoints", "storage.volume-attributes"),
    ),
    "eks-auto-mode": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | warns("nodes.ephemeral-storage", "nodes.room-for-kafka", "scheduler.node-autoscaler")
        | fails("storage.default-class")
        | ONE_WRITER_ONLY,
        skipped=(*HIDDEN_ETCD, *NO_DNS_PODS, *NO_COREFILE, "dns.node-local-cache", *NO_CLASS),
    ),
    "gke": Expected(
        bad=NOTHING_ADDED | NO_GANGS | KUBELET_UNREAD | SMALLEST_GKE | GKE_STORAGE,
        skipped=(*HIDDEN_ETCD, *NO_COREFILE, "storage.volume-attributes"),
    ),
    "gke-cloud-dns": Expected(
        bad=NOTHING_ADDED | NO_GANGS | KUBELET_UNREAD | SMALLEST_GKE | GKE_STORAGE,
        skipped=(*HIDDEN_ETCD, *NO_DNS_PODS, *NO_COREFILE),
    ),
    "ibm-iks-vpc": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | warns("nodes.ephemeral-storage")
        | fails("storage.waits-for-consumer")
        | warns("storage.waits-for-consumer")
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=HIDDEN_CONTROL_PLANE,
    ),
    "k3s": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | NO_ZONES
        | ONE_SERVER
        | unknown("control-plane.etcd-members")  # SQLite
        | fails("dns.replicas")
        | warns("dns.corefile", "dns.service-endpoints", "nodes.ephemeral-storage")
        | FOLDERS_AS_VOLUMES,
        skipped=("control-plane.leader-leases", "dns.spread", "storage.volume-attributes", "storage.volume-limits"),
    ),
    "kind": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | NO_ZONES
        | ONE_SERVER
        | unknown("nodes.no-swap")
        | fails("control-plane.etcd-members", "dns.spread", "nodes.enough-hosts")
        | warns("nodes.graceful-shutdown", "platform.production-distribution")
        | FOLDERS_AS_VOLUMES,
    ),
    "kubeadm": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | NO_ZONES
        | fails("dns.spread", "storage.default-class")
        | warns("nodes.graceful-shutdown")
        | ONE_WRITER_ONLY,
        skipped=NO_CLASS,
    ),
    "minikube": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | ONE_SERVER
        | unknown("nodes.no-swap")
        | fails("control-plane.etcd-members", "nodes.enough-hosts")
        | warns("nodes.graceful-shutdown", "platform.production-distribution")
        | FOLDERS_AS_VOLUMES,
        skipped=("control-plane.clock-skew", "control-plane.leader-leases", "dns.spread"),
    ),
    "openshift-aws": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | warns("storage.performance-tier", "storage.volume-attributes")
        | NONE_RETAINED
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=("dns.node-local-cache",),
    ),
    "ovh-mks": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | warns("nodes.ephemeral-storage")
        | NONE_RETAINED
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=HIDDEN_CONTROL_PLANE,
    ),
    "rke2": Expected(
        bad=NOTHING_ADDED | NO_GANGS | KUBELET_UNREAD | NO_ZONES | fails("storage.default-class") | ONE_WRITER_ONLY,
        skipped=NO_CLASS,
    ),
    "scaleway": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | KUBELET_UNREAD
        | fails("nodes.ephemeral-storage", "storage.volume-snapshots")
        | warns("storage.volume-snapshots")
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=HIDDEN_CONTROL_PLANE,
    ),
    "tanzu": Expected(
        bad=NOTHING_ADDED
        | NO_GANGS
        | NO_ZONES
        | fails("nodes.ephemeral-storage", "nodes.room-for-kafka", "storage.default-class")
        | warns("nodes.graceful-shutdown")
        | NONE_RETAINED
        | ONE_WRITER_ONLY
        | WITHOUT_NOATIME,
        skipped=("storage.volume-attributes",),
    ),
}


def judged_checks() -> list[Check]:
    """The static checks of the areas that the clusters show."""
    static = set(static_checks())
    return [check for check in load_checks() if check.id in static and check.id.partition(".")[0] in JUDGED_AREAS]


def differences(cluster: VendorCluster, findings: Iterable[Finding], expected: Expected) -> list[str]:
    """What is said and must not be, and the other way round, in words."""
    findings = list(findings)
    bad = discontent(findings)
    said = {(each.check, each.status): each.message for each in reversed(findings)}
    skipped = {each.check for each in findings if each.status is Status.SKIP}
    said_otherwise = {each.check for each in findings if each.status is not Status.SKIP}
    return [
        *(f"must not be: {check} {status}: {said[check, status]}" for check, status in sorted(bad - expected.bad)),
        *(f"is missing: {check} {status}" for check, status in sorted(expected.bad - bad)),
        *(f"must be skipped: {check}" for check in expected.skipped if check not in skipped - said_otherwise),
    ]


def test_every_vendor_has_its_expectations() -> None:
    assert CLUSTERS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_vendor_is_told(name: str) -> None:
    vendor = CLUSTERS[name].vendor()

    assert vendor is not None
    assert vendor.id == CLUSTERS[name].options.vendor, vendor


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_object_is_read_by_a_check(name: str) -> None:
    assert CLUSTERS[name].unread(judged_checks()) == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_defaults_that_hurt_are_found_and_nothing_else(name: str) -> None:
    cluster = CLUSTERS[name]

    found = differences(cluster, cluster.findings(judged_checks()), EXPECTED[name])

    assert not found, f"{name} shows what was not expected:\n" + "\n".join(found)
