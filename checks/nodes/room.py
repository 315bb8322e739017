"""Is there room for the pods that data systems need at the least?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, Workload, check, threshold
from auditor.facts.kube import Node, Pod
from auditor.facts.requests import NOTHING, Amounts, NodeLoad, allocatable, load_of_nodes

from .._nodes import Pool
from .._wording import counted
from ._shared import AUTOSCALER_PARTS, autoscaler, cores, general_pools, gib, no_node_to_judge

_MIB = 2**20
_GIB = 2**30
_GB = 10**9
_SPARK_POD = "Spark's default of 1 GiB and 384 MiB overhead (spark.driver.memory, spark.executor.memory)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a data system needs of one pool.

    Attributes:
        pod: what its largest pod requests.
        pod_name: what that pod is, with an article.
        nodes: how many nodes must have room for such a pod; a smaller pool needs it on every node.
        total: what the whole pool must have.
        total_name: what that is for, with an article.
        on_spot: whether spot capacity behind a taint will do.
    """

    pod: Amounts
    pod_name: str
    nodes: int = 1
    total: Amounts = NOTHING
    total_name: str = ""
    on_spot: bool = False

    def met_by(self, room: Mapping[str, Amounts]) -> bool:
        """Whether a pool with that room per node is enough."""
        return self.fitting(room) >= min(self.nodes, len(room)) and _sum(room).holds(self.total)

    def fitting(self, room: Mapping[str, Amounts]) -> int:
        """How many nodes can take the pod."""
        return sum(amounts.holds(self.pod) for amounts in room.values())


class SparkRoomParameters(Parameters, frozen=True, kw_only=True):
    """The least that Spark needs."""

    pod_cpu_cores: Annotated[
        float,
        threshold("Cores that a driver or executor requests.", source="Spark's default of 1 core.", ge=0),
    ] = 1.0
    pod_memory_mib: Annotated[
        float, threshold("Memory in MiB that a driver or executor requests.", source=_SPARK_POD, ge=0)
    ] = 1408.0
    total_cpu_cores: Annotated[
        float,
        threshold(
            "Free cores of the pool.", source="Spark's documentation, for an application with one executor.", ge=0
        ),
    ] = 3.0
    total_memory_gib: Annotated[
        float,
        threshold(
            "Free memory of the pool in GiB.",
            source="Spark's documentation, for an application with one executor.",
            ge=0,
        ),
    ] = 4.0


class ZeppelinRoomParameters(Parameters, frozen=True, kw_only=True):
    """The least that Zeppelin with its Spark interpreter needs."""

    pod_cpu_cores: Annotated[
        float,
        threshold("Cores that an interpreter requests.", source="Spark's default of 1 core for a driver.", ge=0),
    ] = 1.0
    pod_memory_mib: Annotated[
        float, threshold("Memory in MiB that an interpreter requests.", source=_SPARK_POD, ge=0)
    ] = 1408.0
    total_cpu_cores: Annotated[
        float,
        threshold("Free cores of the pool.", source="Zeppelin's documentation, for few Spark executors.", ge=0),
    ] = 4.0
    total_memory_gib: Annotated[
        float,
        threshold("Free memory of the pool in GiB.", source="Zeppelin's documentation, for few Spark executors.", ge=0),
    ] = 6.0


class KafkaRoomParameters(Parameters, frozen=True, kw_only=True):
    """What a site's brokers and controllers request."""

    pod_cpu_cores: Annotated[
        float,
        threshold("Cores that a broker or controller requests.", source="Confluent: a dedicated core.", ge=0),
    ] = 1.0
    pod_memory_gb: Annotated[
        float,
        threshold(
            "Memory in GB (10^9 bytes) that a broker or controller requests.",
            source="Kafka's documentation: 5 GB for a KRaft controller. A site should state its brokers' request.",
            ge=0,
        ),
    ] = 5.0
    nodes: Annotated[
        int,
        threshold(
            "Nodes that must have room for one such pod.",
            source="Replication factor 3 and 3 KRaft controllers.",
            ge=1,
        ),
    ] = 3


