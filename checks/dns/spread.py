"""Do the DNS servers fall together?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.dns import find_dns
from auditor.facts.kube import Node, Pod, Service

from .._wording import counted, examples, full_name, listed
from ._corefile import no_service


@check(
    "dns.spread",
    title="DNS pods run on different nodes and in different zones",
    severity=Severity.HIGH,
    reads=(Service, Pod, Node),
    aliases=("DNS-004",),
)
def spread(facts: Facts) -> Iterator[Finding]:
    """Two DNS pods on one node are one DNS pod.

    ## What it checks
    The ready DNS pods run on as many nodes as they can. All of them on one node, while another could take one, is a
    failure; some of them together is a warning. Where the nodes lie in several zones, all DNS pods in one zone is a
    warning. Nodes that are not ready, cordoned or tainted are no alternative, unless a DNS pod runs there already.

    ## Why it matters
    When the node or the zone fails, no name resolves until the pods are started elsewhere, which takes five minutes by
    default. On EC2 each network interface may send 1,024 packets per second to the resolver of the VPC, so that two
    CoreDNS pods on one node have the capacity of one. kubeadm and others only prefer to keep the pods apart, and pods
    that started while there was one node stay together.

    ## How to fix
    Require distinct nodes by pod anti-affinity (`kubernetes.io/hostname`), spread over zones by a topology spread
    constraint, and restart the pods once, so that they are placed again:

        kubectl --namespace kube-system rollout restart deployment coredns

    ## References
    - [Pod topology spread constraints](https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/)
    - [CoreDNS' own manifest with required anti-affinity](https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed)
    - [EKS best practices: monitor and spread CoreDNS](https://docs.aws.amazon.com/eks/latest/best-practices/monitoring_eks_workloads_for_network_performance_issues.html)
    - [CoreDNS at scale for data workloads on EKS](https://awslabs.github.io/data-on-eks/docs/bestpractices/networking)
    """
    dns = find_dns(facts)
    if dns is None:
        yield no_service()
        return
    pods = [pod for pod in dns.pods if pod.is_ready and pod.spec.node_name]
    if len(pods) <= 1:
        yield Finding.skip(
            f"{'One DNS pod is' if pods else 'No DNS pod is'} ready, so there is nothing to spread; "
            "dns.replicas judges their number."
        )
        return
    nodes = facts.list(Node)
    used = Counter(pod.spec.node_name for pod in pods)
    possible = {node.name: node for node in nodes if (node.takes_ordinary_pods and node.is_ready) or node.name in used}
    yield _over_nodes(pods, len(used), len(possible))
    yield from _over_zones(pods, possible, nodes)


def _over_nodes(pods: Sequence[Pod], used: int, possible: int) -> Finding:
    subjects = [pod.subject for pod in pods]
    if used >= min(len(pods), possible):
        what = "a node of its own" if used == len(pods) else f"one of all {possible} nodes that can take them"
        if possible == 1:
            what = "the only node there is for them"
        return Finding.ok(f"Each of {len(pods)} ready DNS pods runs on {what}.", subjects=subjects)
    crowded = _crowded(pods)
    seen = f"{len(pods)} ready DNS pods run on {counted(used, 'node')} ({listed(crowded)}), {possible} could take them"
    fix = "Require distinct nodes by pod anti-affinity over kubernetes.io/hostname, and restart the pods one by one."
    evidence = {"pods": examples({full_name(pod): pod.spec.node_name for pod in pods})}
    if used == 1:
        return Finding.fail(
            f"{seen}; distinct nodes were expected: when that node fails, no name resolves.",
            subjects=subjects,
            fix=fix,
            evidence=evidence,
        )
    return Finding.warn(f"{seen}; distinct nodes were expected.", subjects=subjects, fix=fix, evidence=evidence)


def _crowded(pods: Sequence[Pod]) -> list[str]:
    counts = Counter(pod.spec.node_name or "" for pod in pods)
    return [f"{count} on {name}" for name, count in sorted(counts.items()) if count > 1]


def _over_zones(pods: Sequence[Pod], possible: dict[str, Node], nodes: Sequence[Node]) -> Iterator[Finding]:
    subjects = [pod.subject for pod in pods]
    zones = sorted({node.zone for node in possible.values() if node.zone})
    if len(zones) <= 1:
        where = f"in zone {zones[0]}" if zones else "without a zone label"
        yield Finding.ok(
            f"DNS pods cannot be spread over zones: all nodes that can take them are {where}.", subjects=subjects
        )
        return
    zone_of = {node.name: node.zone for node in nodes}
    found = [zone_of.get(pod.spec.node_name or "") for pod in pods]
    used = {zone for zone in found if zone}
    if len(used) <= 1 and None in found:
        yield Finding.unknown(
            f"In which zones the DNS pods run cannot be told: a node of theirs has no zone label, "
            f"while others are in {listed(zones)}.",
            subjects=subjects,
            fix="Label every node with topology.kubernetes.io/zone.",
        )
    elif len(used) == 1:
        yield Finding.warn(
            f"All {len(pods)} ready DNS pods run in zone {listed(sorted(used))}, nodes in {listed(zones)} "
            "could take them; several zones were expected: when that zone fails, no name resolves.",
            subjects=subjects,
            fix="Add a topology spread constraint over topology.kubernetes.io/zone, and restart the pods one by one.",
        )
    else:
        yield Finding.ok(
            f"{len(pods)} ready DNS pods run in {len(used)} of {counted(len(zones), 'zone')}.", subjects=subjects
        )
