"""The manifests of the storage probe: claims, snapshots, and the pods that use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.cluster import Manifest
from auditor.facts.kube import PersistentVolumeClaim, StorageClass
from auditor.sandbox import Sandbox
from auditor.sandbox.agent_pods import agent_pod
from auditor.sandbox.kinds import VOLUME_SNAPSHOT

FOLDER = "/volume"
"""Where volumes are mounted."""

MARKER_BYTES = 8 * 1024**2
"""Of the file that is written, and must be found again."""

DISK_FILE_BYTES = 512 * 1024**2
"""Of the file that speed is measured with, where the volume has room for twice as much."""

_HOLD_SECONDS = 3600.0
_VOLUME = "data"
_MANY = "ReadWriteMany"
_ONE = "ReadWriteOnce"


def claim(
    sandbox: Sandbox, cls: StorageClass, name: str, *, size_bytes: int, shared: bool = False, snapshot: str = ""
) -> Manifest:
    """A claim for a volume, empty or from a snapshot."""
    spec: Manifest = {
        "accessModes": [_MANY if shared else _ONE],
        "storageClassName": cls.name,
        "resources": {"requests": {"storage": str(size_bytes)}},
    }
    if snapshot:
        group = VOLUME_SNAPSHOT.group
        spec["dataSource"] = {"apiGroup": group, "kind": VOLUME_SNAPSHOT.kind, "name": snapshot}
    return {
        "apiVersion": "v1",
        "kind": PersistentVolumeClaim.api.kind,
        "metadata": {"name": name, "labels": sandbox.marks()},
        "spec": spec,
    }


def snapshot_of(sandbox: Sandbox, name: str, *, claim_name: str, snapshot_class: str, version: str) -> Manifest:
    """A snapshot of a claim's volume; an empty class is left out, the server refuses it."""
    return {
        "apiVersion": f"{VOLUME_SNAPSHOT.group}/{version}",
        "kind": VOLUME_SNAPSHOT.kind,
        "metadata": {"name": name, "labels": sandbox.marks()},
        "spec": {
            **({"volumeSnapshotClassName": snapshot_class} if snapshot_class else {}),
            "source": {"persistentVolumeClaimName": claim_name},
        },
    }


def holder(sandbox: Sandbox, name: str, claim_name: str, **place: Any) -> Manifest:
    """A pod that writes to a volume and watches its size until it is removed."""
    arguments = {"mode": "hold", "bytes": MARKER_BYTES, "seed": claim_name, "seconds": _HOLD_SECONDS}
    return _pod(sandbox, "volume", arguments, name, claim_name, **place)


def reader(sandbox: Sandbox, name: str, claim_name: str, **place: Any) -> Manifest:
    """A pod that reads what a holder has written."""
    return _pod(sandbox, "volume", {"mode": "read"}, name, claim_name, **place)


def sharer(sandbox: Sandbox, name: str, claim_name: str, *, role: str, node: str, seconds: float) -> Manifest:
    """One of two pods that share a volume."""
    return _pod(sandbox, "share", {"role": role, "seconds": seconds}, name, claim_name, node=node)


def measurer(sandbox: Sandbox, name: str, *, claim_name: str, node: str | None, seconds: float) -> Manifest:
    """A pod that measures the speed of a volume, or of an emptyDir where no claim is named."""
    arguments = {"path": FOLDER, "seconds": seconds, "file_bytes": DISK_FILE_BYTES}
    more = {"cpu": "100m", "cpu_limit": "2", "memory": "64Mi", "memory_limit": "512Mi"}
    if claim_name:
        return _pod(sandbox, "disk", arguments, name, claim_name, node=node, container_more=more)
    return agent_pod(
        sandbox,
        "disk",
        arguments,
        name=name,
        node=node,
        volumes=[{"name": _VOLUME, "emptyDir": {"sizeLimit": str(2 * DISK_FILE_BYTES)}}],
        mounts=[{"name": _VOLUME, "mountPath": FOLDER}],
        container_more=more,
    )


def elsewhere(node: str) -> Manifest:
    """The affinity to any node but one."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _pod(
    sandbox: Sandbox, task: str, arguments: Mapping[str, Any], name: str, claim_name: str, **place: Any
) -> Manifest:
    return agent_pod(
        sandbox,
        task,
        {"path": FOLDER, **arguments},
        name=name,
        volumes=[{"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim_name}}],
        mounts=[{"name": _VOLUME, "mountPath": FOLDER}],
        **place,
    )
