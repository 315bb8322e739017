"""Are there more objects than the API server bears?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, Workload, check, raw, threshold
from auditor.facts.kube import Pod
from auditor.facts.metrics import samples

from .._wording import examples, listed

_COUNTS = "apiserver_resource_objects"
_COUNTS_BEFORE_1_34 = "apiserver_storage_objects"

_BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
"""Objects of all other groups are custom resources."""

_COMMUNITY = "Kubernetes scalability thresholds, for the largest cluster; smaller ones bear less."
_AKS = "AKS, API server and etcd: more than 10,000 objects of a type can slow etcd down."


class ObjectsParameters(Parameters, frozen=True, kw_only=True):
    """How many objects of a type a cluster bears."""

    max_pods: Annotated[int, threshold("Pods in the cluster.", source=_COMMUNITY, ge=1)] = 150_000
    max_nodes: Annotated[int, threshold("Nodes in the cluster.", source=_COMMUNITY, ge=1)] = 5_000
    max_services: Annotated[int, threshold("Services in the cluster.", source=_COMMUNITY, ge=1)] = 10_000
    max_namespaces: Annotated[int, threshold("Namespaces in the cluster.", source=_COMMUNITY, ge=1)] = 10_000
    max_configmaps: Annotated[int, threshold("ConfigMaps in the cluster.", source=_AKS, ge=1)] = 10_000
    max_secrets: Annotated[int, threshold("Secrets in the cluster.", source=_AKS, ge=1)] = 10_000
    max_custom_resources: Annotated[
        int, threshold("Objects of one custom type, such as SparkApplications.", source=_AKS, ge=1)
    ] = 10_000
    max_events: Annotated[
        int,
        threshold(
            "Events in the cluster.",
            source="No upstream number; large clusters are advised to keep events in an etcd of their own.",
            ge=1,
        ),
    ] = 50_000
    max_finished_pods: Annotated[
        int,
        threshold(
            "Pods that have succeeded or failed and were not deleted.",
            source="Four fifths of kube-controller-manager's default --terminated-pod-gc-threshold of 12,500, at which "
            "it deletes the oldest.",
            ge=1,
        ),
    ] = 10_000


@check(
    "control-plane.object-counts",
    title="The cluster holds no more objects of a type than it bears",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK,),
    reads=(raw("metrics.txt"), Pod),
    aliases=("CPL-011",),
)
def object_counts(facts: Facts, params: ObjectsParameters) -> Iterator[Finding]:
    """Finished applications, their pods and events are cleared away in time.

    ## What it checks
    The API server's counts of stored objects (`apiserver_resource_objects`, before Kubernetes 1.34
    `apiserver_storage_objects`) of pods, nodes, services, namespaces, ConfigMaps, Secrets, events and each custom type
    against what Kubernetes is tested with, or its vendors advise; and the pods that have finished and are still there.
    Beyond these numbers nothing breaks at once: answers become slower.

    ## Why it matters
    Each Spark application leaves a driver pod, a ConfigMap, a Service, events and a SparkApplication behind, until
    somebody deletes them. Operators list all of them when they start, the API server keeps all of them in memory, and
    etcd's database fills. From 12,500 finished pods the controller manager deletes the oldest, with the drivers' logs.

    ## How to fix
    Let finished objects expire: `timeToLiveSeconds` of SparkApplications, `ttlSecondsAfterFinished` of Jobs,
    `spark.kubernetes.driver.service.deleteOnTermination`. Delete what has piled up:

        kubectl delete pods --all-namespaces --field-selector status.phase=Succeeded

    On very large clusters keep events in an etcd of their own (`--etcd-servers-overrides=/events#…`).

    ## References
    - [Kubernetes scalability thresholds](https://github.com/kubernetes/community/blob/master/sig-scalability/configs-and-limits/thresholds.md)
    - [Considerations for large clusters: etcd storage](https://kubernetes.io/docs/setup/best-practices/cluster-large/#etcd-storage)
    - [Garbage collection of terminated pods](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection)
    - [AKS: an offending client leaks etcd objects](https://learn.microsoft.com/en-us/troubleshoot/azure/azure-kubernetes/troubleshoot-apiserver-etcd)
    - [Spark operator: automatic clean-up](https://www.kubeflow.org/docs/components/spark-operator/user-guide/writing-sparkapplication/)
    """
    counts = _counts(facts.text("metrics.txt"))
    many = {name: count for name, count in counts.items() if count > _limit(name, params)}
    if not counts:
        yield Finding.unknown(
            f"How many objects there are cannot be told: the API server's metrics lack {_COUNTS}.",
            fix="Count the objects of the types that grow, such as events and finished applications.",
        )
    if many:
        yield _too_many(many, params)
    finished = sum(pod.is_finished for pod in facts.list(Pod))
    if finished > params.max_finished_pods:
        yield Finding.warn(
            f"{finished:,} pods have finished and are still there, at most {params.max_finished_pods:,} were expected; "
            "by default the oldest are deleted from 12,500.",
            fix="Let finished applications and Jobs expire, and delete the pods that have succeeded.",
            command="kubectl delete pods --all-namespaces --field-selector status.phase=Succeeded",
            evidence={"finished": finished},
        )
    elif counts and not many:
        most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:3]
        yield Finding.ok(
            f"No type has more objects than the cluster bears; most are {_said(dict(most))}. "
            f"Of finished pods {finished:,} are still there.",
            evidence=dict(most),
        )


def _counts(text: str) -> dict[str, int]:
    """Objects by resource, such as ``pods`` or ``sparkapplications.sparkoperator.k8s.io``."""
    counts: dict[str, int] = {}
    for sample in samples(text, _COUNTS):
        group, resource = sample.labels.get("group", ""), sample.labels.get("resource", "")
        if 0 <= sample.value < math.inf:  # -1 where the server could not count
            counts[f"{resource}.{group}" if group else resource] = int(sample.value)
    if not counts:
        for sample in samples(text, _COUNTS_BEFORE_1_34):
            if 0 <= sample.value < math.inf:
                counts[sample.labels.get("resource", "")] = int(sample.value)
    return counts


def _limit(name: str, params: ObjectsParameters) -> float:
    of_type = {
        "pods": params.max_pods,
        "nodes": params.max_nodes,
        "services": params.max_services,
        "namespaces": params.max_namespaces,
        "configmaps": params.max_configmaps,
        "secrets": params.max_secrets,
        "events": params.max_events,
    }
    _, _, group = name.partition(".")
    return of_type.get(name, float("inf")) if group in _BUILT_IN_GROUPS else params.max_custom_resources


def _too_many(many: Mapping[str, int], params: ObjectsParameters) -> Finding:
    most_first = dict(sorted(many.items(), key=lambda entry: (-entry[1], entry[0])))
    limits = {name: _limit(name, params) for name in most_first}
    seen = [f"{count:,} {name} (at most {limits[name]:,.0f})" for name, count in most_first.items()]
    return Finding.warn(
        f"The cluster holds more objects than was expected: {listed(seen)}.",
        subjects=[Subject(kind="Resource", name=name) for name in most_first],
        fix="Let finished objects expire, and delete those that nobody needs.",
        evidence=examples(most_first),
    )


def _said(counts: Mapping[str, int]) -> str:
    return listed([f"{count:,} {name}" for name, count in counts.items()])
