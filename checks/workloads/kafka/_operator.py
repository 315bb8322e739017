"""Strimzi's cluster operator and Drain Cleaner, as they are deployed."""

from __future__ import annotations

from collections.abc import Sequence

from auditor import Facts
from auditor.facts.kube import Deployment
from auditor.facts.kube.pods import TemplateContainer

from ..._roles import template_labels
from ..._wording import full_name

_KIND_LABEL = "strimzi.io/kind"
_OPERATOR_KIND = "cluster-operator"
_DRAIN_CLEANER = "drain-cleaner"


def cluster_operators(facts: Facts) -> list[tuple[Deployment, TemplateContainer]]:
    """The Deployments of the cluster operator with its container, by namespace and name."""
    found = []
    for deployment in sorted(facts.list(Deployment), key=full_name):
        containers = deployment.spec.template.spec.containers
        if template_labels(deployment.spec.template).get(_KIND_LABEL) == _OPERATOR_KIND and containers:
            named = (each for each in containers if _OPERATOR_KIND in each.name)
            found.append((deployment, next(named, containers[0])))
    return found


def drain_cleaners(facts: Facts) -> list[tuple[Deployment, TemplateContainer]]:
    """The Deployments of Strimzi's Drain Cleaner with its container, by namespace and name."""
    return [
        (deployment, container)
        for deployment in sorted(facts.list(Deployment), key=full_name)
        for container in deployment.spec.template.spec.containers
        if _DRAIN_CLEANER in container.name or _DRAIN_CLEANER in (container.image or "")
    ]


def says_no(containers: Sequence[TemplateContainer], variable: str) -> bool:
    """Whether one of the containers has a variable set to ``false``."""
    return any((each.variable(variable) or "").strip().lower() == "false" for each in containers)
