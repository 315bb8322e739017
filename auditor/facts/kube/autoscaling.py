"""autoscaling: what scales workloads by their load."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api


class ScaleTarget(View, frozen=True, kw_only=True):
    """The workload that is scaled, in the autoscaler's own namespace."""

    kind: str
    name: str


class HorizontalPodAutoscalerSpec(View, frozen=True, kw_only=True):
    """What is asked of an autoscaler."""

    scale_target_ref: ScaleTarget
    min_replicas: int | None = None
    """None means 1, the API's default."""
    max_replicas: int = 0


class HorizontalPodAutoscaler(KubeObject, frozen=True, kw_only=True):
    """A HorizontalPodAutoscaler; KEDA and others make one too."""

    api: ClassVar[Api] = Api(
        group="autoscaling",
        versions=("v2", "v1"),
        plural="horizontalpodautoscalers",
        kind="HorizontalPodAutoscaler",
        namespaced=True,
    )
    spec: HorizontalPodAutoscalerSpec

    @property
    def min_replicas(self) -> int:
        """The fewest replicas that it leaves."""
        return 1 if self.spec.min_replicas is None else self.spec.min_replicas
