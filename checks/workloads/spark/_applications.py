"""The Spark applications, drivers and executors that a cluster shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from auditor import Facts, Finding, if_served
from auditor.facts.kube import Pod
from auditor.facts.kube.spark import (
    DRIVER_ROLE,
    EXECUTOR_ROLE,
    ROLE_LABEL,
    AnySparkApplication,
    ApacheSparkApplication,
    SparkApplication,
)

from ..._wording import counted, full_names

APPLICATIONS = (if_served(SparkApplication), if_served(ApacheSparkApplication))
"""What a check reads to ask :func:`applications`."""

_SENTINEL_LABEL = "spark.operator/sentinel"
"""Marks what Apache's operator makes to watch itself; it never becomes a driver."""


def applications(facts: Facts) -> list[AnySparkApplication]:
    """The applications of both operators, by namespace and name; none where neither operator is installed."""
    found: list[AnySparkApplication] = [*facts.list(SparkApplication), *facts.list(ApacheSparkApplication)]
    real = (app for app in found if app.labels.get(_SENTINEL_LABEL) != "true")
    return sorted(real, key=lambda app: (app.namespace or "", app.name, app.api.group))


def drivers(facts: Facts) -> list[Pod]:
    """The driver pods that have not ended, by namespace and name."""
    return _alive(facts, DRIVER_ROLE)


def executors(facts: Facts) -> list[Pod]:
    """The executor pods that have not ended, by namespace and name."""
    return _alive(facts, EXECUTOR_ROLE)


def _alive(facts: Facts, role: str) -> list[Pod]:
    pods = (pod for pod in facts.labelled(Pod, ROLE_LABEL, role) if not pod.is_finished)
    return sorted(pods, key=lambda pod: (pod.namespace or "", pod.name))


def driver_of(executor: Pod) -> str | None:
    """Name of the driver pod that made an executor; None where the driver is no pod."""
    owners = executor.metadata.owner_references or ()
    return next((owner.name for owner in owners if owner.kind == Pod.api.kind), None)


def application_of(pod: Pod) -> tuple[str | None, str | None]:
    """Namespace and name of the application that a pod belongs to; no name where no operator made it."""
    labels = (SparkApplication.app_label, ApacheSparkApplication.app_label)
    return pod.namespace, next((pod.labels[label] for label in labels if label in pod.labels), None)


def by_namespace(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """The pods of each namespace, by its name."""
    found: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        found[pod.namespace or ""].append(pod)
    return dict(sorted(found.items()))


def described(apps: Sequence[AnySparkApplication]) -> str:
    """``SparkApplication jobs/etl``, ``3 SparkApplications (jobs/a, jobs/b and jobs/c)``."""
    if len(apps) == 1:
        return f"SparkApplication {full_names(apps)}"
    return f"{counted(len(apps), 'SparkApplication')} ({full_names(apps)})"


def nothing_to_judge(what: str) -> Finding:
    """The finding where there is no Spark to look at."""
    return Finding.skip(f"There is no {what} in this cluster, so there is nothing to judge for Spark yet.")
