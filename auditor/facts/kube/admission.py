"""admissionregistration.k8s.io: the webhooks that the API server asks before it stores an object."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, LabelSelector, View
from auditor.facts.parts import Api

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server gives it to every namespace, with the namespace's name."""


def _api(kind: str, plural: str) -> Api:
    return Api(group="admissionregistration.k8s.io", versions=("v1",), plural=plural, kind=kind, namespaced=False)


class WebhookService(View, frozen=True, kw_only=True):
    """The Service behind which a webhook listens."""

    namespace: str
    name: str
    port: int | None = None
    """None means 443, the API's default."""

    def __str__(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class WebhookClientConfig(View, frozen=True, kw_only=True):
    """Where the API server finds a webhook: one of the two is set."""

    url: str | None = None
    service: WebhookService | None = None


class WebhookRule(View, frozen=True, kw_only=True):
    """Requests that a webhook wants to see."""

    api_groups: tuple[str, ...] | None = None
    """``""`` for the legacy group, ``*`` for all."""
    resources: tuple[str, ...] | None = None
    """``pods``, ``pods/status``, ``pods/*``, ``*`` for all without subresources, ``*/*`` for all."""
    operations: tuple[str, ...] | None = None
    """``CREATE``, ``UPDATE``, ``DELETE``, ``CONNECT``, ``*``."""

    def covers(self, group: str, resource: str, operations: Collection[str]) -> bool:
        """Whether the rule holds for one of these operations on a resource that is no subresource.

        Args:
            group: as in ``api_groups``.
            resource: the plural; ``*`` for any resource of the group.
            operations: as in ``operations``.
        """
        groups, resources = self.api_groups or (), self.resources or ()
        asked = self.operations or ()
        return (
            ("*" in groups or group in groups)
            and ("*" in resources or "*/*" in resources or _names(resources, resource))
            and ("*" in asked or any(operation in asked for operation in operations))
        )


def _names(resources: tuple[str, ...], resource: str) -> bool:
    if resource == "*":
        return any("/" not in each for each in resources)
    return resource in resources


class MatchCondition(View, frozen=True, kw_only=True):
    """An expression that must hold for a request to be sent."""

    name: str


class Webhook(View, frozen=True, kw_only=True):
    """One webhook of a configuration."""

    name: str
    client_config: WebhookClientConfig = WebhookClientConfig()
    rules: tuple[WebhookRule, ...] | None = None
    failure_policy: str | None = None
    """``Fail`` or ``Ignore``; None means Fail, the API's default."""
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    match_conditions: tuple[MatchCondition, ...] | None = None

    @property
    def fails_closed(self) -> bool:
        """Whether a request is refused when the webhook does not answer."""
        return self.failure_policy != "Ignore"

    @property
    def asks_for_all_objects(self) -> bool:
        """Whether neither labels of the object nor expressions keep a request from it."""
        return _is_empty(self.object_selector) and not self.match_conditions

    @property
    def asks_for_all_namespaces(self) -> bool:
        """Whether no labels of a namespace keep a request from it."""
        return _is_empty(self.namespace_selector)

    def covers(self, group: str, resource: str, operations: Collection[str]) -> bool:
        """Whether one of its rules holds; arguments as of :meth:`WebhookRule.covers`."""
        return any(rule.covers(group, resource, operations) for rule in self.rules or ())

    def selects_namespace(self, name: str, labels: dict[str, str]) -> bool:
        """Whether it is asked about objects in the namespace of that name and these labels."""
        selector = self.namespace_selector
        return selector is None or selector.matches({**labels, NAMESPACE_NAME_LABEL: name})


def _is_empty(selector: LabelSelector | None) -> bool:
    return selector is None or not (selector.match_labels or selector.match_expressions)


class WebhookConfiguration(KubeObject, frozen=True, kw_only=True):
    """Webhooks that were registered together."""

    webhooks: tuple[Webhook, ...] | None = None


class MutatingWebhookConfiguration(WebhookConfiguration, frozen=True, kw_only=True):
    """Webhooks that may change objects."""

    api: ClassVar[Api] = _api("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")


class ValidatingWebhookConfiguration(WebhookConfiguration, frozen=True, kw_only=True):
    """Webhooks that may refuse objects."""

    api: ClassVar[Api] = _api("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
