"""Nodes."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.kube.meta import Condition, KubeObject, View, core_api
from auditor.facts.parts import Api

ZONE_LABEL = "topology.kubernetes.io/zone"
LEGACY_ZONE_LABEL = "failure-domain.beta.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
LEGACY_REGION_LABEL = "failure-domain.beta.kubernetes.io/region"
HOSTNAME_LABEL = "kubernetes.io/hostname"
INSTANCE_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

NO_SCHEDULE_EFFECTS = ("NoSchedule", "NoExecute")


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
    pod_cidrs: tuple[str, ...] | None = msgspec.field(name="podCIDRs", default=None)


class NodeSwapStatus(View, frozen=True, kw_only=True):
    """The swap of a node, which recent kubelets report."""

    capacity: int | None = None
    """Bytes; left out where there is none, or where it is not known."""


class NodeSystemInfo(View, frozen=True, kw_only=True):
    """What runs on a node."""

    kubelet_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    operating_system: str = ""
    architecture: str = ""
    container_runtime_version: str = ""
    machine_id: str = msgspec.field(name="machineID", default="")
    system_uuid: str = msgspec.field(name="systemUUID", default="")
    boot_id: str = msgspec.field(name="bootID", default="")
    swap: NodeSwapStatus | None = None


class NodeAddress(View, frozen=True, kw_only=True):
    """One of a node's addresses."""

    type: str
    address: str


class NodeStatus(View, frozen=True, kw_only=True):
    """What a node reports."""

    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None
    conditions: tuple[Condition, ...] | None = None
    addresses: tuple[NodeAddress, ...] | None = None
    node_info: NodeSystemInfo = NodeSystemInfo()


class Node(KubeObject, frozen=True, kw_only=True):
    """A node."""

    api: ClassVar[Api] = core_api("Node", "nodes", namespaced=False)
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def zone(self) -> str | None:
        """The zone by its label, the deprecated label included."""
        return self.labels.get(ZONE_LABEL) or self.labels.get(LEGACY_ZONE_LABEL)

    @property
    def region(self) -> str | None:
        """The region by its label, the deprecated label included."""
        return self.labels.get(REGION_LABEL) or self.labels.get(LEGACY_REGION_LABEL)

    @property
    def instance_type(self) -> str | None:
        """The machine's shape by its label."""
        return next((self.labels[key] for key in INSTANCE_TYPE_LABELS if self.labels.get(key)), None)

    @property
    def is_control_plane(self) -> bool:
        """Whether the node carries the control plane's role."""
        return any(key in self.labels for key in CONTROL_PLANE_LABELS)

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet says so now; a node that went silent is not ready."""
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions or ())

    @property
    def takes_ordinary_pods(self) -> bool:
        """Whether a pod without tolerations can be scheduled: no cordon, no NoSchedule or NoExecute taint."""
        return not self.spec.unschedulable and not any(
            taint.effect in NO_SCHEDULE_EFFECTS for taint in self.spec.taints or ()
        )
