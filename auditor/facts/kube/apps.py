"""apps: Deployments, StatefulSets, DaemonSets."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, LabelSelector, ObjectMeta, View
from auditor.facts.kube.pods import PodTemplate
from auditor.facts.kube.volumes import PersistentVolumeClaimSpec
from auditor.facts.parts import Api


def _api(kind: str, plural: str) -> Api:
    return Api(group="apps", versions=("v1",), plural=plural, kind=kind, namespaced=True)


class RollingUpdate(View, frozen=True, kw_only=True):
    """How many pods an update may miss or add."""

    max_surge: int | str | None = None
    max_unavailable: int | str | None = None


class DeploymentStrategy(View, frozen=True, kw_only=True):
    """How a Deployment replaces its pods."""

    type: str | None = None
    """None means RollingUpdate, the API's default."""
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(View, frozen=True, kw_only=True):
    """What is asked of a Deployment."""

    replicas: int | None = None
    """None means 1, the API's default."""
    selector: LabelSelector | None = None
    strategy: DeploymentStrategy = DeploymentStrategy()
    template: PodTemplate = PodTemplate()


class ReplicasStatus(View, frozen=True, kw_only=True):
    """How many pods there are."""

    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0


class Deployment(KubeObject, frozen=True, kw_only=True):
    """A Deployment."""

    api: ClassVar[Api] = _api("Deployment", "deployments")
    spec: DeploymentSpec = DeploymentSpec()
    status: ReplicasStatus = ReplicasStatus()

    @property
    def replicas(self) -> int:
        """The pods asked for."""
        return 1 if self.spec.replicas is None else self.spec.replicas


class ClaimTemplate(View, frozen=True, kw_only=True):
    """One of ``volumeClaimTemplates``."""

    metadata: ObjectMeta
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()


class ClaimRetentionPolicy(View, frozen=True, kw_only=True):
    """What becomes of the claims of a StatefulSet; None means Retain, the API's default."""

    when_deleted: str | None = None
    when_scaled: str | None = None


class Ordinals(View, frozen=True, kw_only=True):
    """How the pods of a StatefulSet are numbered."""

    start: int = 0


class StatefulSetSpec(View, frozen=True, kw_only=True):
    """What is asked of a StatefulSet."""

    replicas: int | None = None
    """None means 1, the API's default."""
    ordinals: Ordinals = Ordinals()
    service_name: str | None = None
    selector: LabelSelector | None = None
    pod_management_policy: str | None = None
    persistent_volume_claim_retention_policy: ClaimRetentionPolicy | None = None
    template: PodTemplate = PodTemplate()
    volume_claim_templates: tuple[ClaimTemplate, ...] | None = None


class StatefulSet(KubeObject, frozen=True, kw_only=True):
    """A StatefulSet."""

    api: ClassVar[Api] = _api("StatefulSet", "statefulsets")
    spec: StatefulSetSpec = StatefulSetSpec()
    status: ReplicasStatus = ReplicasStatus()

    @property
    def replicas(self) -> int:
        """The pods asked for."""
        return 1 if self.spec.replicas is None else self.spec.replicas

    @property
    def pod_names(self) -> tuple[str, ...]:
        """The names of the pods asked for, in their order."""
        start = self.spec.ordinals.start
        return tuple(f"{self.name}-{ordinal}" for ordinal in range(start, start + self.replicas))

    def claim_name(self, template: ClaimTemplate, pod_name: str) -> str:
        """The name of the claim that one pod gets from one of ``volumeClaimTemplates``."""
        return f"{template.metadata.name}-{pod_name}"


class DaemonSetSpec(View, frozen=True, kw_only=True):
    """What is asked of a DaemonSet."""

    selector: LabelSelector | None = None
    template: PodTemplate = PodTemplate()


class DaemonSetStatus(View, frozen=True, kw_only=True):
    """On how many nodes it should run, and does."""

    desired_number_scheduled: int = 0
    number_ready: int = 0


class DaemonSet(KubeObject, frozen=True, kw_only=True):
    """A DaemonSet."""

    api: ClassVar[Api] = _api("DaemonSet", "daemonsets")
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()
