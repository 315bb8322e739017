"""Does an application keep its shuffles when executors come and go?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import Node, Pod
from auditor.facts.kube.spark import AnySparkApplication, flag

from ..._nodes import SPOT_LABELS
from ..._wording import examples, full_name, listed
from ._applications import APPLICATIONS, application_of, applications, described, executors, nothing_to_judge

TRACKING_BY_DEFAULT = (3, 4)
"""Since this version Spark tracks shuffles, and moves them at decommissioning, unless told otherwise."""


class DynamicParameters(Parameters, frozen=True, kw_only=True):
    """How a site marks nodes that may go at any time."""

    spot_labels: Annotated[
        tuple[str, ...],
        threshold(
            "Node labels, each `key=value`, of capacity that may be taken back at short notice.",
            source="Labels that EKS, Karpenter, GKE, AKS and ACK set on spot or preemptible nodes.",
        ),
    ] = SPOT_LABELS


@check(
    "spark.dynamic-allocation",
    title="Spark keeps its shuffles when executors come and go",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, Pod, Node),
    aliases=("SPK-005",),
)
def dynamic_allocation(facts: Facts, params: DynamicParameters) -> Iterator[Finding]:
    """An executor that goes takes its shuffle files with it, unless Spark is told to mind them.

    ## What it checks
    - A SparkApplication with dynamic allocation has one of the ways in which Spark minds shuffles on Kubernetes:
      shuffle tracking (on by default since 3.4, and whenever Kubeflow's operator turns dynamic allocation on),
      decommissioning that moves shuffle blocks, or a shuffle manager or plug-in of a remote shuffle service. Without
      one Spark refuses to start: a failure.
    - It does not rely on the external shuffle service, `spark.shuffle.service.enabled`: Spark brings none for
      Kubernetes. A warning.
    - An application whose executors run on spot nodes, or are sent there by a node selector, has
      `spark.decommission.enabled`. Otherwise a warning. Spot nodes are told by the labels in `spot_labels`.

    ## Why it matters
    When an executor's shuffle files are gone, the stages that made them run again; on spot nodes, with two minutes'
    notice and many executors lost at once, a job may never finish. Decommissioning uses the notice to move blocks away.

    ## How to fix
    Set in `sparkConf`:

        spark.dynamicAllocation.shuffleTracking.enabled: "true"
        spark.decommission.enabled: "true"
        spark.storage.decommission.enabled: "true"
        spark.storage.decommission.shuffleBlocks.enabled: "true"

    Give executors a grace period within the notice of the cloud
    (`spark.kubernetes.executor.terminationGracePeriodSeconds`). For shuffles of a terabyte and more a remote shuffle
    service such as Celeborn or Uniffle is worth its upkeep.

    ## References
    - [Dynamic resource allocation](https://spark.apache.org/docs/latest/job-scheduling.html#dynamic-resource-allocation)
    - [Configuration: dynamic allocation and decommissioning](https://spark.apache.org/docs/latest/configuration.html#dynamic-allocation)
    - [Spark on spot instances](https://awslabs.github.io/data-on-eks/docs/bestpractices/analytics/spark-best-practices)
    - [Apache Celeborn](https://celeborn.apache.org/docs/latest/)
    """
    apps = applications(facts)
    dynamic = [app for app in apps if app.has_dynamic_allocation]
    if careless := [app for app in dynamic if _minds_shuffles(app) is False]:
        yield _refused(careless)
    if served := [app for app in dynamic if _relies_on_service(app)]:
        yield _no_service(served)
    if untold := [app for app in dynamic if _minds_shuffles(app) is None]:
        yield _not_told(untold)
    if careful := [app for app in dynamic if _minds_shuffles(app) and not _relies_on_service(app)]:
        yield Finding.ok(
            f"{described(careful)}: dynamic allocation keeps or moves shuffles.",
            subjects=[app.subject for app in careful],
        )
    on_spot = _on_spot(facts, apps, params.spot_labels) if apps else []
    if hurried := [app for app in on_spot if not flag(app.conf, "spark.decommission.enabled")]:
        yield _taken_by_surprise(hurried)
    if ready := [app for app in on_spot if flag(app.conf, "spark.decommission.enabled")]:
        yield Finding.ok(f"{described(ready)}: executors on spot nodes are decommissioned before they go.")
    if not dynamic and not on_spot:
        if apps:
            yield Finding.ok("No SparkApplication has dynamic allocation or executors on spot nodes.")
        else:
            yield nothing_to_judge("SparkApplication")


def _minds_shuffles(app: AnySparkApplication) -> bool | None:
    """Whether Spark starts with this configuration; None where that depends on a version that is not known."""
    if app.tracks_shuffles or _has_remote_shuffles(app) or flag(app.conf, "spark.shuffle.service.enabled"):
        return True
    version = _version(app)
    moving = flag(app.conf, "spark.storage.decommission.shuffleBlocks.enabled")
    if flag(app.conf, "spark.decommission.enabled") and moving is not False:
        return True if moving else _by_default(version)
    return _by_default(version) if app.tracks_shuffles is None else False


def _by_default(version: tuple[int, int] | None) -> bool | None:
    return None if version is None else version >= TRACKING_BY_DEFAULT


def _version(app: AnySparkApplication) -> tuple[int, int] | None:
    match = re.match(r"v?(\d+)\.(\d+)", app.spark_version)
    return (int(match[1]), int(match[2])) if match else None


def _has_remote_shuffles(app: AnySparkApplication) -> bool:
    """Whether a shuffle manager or plug-in other than Spark's own is set."""
    manager = app.conf.get("spark.shuffle.manager", "sort")
    return manager not in ("sort", "tungsten-sort", "org.apache.spark.shuffle.sort.SortShuffleManager") or (
        "spark.shuffle.sort.io.plugin.class" in app.conf
    )


def _relies_on_service(app: AnySparkApplication) -> bool:
    return flag(app.conf, "spark.shuffle.service.enabled") is True and not _has_remote_shuffles(app)


def _refused(apps: Sequence[AnySparkApplication]) -> Finding:
    return Finding.fail(
        f"{described(apps)}: dynamic allocation without shuffle tracking, decommissioning or a remote shuffle service, "
        "one of them was expected: Spark refuses to start.",
        subjects=[app.subject for app in apps],
        fix='Set spark.dynamicAllocation.shuffleTracking.enabled to "true".',
        evidence=_seen(apps),
    )


def _no_service(apps: Sequence[AnySparkApplication]) -> Finding:
    return Finding.warn(
        f"{described(apps)}: relies on the external shuffle service, which Spark does not bring for Kubernetes; "
        "executors fail to register with it unless the site runs one on every node.",
        subjects=[app.subject for app in apps],
        fix="Turn spark.shuffle.service.enabled off and shuffle tracking on, or install a remote shuffle service.",
        evidence=_seen(apps),
    )


def _not_told(apps: Sequence[AnySparkApplication]) -> Finding:
    return Finding.unknown(
        f"{described(apps)}: whether dynamic allocation minds shuffles depends on Spark's version, and "
        f"{listed(sorted({repr(app.spark_version) for app in apps}))} is none.",
        subjects=[app.subject for app in apps],
        fix='Set spark.dynamicAllocation.shuffleTracking.enabled to "true" to leave no doubt.',
    )


def _taken_by_surprise(apps: Sequence[AnySparkApplication]) -> Finding:
    return Finding.warn(
        f"{described(apps)}: executors on spot nodes, and spark.decommission.enabled is not set, true was expected: "
        "when a node is taken back its shuffles are lost and stages run again.",
        subjects=[app.subject for app in apps],
        fix="Turn on spark.decommission.enabled and spark.storage.decommission.enabled.",
        evidence=_seen(apps),
    )


def _on_spot(
    facts: Facts, apps: Sequence[AnySparkApplication], spot_labels: Sequence[str]
) -> list[AnySparkApplication]:
    """The applications whose executors are sent to spot nodes, or run there."""
    spot_nodes = {node.name for node in facts.list(Node) if _is_spot(node.labels, spot_labels)}
    there = {application_of(pod) for pod in executors(facts) if pod.spec.node_name in spot_nodes}
    return [app for app in apps if _is_spot(app.executor_nodes, spot_labels) or (app.namespace, app.name) in there]


def _is_spot(labels: Mapping[str, str], spot_labels: Sequence[str]) -> bool:
    return any(f"{key}={value}" in spot_labels for key, value in labels.items())


def _seen(apps: Sequence[AnySparkApplication]) -> dict[str, object]:
    keys = re.compile(r"spark\.(dynamicAllocation|decommission|storage\.decommission|shuffle)\.")
    return examples(
        {full_name(app): {key: value for key, value in sorted(app.conf.items()) if keys.match(key)} for app in apps}
    )
