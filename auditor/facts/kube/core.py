"""The legacy ("core") group: nodes, pods, claims, volumes, services."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.kube.meta import Condition, KubeObject, LabelSelector, View
from auditor.facts.parts import CORE_GROUP, Api

ZONE_LABEL = "topology.kubernetes.io/zone"
LEGACY_ZONE_LABEL = "failure-domain.beta.kubernetes.io/zone"


def _api(kind: str, plural: str, *, namespaced: bool = True) -> Api:
    return Api(group=CORE_GROUP, versions=("v1",), plural=plural, kind=kind, namespaced=namespaced)


class Namespace(KubeObject, frozen=True, kw_only=True):
    """A namespace."""

    api: ClassVar[Api] = _api("Namespace", "namespaces", namespaced=False)


class ConfigMap(KubeObject, frozen=True, kw_only=True):
    """A ConfigMap; checks name the one they read with :func:`auditor.named`."""

    api: ClassVar[Api] = _api("ConfigMap", "configmaps")
    data: dict[str, str] | None = None


class Taint(View, frozen=True, kw_only=True):
    """A taint of a node."""

    key: str
    effect: str
    value: str | None = None


class NodeSpec(View, frozen=True, kw_only=True):
    """What is asked of a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None
    provider_id: str | None = msgspec.field(name="providerID", default=None)


class NodeSystemInfo(View, frozen=True, kw_only=True):
    """What runs on a node."""

    kubelet_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""


class NodeStatus(View, frozen=True, kw_only=True):
    """What a node reports."""

    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None
    conditions: tuple[Condition, ...] | None = None
    node_info: NodeSystemInfo = NodeSystemInfo()


class Node(KubeObject, frozen=True, kw_only=True):
    """A node."""

    api: ClassVar[Api] = _api("Node", "nodes", namespaced=False)
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def zone(self) -> str | None:
        """The zone by its label, the deprecated label included."""
        return self.labels.get(ZONE_LABEL) or self.labels.get(LEGACY_ZONE_LABEL)

    @property
    def takes_ordinary_pods(self) -> bool:
        """Whether a pod without tolerations can be scheduled: no cordon, no NoSchedule or NoExecute taint."""
        return not self.spec.unschedulable and not any(
            taint.effect in ("NoSchedule", "NoExecute") for taint in self.spec.taints or ()
        )


class ResourceRequirements(View, frozen=True, kw_only=True):
    """Requests and limits of a container or a claim, as quantities."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class Container(View, frozen=True, kw_only=True):
    """A container of a pod."""

    name: str
    image: str | None = None
    resources: ResourceRequirements | None = None


class ClaimSource(View, frozen=True, kw_only=True):
    """A volume that comes from a claim."""

    claim_name: str


class Volume(View, frozen=True, kw_only=True):
    """A volume of a pod."""

    name: str
    persistent_volume_claim: ClaimSource | None = None


class PodSpec(View, frozen=True, kw_only=True):
    """What is asked of a pod."""

    node_name: str | None = None
    scheduler_name: str | None = None
    priority_class_name: str | None = None
    service_account_name: str | None = None
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] | None = None


class PodStatus(View, frozen=True, kw_only=True):
    """What a pod reports."""

    phase: str | None = None
    reason: str | None = None


class Pod(KubeObject, frozen=True, kw_only=True):
    """A pod."""

    api: ClassVar[Api] = _api("Pod", "pods")
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Names of the claims that the pod mounts, all in its own namespace."""
        return tuple(
            volume.persistent_volume_claim.claim_name
            for volume in self.spec.volumes or ()
            if volume.persistent_volume_claim is not None
        )


class ServiceSpec(View, frozen=True, kw_only=True):
    """What is asked of a Service."""

    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    type: str | None = None
    selector: dict[str, str] | None = None
    publish_not_ready_addresses: bool = False


class Service(KubeObject, frozen=True, kw_only=True):
    """A Service."""

    api: ClassVar[Api] = _api("Service", "services")
    spec: ServiceSpec = ServiceSpec()


class PersistentVolumeClaimSpec(View, frozen=True, kw_only=True):
    """What is asked of a claim."""

    access_modes: tuple[str, ...] | None = None
    storage_class_name: str | None = None
    """None: the default class at creation; empty: no class on purpose."""
    volume_mode: str | None = None
    volume_name: str | None = None
    resources: ResourceRequirements | None = None
    selector: LabelSelector | None = None


class PersistentVolumeClaimStatus(View, frozen=True, kw_only=True):
    """What a claim reports."""

    phase: str | None = None
    capacity: dict[str, str] | None = None


class PersistentVolumeClaim(KubeObject, frozen=True, kw_only=True):
    """A claim for a volume."""

    api: ClassVar[Api] = _api("PersistentVolumeClaim", "persistentvolumeclaims")
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class CSIVolumeSource(View, frozen=True, kw_only=True):
    """The CSI driver behind a volume."""

    driver: str


class PersistentVolumeSpec(View, frozen=True, kw_only=True):
    """What a volume is."""

    storage_class_name: str | None = None
    access_modes: tuple[str, ...] | None = None
    persistent_volume_reclaim_policy: str | None = None
    csi: CSIVolumeSource | None = None


class PersistentVolumeStatus(View, frozen=True, kw_only=True):
    """What a volume reports."""

    phase: str | None = None


class PersistentVolume(KubeObject, frozen=True, kw_only=True):
    """A volume."""

    api: ClassVar[Api] = _api("PersistentVolume", "persistentvolumes", namespaced=False)
    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()
