"""Faults of nodes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from tests.testbed import processes
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults.changes import healthy_afterwards, patched
from tests.testbed.faults.journal import fault
from tests.testbed.layout import STATE

ZONE = "topology.kubernetes.io/zone"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


@fault
def cordoned(cluster: Cluster, node: str) -> Iterator[None]:
    """A node takes no new pods."""
    try:
        with patched(cluster, "Node", node, {"spec": {"unschedulable": True}}):
            wait_for("the taint", lambda: UNSCHEDULABLE in taints(cluster, node))
            yield
    finally:
        wait_for("the taint to be gone", lambda: UNSCHEDULABLE not in taints(cluster, node))


@fault
def node_without_zone(cluster: Cluster, node: str) -> Iterator[None]:
    """A node has no zone label."""
    with patched(cluster, "Node", node, {"metadata": {"labels": {ZONE: None}}}):
        yield


@fault
def node_not_ready(cluster: Cluster, node: str) -> Iterator[None]:
    """A node reports Ready=False, because its runtime finds no network configuration; running pods stay."""
    configuration = STATE / node / "cni" / "10-bridge.conflist"
    aside = configuration.with_suffix(".aside")
    with healthy_afterwards(cluster):
        try:
            configuration.rename(aside)
            wait_for(f"{node} to be not ready", lambda: ready_status(cluster, node) == "False")
            yield
        finally:
            aside.rename(configuration)


@fault
def kubelet_stopped(cluster: Cluster, node: str) -> Iterator[None]:
    """A node's kubelet says nothing any more: Ready=Unknown once the grace period is over; running pods stay."""
    kubelet = f"kubelet-{node}"
    with healthy_afterwards(cluster):
        try:
            processes.send(kubelet, signal.SIGSTOP)
            wait_for(f"{node} to be unknown", lambda: ready_status(cluster, node) == "Unknown")
            yield
        finally:
            processes.send(kubelet, signal.SIGCONT)


def ready_status(cluster: Cluster, node: str) -> str:
    """The status of a node's condition Ready: True, False or Unknown."""
    conditions: list[Any] = cluster.core.read_node(node).status.conditions
    return next(str(condition.status) for condition in conditions if condition.type == "Ready")


def taints(cluster: Cluster, node: str) -> set[str]:
    """The keys of a node's taints."""
    return {taint.key for taint in cluster.core.read_node(node).spec.taints or ()}