@check(
    "nodes.room-for-spark",
    title="The nodes have room for a Spark application",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK,),
    reads=(Node, Pod, *AUTOSCALER_PARTS),
    aliases=("NOD-003",),
)
def room_for_spark(facts: Facts, params: SparkRoomParameters) -> Iterator[Finding]:
    """A driver and its executors have to find nodes with room for what they request.

    ## What it checks
    One pool (the untainted nodes, or nodes with a taint of their own) has a node with room for a driver or executor of
    default size, and all its nodes together have room for a small application. Room is what a node has for pods
    (`allocatable`) less the requests of the pods on it; finished pods do not count.

    Where not even empty nodes would do, it is a failure; a warning where Karpenter or the cluster autoscaler may bring
    other nodes. Where nodes are large enough but full, it is a warning.

    ## Why it matters
    The scheduler goes by requests, not by use. A driver without room stays Pending. Worse is a driver that has room
    while its executors have none: it holds what it has and waits.

    ## How to fix
    Add nodes or larger ones, or lower requests that are never used:

        kubectl describe nodes | grep --after-context=9 'Allocated resources'

    ## References
    - [Spark on Kubernetes: prerequisites](https://spark.apache.org/docs/latest/running-on-kubernetes.html#prerequisites)
    - [Spark: memory overhead](https://spark.apache.org/docs/latest/configuration.html#application-properties)
    - [Reserve compute resources](https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/)
    """
    demand = Demand(
        pod=_pod(params.pod_cpu_cores, params.pod_memory_mib * _MIB),
        pod_name="a Spark driver or executor",
        total=_total(params.total_cpu_cores, params.total_memory_gib),
        total_name="a Spark application with one executor",
        on_spot=True,
    )
    yield from _judge(facts, demand)


@check(
    "nodes.room-for-kafka",
    title="The nodes have room for a Kafka broker or controller",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(Node, Pod, *AUTOSCALER_PARTS),
    aliases=("NOD-003-KAFKA",),
)
def room_for_kafka(facts: Facts, params: KafkaRoomParameters) -> Iterator[Finding]:
    """Brokers and controllers are large pods, and each of three needs a node of its own.

    ## What it checks
    One pool (the untainted nodes, or nodes with a taint of their own) has `nodes` nodes with room for a pod of
    `pod_cpu_cores` and `pod_memory_gb`; a smaller pool, on every node. The default is a KRaft controller: set the
    parameters to what your brokers request. Room is what a node has for pods (`allocatable`) less the requests of the
    pods on it; finished pods do not count.

    Where not even empty nodes would do, it is a failure; a warning where Karpenter or the cluster autoscaler may bring
    other nodes. Where nodes are large enough but full, it is a warning: brokers that run already have their room.

    ## Why it matters
    A broker that fits on no node stays Pending, and a rolling update stops at it. A broker that was squeezed in with
    too small a request is the first to be evicted, and has no page cache to read from.

    ## How to fix
    Add nodes or larger ones, best a pool of their own behind a taint, or lower requests that are never used:

        kubectl describe nodes | grep --after-context=9 'Allocated resources'

    ## References
    - [Kafka: deploying KRaft](https://kafka.apache.org/documentation/#kraft_deployment)
    - [Confluent: hardware for KRaft](https://docs.confluent.io/platform/current/kafka-metadata/config-kraft.html)
    - [Reserve compute resources](https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/)
    """
    demand = Demand(
        pod=_pod(params.pod_cpu_cores, params.pod_memory_gb * _GB),
        pod_name="a Kafka broker or controller",
        nodes=params.nodes,
    )
    yield from _judge(facts, demand)


@check(
    "nodes.room-for-zeppelin",
    title="The nodes have room for Zeppelin and an interpreter",
    severity=Severity.HIGH,
    workloads=(Workload.ZEPPELIN,),
    reads=(Node, Pod, *AUTOSCALER_PARTS),
    aliases=("NOD-003-ZEPPELIN",),
)
def room_for_zeppelin(facts: Facts, params: ZeppelinRoomParameters) -> Iterator[Finding]:
    """Zeppelin starts a pod per interpreter, and the Spark interpreter starts executors on top.

    ## What it checks
    One pool (the untainted nodes, or nodes with a taint of their own) has a node with room for a Spark interpreter,
    and all its nodes together have the room that Zeppelin's documentation asks for. Room is what a node has for pods
    (`allocatable`) less the requests of the pods on it; finished pods do not count.

    Where not even empty nodes would do, it is a failure; a warning where Karpenter or the cluster autoscaler may bring
    other nodes. Where nodes are large enough but full, it is a warning: interpreters that run already have their room.

    ## Why it matters
    A notebook whose interpreter finds no room shows nothing but a paragraph that is pending until it times out.

    ## How to fix
    Add nodes or larger ones, or lower requests that are never used:

        kubectl describe nodes | grep --after-context=9 'Allocated resources'

    ## References
    - [Zeppelin on Kubernetes](https://zeppelin.apache.org/docs/latest/quickstart/kubernetes.html)
    - [Reserve compute resources](https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/)
    """
    demand = Demand(
        pod=_pod(params.pod_cpu_cores, params.pod_memory_mib * _MIB),
        pod_name="a Spark interpreter",
        total=_total(params.total_cpu_cores, params.total_memory_gib),
        total_name="Zeppelin with a Spark interpreter and few executors",
    )
    yield from _judge(facts, demand)


def _pod(cpu_cores: float, memory_bytes: float) -> Amounts:
    return Amounts(cpu_millicores=round(cpu_cores * 1000), memory_bytes=round(memory_bytes), pods=1)


def _total(cpu_cores: float, memory_gib: float) -> Amounts:
    return Amounts(cpu_millicores=round(cpu_cores * 1000), memory_bytes=round(memory_gib * _GIB))


