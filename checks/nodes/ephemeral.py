"""Have executors room for their shuffles on the nodes' own disks?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import Node
from auditor.facts.requests import EPHEMERAL_STORAGE, allocatable

from .._nodes import Pool
from .._wording import counted, examples
from ._shared import general_pools, gib, names, no_node_to_judge

_GIB = 2**30

_FIX = Fix(
    text="Give batch nodes a larger root disk or local NVMe below /var/lib, or let executors shuffle on claims.",
    command="kubectl get nodes -o custom-columns=NODE:.metadata.name,EPHEMERAL:.status.allocatable.ephemeral-storage",
)


class EphemeralParameters(Parameters, frozen=True, kw_only=True):
    """How much local disk batch nodes should have."""

    least_gib: Annotated[
        float,
        threshold(
            "Ephemeral storage in GiB that a node must have for pods.",
            source="No upstream number; above EKS' default root disk of 20 GiB, on which executors are evicted.",
            ge=0,
        ),
    ] = 25.0
    recommended_gib: Annotated[
        float,
        threshold(
            "Ephemeral storage in GiB that a node should have for pods.",
            source="No upstream number; images of 3 to 5 GB beside the shuffles and spills of a few executors.",
            ge=0,
        ),
    ] = 100.0


@check(
    "nodes.ephemeral-storage",
    title="Batch nodes have local disk for shuffles and spills",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(Node,),
    aliases=("NOD-010",),
)
def ephemeral_storage(facts: Facts, params: EphemeralParameters) -> Iterator[Finding]:
    """Spark's local directories, checkpoints in the making and images all lie on the node's own disk.

    ## What it checks
    `status.allocatable["ephemeral-storage"]` of the nodes that batch pods can be scheduled to. One pool is enough: the
    untainted nodes, or nodes with a taint of their own, if all of them have `recommended_gib`. Otherwise nodes below
    that are a warning, and it is a failure where no node of any pool has `least_gib`.

    Disks that the kubelet does not use, such as NVMe that is mounted elsewhere, are not seen.

    ## Why it matters
    An executor writes its shuffle into an emptyDir, by default on the node's root disk, beside the images, of which
    Spark's have 3 to 5 GB. When less than a tenth is left the kubelet evicts pods, those that asked for no ephemeral
    storage first: executors, and whatever else runs there. New EKS nodes have 20 GiB unless they are told otherwise.

    ## How to fix
    Give the nodes of batch jobs a larger root disk, or put the kubelet's and the runtime's directories on local NVMe.
    Request `ephemeral-storage` for drivers and executors, or give them claims
    (`spark.kubernetes.executor.volumes.persistentVolumeClaim.spark-local-dir-1…`). A site whose jobs shuffle little, or
    on claims, lowers the parameters.

    ## References
    - [Local ephemeral storage](https://kubernetes.io/docs/concepts/storage/ephemeral-storage/)
    - [Spark on Kubernetes: local storage](https://spark.apache.org/docs/latest/running-on-kubernetes.html#local-storage)
    - [Data on EKS: Spark best practices](https://awslabs.github.io/data-on-eks/docs/bestpractices/analytics/spark-best-practices)
    - [Executors evicted for ephemeral storage](https://github.com/kubeflow/spark-operator/issues/772)
    """
    pools = general_pools(facts, with_spot=True)
    if not pools:
        yield no_node_to_judge(facts)
        return
    nodes = [node for pool in pools for node in pool.nodes]
    telling = [node for node in nodes if _tells(node)]
    large = [pool for pool in pools if all(_room(node) >= params.recommended_gib * _GIB for node in pool.nodes)]
    if large:
        yield _enough(large[0], len(nodes), params)
        return
    small = [node for node in telling if _room(node) < params.recommended_gib * _GIB]
    if telling and len(telling) == len(nodes) and all(_room(node) < params.least_gib * _GIB for node in nodes):
        yield _too_little(small, params)
    elif small:
        yield _little(small, len(nodes), params)
    if silent := [node for node in nodes if not _tells(node)]:
        yield _not_told(silent)


def _tells(node: Node) -> bool:
    return EPHEMERAL_STORAGE in (node.status.allocatable or {})


def _room(node: Node) -> int:
    """Bytes; none where the node does not tell."""
    return allocatable(node).ephemeral_storage_bytes


def _enough(pool: Pool, total: int, params: EphemeralParameters) -> Finding:
    least = min(_room(node) for node in pool.nodes)
    return Finding.ok(
        f"Ephemeral storage of {gib(least)} or more for pods on {len(pool.nodes)} of {counted(total, 'node')} "
        f"({pool}); {params.recommended_gib:g} GiB were expected.",
        subjects=[node.subject for node in pool.nodes],
    )


def _too_little(nodes: Sequence[Node], params: EphemeralParameters) -> Finding:
    most = max(_room(node) for node in nodes)
    return Finding.fail(
        f"Ephemeral storage of at most {gib(most)} for pods on each of {counted(len(nodes), 'node')} ({names(nodes)}); "
        f"at least {params.least_gib:g} GiB were expected, better {params.recommended_gib:g} GiB.",
        subjects=[node.subject for node in nodes],
        fix=_FIX,
        evidence=_seen(nodes),
    )


def _little(nodes: Sequence[Node], total: int, params: EphemeralParameters) -> Finding:
    least = min(_room(node) for node in nodes)
    return Finding.warn(
        f"Little ephemeral storage for pods on {len(nodes)} of {counted(total, 'node')} ({names(nodes)}), "
        f"down to {gib(least)}; {params.recommended_gib:g} GiB were expected.",
        subjects=[node.subject for node in nodes],
        fix=_FIX,
        evidence=_seen(nodes),
    )


def _not_told(nodes: Sequence[Node]) -> Finding:
    return Finding.unknown(
        f"How much ephemeral storage {counted(len(nodes), 'node')} ({names(nodes)}) can give to pods is not reported.",
        subjects=[node.subject for node in nodes],
        fix="Look at the disks of these nodes; localStorageCapacityIsolation is switched off in their kubelets.",
    )


def _seen(nodes: Sequence[Node]) -> dict[str, object]:
    return {"ephemeral_storage_gib": examples({node.name: round(_room(node) / _GIB, 1) for node in nodes})}
