"""Do the cluster's own pods have nodes of their own, where the vendor has a pool for them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube import Node

from .._wording import counted, listed

_SYSTEM_POOLS = {
    "kubernetes.azure.com/mode": "system",
    "alibabacloud.com/system-nodepool": "true",
}
"""Labels of AKS and ACK on nodes of the pool on which their add-ons prefer to run."""


@check(
    "platform.system-pool",
    title="The vendor's pool for system pods keeps data systems out",
    severity=Severity.MEDIUM,
    reads=(Node,),
)
def system_pool(facts: Facts) -> Iterator[Finding]:
    """Cluster DNS and metrics do not share nodes with brokers and executors.

    ## What it checks
    On AKS and ACK the vendor labels the nodes of a system pool (`kubernetes.azure.com/mode=system`,
    `alibabacloud.com/system-nodepool=true`). Such nodes carry a taint that keeps ordinary pods away. Where no node has
    such a label, the check does not apply.

    ## Why it matters
    The label only attracts system pods, it keeps nobody out: `az aks create` makes one pool, of mode system and without
    a taint, and everything lands there. Executors that fill a node's memory or disk then evict CoreDNS and
    metrics-server, or slow them down, and all jobs of the cluster fail to resolve names.

    ## How to fix
    Add a user pool for data systems, then taint the system pool. On AKS:

        az aks nodepool add --cluster-name CLUSTER --resource-group GROUP --name data --mode User
        TAINT=CriticalAddonsOnly=true:NoSchedule
        az aks nodepool update --cluster-name CLUSTER --resource-group GROUP --name POOL --node-taints "$TAINT"

    ## References
    - [AKS: system node pools](https://learn.microsoft.com/en-us/azure/aks/use-system-pools)
    - [ACK: system node pool](https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/system-node-pool)
    """
    nodes = sorted(facts.list(Node), key=lambda node: node.name)
    system = [node for node in nodes if _is_of_system_pool(node)]
    if not nodes:
        yield Finding.unknown("No node was seen.", fix="Collect again when there are nodes.")
        return
    if not system:
        yield Finding.skip("No node is labelled as one of a vendor's pool for system pods (AKS, ACK).")
        return
    open_nodes = [node for node in system if not _keeps_out(node)]
    if open_nodes:
        yield _open(open_nodes, system, others=len(nodes) - len(system))
    else:
        yield Finding.ok(
            f"A taint keeps ordinary pods out of the vendor's system pool ({counted(len(system), 'node')}).",
            subjects=[node.subject for node in system],
        )


def _open(open_nodes: Sequence[Node], system: Sequence[Node], *, others: int) -> Finding:
    alone = ", and there is no other pool" if not others else ""
    return Finding.warn(
        f"{len(open_nodes)} of {counted(len(system), 'node')} of the vendor's system pool "
        f"({listed([node.name for node in open_nodes])}) {'takes' if len(open_nodes) == 1 else 'take'} ordinary pods"
        f"{alone}; a taint such as CriticalAddonsOnly=true:NoSchedule was expected on all.",
        subjects=[node.subject for node in open_nodes],
        fix="Add a pool for data systems, then taint the system pool with CriticalAddonsOnly=true:NoSchedule."
        if not others
        else "Taint the system pool with CriticalAddonsOnly=true:NoSchedule, through the vendor's API.",
    )


def _is_of_system_pool(node: Node) -> bool:
    return any(node.labels.get(key) == value for key, value in _SYSTEM_POOLS.items())


def _keeps_out(node: Node) -> bool:
    """Whether a taint does; a node that is only cordoned for now does not."""
    return any(taint.effect in ("NoSchedule", "NoExecute") for taint in node.spec.taints or ())
