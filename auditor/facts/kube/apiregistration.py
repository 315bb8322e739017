"""apiregistration.k8s.io: which server answers for each version of an API group."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, ObjectReference, View
from auditor.facts.parts import Api


class APIServiceSpec(View, frozen=True, kw_only=True):
    """Who answers for which API."""

    service: ObjectReference | None = None
    """The Service of an API server of its own; None where the cluster's API server answers itself."""


class APIServiceStatus(View, frozen=True, kw_only=True):
    """What the API server sees of it."""

    conditions: tuple[Condition, ...] | None = None


class APIService(KubeObject, frozen=True, kw_only=True):
    """One version of an API group, named ``version.group``."""

    api: ClassVar[Api] = Api(
        group="apiregistration.k8s.io", versions=("v1",), plural="apiservices", kind="APIService", namespaced=False
    )
    spec: APIServiceSpec = APIServiceSpec()
    status: APIServiceStatus = APIServiceStatus()

    @property
    def availability(self) -> Condition | None:
        """The condition ``Available``; None until the API server has looked."""
        return next((each for each in self.status.conditions or () if each.type == "Available"), None)

    @property
    def backend(self) -> str | None:
        """``namespace/name`` of the Service that answers; None where the cluster's API server does."""
        service = self.spec.service
        return None if service is None else f"{service.namespace or ''}/{service.name or ''}"
