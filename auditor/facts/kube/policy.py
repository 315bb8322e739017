"""policy: how many pods a voluntary disruption may take."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, LabelSelector, View
from auditor.facts.parts import Api


class PodDisruptionBudgetSpec(View, frozen=True, kw_only=True):
    """What a budget keeps."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None


class PodDisruptionBudgetStatus(View, frozen=True, kw_only=True):
    """What a budget allows now."""

    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0


class PodDisruptionBudget(KubeObject, frozen=True, kw_only=True):
    """A disruption budget."""

    api: ClassVar[Api] = Api(
        group="policy", versions=("v1",), plural="poddisruptionbudgets", kind="PodDisruptionBudget", namespaced=True
    )
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
