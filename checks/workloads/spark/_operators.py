"""The Spark operators of a cluster, and how they were started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from auditor import Facts
from auditor.facts.kube import Deployment
from auditor.facts.kube.pods import TemplateContainer
from auditor.facts.kube.spark import AnySparkApplication, SparkApplication

from ..._roles import template_labels

_NAME_LABEL = "app.kubernetes.io/name"
_COMPONENT_LABEL = "app.kubernetes.io/component"


class OperatorKind(StrEnum):
    """Whose operator it is."""

    KUBEFLOW = "Kubeflow"
    APACHE = "Apache"


@dataclass(frozen=True, slots=True)
class SparkOperator:
    """A Deployment that runs an operator's controller."""

    kind: OperatorKind
    deployment: Deployment
    container: TemplateContainer

    def option(self, name: str) -> str | None:
        """The value of a command line option, ``--name=value`` or ``-name=value``; None where it is not given."""
        for argument in (*(self.container.command or ()), *(self.container.args or ())):
            key, given, value = argument.lstrip("-").partition("=")
            if given and key == name and argument.startswith("-"):
                return value.strip("\"'")
        return None

    @property
    def namespaces(self) -> tuple[str, ...] | None:
        """The namespaces whose applications it takes on; None for all, and where that cannot be told from here."""
        if self.kind is OperatorKind.APACHE or self.option("namespace-selector"):
            return None
        given = self.option("namespaces") or self.option("namespace") or ""
        names = tuple(sorted(filter(None, (name.strip() for name in given.split(",")))))
        return None if not names or "*" in names else names

    def takes(self, app: AnySparkApplication) -> bool:
        """Whether the operator is one for such an application, and may take it on."""
        kind = OperatorKind.KUBEFLOW if isinstance(app, SparkApplication) else OperatorKind.APACHE
        return self.kind is kind and (self.namespaces is None or app.namespace in self.namespaces)


def operators(facts: Facts) -> list[SparkOperator]:
    """The operators that are installed, by namespace and name."""
    found = (operator for deployment in facts.list(Deployment) for operator in _operators(deployment))
    return sorted(found, key=lambda each: (each.deployment.namespace or "", each.deployment.name))


def _operators(deployment: Deployment) -> Iterator[SparkOperator]:
    template = deployment.spec.template
    labels = {**deployment.labels, **template_labels(template)}
    for container in template.spec.containers:
        image = (container.image or "").partition("@")[0]
        if "spark-kubernetes-operator" in image:
            yield SparkOperator(OperatorKind.APACHE, deployment, container)
            return
        if ("spark-operator" in image or labels.get(_NAME_LABEL) == "spark-operator") and _is_controller(
            container, labels
        ):
            yield SparkOperator(OperatorKind.KUBEFLOW, deployment, container)
            return


def _is_controller(container: TemplateContainer, labels: dict[str, str]) -> bool:
    """Whether it is the controller: since 2.0 the chart runs the webhook from the same image beside it."""
    if container.args and container.args[0] in ("controller", "webhook"):
        return container.args[0] == "controller"
    return labels.get(_COMPONENT_LABEL) != "webhook" and "webhook" not in container.name
