"""Changes to the cluster's objects that take themselves back, and the wait until all is well again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from kubernetes.dynamic.exceptions import NotFoundError

from tests.testbed.client import Cluster, wait_for

SYSTEM_NAMESPACES = ("kube-system", "local-path-storage")
_MERGE_PATCH = "application/merge-patch+json"


@contextmanager
def patched(
    cluster: Cluster,
    kind: str,
    name: str,
    change: Mapping[str, Any],
    *,
    namespace: str | None = None,
    api_version: str = "v1",
) -> Iterator[None]:
    """An object with a merge patch; afterwards the fields that the patch names are as they were."""
    resource = cluster.resource(kind, api_version)
    where = {"name": name, "namespace": namespace, "content_type": _MERGE_PATCH}
    undo = inverse(resource.get(name=name, namespace=namespace).to_dict(), change)
    with ExitStack() as stack:
        stack.callback(resource.patch, body=undo, **where)
        resource.patch(body=change, **where)
        yield


@contextmanager
def created(cluster: Cluster, document: dict[str, Any]) -> Iterator[None]:
    """An object that was not there, and is gone afterwards."""
    resource = cluster.resource(document["kind"], document["apiVersion"])
    where = {"name": document["metadata"]["name"], "namespace": document["metadata"].get("namespace")}
    resource.create(body=document, namespace=where["namespace"])
    try:
        yield
    finally:
        resource.delete(**where)
        wait_for(f"{document['kind']} {where['name']} to be gone", lambda: _is_gone(resource, where))


def scaled(cluster: Cluster, name: str, *, namespace: str, replicas: int) -> AbstractContextManager[None]:
    """A Deployment with another number of replicas."""
    change = {"spec": {"replicas": replicas}}
    return patched(cluster, "Deployment", name, change, namespace=namespace, api_version="apps/v1")


@contextmanager
def healthy_afterwards(cluster: Cluster) -> Iterator[None]:
    """Wait at the end until nodes and system pods are ready, whatever happened in between."""
    try:
        yield
    finally:
        wait_for("ready nodes and system pods", lambda: is_healthy(cluster), timeout_seconds=120)


def is_healthy(cluster: Cluster) -> bool:
    """Whether every node is ready and every Deployment of the system has all of its pods and no other."""
    ready = (is_ready(node) for node in cluster.core.list_node().items)
    return all(ready) and all(_is_settled(cluster, namespace) for namespace in SYSTEM_NAMESPACES)


def is_ready(found: Any) -> bool:
    """Whether a node or a pod has the condition Ready."""
    return any(c.type == "Ready" and c.status == "True" for c in found.status.conditions or ())


def inverse(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that takes another one back, given the object before it."""
    return {
        key: inverse(before.get(key) or {}, value) if isinstance(value, Mapping) else before.get(key)
        for key, value in change.items()
    }


def _is_settled(cluster: Cluster, namespace: str) -> bool:
    deployments = cluster.resource("Deployment", "apps/v1").get(namespace=namespace).items
    pods = [pod for pod in cluster.core.list_namespaced_pod(namespace).items if pod.metadata.owner_references]
    wanted: int = sum(deployment.spec.replicas for deployment in deployments)
    return wanted == len(pods) and all(map(is_ready, pods))


def _is_gone(resource: Any, where: Mapping[str, str | None]) -> bool:
    try:
        resource.get(**where)
    except NotFoundError:
        return True
    return False
