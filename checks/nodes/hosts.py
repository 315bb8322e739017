"""Are there enough hosts to keep three copies apart?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, Workload, check, threshold
from auditor.facts.kube import Node

from .._nodes import HOST_LABELS, Pool, by_host, data_pools
from .._wording import counted, examples
from ._shared import AUTOSCALER_PARTS, autoscaler, is_special, names


class HostParameters(Parameters, frozen=True, kw_only=True):
    """What a site asks for, and what it knows of the machines below its nodes."""

    least_hosts: Annotated[
        int,
        threshold(
            "Workers, on as many hosts, of one pool.",
            source="Kafka's replication factor 3 and 3 KRaft controllers; HDFS' 3 replicas and 3 JournalNodes.",
            ge=1,
        ),
    ] = 3
    host_labels: Annotated[
        tuple[str, ...],
        threshold(
            "Keys of node labels that name the machine below a virtual one.",
            source="Labels of Cluster API and Tanzu on vSphere, and of GKE with compact placement.",
        ),
    ] = HOST_LABELS


@check(
    "nodes.enough-hosts",
    title="Three workers on three hosts can carry stateful pods",
    severity=Severity.CRITICAL,
    workloads={
        Workload.KAFKA: Severity.CRITICAL,
        Workload.HDFS: Severity.CRITICAL,
        Workload.DATA_FABRIC: Severity.CRITICAL,
        Workload.FLINK: Severity.MEDIUM,
        Workload.ZEPPELIN: Severity.LOW,
    },
    reads=(Node, *AUTOSCALER_PARTS),
    aliases=("NOD-002",),
)
def enough_hosts(facts: Facts, params: HostParameters) -> Iterator[Finding]:
    """Copies that are meant to survive a machine need machines to be apart on.

    ## What it checks
    One pool has at least `least_hosts` workers, on as many hosts. A pool is the untainted nodes, or nodes that share a
    taint of their own such as `dedicated=kafka:NoSchedule`. Not counted are nodes that are cordoned, not Linux or not
    machines (Fargate, virtual-kubelet, KWOK), those of the control plane that let no ordinary pod in, and pools for
    GPUs or spot capacity behind a taint.

    A node is a host of its own unless something tells otherwise: a label in `host_labels`, or a boot ID that nodes
    share, which means one kernel, as with kind.

    Too few workers are a failure, or a warning where Karpenter or the cluster autoscaler may add some. Enough workers
    on too few hosts are a warning.

    ## Why it matters
    Kafka keeps three copies of a partition and elects among three controllers; HDFS keeps three replicas of a block
    and three JournalNodes. With two workers the third pod stays Pending where anti-affinity is required. Where it is
    not, two of three copies lie on one machine, and its loss takes the majority with it.

    ## How to fix
    Add workers on further hosts. To keep other pods off them, taint and label them alike, and let the data system
    tolerate the taint and select the label:

        kubectl taint nodes NODE dedicated=kafka:NoSchedule
        kubectl label nodes NODE dedicated=kafka

    ## References
    - [Kafka: deploying KRaft](https://kafka.apache.org/documentation/#kraft_deployment)
    - [Strimzi: dedicated nodes](https://strimzi.io/docs/operators/latest/deploying#proc-dedicated-nodes-str)
    - [HDFS high availability: hardware resources](https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/HDFSHighAvailabilityWithQJM.html)
    - [Taints and tolerations](https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/)
    """
    pools = [pool for pool in data_pools(facts) if not is_special(pool)]
    hosts = {pool.taints: len(by_host(pool.nodes, params.host_labels)) for pool in pools}
    best = max(pools, key=lambda pool: (min(hosts[pool.taints], params.least_hosts), len(pool.nodes)), default=None)
    if best is None:
        yield _too_few(facts, (), "No node", params)
    elif len(best.nodes) < params.least_hosts:
        found = f"Only {counted(len(best.nodes), 'worker')} ({best}: {names(best.nodes)})"
        yield _too_few(facts, best.nodes, found, params)
    elif hosts[best.taints] < params.least_hosts:
        yield _shared_hosts(best, hosts[best.taints], params)
    else:
        yield Finding.ok(
            f"{counted(len(best.nodes), 'worker')} on {counted(hosts[best.taints], 'host')} can carry stateful pods "
            f"({best}); {params.least_hosts} were expected.",
            subjects=[node.subject for node in best.nodes],
        )


def _too_few(facts: Facts, nodes: Sequence[Node], found: str, params: HostParameters) -> Finding:
    adds = autoscaler(facts)
    hope = f" {adds[0].upper()}{adds[1:]} may add workers when pods ask for them." if adds else ""
    return Finding.of(
        Status.WARN if adds else Status.FAIL,
        f"{found} can carry stateful pods, at least {params.least_hosts} on as many hosts were expected: "
        f"copies and voters cannot be kept apart.{hope}",
        subjects=[node.subject for node in nodes],
        fix="Add workers on further hosts, or take the taint or cordon from nodes that are meant for data.",
        evidence=_seen(facts.list(Node)),
    )


def _shared_hosts(pool: Pool, hosts: int, params: HostParameters) -> Finding:
    return Finding.warn(
        f"{counted(len(pool.nodes), 'worker')} ({names(pool.nodes)}) share {counted(hosts, 'host')}, "
        f"at least {params.least_hosts} hosts were expected: copies on different nodes fall together.",
        subjects=[node.subject for node in pool.nodes],
        fix=Fix(text="Add workers on further hosts, or spread the virtual machines over hosts by anti-affinity."),
        evidence={
            "hosts": examples(
                {
                    host: [node.name for node in nodes]
                    for host, nodes in sorted(by_host(pool.nodes, params.host_labels).items())
                }
            )
        },
    )


def _seen(nodes: Sequence[Node]) -> dict[str, object]:
    return examples(
        {
            node.name: {
                "unschedulable": node.spec.unschedulable,
                "taints": [f"{taint.key}:{taint.effect}" for taint in node.spec.taints or ()],
            }
            for node in sorted(nodes, key=lambda node: node.name)
        }
    )
