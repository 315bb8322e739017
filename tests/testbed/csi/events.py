"""Events about claims and volumes, as kubectl describe shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.testbed.client import Cluster
from tests.testbed.csi.layout import DRIVER


def note(cluster: Cluster, about: dict[str, Any], reason: str, message: str) -> None:
    """Say that something goes well."""
    _create(cluster, about, "Normal", reason, message)


def warn(cluster: Cluster, about: dict[str, Any], reason: str, message: str) -> None:
    """Say that something failed."""
    _create(cluster, about, "Warning", reason, message)


def _create(cluster: Cluster, about: dict[str, Any], severity: str, reason: str, message: str) -> None:
    metadata = about["metadata"]
    namespace = metadata.get("namespace", "default")
    now = datetime.now(UTC).isoformat()
    is_claim = "namespace" in metadata
    body = {
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim" if is_claim else "PersistentVolume",
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": severity,
        "reason": reason,
        "message": message,
        "source": {"component": DRIVER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    cluster.core.create_namespaced_event(namespace, body)
