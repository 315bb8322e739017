"""flowcontrol.apiserver.k8s.io: which requests the API server serves first, and which it turns away."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, View
from auditor.facts.parts import Api


class PriorityLevelReference(View, frozen=True, kw_only=True):
    """A priority level, by name."""

    name: str = ""


class FlowSchemaSpec(View, frozen=True, kw_only=True):
    """Where the requests that a schema matches belong."""

    priority_level_configuration: PriorityLevelReference = PriorityLevelReference()


class FlowSchemaStatus(View, frozen=True, kw_only=True):
    """What the API server says of a schema."""

    conditions: tuple[Condition, ...] | None = None


class FlowSchema(KubeObject, frozen=True, kw_only=True):
    """Requests that belong together."""

    api: ClassVar[Api] = Api(
        group="flowcontrol.apiserver.k8s.io",
        versions=("v1", "v1beta3", "v1beta2"),
        plural="flowschemas",
        kind="FlowSchema",
        namespaced=False,
    )
    spec: FlowSchemaSpec = FlowSchemaSpec()
    status: FlowSchemaStatus = FlowSchemaStatus()

    @property
    def is_dangling(self) -> bool:
        """Whether its priority level does not exist."""
        return any(c.type == "Dangling" and c.status == "True" for c in self.status.conditions or ())
