"""karpenter.sh: pools of nodes that Karpenter, EKS Auto Mode or AKS node auto-provisioning make and remove."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, NodeSelectorRequirement, View
from auditor.facts.parts import Api

NODE_POOL_LABEL = "karpenter.sh/nodepool"
"""On every node that such a pool made."""

DO_NOT_DISRUPT_ANNOTATION = "karpenter.sh/do-not-disrupt"


class DisruptionBudget(View, frozen=True, kw_only=True):
    """How many nodes of a pool may be disrupted at once."""

    nodes: str = "10%"
    schedule: str | None = None
    """When it holds; None means always."""
    reasons: tuple[str, ...] | None = None
    """What it limits (``Empty``, ``Drifted``, ``Underutilized``); None means everything."""


class Disruption(View, frozen=True, kw_only=True):
    """When nodes of a pool are removed."""

    consolidation_policy: str | None = None
    """None means WhenEmptyOrUnderutilized, the API's default."""
    consolidate_when: str | None = None
    """A later form of the policy; None means WhenEmptyOrUnderutilized, too."""
    consolidate_after: str | None = None
    """A duration or ``Never``; None means 0s, the API's default."""
    budgets: tuple[DisruptionBudget, ...] | None = None
    """None means one of 10 %, the API's default."""


class NodePoolTemplateSpec(View, frozen=True, kw_only=True):
    """What is asked of a pool's nodes."""

    requirements: tuple[NodeSelectorRequirement, ...] | None = None
    """What their labels may be: shapes, zones, ``karpenter.sh/capacity-type``."""


class NodePoolTemplate(View, frozen=True, kw_only=True):
    """What a pool makes nodes from."""

    spec: NodePoolTemplateSpec = NodePoolTemplateSpec()


class NodePoolSpec(View, frozen=True, kw_only=True):
    """What is asked of a pool."""

    template: NodePoolTemplate = NodePoolTemplate()
    disruption: Disruption = Disruption()
    replicas: int | None = None
    """Set on a pool of fixed size, which is never consolidated."""


class NodePool(KubeObject, frozen=True, kw_only=True):
    """A pool of nodes."""

    api: ClassVar[Api] = Api(
        group="karpenter.sh", versions=("v1", "v1beta1"), plural="nodepools", kind="NodePool", namespaced=False
    )
    spec: NodePoolSpec = NodePoolSpec()
