"""Can brokers and drivers stay off machines that may go at any minute?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Parameters, Severity, Workload, check, if_served, threshold
from auditor.facts.kube import Node
from auditor.facts.kube.karpenter import NodePool

from .._nodes import SPOT_LABELS, is_spot, workers
from .._wording import counted, examples, listed
from ._shared import names, no_node_to_judge

_CAPACITY_TYPE = "karpenter.sh/capacity-type"


class SpotParameters(Parameters, frozen=True, kw_only=True):
    """How spot capacity is told."""

    spot_labels: Annotated[
        tuple[str, ...],
        threshold(
            "Node labels, each `key=value`, of capacity that may be taken back at short notice.",
            source="Labels that EKS, Karpenter, GKE, AKS, ACK and OKE set on spot or preemptible nodes.",
        ),
    ] = SPOT_LABELS


@check(
    "nodes.spot-capacity",
    title="Spot nodes are behind a taint, and there are others",
    severity=Severity.HIGH,
    workloads=(*STATEFUL_WORKLOADS, Workload.SPARK),
    reads=(Node, if_served(NodePool)),
    aliases=("NOD-012",),
)
def spot_capacity(facts: Facts, params: SpotParameters) -> Iterator[Finding]:
    """Executors may run on spot capacity; brokers, DataNodes, JobManagers and drivers may not.

    ## What it checks
    - Nodes with one of the `spot_labels` carry a NoSchedule or NoExecute taint, so that only pods that tolerate it are
      scheduled there. Otherwise a warning: pods that name other nodes in a selector are safe all the same.
    - Not all workers are spot capacity. Otherwise a failure, or a warning where a NodePool of Karpenter makes on-demand
      nodes when they are asked for.

    Workers are the Linux machines that are there for pods. Vendors differ: AKS taints its spot pools, Oracle its
    preemptible nodes; GKE and EKS do not.

    ## Why it matters
    The cloud takes a spot machine back with 30 seconds to two minutes' notice, often many of a kind at once. Three
    brokers on spot nodes of one shape can go in the same minute. A Spark job survives lost executors; without its
    driver it starts again.

    ## How to fix
    Taint the pool, where the vendor makes its nodes, so that new nodes have it too:

        spot=true:NoSchedule

    Let executors tolerate the taint, and add a pool of on-demand nodes for everything that keeps state.

    ## References
    - [EKS: capacity types](https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html#managed-node-group-capacity-types)
    - [GKE: Spot VMs and taints](https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms)
    - [AKS: spot node pools](https://learn.microsoft.com/azure/aks/spot-node-pool)
    - [Karpenter: capacity type](https://karpenter.sh/docs/concepts/nodepools/)
    - [Data on EKS: Spark best practices](https://awslabs.github.io/data-on-eks/docs/bestpractices/analytics/spark-best-practices)
    """
    nodes = workers(facts)
    if not nodes:
        yield no_node_to_judge(facts)
        return
    spot = [node for node in nodes if is_spot(node, params.spot_labels)]
    if not spot:
        yield Finding.ok(f"No spot capacity: {counted(len(nodes), 'worker')} without a label of it.")
        return
    if open_ := [node for node in spot if node.takes_ordinary_pods]:
        yield _open(open_)
    if len(spot) == len(nodes):
        yield _nothing_else(facts, spot)
    elif not open_:
        yield Finding.ok(
            f"Spot capacity on {len(spot)} of {counted(len(nodes), 'worker')}, all behind a taint or cordoned.",
            subjects=[node.subject for node in spot],
        )


def _open(nodes: Sequence[Node]) -> Finding:
    return Finding.warn(
        f"Spot capacity that takes every pod: {counted(len(nodes), 'node')} ({names(nodes)}), a taint was expected. "
        "Brokers and drivers that select no other nodes may be scheduled there.",
        subjects=[node.subject for node in nodes],
        fix=Fix(
            text="Taint the spot pools where they are defined, and the nodes that exist.",
            command="\n".join(f"kubectl taint nodes {node.name} spot=true:NoSchedule" for node in nodes[:5]),
        ),
        evidence={"labels": examples({node.name: _spot_marks(node) for node in nodes})},
    )


def _nothing_else(facts: Facts, nodes: Sequence[Node]) -> Finding:
    found = f"Nothing but spot capacity: {counted(len(nodes), 'worker')} ({names(nodes)}), some that stay were expected"
    subjects = [node.subject for node in nodes]
    if offering := sorted(pool.name for pool in facts.list(NodePool) if _offers_on_demand(pool)):
        return Finding.warn(
            f"{found}; Karpenter makes on-demand nodes from {listed(offering)} only for pods that ask for them.",
            subjects=subjects,
            fix=f"Let brokers, DataNodes and drivers select {_CAPACITY_TYPE}: on-demand.",
        )
    return Finding.fail(
        f"{found}: brokers, DataNodes, JobManagers and drivers have no other place.",
        subjects=subjects,
        fix="Add a pool of on-demand nodes for everything that keeps state.",
        evidence={"labels": examples({node.name: _spot_marks(node) for node in nodes})},
    )


def _offers_on_demand(pool: NodePool) -> bool:
    """Whether a pod can get an on-demand node; a pool that says nothing of it makes only those."""
    wanted = {_CAPACITY_TYPE: "on-demand"}
    requirements = pool.spec.template.spec.requirements or ()
    return all(each.matches(wanted) for each in requirements if each.key == _CAPACITY_TYPE)


def _spot_marks(node: Node) -> list[str]:
    keys = {label.partition("=")[0] for label in SPOT_LABELS}
    return [f"{key}={node.labels[key]}" for key in sorted(keys & node.labels.keys())]
