"""Admission webhooks that stand between data systems and the API server, and whether one listens behind each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor import Facts
from auditor.facts.kube import EndpointSlice, Namespace, Service
from auditor.facts.kube.admission import (
    MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
    Webhook,
    WebhookConfiguration,
)
from auditor.facts.kube.discovery import SERVICE_NAME_LABEL

KUBE_SYSTEM = "kube-system"

_MADE_BY_OPERATORS = (
    ("", "pods"),
    ("", "persistentvolumeclaims"),
    ("", "services"),
    ("", "configmaps"),
    ("apps", "statefulsets"),
    ("apps", "deployments"),
    ("batch", "jobs"),
)
"""What operators of data systems create; a webhook that refuses one stops the system."""

_DATA_GROUPS = (
    "flink.apache.org",
    "hdfs.stackable.tech",
    "kafka.stackable.tech",
    "kafka.strimzi.io",
    "kubeflow.org",
    "platform.confluent.io",
    "spark.apache.org",
    "spark.stackable.tech",
    "sparkoperator.k8s.io",
    "trainer.kubeflow.org",
    "zookeeper.stackable.tech",
)
"""Whose custom resources are data systems."""

_LOOPBACK = re.compile(r"https://(localhost|127\.0\.0\.1|\[::1\])([:/?]|$)")


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook that data systems' objects pass.

    Attributes:
        configuration: where it is registered.
        webhook: the webhook.
        objects: what of data systems it is asked about, as messages write it.
    """

    configuration: WebhookConfiguration
    webhook: Webhook
    objects: tuple[str, ...]

    @property
    def name(self) -> str:
        """The webhook with its configuration: ``configuration/webhook``."""
        return f"{self.configuration.name}/{self.webhook.name}"

    @property
    def service(self) -> str:
        """``namespace/name`` of the Service behind it; empty where it is called by its URL."""
        service = self.webhook.client_config.service
        return str(service) if service is not None else ""

    @property
    def is_in_control_plane(self) -> bool:
        """Whether it is called on the API server's own machine, where only the control plane can have put it."""
        return _LOOPBACK.match(self.webhook.client_config.url or "") is not None

    @property
    def takes_every_pod(self) -> bool:
        """Whether no label or expression keeps a new pod of a selected namespace from it."""
        return "pods" in self.objects and self.webhook.asks_for_all_objects


def hooks(
    facts: Facts, view: type[MutatingWebhookConfiguration] | type[ValidatingWebhookConfiguration]
) -> Iterator[Hook]:
    """The webhooks of one kind that are asked about what data systems create, by name."""
    found = [
        Hook(configuration, webhook, objects)
        for configuration in facts.list(view)
        for webhook in configuration.webhooks or ()
        if (objects := _objects(webhook))
    ]
    yield from sorted(found, key=lambda hook: hook.name)


def ready_endpoints(facts: Facts, hook: Hook) -> int:
    """How many endpoints of the hook's Service take requests."""
    service = hook.webhook.client_config.service
    if service is None:
        return 0
    slices = facts.labelled(EndpointSlice, SERVICE_NAME_LABEL, service.name)
    own = [each for each in slices if each.namespace == service.namespace]
    return sum(endpoint.is_ready for each in own for endpoint in each.endpoints or ())


def is_elsewhere(facts: Facts, hook: Hook) -> bool:
    """Whether the hook's Service only names a host outside of the cluster, so that it has no endpoints to count."""
    service = hook.webhook.client_config.service
    if service is None:
        return False
    found = facts.get(Service, service.name, namespace=service.namespace)
    return found is not None and found.spec.type == "ExternalName"


def selected_namespaces(facts: Facts, hook: Hook) -> Sequence[str]:
    """The names of the namespaces whose objects pass the hook."""
    return sorted(
        namespace.name
        for namespace in facts.list(Namespace)
        if hook.webhook.selects_namespace(namespace.name, namespace.labels)
    )


def _objects(webhook: Webhook) -> tuple[str, ...]:
    made = [resource for group, resource in _MADE_BY_OPERATORS if webhook.covers(group, resource, ("CREATE",))]
    own = [group for group in _DATA_GROUPS if _names_group(webhook, group)]
    return (*made, *(f"resources of {group}" for group in own))


def _names_group(webhook: Webhook, group: str) -> bool:
    """Whether a rule names the group itself; one for all groups is told by pods already."""
    return webhook.covers(group, "*", ("CREATE", "UPDATE")) and any(
        group in (rule.api_groups or ()) for rule in webhook.rules or ()
    )
