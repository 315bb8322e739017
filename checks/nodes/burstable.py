"""Do data systems get machines whose speed does not depend on credits?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import Node

from .._wording import counted, examples, listed
from ._shared import general_pools, names, no_node_to_judge

_SHAPES = {
    "alicloud://": ("ecs.t5-*", "ecs.t6-*"),
    "aws://": ("t1.*", "t2.*", "t3.*", "t3a.*", "t4g.*"),
    "azure://": ("Standard_B*",),
    "gce://": ("e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"),
}
"""Globs of burstable shapes by the beginning of a node's providerID."""

_UNMISTAKABLE = ("alicloud://", "azure://")
"""Clouds whose shapes nobody else calls so; on ACK providerIDs often lack the cloud."""

_NO_SHAPES = ("k3s", "rke2")
"""What distributions write in place of a shape."""


class ShapeParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its cloud's shapes."""

    burstable_shapes: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further instance types whose CPU is shared or burstable.",
            source="The site's own clouds; those of AWS, Azure, Google Cloud and Alibaba Cloud are known.",
        ),
    ] = ()


@check(
    "nodes.burstable-shapes",
    title="Data systems run on machines of steady speed",
    severity=Severity.HIGH,
    workloads=(*STATEFUL_WORKLOADS, Workload.SPARK),
    reads=(Node,),
    aliases=("NOD-011",),
)
def burstable_shapes(facts: Facts, params: ShapeParameters) -> Iterator[Finding]:
    """A burstable machine is fast until its credits are spent, and then has a fraction of a core.

    ## What it checks
    The label `node.kubernetes.io/instance-type` of the nodes that data pods can be scheduled to names no burstable
    shape: AWS t1 to t4g, Azure's B series, Google's e2-micro, e2-small, e2-medium, f1-micro and g1-small, Alibaba
    Cloud's t5 and t6, and those in `burstable_shapes`.

    One pool without any is enough: the untainted nodes, or nodes with a taint of their own. Otherwise it is a warning
    where some nodes are burstable, and a failure where all are. Where no node names a shape, on bare metal for
    instance, there is nothing to judge.

    ## Why it matters
    A broker or DataNode has load around the clock, and an executor uses all it gets: credits are gone within the hour.
    Then the CPU falls to 5 to 40 % of a core, heartbeats are late, and replicas leave the in-sync set, one node after
    the other. Network and disk of such machines burst as well. A benchmark that ends before the credits do shows none
    of it.

    ## How to fix
    Move data systems to a pool of a general-purpose or memory-optimized shape. Keep burstable nodes for other things,
    behind a taint:

        kubectl taint nodes NODE burstable=true:NoSchedule

    ## References
    - [EC2: burstable performance instances](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-performance-instances.html)
    - [EKS best practices: data plane](https://docs.aws.amazon.com/eks/latest/best-practices/scale-data-plane.html)
    - [Azure B series](https://learn.microsoft.com/azure/virtual-machines/sizes/general-purpose/b-family)
    - [Google Cloud: shared-core machine types](https://cloud.google.com/compute/docs/general-purpose-machines#e2-shared-core)
    - [Alibaba Cloud: burstable instances](https://www.alibabacloud.com/help/en/ecs/user-guide/overview-18)
    """
    pools = general_pools(facts)
    if not pools:
        yield no_node_to_judge(facts)
        return
    nodes = [node for pool in pools for node in pool.nodes]
    shaped = [node for node in nodes if _shape(node)]
    if not shaped:
        yield Finding.skip("No data node names the shape of its machine, as on bare metal; there is none to judge.")
        return
    burstable = {node.name: node for node in shaped if _is_burstable(node, params)}
    steady = [pool for pool in pools if not any(node.name in burstable for node in pool.nodes)]
    if steady:
        yield Finding.ok(
            f"{counted(len(steady[0].nodes), 'node')} ({steady[0]}): {_shapes(steady[0].nodes)}, none burstable.",
            subjects=[node.subject for node in steady[0].nodes],
        )
    else:
        yield _burstable(list(burstable.values()), len(nodes))


def _shape(node: Node) -> str:
    shape = node.instance_type or ""
    return "" if shape in _NO_SHAPES else shape


def _is_burstable(node: Node, params: ShapeParameters) -> bool:
    provider = node.spec.provider_id or ""
    known = [
        pattern
        for cloud, patterns in _SHAPES.items()
        if provider.startswith(cloud) or not provider or cloud in _UNMISTAKABLE
        for pattern in patterns
    ]
    return any(fnmatchcase(_shape(node), pattern) for pattern in (*known, *params.burstable_shapes))


def _shapes(nodes: Sequence[Node]) -> str:
    return listed(sorted({_shape(node) or "no shape named" for node in nodes}))


def _burstable(nodes: Sequence[Node], total: int) -> Finding:
    message = (
        f"Burstable shapes ({_shapes(nodes)}) on {len(nodes)} of {counted(total, 'node')} for data ({names(nodes)}); "
        "machines of steady speed were expected."
    )
    subjects = [node.subject for node in nodes]
    evidence = {"instanceType": examples({node.name: _shape(node) for node in nodes})}
    if len(nodes) < total:
        fix = Fix(
            text="Keep data systems off these nodes by a taint.",
            command="\n".join(f"kubectl taint nodes {node.name} burstable=true:NoSchedule" for node in nodes[:5]),
        )
        return Finding.warn(message, subjects=subjects, fix=fix, evidence=evidence)
    fix = Fix(text="Add a pool of a general-purpose or memory-optimized shape, and move data systems there.")
    return Finding.fail(message, subjects=subjects, fix=fix, evidence=evidence)
