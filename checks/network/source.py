"""Does a server see its client's own address?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.observations.network import Connection, NetworkObservations

from .._wording import counted, examples
from ._observed import alone, ends, nodes, observed, routes, unseen


@check(
    "network.source-address",
    title="Servers see the address of the client's pod",
    severity=Severity.CRITICAL,
    workloads=(Workload.HDFS,),
    reads=(NetworkObservations,),
    aliases=("NET-003",),
)
def source_address(facts: Facts) -> Iterator[Finding]:
    """The NameNode knows DataNodes by the address that their connections come from.

    ## What it checks
    Pods on sampled nodes connect to each other, and the server says which address it sees. It must be the one that the
    client's own socket has. Another one on direct connections is a failure; on those through a Service's address it is
    a warning, since DataNodes should reach a NameNode by the names of a headless Service.

    ## Why it matters
    A NameNode that sees the node's address instead takes all DataNodes of a node for one, so that one of three is live,
    or refuses them: "Datanode denied communication with namenode because hostname cannot be resolved". Ranger's and
    HDFS' audit logs, and NetworkPolicies by pod, go by the same address.

    ## How to fix
    Exempt the ranges of all pods from masquerading: `nonMasqueradeCIDRs` of ip-masq-agent, `ipv4NativeRoutingCIDR` of
    Cilium, the pools and `natOutgoing` of Calico. Through Services, switch `masqueradeAll` of kube-proxy off.

    ## References
    - [The Kubernetes network model](https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model)
    - [IP masquerade agent](https://kubernetes.io/docs/tasks/administer-cluster/ip-masq-agent/)
    - [Using source IP](https://kubernetes.io/docs/tutorials/services/source-ip/)
    - [One of three DataNodes is live](https://github.com/Gradiant/bigdata-charts/issues/3)
    """
    document = observed(facts)
    yield from unseen(document)
    seen = [each for each in document.connections if each.own_address and each.seen_address]
    changed = [each for each in seen if each.own_address != each.seen_address]
    for by_service in (False, True):
        if some := [each for each in changed if each.by_service is by_service]:
            yield _changed(some, by_service=by_service)
    if changed:
        return
    if not any(each.route.from_node != each.route.to_node for each in seen) and len(document.peers) > 1:
        yield Finding.unknown(
            "Which address a server sees cannot be told: no connection between nodes came about.",
            fix="Repair the network between pods first; network.pod-to-pod says where.",
        )
        return
    yield from alone(document)
    if seen and len(document.peers) > 1:
        yield Finding.ok(
            f"On all {len(seen)} connections the server saw the address of the client's pod.",
            subjects=nodes(document.peers),
        )


def _changed(changed: Sequence[Connection], *, by_service: bool) -> Finding:
    first = changed[0]
    how = "through Services" if by_service else "to pods' own addresses"
    told = (
        f"On {counted(len(changed), 'connection')} {how} ({routes(each.route for each in changed)}) the server saw "
        f"another address than the client's, such as {first.seen_address} instead of {first.own_address}."
    )
    seen = {str(each.route): {"client": each.own_address, "seen": each.seen_address} for each in changed}
    subjects, evidence = ends(each.route for each in changed), examples(seen)
    if by_service:
        fix = "Let kube-proxy go without masqueradeAll, and reach NameNodes by a headless Service."
        return Finding.warn(told, subjects=subjects, fix=fix, evidence=evidence)
    fix = "Exempt the ranges of all pods from masquerading in the network plugin or ip-masq-agent."
    return Finding.fail(told, subjects=subjects, fix=fix, evidence=evidence)
