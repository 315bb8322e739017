"""Can the quorum of controllers lose one?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import StatefulSet

from ..._wording import examples, listed
from ._clusters import BROKER, CONTROLLER, STRIMZI, KafkaCluster, no_strimzi, strimzi_clusters


class ControllerParameters(Parameters, frozen=True, kw_only=True):
    """How large the quorum must be."""

    minimum_controllers: Annotated[
        int,
        threshold(
            "Least number of KRaft controllers.",
            source="Kafka's documentation: 3 or more controllers, 2N + 1 to bear N failures.",
            ge=1,
        ),
    ] = 3


@check(
    "kafka.kraft-controllers",
    title="Kafka's controllers are an odd three or more, apart from the brokers",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet),
    aliases=("KAF-002",),
)
def kraft_controllers(facts: Facts, params: ControllerParameters) -> Iterator[Finding]:
    """The controllers hold the cluster's metadata and must agree on every change of it.

    ## What it checks
    For every Kafka of Strimzi in KRaft mode, by the roles and replicas of its node pools:

    - three controllers or more (`minimum_controllers`): otherwise a failure;
    - an odd number of them: otherwise a warning, as one more controller bears no failure more;
    - no node is broker and controller at once: otherwise a warning.

    Clusters with ZooKeeper have no such controllers and are left out; so are Kafkas without Strimzi, whose roles
    cannot be seen from outside.

    ## Why it matters
    With one controller every restart of it, and every upgrade, stops the election of leaders: partitions whose leader
    was on a lost broker stay down. With two, the loss of either does. In combined mode a broker that is short of memory
    or of disk takes the metadata quorum down with it, and the two cannot be rolled or scaled apart.

    ## How to fix
    Make a node pool for controllers only; Strimzi moves to it when the `controller` role is taken from the others:

        apiVersion: kafka.strimzi.io/v1
        kind: KafkaNodePool
        metadata: {name: controllers, labels: {strimzi.io/cluster: my-cluster}}
        spec:
          replicas: 3
          roles: [controller]
          storage: {type: jbod, volumes: [{id: 0, type: persistent-claim, size: 20Gi, kraftMetadata: shared}]}

    The number of controllers of a running cluster can be changed only where Strimzi and Kafka support dynamic quorums;
    plan it beforehand.

    ## References
    - [Kafka: KRaft deployment considerations](https://kafka.apache.org/documentation/#kraft_deployment)
    - [Strimzi: configuring node pools](https://strimzi.io/docs/operators/latest/deploying#config-node-pools-str)
    - [Strimzi: changing node pool roles](https://strimzi.io/docs/operators/latest/deploying#config-node-pools-roles-str)
    """
    clusters = strimzi_clusters(facts)
    if not clusters:
        yield no_strimzi(facts, "The controllers")
        return
    old = [cluster for cluster in clusters if cluster.kafka.uses_zookeeper]
    if old:
        yield Finding.skip(
            f"Kafka {_names(old)}: ZooKeeper keeps the metadata, so that there are no KRaft controllers to judge.",
            subjects=[cluster.kafka.subject for cluster in old],
        )
    new = [cluster for cluster in clusters if cluster not in old]
    few = [cluster for cluster in new if cluster.controllers < params.minimum_controllers]
    if few:
        yield _too_few(few, params)
    even = [cluster for cluster in new if cluster not in few and cluster.controllers % 2 == 0]
    if even:
        yield _even(even)
    mixed = [cluster for cluster in new if _mixed(cluster)]
    if mixed:
        yield _combined(mixed)
    if sound := [cluster for cluster in new if cluster not in (*few, *even, *mixed)]:
        yield Finding.ok(
            f"Kafka {_names(sound)}: {_counts(sound)} controllers, apart from the brokers.",
            subjects=[cluster.kafka.subject for cluster in sound],
        )


def _names(clusters: Sequence[KafkaCluster]) -> str:
    return listed([cluster.name for cluster in clusters])


def _counts(clusters: Sequence[KafkaCluster]) -> str:
    return " or ".join(str(count) for count in sorted({cluster.controllers for cluster in clusters}))


def _mixed(cluster: KafkaCluster) -> list[str]:
    """The pools whose nodes are both."""
    return [pool.name for pool in cluster.with_role(CONTROLLER) if BROKER in pool.roles]


def _too_few(clusters: Sequence[KafkaCluster], params: ControllerParameters) -> Finding:
    return Finding.fail(
        f"Kafka {_names(clusters)}: the number of controllers is {_counts(clusters)}, "
        f"{params.minimum_controllers} or more were expected; the loss of one stops all elections.",
        subjects=[cluster.kafka.subject for cluster in clusters],
        fix="Make a node pool of three nodes with the role controller.",
        evidence=examples({cluster.name: {"controllers": cluster.controllers} for cluster in clusters}),
    )


def _even(clusters: Sequence[KafkaCluster]) -> Finding:
    return Finding.warn(
        f"Kafka {_names(clusters)}: an even number of controllers ({_counts(clusters)}), an odd one was expected; "
        "one controller less bears as many failures.",
        subjects=[cluster.kafka.subject for cluster in clusters],
        fix="Plan the next cluster with three or five controllers.",
    )


def _combined(clusters: Sequence[KafkaCluster]) -> Finding:
    return Finding.warn(
        f"Kafka {_names(clusters)}: nodes that are broker and controller at once "
        f"({listed([name for cluster in clusters for name in _mixed(cluster)])}), separate node pools were expected; "
        "a broker in trouble takes the metadata quorum with it.",
        subjects=[cluster.kafka.subject for cluster in clusters],
        fix="Make a node pool for controllers only, then take the role controller from the brokers.",
    )