def _judge(facts: Facts, demand: Demand) -> Iterator[Finding]:
    pools = general_pools(facts, with_spot=demand.on_spot)
    if not pools:
        yield no_node_to_judge(facts)
        return
    whole = [{node.name: allocatable(node) for node in pool.nodes} for pool in pools]
    if not any(demand.met_by(room) for room in whole):
        yield _too_small(facts, demand, pools, whole, "allocatable")
        return
    loads = load_of_nodes(facts.list(Pod))
    empty = [{name: _less(amounts, _load(loads, name).permanent) for name, amounts in room.items()} for room in whole]
    if not any(demand.met_by(room) for room in empty):
        yield _too_small(facts, demand, pools, empty, "beside the pods of DaemonSets")
        return
    free = [{name: _less(amounts, _load(loads, name).requested) for name, amounts in room.items()} for room in whole]
    for pool, room in zip(pools, free, strict=True):
        if demand.met_by(room):
            yield _enough(demand, pool, room)
            return
    yield _full(demand, pools, free)


def _load(loads: Mapping[str, NodeLoad], node: str) -> NodeLoad:
    return loads.get(node, NodeLoad())


def _less(amounts: Amounts, load: Amounts) -> Amounts:
    """What is left, nothing where more is requested than a node now has."""
    return (amounts - load).or_more(NOTHING)


def _sum(room: Mapping[str, Amounts]) -> Amounts:
    return sum(room.values(), NOTHING)


def _enough(demand: Demand, pool: Pool, room: Mapping[str, Amounts]) -> Finding:
    return Finding.ok(
        f"Room for {demand.pod_name} ({_written(demand.pod)}) on {demand.fitting(room)} of "
        f"{counted(len(room), 'node')} ({pool}){_total_found(demand, room)}.",
        evidence=_seen(room),
    )


def _too_small(
    facts: Facts, demand: Demand, pools: Sequence[Pool], rooms: Sequence[Mapping[str, Amounts]], kind: str
) -> Finding:
    adds = autoscaler(facts)
    hope = f" {adds[0].upper()}{adds[1:]} may bring other nodes when pods ask for them." if adds else ""
    return Finding.of(
        Status.WARN if adds else Status.FAIL,
        f"The nodes are too small for {_wanted(demand)}, even when empty: {_found(demand, rooms)} ({kind}).{hope}",
        subjects=[node.subject for pool in pools for node in pool.nodes],
        fix="Add nodes of a larger shape, or more of them, for data systems.",
        evidence=_seen(_best(demand, rooms)),
    )


def _full(demand: Demand, pools: Sequence[Pool], rooms: Sequence[Mapping[str, Amounts]]) -> Finding:
    return Finding.warn(
        f"The nodes have no room now for {_wanted(demand)}: {_found(demand, rooms)} (free of requests). "
        "What is started next stays Pending until pods end or nodes are added.",
        subjects=[node.subject for pool in pools for node in pool.nodes],
        fix="Add nodes, or lower requests that are never used.",
        evidence=_seen(_best(demand, rooms)),
    )


def _wanted(demand: Demand) -> str:
    each = f" on each of {counted(demand.nodes, 'node')}" if demand.nodes > 1 else ""
    text = f"{demand.pod_name} ({_written(demand.pod)}{each})"
    return f"{text} or {demand.total_name} ({_written(demand.total)} in all)" if demand.total_name else text


def _found(demand: Demand, rooms: Sequence[Mapping[str, Amounts]]) -> str:
    room = _best(demand, rooms)
    most_cpu = max(amounts.cpu_millicores for amounts in room.values())
    most_memory = max(amounts.memory_bytes for amounts in room.values())
    return (
        f"{demand.fitting(room)} of {counted(len(room), 'node')} can take such a pod, at most {cores(most_cpu)} and "
        f"{gib(most_memory)} on a node{_total_found(demand, room)}"
    )


def _total_found(demand: Demand, room: Mapping[str, Amounts]) -> str:
    return f", {_written(_sum(room))} in all" if demand.total_name else ""


def _best(demand: Demand, rooms: Sequence[Mapping[str, Amounts]]) -> Mapping[str, Amounts]:
    """The room of the pool that comes closest."""
    return max(rooms, key=lambda room: (demand.fitting(room), _sum(room).memory_bytes, _sum(room).cpu_millicores))


def _written(amounts: Amounts) -> str:
    return f"{cores(amounts.cpu_millicores)} and {gib(amounts.memory_bytes)}"


def _seen(room: Mapping[str, Amounts]) -> dict[str, object]:
    roomiest = sorted(room, key=lambda name: (-room[name].memory_bytes, name))[:10]
    return {
        name: {
            "cpu_cores": room[name].cpu_millicores / 1000,
            "memory_gib": round(room[name].memory_bytes / _GIB, 2),
            "pods": room[name].pods,
        }
        for name in roomiest
    }
