"""discovery.k8s.io: which pods stand behind a Service."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, ObjectReference, View
from auditor.facts.parts import Api

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointConditions(View, frozen=True, kw_only=True):
    """Whether an endpoint takes traffic; None means yes."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(View, frozen=True, kw_only=True):
    """One backend."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it takes traffic."""
        return self.conditions.ready is not False


class EndpointPort(View, frozen=True, kw_only=True):
    """A port of all endpoints of a slice."""

    port: int | None = None
    name: str | None = None
    protocol: str | None = None


class EndpointSlice(KubeObject, frozen=True, kw_only=True):
    """Some of the backends of a Service, which the label :data:`SERVICE_NAME_LABEL` names."""

    api: ClassVar[Api] = Api(
        group="discovery.k8s.io", versions=("v1",), plural="endpointslices", kind="EndpointSlice", namespaced=True
    )
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None
