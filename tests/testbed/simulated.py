"""Simulated nodes and pods: KWOK answers for them, so that thousands cost next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from kubernetes import client

from tests.testbed import processes
from tests.testbed.binaries import binary
from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import CONTROL_PLANE_ADDRESS, CONTROL_PLANE_NETNS, KUBECONFIG

MARK = "kwok.x-k8s.io/node"
NAMESPACE_PREFIX = "simulated-"
PODS_PER_NAMESPACE = 500
_THREADS = 16
_PATIENCE_SECONDS = 180.0

T = TypeVar("T")


@contextmanager
def simulated(
    cluster: Cluster, *, nodes: int, pods: int, timeout_seconds: float = 900, remove: bool = True
) -> Iterator[None]:
    """A cluster with that many simulated nodes and running pods more; all of them are gone afterwards.

    Real pods keep off the simulated nodes, which carry a taint. ``remove=False`` leaves them, for a test bed that is
    taken down anyway.
    """
    _start_kwok()
    try:
        _each(lambda number: cluster.core.create_node(_node(number)), range(nodes))
        namespaces = [f"{NAMESPACE_PREFIX}{number}" for number in range(-(-pods // PODS_PER_NAMESPACE))]
        _each(lambda name: cluster.core.create_namespace({"metadata": {"name": name}}), namespaces)
        wait_for("the default accounts", lambda: all(_default_account(cluster, name) for name in namespaces))
        _each(
            lambda number: cluster.core.create_namespaced_pod(
                f"{NAMESPACE_PREFIX}{number // PODS_PER_NAMESPACE}", _pod(number, nodes=nodes)
            ),
            range(pods),
        )
        _await_running(cluster, namespaces, timeout_seconds=timeout_seconds)
        yield
    finally:
        if remove:
            _remove(cluster)
        processes.forget("kwok")


def _start_kwok() -> None:
    processes.start(
        "kwok",
        [
            binary("kwok"),
            f"--kubeconfig={KUBECONFIG}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={MARK}=fake",
            "--node-lease-duration-seconds=120",
            f"--server-address={CONTROL_PLANE_ADDRESS}:10247",
        ],
        netns=CONTROL_PLANE_NETNS,
    )


def _await_running(cluster: Cluster, namespaces: list[str], *, timeout_seconds: float) -> None:
    """Now and then KWOK never takes a node over, whose pods then stay Pending: starting it again helps."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        left_seconds = deadline - time.monotonic()
        try:
            wait_for(
                "running simulated pods",
                lambda: _running(cluster, namespaces),
                timeout_seconds=min(_PATIENCE_SECONDS, left_seconds),
                poll_seconds=2,
            )
        except TimeoutError:
            if left_seconds <= _PATIENCE_SECONDS:
                raise
            _start_kwok()
        else:
            return


def _remove(cluster: Cluster) -> None:
    mine = [
        namespace.metadata.name
        for namespace in cluster.core.list_namespace().items
        if namespace.metadata.name.startswith(NAMESPACE_PREFIX)
    ]
    _each(lambda name: cluster.core.delete_collection_namespaced_pod(name, grace_period_seconds=0), mine)
    _each(cluster.core.delete_namespace, mine)
    cluster.core.delete_collection_node(label_selector=f"{MARK}=fake")
    wait_for(
        "the simulated namespaces to be gone",
        lambda: not any(n.metadata.name.startswith(NAMESPACE_PREFIX) for n in cluster.core.list_namespace().items),
        timeout_seconds=300,
    )


def _each(action: Callable[[T], Any], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(action, items):
            pass


def _default_account(cluster: Cluster, namespace: str) -> bool:
    cluster.core.read_namespaced_service_account("default", namespace)
    return True


def _running(cluster: Cluster, namespaces: list[str]) -> bool:
    """Whether no pod is left that does not run; asks for one, as listing all is the load that tests measure."""
    for namespace in namespaces:
        page = cluster.core.list_namespaced_pod(namespace, field_selector="status.phase!=Running", limit=1)
        if page.items:
            return False
    return True


def _node(number: int) -> dict[str, Any]:
    name = f"simulated-{number:05}"
    zone = f"zone-{'abc'[number % 3]}"
    amounts = {"cpu": "32", "memory": "256Gi", "pods": "250", "ephemeral-storage": "500Gi"}
    return {
        "metadata": {
            "name": name,
            "annotations": {MARK: "fake"},
            "labels": {
                MARK: "fake",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": "testbed",
            },
        },
        "spec": {"taints": [{"key": MARK, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": amounts, "capacity": amounts},
    }


def _pod(number: int, *, nodes: int) -> client.V1Pod | dict[str, Any]:
    app = f"app-{number % 40}"
    return {
        "metadata": {
            "name": f"pod-{number:06}",
            "labels": {"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "simulated"},
            "annotations": {"example.org/revision": str(number % 7)},
        },
        "spec": {
            "nodeName": f"simulated-{number % nodes:05}",
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": name,
                    "image": f"registry.example/{app}:{number % 5}",
                    "env": [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(5)],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "ports": [{"containerPort": 8080, "name": "http"}] if name == "main" else [],
                }
                for name in ("main", "sidecar")
            ],
        },
    }
