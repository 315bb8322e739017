"""Nodes that are no machines: each stands for a service that runs pods somewhere else."""

from __future__ import annotations

from auditor.facts.kube import Node

_LABELS = {
    "eks.amazonaws.com/compute-type": ("fargate",),
    "type": ("virtual-kubelet", "kwok"),
}
"""EKS Fargate; virtual kubelets of Azure, Alibaba Cloud and others; nodes that kwok simulates."""

_TAINT = "virtual-kubelet.io/provider"
"""Every virtual kubelet puts it on its node, unless told otherwise."""


def is_virtual(node: Node) -> bool:
    """Whether pods of the node run elsewhere, or not at all."""
    if any(node.labels.get(key) in values for key, values in _LABELS.items()):
        return True
    return any(taint.key == _TAINT for taint in node.spec.taints or ())


def is_fargate(node: Node) -> bool:
    """Whether the node is one pod on EKS Fargate."""
    return node.labels.get("eks.amazonaws.com/compute-type") == "fargate"
