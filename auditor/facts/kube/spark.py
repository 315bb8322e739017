"""sparkoperator.k8s.io (Kubeflow) and spark.apache.org (Apache): Spark applications, as the two operators take them.

Both views answer the same questions, so that a check can hold both in one list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from auditor.facts.kube.custom import CustomPodTemplate, CustomRequirements
from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api

ROLE_LABEL = "spark-role"
"""``driver`` or ``executor``; Spark itself sets it on every pod that it makes."""
DRIVER_ROLE = "driver"
EXECUTOR_ROLE = "executor"

DRIVER_ACCOUNT_KEY = "spark.kubernetes.authenticate.driver.serviceAccountName"
LOCAL_DIR_PREFIX = "spark-local-dir-"
"""Begins the names of the volumes to which Spark shuffles and spills."""

DEFAULT_ACCOUNT = "default"
"""What a pod acts as that names no ServiceAccount."""


class LocalVolume(View, frozen=True, kw_only=True):
    """A volume that driver or executors may mount; what is in its source is kept as it was written."""

    name: str
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    persistent_volume_claim: dict[str, Any] | None = None


class VolumeMount(View, frozen=True, kw_only=True):
    """A volume that a container mounts."""

    name: str


class SparkPod(View, frozen=True, kw_only=True):
    """What Kubeflow's operator is told of the driver or of the executors."""

    service_account: str | None = None
    scheduler_name: str | None = None
    node_selector: dict[str, str] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    instances: int | None = None
    """Executors only; None means 1."""
    template: CustomPodTemplate | None = None


class DynamicAllocation(View, frozen=True, kw_only=True):
    """How the number of executors follows the work."""

    enabled: bool = False
    max_executors: int | None = None
    shuffle_tracking_enabled: bool | None = None
    """None means yes: the operator turns it on."""


class SparkApplicationSpec(View, frozen=True, kw_only=True):
    """What is asked of an application."""

    spark_version: str = ""
    spark_conf: dict[str, str] | None = None
    driver: SparkPod = SparkPod()
    executor: SparkPod = SparkPod()
    node_selector: dict[str, str] | None = None
    volumes: tuple[LocalVolume, ...] | None = None
    dynamic_allocation: DynamicAllocation | None = None
    batch_scheduler: str | None = None


class ApplicationState(View, frozen=True, kw_only=True):
    """What has become of an application."""

    state: str = ""


class SparkApplicationStatus(View, frozen=True, kw_only=True):
    """What the operator reports; nothing where no operator has seen the application."""

    application_state: ApplicationState | None = None


