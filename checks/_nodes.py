"""The nodes that data systems run on, for all areas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from auditor import Facts, Finding
from auditor.facts.kube import Node
from auditor.facts.kube.nodes import NO_SCHEDULE_EFFECTS, Taint

from ._wording import counted, listed


def data_nodes(facts: Facts) -> list[Node]:
    """The nodes on which an ordinary pod can run, by name."""
    return sorted((node for node in facts.list(Node) if node.takes_ordinary_pods), key=lambda node: node.name)


def no_data_nodes(facts: Facts) -> Finding:
    """The finding when no node takes an ordinary pod."""
    return Finding.unknown(
        f"No node takes ordinary pods ({counted(len(facts.list(Node)), 'node')}, all cordoned or tainted), "
        "so it cannot be told from where volumes must be reachable.",
        fix="Collect again when the nodes for data are schedulable.",
    )


HOST_LABELS = ("node.cluster.x-k8s.io/esxi-host", "cloud.google.com/gce-topology-host")
"""Labels that name the machine below a virtual one: Cluster API and Tanzu on vSphere, GKE with compact placement."""

SPOT_LABELS = (
    "eks.amazonaws.com/capacityType=SPOT",
    "karpenter.sh/capacity-type=spot",
    "cloud.google.com/gke-spot=true",
    "cloud.google.com/gke-preemptible=true",
    "cloud.google.com/gke-provisioning=spot",
    "cloud.google.com/gke-provisioning=preemptible",
    "kubernetes.azure.com/scalesetpriority=spot",
    "node.alibabacloud.com/spot-strategy=SpotAsPriceGo",
    "node.alibabacloud.com/spot-strategy=SpotWithPriceLimit",
    "oci.oraclecloud.com/oke-is-preemptible=true",
)
"""``key=value`` labels of machines that the cloud may take back at short notice."""

_VIRTUAL_LABELS = ("eks.amazonaws.com/compute-type=fargate", "type=virtual-kubelet")
_VIRTUAL_TAINTS = ("virtual-kubelet.io/*", "kwok.x-k8s.io/*")
_SIMULATED_ANNOTATION = "kwok.x-k8s.io/node"

_SYSTEM_TAINTS = (
    "CriticalAddonsOnly",
    "DeletionCandidateOfClusterAutoscaler",
    "ToBeDeletedByClusterAutoscaler",
    "components.gke.io/*",
    "karpenter.sh/*",
    "node-role.kubernetes.io/*",
    "node.cilium.io/*",
    "node.cloudprovider.kubernetes.io/*",
    "node.kubernetes.io/*",
)
"""Taints of a role or a state: what tolerates them is no data system that asked for a pool of its own."""

_GPU_TAINTS = ("amd.com/gpu", "nvidia.com/gpu*", "gpu.intel.com/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes that the same pods can be scheduled to.

    Attributes:
        taints: the NoSchedule and NoExecute taints that a pod must tolerate, as ``key=value:effect``; usually none.
        nodes: by name.
    """

    taints: tuple[str, ...]
    nodes: tuple[Node, ...]

    @property
    def is_for_gpus(self) -> bool:
        """Whether its taint keeps everything off that does not ask for a GPU."""
        return any(_like(taint.partition("=")[0].partition(":")[0], _GPU_TAINTS) for taint in self.taints)

    def __str__(self) -> str:
        """As messages call it: ``untainted nodes``, ``nodes tainted dedicated=kafka:NoSchedule``."""
        return f"nodes tainted {listed(self.taints)}" if self.taints else "untainted nodes"


def is_virtual(node: Node) -> bool:
    """Whether there is no machine behind it: Fargate, virtual-kubelet, KWOK."""
    return (
        _labelled(node, _VIRTUAL_LABELS)
        or _SIMULATED_ANNOTATION in node.annotations
        or any(_like(taint.key, _VIRTUAL_TAINTS) for taint in node.spec.taints or ())
    )


def is_linux(node: Node) -> bool:
    """Whether data systems' images can run on it; a node that does not tell is taken for Linux."""
    told = node.labels.get("kubernetes.io/os") or node.status.node_info.operating_system
    return told in ("", "linux")


def is_spot(node: Node, labels: Sequence[str] = SPOT_LABELS) -> bool:
    """Whether it carries one of the ``key=value`` labels."""
    return _labelled(node, labels)


def workers(facts: Facts) -> list[Node]:
    """The Linux machines that are there for pods, tainted and cordoned ones included, by name.

    Control-plane nodes count only where ordinary pods are let in, as on k3s or a small cluster.
    """
    found = (
        node
        for node in facts.list(Node)
        if is_linux(node) and not is_virtual(node) and (node.takes_ordinary_pods or not node.is_control_plane)
    )
    return sorted(found, key=lambda node: node.name)


def data_pools(facts: Facts) -> list[Pool]:
    """The pools of Linux machines that a data system can use now: untainted nodes first, then those of each taint."""
    pools: defaultdict[tuple[str, ...], list[Node]] = defaultdict(list)
    for node in workers(facts):
        hard = [taint for taint in node.spec.taints or () if taint.effect in NO_SCHEDULE_EFFECTS]
        if not node.spec.unschedulable and not any(_like(taint.key, _SYSTEM_TAINTS) for taint in hard):
            pools[tuple(sorted(_written(taint) for taint in hard))].append(node)
    return [Pool(taints=taints, nodes=tuple(nodes)) for taints, nodes in sorted(pools.items())]


def by_host(nodes: Iterable[Node], host_labels: Sequence[str] = HOST_LABELS) -> dict[str, list[Node]]:
    """The nodes by the host that they share, as far as it is told.

    A label may name the host. Nodes with one boot ID run on one kernel, so that they are containers of one machine, as
    with kind. Any other node is a host of its own.
    """
    hosts: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        named = next((node.labels[key] for key in host_labels if node.labels.get(key)), None)
        hosts[named or node.status.node_info.boot_id or node.name].append(node)
    return dict(hosts)


def _labelled(node: Node, labels: Iterable[str]) -> bool:
    pairs = (label.partition("=") for label in labels)
    return any(node.labels.get(key) == value for key, _, value in pairs)


def _like(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _written(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"
