"""The whole catalogue on a real cluster: content where all is well, and each fault gives exactly its findings."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from auditor.model import Finding, Result, Status
from tests.auditing import Outcome, audit, discontent, judged, static_checks
from tests.testbed import faults
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults.changes import is_healthy
from tests.testbed.layout import NODES

FAIL, WARN, UNKNOWN = Status.FAIL, Status.WARN, Status.UNKNOWN

EXPLAINED: dict[Outcome, str] = {
    ("control-plane.api-servers", WARN): "there is one API server",
    ("control-plane.etcd-members", UNKNOWN): "etcd's members are processes beside the cluster, and no pods of it",
    ("control-plane.failure-domains", UNKNOWN): "so is the whole control plane",
    ("nodes.cgroup-v2", UNKNOWN): "the kubelets are told to bear cgroup v1, which their configuration alone shows",
    ("nodes.enough-hosts", WARN): "the three nodes are one machine",
    ("nodes.graceful-shutdown", UNKNOWN): "the kubelets' configuration is not in the cluster",
    ("nodes.no-swap", UNKNOWN): "nor is what it says of swap",
    ("platform.default-volumes", WARN): "the default class makes folders on a node's own disk",
    (
        "scheduler.gang-scheduling",
        UNKNOWN,
    ): "the scheduler is a process beside the cluster, so that its gates are not seen",
    ("scheduler.priority-classes", WARN): "there are none for workloads",
    ("storage.file-system", WARN): "no class mounts with noatime",
    ("storage.retain-class", WARN): "no class keeps disks",
    ("storage.shared-volumes", UNKNOWN): "the test bed's CSI driver is in no list, and there is no shared volume",
    ("storage.volume-expansion", FAIL): "nothing resizes the folders of the default class",
}
"""What a healthy test bed is found guilty of, and why that is true of it."""

UNSTEADY = ("control-plane.etcd-latency", "nodes.room-for-")
"""Checks whose findings depend on how long the test bed has run, and on how large the machine is."""

Fault = Callable[[Cluster], AbstractContextManager[Any]]

NODE = NODES[1].name

FAULTS: dict[str, tuple[Fault, set[Outcome]]] = {
    "no default class": (
        faults.no_default_class,
        {("storage.default-class", FAIL), ("storage.volume-expansion", WARN)},
    ),
    "two default classes": (faults.two_default_classes, {("storage.default-class", WARN)}),
    "a class without expansion": (
        partial(faults.class_without_expansion, like="testbed-csi"),
        {("storage.volume-expansion", WARN)},
    ),
    "a class with immediate binding": (
        partial(faults.class_with_immediate_binding, like="testbed-csi"),
        {("storage.waits-for-consumer", WARN)},
    ),
    "a driver that is missing on a node": (
        lambda cluster: faults.csi_driver_missing(cluster, NODE),
        {("storage.driver-installed", WARN)},
    ),
    "a node that takes no pods": (lambda cluster: faults.cordoned(cluster, NODE), {("nodes.enough-hosts", FAIL)}),
    "a node of a DNS pod without a zone": (
        lambda cluster: faults.node_without_zone(cluster, _dns_node(cluster)),
        {("scheduler.zone-labels", FAIL), ("dns.spread", UNKNOWN)},
    ),
    "one CoreDNS pod": (
        faults.coredns_single,
        {("dns.replicas", FAIL), ("dns.service-endpoints", WARN)},
    ),
    "CoreDNS without endpoints": (faults.coredns_without_endpoints, {("dns.headless-names", FAIL)}),
    "CoreDNS that crashes": (
        faults.coredns_crashing,
        {
            ("dns.corefile", FAIL),
            ("dns.corefile", WARN),
            ("dns.no-restarts", FAIL),
            ("dns.replicas", FAIL),
            ("dns.service-endpoints", FAIL),
        },
    ),
}
"""Each fault that a collection can see at once, and what is found beside :data:`EXPLAINED`.

A lost etcd member is not among them: with two of three the cluster serves as before, and of members that are no pods
reading sees at most that the API server could not ask one for its size.
"""


def _dns_node(cluster: Cluster) -> str:
    pods = cluster.core.list_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns").items
    return min(str(pod.spec.node_name) for pod in pods)


@pytest.fixture(scope="module", autouse=True)
def settled(test_bed: Cluster) -> None:
    """CoreDNS without the restarts of earlier tests, which count for an hour."""
    settle(test_bed)


def settle(cluster: Cluster) -> None:
    pods = cluster.core.list_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns").items
    restarted = [pod for pod in pods if any(status.restart_count for status in pod.status.container_statuses or ())]
    for pod in restarted:
        cluster.core.delete_namespaced_pod(pod.metadata.name, "kube-system", grace_period_seconds=0)
    wait_for("a healthy test bed", lambda: is_healthy(cluster))


@pytest.fixture(scope="module")
def healthy(test_bed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    bundle = tmp_path_factory.mktemp("healthy") / "bundle"
    return bundle, audit(bundle, *static_checks())


def test_a_healthy_cluster_is_content_but_for_what_is_explained(healthy: tuple[Path, Result]) -> None:
    _, result = healthy

    assert steady(result) == set(EXPLAINED), _told(result.findings, set(EXPLAINED))


def test_every_check_came_to_a_finding(healthy: tuple[Path, Result]) -> None:
    _, result = healthy

    assert {finding.check for finding in result.findings} == set(static_checks())


def test_a_bundle_gives_the_same_findings_again_from_an_archive(healthy: tuple[Path, Result], tmp_path: Path) -> None:
    bundle, result = healthy
    archive = tmp_path / "bundle.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(bundle, arcname=".")

    again = judged(archive, *static_checks())

    assert again.findings == result.findings


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_exactly_its_findings(name: str, test_bed: Cluster, tmp_path: Path) -> None:
    make, expected = FAULTS[name]
    with make(test_bed):
        result = audit(tmp_path / "bundle", *static_checks())
    settle(test_bed)

    assert steady(result) - set(EXPLAINED) == expected, _told(result.findings, expected | set(EXPLAINED))


def steady(result: Result) -> set[Outcome]:
    return {found for found in discontent(result.findings) if not found[0].startswith(UNSTEADY)}


def _told(findings: tuple[Finding, ...], expected: set[Outcome]) -> str:
    surprises = [f for f in findings if (f.check, f.status) in discontent(findings) ^ expected]
    return "\n".join(f"{f.check} {f.status}: {f.message}" for f in surprises)
