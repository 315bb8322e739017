"""What is left of the legacy ("core") group: namespaces, ConfigMaps, Services, accounts, quotas and limits."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.kube.meta import KubeObject, View, core_api
from auditor.facts.parts import Api


class Namespace(KubeObject, frozen=True, kw_only=True):
    """A namespace."""

    api: ClassVar[Api] = core_api("Namespace", "namespaces", namespaced=False)


class ConfigMap(KubeObject, frozen=True, kw_only=True):
    """A ConfigMap; checks name the one they read with :func:`auditor.named`."""

    api: ClassVar[Api] = core_api("ConfigMap", "configmaps")
    data: dict[str, str] | None = None


class ServiceAccount(KubeObject, frozen=True, kw_only=True):
    """An account that pods act as."""

    api: ClassVar[Api] = core_api("ServiceAccount", "serviceaccounts")


class ServicePort(View, frozen=True, kw_only=True):
    """A port of a Service."""

    port: int
    name: str | None = None
    protocol: str = "TCP"
    target_port: int | str | None = None


class ServiceSpec(View, frozen=True, kw_only=True):
    """What is asked of a Service."""

    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    type: str | None = None
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] | None = None
    ip_families: tuple[str, ...] | None = None
    publish_not_ready_addresses: bool = False


class LoadBalancerIngress(View, frozen=True, kw_only=True):
    """An address at which a load balancer listens."""

    ip: str | None = None
    hostname: str | None = None


class LoadBalancerStatus(View, frozen=True, kw_only=True):
    """What a load balancer reports."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None


class ServiceStatus(View, frozen=True, kw_only=True):
    """What a Service reports."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(KubeObject, frozen=True, kw_only=True):
    """A Service."""

    api: ClassVar[Api] = core_api("Service", "services")
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    @property
    def is_headless(self) -> bool:
        """Whether its name resolves to its pods' own addresses."""
        return self.spec.cluster_ip == "None"


class ScopeRequirement(View, frozen=True, kw_only=True):
    """One condition of a quota's scope."""

    scope_name: str
    operator: str
    values: tuple[str, ...] | None = None


class ScopeSelector(View, frozen=True, kw_only=True):
    """The pods that a quota counts."""

    match_expressions: tuple[ScopeRequirement, ...] | None = None


class ResourceQuotaSpec(View, frozen=True, kw_only=True):
    """What a quota allows."""

    hard: dict[str, str] | None = None
    scopes: tuple[str, ...] | None = None
    scope_selector: ScopeSelector | None = None


class ResourceQuotaStatus(View, frozen=True, kw_only=True):
    """How much of a quota is used."""

    hard: dict[str, str] | None = None
    used: dict[str, str] | None = None


class ResourceQuota(KubeObject, frozen=True, kw_only=True):
    """A namespace's quota."""

    api: ClassVar[Api] = core_api("ResourceQuota", "resourcequotas")
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class LimitRangeItem(View, frozen=True, kw_only=True):
    """The limits of one kind of thing."""

    type: str
    default: dict[str, str] | None = None
    default_request: dict[str, str] | None = None
    max: dict[str, str] | None = None
    min: dict[str, str] | None = None


class LimitRangeSpec(View, frozen=True, kw_only=True):
    """The limits of a namespace."""

    limits: tuple[LimitRangeItem, ...] = ()


class LimitRange(KubeObject, frozen=True, kw_only=True):
    """Defaults and bounds of requests and limits in a namespace."""

    api: ClassVar[Api] = core_api("LimitRange", "limitranges")
    spec: LimitRangeSpec = LimitRangeSpec()
