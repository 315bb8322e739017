"""Does a topic survive the loss of a broker?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import StatefulSet

from ..._wording import counted, examples, listed
from ._clusters import STRIMZI, KafkaCluster, no_strimzi, strimzi_clusters

KAFKA_DEFAULTS = {
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
}
"""What Kafka takes where an option is not set."""

_FACTORS = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
)
_MINIMA = {
    "min.insync.replicas": "default.replication.factor",
    "transaction.state.log.min.isr": "transaction.state.log.replication.factor",
}
"""Which replication factor each of the in-sync minima must stay below."""


class ReplicationParameters(Parameters, frozen=True, kw_only=True):
    """How many copies a site wants."""

    minimum_replication_factor: Annotated[
        int,
        threshold(
            "Least replication factor of topics, and least number of brokers.",
            source="Strimzi's and Kafka's examples for production: 3, so that a second copy is left while one is down.",
            ge=1,
        ),
    ] = 3
    minimum_in_sync_replicas: Annotated[
        int,
        threshold(
            "Least number of copies that a write with acks=all waits for.",
            source="Strimzi's examples for production: 2; Kafka's default of 1 acknowledges what one broker has.",
            ge=1,
        ),
    ] = 2


@check(
    "kafka.replication-config",
    title="Kafka's topics have three copies, and writes wait for two",
    severity=Severity.CRITICAL,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet),
    aliases=("KAF-003",),
)
def replication_config(facts: Facts, params: ReplicationParameters) -> Iterator[Finding]:
    """What Kafka loses with a broker is decided by a handful of numbers.

    ## What it checks
    For every Kafka of Strimzi, in `spec.kafka.config`, where what is not set has Kafka's default:

    - there are at least three brokers;
    - `default.replication.factor`, `offsets.topic.replication.factor` and `transaction.state.log.replication.factor`
      are three or more (`minimum_replication_factor`), and no more than there are brokers;
    - `min.insync.replicas` and `transaction.state.log.min.isr` are two or more (`minimum_in_sync_replicas`), and less
      than the replication factor.

    Kafka's defaults suffice for the internal topics; for those of users they are 1 and 1. Topics can have values of
    their own, which are not seen here. Kafkas without Strimzi keep their configuration where it cannot be seen.

    ## Why it matters
    With one copy, a lost disk is lost data. With `min.insync.replicas` 1 a write with acks=all is acknowledged by a
    single broker, and lost with it. With as many in-sync replicas as copies, the restart of any broker stops producers:
    then no upgrade, no drain and no certificate renewal goes by unnoticed. Removing `min.insync.replicas` from the
    configuration brings the default of 1 back.

    ## How to fix
    Set the numbers in the Kafka resource; the operator applies them, existing topics keep their replication factor:

        spec:
          kafka:
            config:
              default.replication.factor: 3
              min.insync.replicas: 2
              offsets.topic.replication.factor: 3
              transaction.state.log.replication.factor: 3
              transaction.state.log.min.isr: 2

    ## References
    - [Kafka: broker configuration](https://kafka.apache.org/documentation/#brokerconfigs)
    - [Strimzi: configuring Kafka](https://strimzi.io/docs/operators/latest/deploying#con-config-kafka-kraft-str)
    - [Strimzi warns of these defaults](https://github.com/strimzi/strimzi-kafka-operator/pull/5916)
    - [Strimzi Drain Cleaner: what topics need](https://github.com/strimzi/drain-cleaner#strimzi-drain-cleaner)
    """
    clusters = strimzi_clusters(facts)
    if not clusters:
        yield no_strimzi(facts, "The replication settings")
        return
    by_faults: defaultdict[tuple[str, ...], list[KafkaCluster]] = defaultdict(list)
    not_numbers: dict[str, tuple[KafkaCluster, list[str]]] = {}
    for cluster in clusters:
        settings = {key: _number(cluster, key) for key in KAFKA_DEFAULTS}
        if strange := sorted(key for key, value in settings.items() if value is None):
            not_numbers[cluster.name] = (cluster, strange)
        known = {key: value for key, value in settings.items() if value is not None}
        by_faults[tuple(_faults(cluster, known, params))].append(cluster)
    sound = [cluster for cluster in by_faults.pop((), []) if cluster.name not in not_numbers]
    for faults, group in by_faults.items():
        yield _faulty(faults, group)
    if not_numbers:
        yield _not_numbers(not_numbers)
    if sound:
        yield Finding.ok(
            f"Topics of Kafka {listed([cluster.name for cluster in sound])} survive the loss of a broker.",
            subjects=[cluster.kafka.subject for cluster in sound],
        )


def _number(cluster: KafkaCluster, key: str) -> int | None:
    """The option as Kafka takes it; None where it is no whole number."""
    value: Any = (cluster.kafka.spec.kafka.config or {}).get(key, KAFKA_DEFAULTS[key])
    if isinstance(value, bool) or not str(value).strip().isdecimal():
        return None
    return int(str(value))


def _faults(cluster: KafkaCluster, settings: dict[str, int], params: ReplicationParameters) -> Iterator[str]:
    wanted = params.minimum_replication_factor
    if cluster.brokers < wanted:
        yield f"{counted(cluster.brokers, 'broker')} ({wanted} were expected)"
    for key in _FACTORS:
        factor = settings.get(key, wanted)
        if factor < wanted:
            yield f"{_said(cluster, key)} {factor} ({wanted} was expected)"
        elif factor > cluster.brokers >= wanted:
            yield f"{_said(cluster, key)} {factor} with {counted(cluster.brokers, 'broker')}"
    for key, factor_key in _MINIMA.items():
        if key not in settings:
            continue
        minimum, copies = settings[key], settings.get(factor_key, 0)
        if minimum < params.minimum_in_sync_replicas:
            yield f"{_said(cluster, key)} {minimum} ({params.minimum_in_sync_replicas} was expected)"
        elif minimum >= copies >= wanted:
            yield f"{_said(cluster, key)} {minimum}, as many as there are copies (less was expected)"


def _said(cluster: KafkaCluster, key: str) -> str:
    return key if key in (cluster.kafka.spec.kafka.config or {}) else f"{key} not set, so"


def _faulty(faults: Sequence[str], clusters: Sequence[KafkaCluster]) -> Finding:
    config = {
        cluster.name: {
            "brokers": cluster.brokers,
            **{key: (cluster.kafka.spec.kafka.config or {}).get(key) for key in KAFKA_DEFAULTS},
        }
        for cluster in clusters
    }
    return Finding.fail(
        f"Kafka {listed([cluster.name for cluster in clusters])}: with one broker data or writes are lost, because of "
        f"{'; '.join(faults)}.",
        subjects=[cluster.kafka.subject for cluster in clusters],
        fix="Set the five replication options in spec.kafka.config, with three brokers or more.",
        evidence=examples(config),
    )


def _not_numbers(strange: dict[str, tuple[KafkaCluster, list[str]]]) -> Finding:
    keys = sorted({key for _, found in strange.values() for key in found})
    return Finding.unknown(
        f"Kafka {listed(list(strange))}: {listed(keys)} in spec.kafka.config cannot be judged, "
        "since the value is no whole number.",
        subjects=[cluster.kafka.subject for cluster, _ in strange.values()],
        fix="Write the option as a number.",
    )
