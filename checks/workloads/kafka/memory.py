"""Is there memory left for the page cache beside a broker's heap?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, Workload, check, threshold
from auditor.facts.kube import StatefulSet
from auditor.facts.quantity import quantity_bytes

from ..._roles import Role, role_of
from ..._wording import examples, listed
from ._clusters import BROKER, STRIMZI, no_kafka, stateful_sets, strimzi_clusters

_GIB = 2**30
_STRIMZI_HEAP_AT_MOST = 5 * _GIB
"""Strimzi gives a broker half of its memory as heap, and no more than this, where no -Xmx is set."""

_XMX = re.compile(r"-Xmx(\d+[kKmMgG]?)")


class MemoryParameters(Parameters, frozen=True, kw_only=True):
    """What a broker writes, and what it needs for that."""

    write_megabytes_per_second: Annotated[
        int,
        threshold(
            "What one broker is to write per second at peak, in megabytes; 0 where that is not planned yet.",
            source="The site's own goal.",
            ge=0,
        ),
    ] = 0
    buffered_seconds: Annotated[
        int,
        threshold(
            "For how many seconds of writes there is to be page cache.",
            source="Kafka's documentation: memory to buffer for 30 seconds, write_throughput * 30.",
            ge=0,
        ),
    ] = 30
    maximum_heap_percent: Annotated[
        int,
        threshold(
            "The largest share of the requested memory that is to be heap, in percent.",
            source="Strimzi's own choice where no -Xmx is set: half of the memory, at most 5 GiB.",
            ge=1,
            le=100,
        ),
    ] = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brokers:
    """Like brokers, with their memory in bytes; None where it is not set, or not known."""

    name: str
    subject: Subject
    requested: int | None
    limit: int | None
    heap: int | None

    @property
    def said(self) -> str:
        """As messages write it."""
        requested = _gib(self.requested or 0)
        if self.heap is None:
            return f"{self.name}: {requested}, heap not known"
        return f"{self.name}: heap {_gib(self.heap)} of {requested}"


@check(
    "kafka.broker-memory",
    title="Kafka brokers request memory for heap and page cache",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet),
    aliases=("KAF-005",),
)
def broker_memory(facts: Facts, params: MemoryParameters) -> Iterator[Finding]:
    """Kafka reads and writes through the page cache, which must fit beside the heap into what the broker requests.

    ## What it checks
    For the brokers of Strimzi's node pools, and of StatefulSets that evidently run Kafka (their heap is read from
    `KAFKA_HEAP_OPTS`):

    - they request memory: otherwise a failure;
    - the largest heap (`-Xmx`) is less than the memory limit: otherwise a failure;
    - the heap is half of the requested memory at most (`maximum_heap_percent`): otherwise a warning;
    - what is left holds 30 seconds of writes, if `write_megabytes_per_second` says how much that is: otherwise a
      failure.

    File handles and memory maps of the nodes are judged by `nodes.*`.

    ## Why it matters
    A broker without a request is evicted first when its node is short of memory. A heap as large as the limit ends in
    an OOM kill, since the JVM needs more than its heap. Without room for the page cache consumers that fall behind read
    from disk, and the disk is then missing to the writers.

    ## How to fix
    Give each broker a request and an equal limit of at least twice the heap:

        spec:
          resources: {requests: {memory: 16Gi, cpu: "2"}, limits: {memory: 16Gi}}
          jvmOptions: {"-Xms": 5g, "-Xmx": 5g}

    ## References
    - [Kafka: hardware and OS](https://kafka.apache.org/documentation/#hwandos)
    - [Strimzi: JVM options](https://strimzi.io/docs/operators/latest/configuring#con-common-configuration-jvm-reference)
    - [Node-pressure eviction](https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/)
    """
    found = [*_of_strimzi(facts), *_of_stateful_sets(facts)]
    if not found:
        yield no_kafka()
        return
    without = [each for each in found if each.requested is None]
    if without:
        yield _without_request(without)
    bursting = [each for each in found if _bursts(each)]
    if bursting:
        yield _heap_of_the_limit(bursting)
    rest = [each for each in found if each not in without and each not in bursting]
    starved = [each for each in rest if _missing_cache(each, params) > 0]
    if starved:
        yield _too_little_cache(starved, params)
    large = [each for each in rest if each not in starved and _heap_percent(each) > params.maximum_heap_percent]
    if large:
        yield _large_heap(large, params)
    if sound := [each for each in rest if each not in starved and each not in large]:
        yield Finding.ok(
            f"Kafka brokers request memory for heap and page cache ({listed([each.said for each in sound])}).",
            subjects=[each.subject for each in sound],
        )


def _of_strimzi(facts: Facts) -> Iterator[_Brokers]:
    for cluster in strimzi_clusters(facts):
        for pool in cluster.with_role(BROKER):
            requests = (pool.resources.requests if pool.resources is not None else None) or {}
            limits = (pool.resources.limits if pool.resources is not None else None) or {}
            requested, limit = _memory({**limits, **requests}), _memory(limits)
            share = None if requested is None else min((limit or requested) // 2, _STRIMZI_HEAP_AT_MOST)
            yield _Brokers(
                name=pool.name,
                subject=pool.subject,
                requested=requested,
                limit=limit,
                heap=_jvm_bytes(pool.xmx) if pool.xmx else share,
            )


def _of_stateful_sets(facts: Facts) -> Iterator[_Brokers]:
    for each in stateful_sets(facts):
        containers = each.spec.template.spec.containers
        if role_of(each) is not Role.KAFKA_BROKER or not containers:
            continue
        broker = next((container for container in containers if "kafka" in container.name), containers[0])
        limits = (broker.resources.limits if broker.resources is not None else None) or {}
        requests = (broker.resources.requests if broker.resources is not None else None) or {}
        match = _XMX.search(broker.variable("KAFKA_HEAP_OPTS") or "")
        yield _Brokers(
            name=str(each.subject),
            subject=each.subject,
            requested=_memory({**limits, **requests}),
            limit=_memory(limits),
            heap=_jvm_bytes(match[1]) if match else None,
        )


def _memory(table: Mapping[str, object]) -> int | None:
    return quantity_bytes(str(table["memory"])) if "memory" in table else None


def _jvm_bytes(text: str) -> int:
    """What ``-Xmx`` means: digits, and k, m or g for powers of 1024."""
    factor = {"k": 2**10, "m": 2**20, "g": _GIB}.get(text[-1].lower(), 1)
    return int(text.rstrip("kKmMgG")) * factor


def _bursts(brokers: _Brokers) -> bool:
    return brokers.heap is not None and brokers.limit is not None and brokers.heap >= brokers.limit


def _heap_percent(brokers: _Brokers) -> float:
    return 100 * (brokers.heap or 0) / (brokers.requested or 1)


def _missing_cache(brokers: _Brokers, params: MemoryParameters) -> int:
    """The page cache that is wanted and not there, in bytes."""
    if brokers.heap is None or brokers.requested is None:
        return 0
    wanted = params.write_megabytes_per_second * params.buffered_seconds * 10**6
    return wanted - (brokers.requested - brokers.heap) if wanted else 0


def _gib(count: int) -> str:
    return f"{count / _GIB:.2g} GiB" if count < 10 * _GIB else f"{count / _GIB:.0f} GiB"


def _seen(found: Sequence[_Brokers]) -> dict[str, object]:
    return examples(
        {
            each.name: {"requested bytes": each.requested, "limit bytes": each.limit, "heap bytes": each.heap}
            for each in found
        }
    )


def _without_request(found: Sequence[_Brokers]) -> Finding:
    return Finding.fail(
        f"Kafka brokers of {listed([each.name for each in found])} request no memory, a request for heap and page "
        "cache was expected: they are evicted first when their node is short of it.",
        subjects=[each.subject for each in found],
        fix="Set resources.requests.memory of the brokers, and a limit equal to it.",
    )


def _heap_of_the_limit(found: Sequence[_Brokers]) -> Finding:
    said = [f"{each.name}: heap {_gib(each.heap or 0)}, limit {_gib(each.limit or 0)}" for each in found]
    return Finding.fail(
        f"The heap of Kafka brokers is as large as their memory limit ({listed(said)}), at most half of it was "
        "expected: they are killed when the heap fills up.",
        subjects=[each.subject for each in found],
        fix="Raise the memory request and limit, or lower -Xmx.",
        evidence=_seen(found),
    )


def _too_little_cache(found: Sequence[_Brokers], params: MemoryParameters) -> Finding:
    wanted = params.write_megabytes_per_second * params.buffered_seconds
    return Finding.fail(
        f"Beside the heap, Kafka brokers have less memory than the {wanted} MB that {params.buffered_seconds} seconds "
        f"of writes at {params.write_megabytes_per_second} MB/s take ({listed([each.said for each in found])}).",
        subjects=[each.subject for each in found],
        fix="Raise the brokers' memory request by what is missing, or add brokers.",
        evidence=_seen(found),
    )


def _large_heap(found: Sequence[_Brokers], params: MemoryParameters) -> Finding:
    return Finding.warn(
        f"The heap of Kafka brokers takes more than {params.maximum_heap_percent} % of the memory that they request "
        f"({listed([each.said for each in found])}): little is left for the page cache.",
        subjects=[each.subject for each in found],
        fix="Raise the memory request, or lower -Xmx.",
        evidence=_seen(found),
    )
