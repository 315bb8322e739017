"""Are there enough DNS servers for the cluster's size?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, check, threshold
from auditor.facts.dns import ClusterDns, find_dns, is_eks_auto, runs_outside_pods
from auditor.facts.kube import Node, Pod, Service
from auditor.facts.quantity import quantity_cores

from .._wording import counted, full_name
from ._corefile import no_service

_DEFAULT = "Default of the DNS autoscaler in the Kubernetes documentation (linear mode)."


class ReplicasParameters(Parameters, frozen=True, kw_only=True):
    """How many DNS servers a cluster of some size needs."""

    least_replicas: Annotated[
        int,
        threshold(
            "The fewest ready DNS pods on a cluster of several nodes.",
            source="preventSinglePointFailure of the cluster proportional autoscaler; AKS recommends two as well.",
            ge=1,
        ),
    ] = 2
    cores_per_replica: Annotated[
        int, threshold("CPU cores of schedulable nodes for each DNS pod.", source=_DEFAULT, ge=1)
    ] = 256
    nodes_per_replica: Annotated[int, threshold("Schedulable nodes for each DNS pod.", source=_DEFAULT, ge=1)] = 16


@check(
    "dns.replicas",
    title="There are as many ready DNS pods as the cluster's size asks for",
    severity=Severity.HIGH,
    reads=(Service, Pod, Node),
    aliases=("DNS-002",),
)
def replicas(facts: Facts, params: ReplicasParameters) -> Iterator[Finding]:
    """DNS has to grow with the cluster, and one server is none.

    ## What it checks
    As many DNS pods are ready as the formula of the usual autoscaler asks for: the larger of one per 256 cores and one
    per 16 nodes, and two at least where there is more than one node. Nodes that are cordoned do not count, as they do
    not for the autoscaler, and neither do nodes of EKS Auto Mode, which answer for themselves.

    Fewer than two ready pods is a failure. Fewer than the formula asks for is a warning: it is a rule of thumb, which
    AKS for one stays below on purpose (its ladder ends at five), and what the servers bear is measured by a probe.

    ## Why it matters
    Spark asks for names with every executor and every object that it reads, Kafka clients with every reconnect. One
    CoreDNS of two cores bears about 33,000 questions per second of internal names and 6,700 of external ones, and less
    where the cloud limits packets per interface. EKS starts two replicas whatever the number of nodes, k3s one.

    ## How to fix
    Scale the Deployment, or better let an autoscaler do it (dns.autoscaler):

        kubectl --namespace kube-system scale deployment coredns --replicas=N

    ## References
    - [Autoscale the DNS service in a cluster](https://kubernetes.io/docs/tasks/administer-cluster/dns-horizontal-autoscaling/)
    - [Scaling CoreDNS in Kubernetes clusters](https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md)
    - [EKS best practices: cluster services](https://docs.aws.amazon.com/eks/latest/best-practices/scale-cluster-services.html)
    - [CoreDNS autoscaling on AKS](https://learn.microsoft.com/azure/aks/coredns-autoscale)
    """
    dns = find_dns(facts)
    if dns is None:
        yield no_service()
        return
    nodes = facts.list(Node)
    if not dns.pods and (reason := runs_outside_pods(nodes)) is not None:
        yield Finding.skip(f"Service {full_name(dns.service)} has no pods, and needs none: {reason}.")
        return
    yield _judge(dns, nodes, params)


def _judge(dns: ClusterDns, nodes: Sequence[Node], params: ReplicasParameters) -> Finding:
    served = [node for node in nodes if not node.spec.unschedulable and not is_eks_auto(node)]
    cores = _cores(served)
    least = params.least_replicas if len(nodes) > 1 else 1
    by_size = max(math.ceil(cores / params.cores_per_replica), math.ceil(len(served) / params.nodes_per_replica))
    expected = max(least, by_size)
    ready = sum(pod.is_ready for pod in dns.pods)
    if ready >= expected:
        status, verdict = Status.OK, f"{expected} or more were expected"
    elif ready == 0:
        status, verdict = Status.FAIL, f"at least {expected} were expected: no name resolves"
    elif ready < least:
        status, verdict = Status.FAIL, f"at least {expected} were expected: one lost pod or node may end all DNS"
    else:
        rule = f"one per {params.nodes_per_replica} nodes and one per {params.cores_per_replica} cores"
        status, verdict = Status.WARN, f"{expected} were expected ({rule})"
    return Finding.of(
        status,
        f"{ready} of {counted(len(dns.pods), 'DNS pod')} {'is' if ready == 1 else 'are'} ready for "
        f"{counted(len(served), 'schedulable node')} with {cores:g} cores; {verdict}.",
        subjects=[pod.subject for pod in dns.pods] or [dns.service.subject],
        fix=None if status is Status.OK else _scale(dns, expected),
        evidence={"ready": ready, "pods": len(dns.pods), "nodes": len(served), "cores": cores},
    )


def _cores(nodes: Sequence[Node]) -> float:
    return sum(
        quantity_cores((node.status.allocatable or node.status.capacity or {}).get("cpu", "0")) for node in nodes
    )


def _scale(dns: ClusterDns, expected: int) -> Fix:
    if len(dns.pods) >= expected:
        return Fix(
            text="Look at the events and logs of the DNS pods that are not ready, and repair them.",
            command=f"kubectl --namespace {dns.namespace} get pods --output wide",
        )
    kind, name = dns.workload or ("Deployment", "")
    if kind != "Deployment" or not name:
        return Fix(text=f"Let at least {expected} DNS pods run and be ready.")
    return Fix(
        text=f"Give DNS {expected} replicas; where an autoscaler sets the number, change its parameters instead.",
        command=f"kubectl --namespace {dns.namespace} scale deployment {name} --replicas={expected}",
    )
