"""Faults of the control plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.testbed import processes
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults.journal import fault
from tests.testbed.layout import ETCD, EtcdLayout
from tests.testbed.shell import run

_LEASE_SECONDS = 15


@fault
def scheduler_stopped(cluster: Cluster) -> Iterator[None]:
    """The scheduler does not run: new pods stay Pending and nobody says why."""
    try:
        processes.stop("kube-scheduler")
        yield
    finally:
        processes.restart("kube-scheduler")
        wait_for("the scheduler to lead", lambda: scheduler_leads(cluster))


@fault
def etcd_member_down(cluster: Cluster, member: str = "etcd-3") -> Iterator[None]:
    """One etcd member of three does not run: the others are a quorum, but there is nothing to spare."""
    layout = next(each for each in ETCD if each.name == member)
    try:
        processes.stop(member)
        yield
    finally:
        processes.restart(member)
        wait_for(f"{member} to be healthy", lambda: etcd_member_is_healthy(layout))
        wait_for("the API server to be ready", lambda: cluster.get("/readyz") == "ok")


def scheduler_leads(cluster: Cluster) -> bool:
    """Whether a scheduler holds the lease and keeps renewing it."""
    lease = cluster.resource("Lease", "coordination.k8s.io/v1").get(name="kube-scheduler", namespace="kube-system")
    if not lease.spec.holderIdentity:
        return False
    renewed = datetime.fromisoformat(lease.spec.renewTime)
    return datetime.now(UTC) - renewed < timedelta(seconds=_LEASE_SECONDS)


def etcd_member_is_healthy(member: EtcdLayout) -> bool:
    """Whether a member answers and knows a leader."""
    answer = run("curl", "--silent", "--max-time", "2", f"http://{member.address}:2381/health", check=False)
    return bool(answer) and json.loads(answer)["health"] == "true"
