"""Do the copies of a partition lie in different zones?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Severity, Status, Workload, check
from auditor.facts.access import ACCESS_PARTS, Access, Act, service_account
from auditor.facts.kube import Node, Pod, StatefulSet
from auditor.facts.kube.nodes import ZONE_LABEL
from auditor.facts.kube.strimzi import CLUSTER_LABEL, KafkaRack

from ..._wording import counted, listed
from ._clusters import BROKER, STRIMZI, KafkaCluster, Pool, no_strimzi, strimzi_clusters

_READ_NODES = Act(verb="get", resource="nodes")


@dataclass(frozen=True, slots=True)
class _Said:
    """What there is to say of a cluster; like clusters share a finding."""

    status: Status
    what: str
    fix: str = ""
    command: str | None = None


@check(
    "kafka.rack-awareness",
    title="Kafka spreads the copies of a partition over the zones",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet, Node, Pod, *ACCESS_PARTS),
    aliases=("KAF-004",),
)
def rack_awareness(facts: Facts) -> Iterator[Finding]:
    """Kafka puts the copies of a partition into different racks, if brokers know in which rack they are.

    ## What it checks
    For every Kafka of Strimzi, where worker nodes span more than one zone:

    - `spec.kafka.rack` is set: otherwise a warning;
    - with `topologyKey`, some worker node carries that label: otherwise a failure, since Strimzi requires it of the
      nodes of brokers. And RBAC lets the brokers' ServiceAccount read nodes, through the ClusterRoleBinding that the
      operator makes: otherwise a warning;
    - brokers that run lie in more than one rack, and no rack has two more than another. Where none run yet, the node
      pools have topologySpreadConstraints or anti-affinity on the rack's label, or a node affinity each: the operator
      adds none. Otherwise a warning.

    With `type: environment-variable` (Strimzi 1.0 and later) brokers need no right to read nodes; what the node pools
    set is compared.

    ## Why it matters
    Without racks Kafka may put all copies of a partition into one zone, and the loss of the zone takes them together.
    With racks and brokers that crowd in one zone, the others' brokers carry more copies than they were sized for. On a
    node without the label a broker never starts.

    ## How to fix
    Name the label, and spread the brokers over it:

        spec:
          kafka:
            rack: {type: topology-label, topologyKey: topology.kubernetes.io/zone}
            template:
              pod:
                topologySpreadConstraints:
                - maxSkew: 1
                  topologyKey: topology.kubernetes.io/zone
                  whenUnsatisfiable: DoNotSchedule
                  labelSelector: {matchLabels: {strimzi.io/cluster: my-cluster, strimzi.io/broker-role: "true"}}

    Partitions that exist are moved by a rebalance of Cruise Control.

    ## References
    - [Strimzi: rack awareness](https://strimzi.io/docs/operators/latest/configuring#type-Rack-reference)
    - [Strimzi: configuring pod scheduling](https://strimzi.io/docs/operators/latest/deploying#assembly-scheduling-str)
    - [A broker loops on a node without the zone label](https://github.com/strimzi/strimzi-kafka-operator/issues/2347)
    - [Kafka: balancing replicas across racks](https://kafka.apache.org/documentation/#basic_ops_racks)
    """
    clusters = strimzi_clusters(facts)
    if not clusters:
        yield no_strimzi(facts, "The racks")
        return
    workers = [node for node in facts.list(Node) if not node.is_control_plane or node.takes_ordinary_pods]
    racks = {cluster.name: _racks(cluster, workers) for cluster in clusters}
    yield from _grouped((cluster, _of_setting(cluster, workers)) for cluster in clusters)
    labelled = [cluster for cluster in clusters if racks[cluster.name]]
    yield from _grouped((cluster, _of_placement(facts, cluster, racks[cluster.name])) for cluster in labelled)
    if labelled:
        access = Access.of(facts)
        yield from _grouped((cluster, _of_rights(access, cluster)) for cluster in labelled)


def _grouped(judged: Iterable[tuple[KafkaCluster, _Said | None]]) -> Iterator[Finding]:
    groups: defaultdict[_Said, list[KafkaCluster]] = defaultdict(list)
    for cluster, said in judged:
        if said is not None:
            groups[said].append(cluster)
    for said, group in groups.items():
        yield Finding.of(
            said.status,
            f"Kafka {listed([cluster.name for cluster in group])}: {said.what}.",
            subjects=[cluster.kafka.subject for cluster in group],
            fix=said.fix or None,
            command=said.command,
        )


def _key(rack: KafkaRack) -> str:
    return rack.topology_key or ZONE_LABEL


def _racks(cluster: KafkaCluster, workers: Sequence[Node]) -> dict[str, str]:
    """The rack of each node by its name, where a label names it."""
    rack = cluster.kafka.spec.kafka.rack
    if rack is None or not rack.is_from_label:
        return {}
    return {node.name: node.labels[_key(rack)] for node in workers if _key(rack) in node.labels}


def _of_setting(cluster: KafkaCluster, workers: Sequence[Node]) -> _Said | None:
    """What the Kafka and the nodes' labels tell."""
    zones = sorted({node.zone for node in workers if node.zone})
    rack = cluster.kafka.spec.kafka.rack
    if rack is None and len(zones) < 2:
        return _Said(Status.OK, "its worker nodes span one zone at most, so that there is no zone to spread over")
    if rack is None:
        return _Said(
            Status.WARN,
            f"no rack is set although worker nodes span {len(zones)} zones ({listed(zones)}), "
            "topologyKey topology.kubernetes.io/zone was expected: all copies of a partition may lie in one zone",
            "Set spec.kafka.rack, and spread the brokers over the zones.",
        )
    if not rack.is_from_label:
        return _by_variable(cluster, rack)
    if _racks(cluster, workers):
        return None
    return _Said(
        Status.FAIL,
        f"none of {counted(len(workers), 'worker node')} carries the label {_key(rack)} of its rack; "
        "brokers are scheduled on nodes with that label only",
        f"Label the nodes with {_key(rack)}, or name a label that they have.",
        f"kubectl get nodes --label-columns {_key(rack)}",
    )


def _of_placement(facts: Facts, cluster: KafkaCluster, racks: Mapping[str, str]) -> _Said | None:
    """Where brokers run, or will run."""
    rack = cluster.kafka.spec.kafka.rack
    names = (pod.spec.node_name or "" for pod in _brokers(facts, cluster))
    lying = Counter(racks[name] for name in names if name in racks)
    return _spread(cluster, _key(rack), sorted(set(racks.values())), lying) if rack is not None else None


def _of_rights(access: Access, cluster: KafkaCluster) -> _Said | None:
    """Whether the brokers' init container may read the label."""
    account = service_account(cluster.kafka.namespace or "", f"{cluster.kafka.name}-kafka")
    if access.grants(account, _READ_NODES):
        return None
    return _Said(
        Status.WARN,
        f"RBAC does not grant its brokers' ServiceAccount {cluster.kafka.name}-kafka to get nodes, from which they "
        "learn their rack; a ClusterRoleBinding to strimzi-kafka-broker was expected",
        "Let the operator make ClusterRoleBindings, or use a rack of the type environment-variable.",
        "kubectl get clusterrolebindings --selector strimzi.io/kind=Kafka",
    )


def _brokers(facts: Facts, cluster: KafkaCluster) -> Iterator[Pod]:
    for pod in facts.labelled(Pod, CLUSTER_LABEL, cluster.kafka.name):
        role = pod.labels.get("strimzi.io/broker-role")
        is_broker = role == "true" or (
            role is None and pod.labels.get("strimzi.io/name") == f"{cluster.kafka.name}-kafka"
        )
        if pod.namespace == cluster.kafka.namespace and is_broker and not pod.is_finished:
            yield pod


def _spread(cluster: KafkaCluster, key: str, racks: Sequence[str], lying: Counter[str]) -> _Said:
    if lying:
        counts = listed([f"{rack}: {lying[rack]}" for rack in sorted({*racks, *lying})])
        crowded = len(lying) == 1 < min(len(racks), lying.total())
        if crowded or max(lying.values()) - min(lying.values()) > 1:
            return _Said(
                Status.WARN,
                f"its brokers lie unevenly over {counted(len(racks), 'rack')} by {key} ({counts}), "
                "as many in each was expected",
                "Give the node pools topologySpreadConstraints on that label, and move the brokers.",
            )
        return _Said(Status.OK, f"its brokers lie evenly over their racks by {key} ({counts})")
    if _is_spread(cluster.with_role(BROKER), key):
        return _Said(Status.OK, f"its brokers will be spread over {counted(len(racks), 'rack')} by {key}")
    return _Said(
        Status.WARN,
        f"nothing spreads its brokers over {counted(len(racks), 'rack')} by {key}, topologySpreadConstraints or "
        "anti-affinity on that label was expected: the operator adds none",
        "Give the node pools topologySpreadConstraints on that label.",
    )


def _is_spread(pools: Sequence[Pool], key: str) -> bool:
    """Whether every pool spreads its pods, or each of several has nodes of its own."""
    if all(_spreads(pool, key) for pool in pools):
        return True
    return len(pools) > 1 and all(pool.pod.affinity is not None and pool.pod.affinity.node_affinity for pool in pools)


def _spreads(pool: Pool, key: str) -> bool:
    if any(each.topology_key == key for each in pool.pod.topology_spread_constraints or ()):
        return True
    apart = pool.pod.affinity.pod_anti_affinity if pool.pod.affinity is not None else None
    if apart is None:
        return False
    required = apart.required_during_scheduling_ignored_during_execution or ()
    preferred = apart.preferred_during_scheduling_ignored_during_execution or ()
    return any(term.topology_key == key for term in (*required, *(each.pod_affinity_term for each in preferred)))


def _by_variable(cluster: KafkaCluster, rack: KafkaRack) -> _Said:
    pools = cluster.with_role(BROKER)
    values = {pool.name: _variable(pool, rack.env_var_name or "") for pool in pools}
    given = {value for value in values.values() if value}
    if all(values.values()) and len(given) == 1 and cluster.brokers > 1:
        return _Said(
            Status.WARN,
            f"all of its node pools set {rack.env_var_name} to {min(given)}, a rack of its own for each zone was "
            "expected: all copies of a partition may lie in one zone",
            "Make a node pool per zone, with a node affinity and a value of its own.",
        )
    if all(values.values()):
        return _Said(Status.OK, f"its node pools name {counted(len(given), 'rack')} in {rack.env_var_name}")
    return _Said(
        Status.UNKNOWN,
        f"the variable {rack.env_var_name} names the racks of its brokers, and not every node pool sets it; "
        "whether something else does cannot be told",
        "Set the variable in template.kafkaContainer.env of every node pool.",
    )


def _variable(pool: Pool, name: str) -> str | None:
    container = pool.template.kafka_container if pool.template is not None else None
    return next((each.value for each in (container.env or () if container else ()) if each.name == name), None)
