"""ServiceAccounts of the tests' own, with exactly the roles that they are given."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import kubeconfig
from tests.testbed.client import Cluster, wait_for

NAMESPACE = "auditor"
"""Where they live."""

Manifest = dict[str, Any]


@contextmanager
def account(cluster: Cluster) -> Iterator[str]:
    """A ServiceAccount, by its name, while the block runs."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": name}})
    yield name
    cluster.core.delete_namespaced_service_account(name, NAMESPACE)


def kubeconfig_of(cluster: Cluster, name: str, folder: Path) -> Path:
    """A kubeconfig with its token."""
    return kubeconfig.write(folder / "kubeconfig", credentials=cluster.token(name, NAMESPACE))


@contextmanager
def granted(cluster: Cluster, documents: Sequence[Manifest]) -> Iterator[None]:
    """Roles and bindings, while the block runs."""
    try:
        for document in documents:
            cluster.apply_object(document)
        yield
    finally:
        remove(cluster, documents)


def remove(cluster: Cluster, documents: Sequence[Manifest]) -> None:
    """Remove roles and bindings."""
    for kind, name, namespace in {
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in documents
    }:
        cluster.resource(kind, "rbac.authorization.k8s.io/v1").delete(name=name, namespace=namespace)


def wait_until_allowed(cluster: Cluster, name: str, attributes: dict[str, str], *, allowed: bool) -> None:
    """The authorizer learns of roles a moment after they are written."""
    review = {
        "spec": {"user": f"system:serviceaccount:{NAMESPACE}:{name}", "resourceAttributes": attributes},
    }
    path = f"{cluster.api.configuration.host}/apis/authorization.k8s.io/v1/subjectaccessreviews"

    def answered() -> bool:
        answer = cluster.api.call_api("POST", path, {"Content-Type": "application/json"}, review)
        return bool(yaml.safe_load(answer.read())["status"].get("allowed", False)) is allowed

    wait_for(f"{attributes} to be {'allowed' if allowed else 'refused'}", answered, poll_seconds=0.05)
