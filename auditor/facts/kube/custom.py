"""What the views of custom resources share, where a pod's parts look otherwise than in a pod."""

from __future__ import annotations

from auditor.facts.kube.meta import View

CustomQuantity = str | int | float
"""A quantity as it was written: only in Kubernetes' own types does the API server turn ``cpu: 2`` into ``"2"``."""


class CustomRequirements(View, frozen=True, kw_only=True):
    """Requests and limits of a container."""

    requests: dict[str, CustomQuantity] | None = None
    limits: dict[str, CustomQuantity] | None = None


class CustomContainer(View, frozen=True, kw_only=True):
    """A container of a template."""

    name: str = ""
    resources: CustomRequirements | None = None


class CustomPodSpec(View, frozen=True, kw_only=True):
    """What a template asks of pods."""

    service_account_name: str | None = None
    scheduler_name: str | None = None
    node_selector: dict[str, str] | None = None
    containers: tuple[CustomContainer, ...] | None = None


class CustomPodTemplate(View, frozen=True, kw_only=True):
    """A pod template inside a custom resource."""

    spec: CustomPodSpec = CustomPodSpec()
