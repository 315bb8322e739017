"""Is there a DNS cache on every node of a large cluster?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.dns import OPENSHIFT_NAMESPACE, OPENSHIFT_SERVICE, is_aks, is_eks_auto
from auditor.facts.kube import DaemonSet, Node, Service

from .._wording import counted, full_name

_NAMES = ("node-local-dns", "nodelocaldns")
"""Names and ``k8s-app`` labels: of the project itself, and of Kubespray."""

_FARGATE = ("eks.amazonaws.com/compute-type", "fargate")


class NodeLocalParameters(Parameters, frozen=True, kw_only=True):
    """When a cluster needs a DNS cache on its nodes."""

    large_cluster_nodes: Annotated[
        int,
        threshold(
            "From so many nodes on, the absence of NodeLocal DNSCache is a warning.",
            source="No upstream number; the Kubernetes documentation advises it for large clusters.",
            ge=1,
        ),
    ] = 100


@check(
    "dns.node-local-cache",
    title="A large cluster has a DNS cache on every node",
    severity=Severity.MEDIUM,
    reads=(DaemonSet, Node, Service),
    aliases=("DNS-015",),
)
def node_local_cache(facts: Facts, params: NodeLocalParameters) -> Iterator[Finding]:
    """NodeLocal DNSCache answers most questions on the node, and asks CoreDNS over TCP for the rest.

    ## What it checks
    The DaemonSet `node-local-dns` is there and ready on every node that it is scheduled to, and scheduled to every data
    node. Without it, a cluster of 100 nodes and more gets a warning; on a smaller one it is not needed.

    AKS (LocalDNS, a service of the node that the API does not show), EKS Auto Mode and OpenShift (DNS pods on every
    node) bring their own, and the check does not apply. GKE with Cloud DNS answers on the node too; there the absence
    of the DaemonSet means nothing.

    ## Why it matters
    Every question of every pod crosses the network as UDP, through connection tracking. When two questions of one pod
    race there, one packet is lost and the resolver waits for five seconds, which Kafka clients and Spark jobs show as
    stalls of exactly that length. A cache on the node takes both away, and most of the load from CoreDNS.

    ## How to fix
    Install NodeLocal DNSCache by its manifest or the vendor's add-on, and look at its tolerations and node selector:

        kubectl --namespace kube-system get daemonset node-local-dns

    ## References
    - [Using NodeLocal DNSCache](https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/)
    - [DNS lookups that take 5 seconds](https://github.com/kubernetes/kubernetes/issues/56903)
    - [DNS concepts on AKS, LocalDNS](https://learn.microsoft.com/azure/aks/dns-concepts)
    - [NodeLocal DNSCache on GKE](https://cloud.google.com/kubernetes-engine/docs/how-to/nodelocal-dns-cache)
    """
    caches = [
        each
        for each in sorted(facts.list(DaemonSet), key=full_name)
        if each.name in _NAMES or each.labels.get("k8s-app") in _NAMES
    ]
    nodes = facts.list(Node)
    for each in caches:
        yield _judge(each, nodes)
    if not caches:
        yield _without(facts, nodes, params)


def _judge(cache: DaemonSet, nodes: Sequence[Node]) -> Finding:
    name, desired, ready = full_name(cache), cache.status.desired_number_scheduled, cache.status.number_ready
    evidence = {"desired": desired, "ready": ready}
    if ready < desired or not desired:
        return Finding.warn(
            f"DaemonSet {name} is ready on {ready} of {counted(desired, 'node')} that it is meant for, all were "
            "expected: the others ask CoreDNS directly, or nobody.",
            subjects=[cache.subject],
            fix="Look at the events and logs of the pods that are not ready.",
            command=f"kubectl --namespace {cache.namespace} describe daemonset {cache.name}",
            evidence=evidence,
        )
    served = [node for node in nodes if node.takes_ordinary_pods and _can_have_cache(node)]
    if desired < len(served):
        return Finding.warn(
            f"DaemonSet {name} is meant for {desired} of at least {counted(len(served), 'data node')}, all were "
            "expected.",
            subjects=[cache.subject],
            fix="Widen its node selector and tolerations to every data node.",
            command=f"kubectl --namespace {cache.namespace} edit daemonset {cache.name}",
            evidence={**evidence, "data_nodes": len(served)},
        )
    return Finding.ok(f"DaemonSet {name} is ready on all of {counted(desired, 'node')}.", subjects=[cache.subject])


def _can_have_cache(node: Node) -> bool:
    """Fargate runs no DaemonSets, Windows no NodeLocal DNSCache, and EKS Auto Mode needs none."""
    key, value = _FARGATE
    is_windows = node.status.node_info.operating_system == "windows"
    return not is_windows and node.labels.get(key) != value and not is_eks_auto(node)


def _without(facts: Facts, nodes: Sequence[Node], params: NodeLocalParameters) -> Finding:
    if any(is_aks(node) for node in nodes):
        return Finding.skip("AKS has LocalDNS instead, a service of each node that the API does not show.")
    if nodes and all(is_eks_auto(node) for node in nodes):
        return Finding.skip("EKS Auto Mode runs CoreDNS on every node, as a service that the API does not show.")
    if facts.get(Service, OPENSHIFT_SERVICE, namespace=OPENSHIFT_NAMESPACE) is not None:
        return Finding.skip("OpenShift runs a DNS pod on every node, so that no further cache is needed.")
    needing = [node for node in nodes if _can_have_cache(node)]
    if len(needing) < params.large_cluster_nodes:
        return Finding.ok(
            f"There is no NodeLocal DNSCache, and {counted(len(needing), 'node')} can do without "
            f"(fewer than {params.large_cluster_nodes})."
        )
    return Finding.warn(
        f"There is no NodeLocal DNSCache on {len(needing)} nodes, it was expected from {params.large_cluster_nodes} "
        "nodes on.",
        fix="Install NodeLocal DNSCache, or switch on the vendor's own (GKE: Cloud DNS or the add-on).",
        evidence={"nodes": len(needing)},
    )