class SparkApplication(KubeObject, frozen=True, kw_only=True):
    """An application of Kubeflow's operator."""

    api: ClassVar[Api] = Api(
        group="sparkoperator.k8s.io",
        versions=("v1beta2",),
        plural="sparkapplications",
        kind="SparkApplication",
        namespaced=True,
    )
    app_label: ClassVar[str] = "sparkoperator.k8s.io/app-name"
    """Names the application on its pods."""

    spec: SparkApplicationSpec = SparkApplicationSpec()
    status: SparkApplicationStatus = SparkApplicationStatus()

    @property
    def conf(self) -> dict[str, str]:
        """Spark's configuration as it is written."""
        return self.spec.spark_conf or {}

    @property
    def spark_version(self) -> str:
        """The version as it is written, such as ``3.5.3``."""
        return self.spec.spark_version

    @property
    def driver_account(self) -> str:
        """Name of the ServiceAccount that the driver acts as."""
        return (
            self.spec.driver.service_account
            or self.conf.get(DRIVER_ACCOUNT_KEY)
            or _template_account(self.spec.driver.template)
            or DEFAULT_ACCOUNT
        )

    @property
    def scheduler(self) -> str | None:
        """The scheduler that is asked for by name; None is the cluster's default."""
        return self.spec.batch_scheduler or self.spec.executor.scheduler_name or _scheduler(self, self._template)

    @property
    def executor_requests(self) -> tuple[CustomRequirements, ...]:
        """Requests and limits of the executors' containers, as far as a template gives them."""
        return _requirements(self._template)

    @property
    def executor_nodes(self) -> dict[str, str]:
        """The labels of the nodes on which executors may run; empty for all nodes."""
        return {
            **_node_selector(self, self._template),
            **(self.spec.node_selector or {}),
            **(self.spec.executor.node_selector or {}),
        }

    @property
    def local_volumes(self) -> tuple[LocalVolume, ...]:
        """The volumes that the operator mounts into executors for shuffles."""
        mounted = {mount.name for mount in self.spec.executor.volume_mounts or ()}
        return tuple(
            volume
            for volume in self.spec.volumes or ()
            if volume.name.startswith(LOCAL_DIR_PREFIX) and volume.name in mounted
        )

    @property
    def executors(self) -> int | None:
        """The most executors that run at once; None where nothing bounds them."""
        if self.spec.dynamic_allocation is not None and self.spec.dynamic_allocation.enabled:
            return self.spec.dynamic_allocation.max_executors
        return _executors(self) if self.spec.executor.instances is None else self.spec.executor.instances

    @property
    def has_dynamic_allocation(self) -> bool:
        """Whether the number of executors follows the work."""
        asked = self.spec.dynamic_allocation
        return (asked is not None and asked.enabled) or _has_dynamic_allocation(self)

    @property
    def tracks_shuffles(self) -> bool | None:
        """Whether executors that hold shuffles are kept; None where it is left to Spark's default."""
        asked = self.spec.dynamic_allocation
        if asked is not None and asked.enabled:
            return asked.shuffle_tracking_enabled is not False
        return flag(self.conf, "spark.dynamicAllocation.shuffleTracking.enabled")

    @property
    def is_seen(self) -> bool:
        """Whether an operator has taken it on."""
        state = self.status.application_state
        return state is not None and state.state != ""

    @property
    def is_finished(self) -> bool:
        """Whether it will not run again."""
        state = self.status.application_state
        return state is not None and state.state in ("COMPLETED", "FAILED")

    @property
    def _template(self) -> CustomPodTemplate | None:
        return self.spec.executor.template


class ScheduledSparkApplication(KubeObject, frozen=True, kw_only=True):
    """Makes a SparkApplication at each of its times, with the time behind its own name."""

    api: ClassVar[Api] = Api(
        group="sparkoperator.k8s.io",
        versions=("v1beta2",),
        plural="scheduledsparkapplications",
        kind="ScheduledSparkApplication",
        namespaced=True,
    )


class RuntimeVersions(View, frozen=True, kw_only=True):
    """What an application is built for."""

    spark_version: str = ""


class TemplateHolder(View, frozen=True, kw_only=True):
    """What Apache's operator is told of the driver or of the executors."""

    pod_template_spec: CustomPodTemplate | None = None


class ApacheSparkApplicationSpec(View, frozen=True, kw_only=True):
    """What is asked of an application."""

    runtime_versions: RuntimeVersions = RuntimeVersions()
    spark_conf: dict[str, str] | None = None
    driver_spec: TemplateHolder = TemplateHolder()
    executor_spec: TemplateHolder = TemplateHolder()


class CurrentState(View, frozen=True, kw_only=True):
    """What has become of an application."""

    current_state_summary: str = ""


class ApacheSparkApplicationStatus(View, frozen=True, kw_only=True):
    """What the operator reports; nothing where no operator has seen the application."""

    current_state: CurrentState | None = None


