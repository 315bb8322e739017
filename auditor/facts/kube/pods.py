"""Pods, and the pod templates of what makes them."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, LabelSelector, View, core_api
from auditor.facts.parts import Api

DELETED_FOR_GOOD = ("Succeeded", "Failed")
"""Phases of a pod whose containers never run again."""


class ResourceRequirements(View, frozen=True, kw_only=True):
    """Requests and limits of a container or a claim, as quantities."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class HttpGet(View, frozen=True, kw_only=True):
    """An HTTP request of a container's probe."""

    path: str | None = None
    port: int | str | None = None


class ContainerProbe(View, frozen=True, kw_only=True):
    """A liveness, readiness or startup probe of a container."""

    http_get: HttpGet | None = None
    period_seconds: int | None = None
    failure_threshold: int | None = None


class Container(View, frozen=True, kw_only=True):
    """A container of a pod."""

    name: str
    image: str | None = None
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    resources: ResourceRequirements | None = None
    readiness_probe: ContainerProbe | None = None


class InitContainer(Container, frozen=True, kw_only=True):
    """A container that runs before the others, or beside them."""

    restart_policy: str | None = None
    """``Always`` makes it a sidecar, which starts first and runs as long as the pod."""


class EnvVar(View, frozen=True, kw_only=True):
    """An environment variable; None where its value comes from elsewhere."""

    name: str
    value: str | None = None


class TemplateContainer(Container, frozen=True, kw_only=True):
    """A container of a template; its variables are not kept for pods, of which there are many more."""

    env: tuple[EnvVar, ...] | None = None

    def variable(self, name: str) -> str | None:
        """The value of an environment variable as it is written here."""
        return next((each.value for each in self.env or () if each.name == name), None)


class ClaimSource(View, frozen=True, kw_only=True):
    """A volume that comes from a claim."""

    claim_name: str


class EmptyDir(View, frozen=True, kw_only=True):
    """A volume that lives as long as its pod."""

    medium: str | None = None
    size_limit: str | None = None


class HostPath(View, frozen=True, kw_only=True):
    """A folder of the node."""

    path: str


class ConfigMapSource(View, frozen=True, kw_only=True):
    """A volume with the files of a ConfigMap."""

    name: str | None = None


class EphemeralSource(View, frozen=True, kw_only=True):
    """A claim that is made with the pod and goes with it."""


class Volume(View, frozen=True, kw_only=True):
    """A volume of a pod."""

    name: str
    persistent_volume_claim: ClaimSource | None = None
    empty_dir: EmptyDir | None = None
    host_path: HostPath | None = None
    config_map: ConfigMapSource | None = None
    ephemeral: EphemeralSource | None = None


class Toleration(View, frozen=True, kw_only=True):
    """A taint that a pod bears."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class TopologySpreadConstraint(View, frozen=True, kw_only=True):
    """How evenly pods must lie over a topology."""

    topology_key: str
    max_skew: int = 1
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None


class PodAffinityTerm(View, frozen=True, kw_only=True):
    """Pods to be near to, or far from."""

    topology_key: str
    label_selector: LabelSelector | None = None


class WeightedPodAffinityTerm(View, frozen=True, kw_only=True):
    """The same as a wish."""

    weight: int = 1
    pod_affinity_term: PodAffinityTerm


class PodAntiAffinity(View, frozen=True, kw_only=True):
    """Pods to be far from."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] | None = None


class Affinity(View, frozen=True, kw_only=True):
    """Where a pod wants to be."""

    pod_anti_affinity: PodAntiAffinity | None = None


class PodSecurityContext(View, frozen=True, kw_only=True):
    """Security settings of all containers of a pod."""

    fs_group: int | None = None
    fs_group_change_policy: str | None = None
    run_as_user: int | None = None


class PodSpec(View, frozen=True, kw_only=True):
    """What is asked of a pod."""

    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    scheduler_name: str | None = None
    priority_class_name: str | None = None
    service_account_name: str | None = None
    host_network: bool = False
    restart_policy: str | None = None
    dns_policy: str | None = None
    enable_service_links: bool | None = None
    termination_grace_period_seconds: int | None = None
    security_context: PodSecurityContext | None = None
    affinity: Affinity | None = None
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    init_containers: tuple[InitContainer, ...] | None = None
    containers: tuple[Container, ...] = ()
    resources: ResourceRequirements | None = None
    """Of the pod as a whole; for the resources that it names it replaces the sum of the containers."""
    overhead: dict[str, str] | None = None
    """What the pod's RuntimeClass takes beside the containers, as quantities."""
    volumes: tuple[Volume, ...] | None = None

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Names of the claims that the pod mounts, all in its own namespace."""
        return tuple(
            volume.persistent_volume_claim.claim_name
            for volume in self.volumes or ()
            if volume.persistent_volume_claim is not None
        )


class TemplateMeta(View, frozen=True, kw_only=True):
    """The metadata of a template, which has no name."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class TemplateSpec(PodSpec, frozen=True, kw_only=True):
    """What is asked of the pods of a template."""

    containers: tuple[TemplateContainer, ...] = ()


class PodTemplate(View, frozen=True, kw_only=True):
    """What a controller makes pods from."""

    metadata: TemplateMeta | None = None
    spec: TemplateSpec = TemplateSpec()


class Terminated(View, frozen=True, kw_only=True):
    """How a container ended."""

    reason: str | None = None
    exit_code: int | None = None
    finished_at: str | None = None
    message: str | None = None


class Waiting(View, frozen=True, kw_only=True):
    """Why a container does not run yet."""

    reason: str | None = None
    message: str | None = None


class ContainerState(View, frozen=True, kw_only=True):
    """One state of a container; at most one field is set besides running."""

    terminated: Terminated | None = None
    waiting: Waiting | None = None


class ContainerStatus(View, frozen=True, kw_only=True):
    """What a container does."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(View, frozen=True, kw_only=True):
    """What a pod reports."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(KubeObject, frozen=True, kw_only=True):
    """A pod."""

    api: ClassVar[Api] = core_api("Pod", "pods")
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Names of the claims that the pod mounts, all in its own namespace."""
        return self.spec.claim_names

    @property
    def is_ready(self) -> bool:
        """Whether it takes traffic."""
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions or ())

    @property
    def is_finished(self) -> bool:
        """Whether its containers never run again; such a pod holds no resources of its node."""
        return self.status.phase in DELETED_FOR_GOOD
