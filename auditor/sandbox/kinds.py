"""Where the kinds of objects are served that probes and benchmarks create."""

from __future__ import annotations

from auditor.facts.kube import (
    ConfigMap,
    Deployment,
    EndpointSlice,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    ResourceQuota,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
)
from auditor.facts.kube.meta import core_api
from auditor.facts.kube.storage import VolumeAttributesClass
from auditor.facts.parts import Api

_SNAPSHOTS = "snapshot.storage.k8s.io"
_RBAC = "rbac.authorization.k8s.io"


def _api(group: str, kind: str, plural: str, *, version: str = "v1", namespaced: bool = True) -> Api:
    return Api(group=group, versions=(version,), plural=plural, kind=kind, namespaced=namespaced)


EVENT = core_api("Event", "events")
JOB = _api("batch", "Job", "jobs")
LEASE = _api("coordination.k8s.io", "Lease", "leases")
NETWORK_POLICY = _api("networking.k8s.io", "NetworkPolicy", "networkpolicies")
PRIORITY_CLASS = _api("scheduling.k8s.io", "PriorityClass", "priorityclasses", namespaced=False)
ROLE = _api(_RBAC, "Role", "roles")
ROLE_BINDING = _api(_RBAC, "RoleBinding", "rolebindings")
VOLUME_SNAPSHOT = _api(_SNAPSHOTS, "VolumeSnapshot", "volumesnapshots")
VOLUME_SNAPSHOT_CONTENT = _api(_SNAPSHOTS, "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False)
VOLUME_SNAPSHOT_CLASS = _api(_SNAPSHOTS, "VolumeSnapshotClass", "volumesnapshotclasses", namespaced=False)

_VIEWS = (
    ConfigMap,
    Deployment,
    EndpointSlice,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    ResourceQuota,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
    VolumeAttributesClass,
)
_APIS = (
    EVENT,
    JOB,
    LEASE,
    NETWORK_POLICY,
    PRIORITY_CLASS,
    ROLE,
    ROLE_BINDING,
    VOLUME_SNAPSHOT,
    VOLUME_SNAPSHOT_CLASS,
    VOLUME_SNAPSHOT_CONTENT,
    *(view.api for view in _VIEWS),
)
KINDS = {api.kind: api for api in _APIS}
"""By the kind that a manifest names."""