class ApacheSparkApplication(KubeObject, frozen=True, kw_only=True):
    """An application of Apache's operator."""

    api: ClassVar[Api] = Api(
        group="spark.apache.org",
        versions=("v1", "v1beta1", "v1alpha1"),
        plural="sparkapplications",
        kind="SparkApplication",
        namespaced=True,
    )
    app_label: ClassVar[str] = "spark.operator/spark-app-name"
    """Names the application on its pods."""

    spec: ApacheSparkApplicationSpec = ApacheSparkApplicationSpec()
    status: ApacheSparkApplicationStatus = ApacheSparkApplicationStatus()

    @property
    def conf(self) -> dict[str, str]:
        """Spark's configuration as it is written."""
        return self.spec.spark_conf or {}

    @property
    def spark_version(self) -> str:
        """The version as it is written, such as ``4.1.1``."""
        return self.spec.runtime_versions.spark_version

    @property
    def driver_account(self) -> str:
        """Name of the ServiceAccount that the driver acts as."""
        return (
            self.conf.get(DRIVER_ACCOUNT_KEY)
            or _template_account(self.spec.driver_spec.pod_template_spec)
            or DEFAULT_ACCOUNT
        )

    @property
    def scheduler(self) -> str | None:
        """The scheduler that is asked for by name; None is the cluster's default."""
        return _scheduler(self, self._template)

    @property
    def executor_requests(self) -> tuple[CustomRequirements, ...]:
        """Requests and limits of the executors' containers, as far as a template gives them."""
        return _requirements(self._template)

    @property
    def executor_nodes(self) -> dict[str, str]:
        """The labels of the nodes on which executors may run; empty for all nodes."""
        return _node_selector(self, self._template)

    @property
    def local_volumes(self) -> tuple[LocalVolume, ...]:
        """None: this operator knows them through Spark's configuration only."""
        return ()

    @property
    def executors(self) -> int | None:
        """The most executors that run at once; None where nothing bounds them."""
        return _executors(self)

    @property
    def has_dynamic_allocation(self) -> bool:
        """Whether the number of executors follows the work."""
        return _has_dynamic_allocation(self)

    @property
    def tracks_shuffles(self) -> bool | None:
        """Whether executors that hold shuffles are kept; None where it is left to Spark's default."""
        return flag(self.conf, "spark.dynamicAllocation.shuffleTracking.enabled")

    @property
    def is_seen(self) -> bool:
        """Whether an operator has taken it on."""
        return self.status.current_state is not None

    @property
    def is_finished(self) -> bool:
        """Whether it will not run again."""
        state = self.status.current_state
        return state is not None and state.current_state_summary in _APACHE_ENDS

    @property
    def _template(self) -> CustomPodTemplate | None:
        return self.spec.executor_spec.pod_template_spec


_APACHE_ENDS = ("ResourceReleased", "TerminatedWithoutReleaseResources")

AnySparkApplication = SparkApplication | ApacheSparkApplication


def flag(conf: dict[str, str], key: str) -> bool | None:
    """A switch of Spark's configuration; None where it is not set."""
    value = conf.get(key)
    return None if value is None else value.strip().lower() == "true"


def number(conf: dict[str, str], key: str) -> int | None:
    """A whole number of Spark's configuration; None where it is not set or no number."""
    value = conf.get(key, "").strip()
    return int(value) if value.isdecimal() else None


def _template_account(template: CustomPodTemplate | None) -> str | None:
    return template.spec.service_account_name if template is not None else None


def _scheduler(app: AnySparkApplication, template: CustomPodTemplate | None) -> str | None:
    keys = ("spark.kubernetes.executor.scheduler.name", "spark.kubernetes.scheduler.name")
    in_template = template.spec.scheduler_name if template is not None else None
    return next((app.conf[key] for key in keys if app.conf.get(key)), in_template)


def _requirements(template: CustomPodTemplate | None) -> tuple[CustomRequirements, ...]:
    containers: Sequence[Any] = (template.spec.containers or ()) if template is not None else ()
    return tuple(container.resources for container in containers if container.resources is not None)


def _node_selector(app: AnySparkApplication, template: CustomPodTemplate | None) -> dict[str, str]:
    found = dict((template.spec.node_selector or {}) if template is not None else {})
    for prefix in ("spark.kubernetes.node.selector.", "spark.kubernetes.executor.node.selector."):
        found.update({key.removeprefix(prefix): value for key, value in app.conf.items() if key.startswith(prefix)})
    return found


def _has_dynamic_allocation(app: AnySparkApplication) -> bool:
    return flag(app.conf, "spark.dynamicAllocation.enabled") is True


def _executors(app: AnySparkApplication) -> int | None:
    if _has_dynamic_allocation(app):
        return number(app.conf, "spark.dynamicAllocation.maxExecutors")
    return number(app.conf, "spark.executor.instances") or DEFAULT_EXECUTORS[type(app)]


DEFAULT_EXECUTORS: dict[type, int] = {SparkApplication: 1, ApacheSparkApplication: 2}
"""What runs where nobody says how many: Kubeflow's operator asks for one, Spark on Kubernetes for two."""
