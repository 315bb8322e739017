"""The Kafka clusters of a Kubernetes cluster: those of Strimzi with their nodes, and those of plain StatefulSets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Subject, if_served
from auditor.facts.kube import StatefulSet
from auditor.facts.kube.custom import CustomRequirements
from auditor.facts.kube.strimzi import (
    CLUSTER_LABEL,
    Kafka,
    KafkaNodePool,
    KafkaPodTemplate,
    KafkaStorage,
    KafkaTemplate,
)

from ..._roles import Role, role_of
from ..._wording import counted, full_name, full_names

STRIMZI = (if_served(Kafka), if_served(KafkaNodePool))
"""What a check reads to ask :func:`strimzi_clusters`."""

BROKER = "broker"
CONTROLLER = "controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Like nodes of a Kafka cluster.

    Attributes:
        name: ``KafkaNodePool namespace/pool``, or what stands for it in a cluster without node pools.
        subject: the object that asks for them.
        roles: ``broker``, ``controller``, both; ``zookeeper`` for the servers of an old cluster.
        replicas: how many are asked for.
        storage: their disks; None where nothing says so.
        resources: requests and limits of each.
        xmx: the largest heap, as it is written.
        template: what the site adds to their pods.
    """

    name: str
    subject: Subject
    roles: frozenset[str]
    replicas: int
    storage: KafkaStorage | None
    resources: CustomRequirements | None = None
    xmx: str | None = None
    template: KafkaTemplate | None = None

    @property
    def pod(self) -> KafkaPodTemplate:
        """What the site adds to the pods."""
        return (self.template.pod if self.template is not None else None) or KafkaPodTemplate()


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """A Kafka of Strimzi and its nodes."""

    kafka: Kafka
    pools: tuple[Pool, ...]

    @property
    def name(self) -> str:
        """``namespace/name``."""
        return full_name(self.kafka)

    @property
    def brokers(self) -> int:
        """How many nodes are brokers."""
        return sum(pool.replicas for pool in self.with_role(BROKER))

    @property
    def controllers(self) -> int:
        """How many nodes are controllers."""
        return sum(pool.replicas for pool in self.with_role(CONTROLLER))

    def with_role(self, role: str) -> tuple[Pool, ...]:
        """The pools that have a role, and that have nodes."""
        return tuple(pool for pool in self.pools if role in pool.roles and pool.replicas)


def strimzi_clusters(facts: Facts) -> list[KafkaCluster]:
    """The Kafkas of Strimzi, by namespace and name; none where Strimzi is not installed."""
    pools: defaultdict[tuple[str | None, str | None], list[KafkaNodePool]] = defaultdict(list)
    for pool in facts.list(KafkaNodePool):
        pools[pool.namespace, pool.labels.get(CLUSTER_LABEL)].append(pool)
    return [
        KafkaCluster(kafka, tuple(_pools(kafka, sorted(pools[kafka.namespace, kafka.name], key=full_name))))
        for kafka in sorted(facts.list(Kafka), key=full_name)
    ]


def _pools(kafka: Kafka, own: Sequence[KafkaNodePool]) -> Iterator[Pool]:
    shared = kafka.spec.kafka
    for pool in own:
        jvm = pool.spec.jvm_options or shared.jvm_options
        yield Pool(
            name=str(pool.subject),
            subject=pool.subject,
            roles=frozenset(pool.spec.roles),
            replicas=pool.spec.replicas,
            storage=pool.spec.storage,
            resources=pool.spec.resources or shared.resources,
            xmx=jvm.xmx if jvm is not None else None,
            template=pool.spec.template or shared.template,
        )
    if not own and shared.replicas:
        yield Pool(
            name=str(kafka.subject),
            subject=kafka.subject,
            roles=frozenset({BROKER}),
            replicas=shared.replicas,
            storage=shared.storage,
            resources=shared.resources,
            xmx=shared.jvm_options.xmx if shared.jvm_options is not None else None,
            template=shared.template,
        )
    if kafka.uses_zookeeper and kafka.spec.zookeeper is not None:
        yield Pool(
            name=f"{kafka.subject} (ZooKeeper)",
            subject=kafka.subject,
            roles=frozenset({"zookeeper"}),
            replicas=kafka.spec.zookeeper.replicas,
            storage=kafka.spec.zookeeper.storage,
        )


def stateful_sets(facts: Facts) -> list[StatefulSet]:
    """The StatefulSets that run Kafka without Strimzi, by namespace and name; those with no pods are left out."""
    members = (Role.KAFKA_BROKER, Role.KAFKA_CONTROLLER)
    found = (each for each in facts.list(StatefulSet) if each.replicas and role_of(each) in members)
    return sorted((each for each in found if CLUSTER_LABEL not in each.labels), key=full_name)


def no_strimzi(facts: Facts, what: str) -> Finding:
    """The finding of a check that can judge Strimzi's Kafkas only, where there are none.

    Args:
        facts: where other Kafkas are looked for.
        what: what cannot be seen of those, as the beginning of a sentence.
    """
    others = stateful_sets(facts)
    if not others:
        return no_kafka()
    return Finding.skip(
        f"{what} cannot be seen of a Kafka without Strimzi, which runs in {counted(len(others), 'StatefulSet')} here "
        f"({full_names(others)}).",
        subjects=[each.subject for each in others],
    )


def no_kafka() -> Finding:
    """The finding where there is no Kafka."""
    return Finding.skip("No Kafka runs here yet; storage.* judges the classes that it would use.")
