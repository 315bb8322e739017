"""Are the replicas of a data system apart from each other?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Severity, Status, Workload, check
from auditor.facts.kube import LabelSelector, Node, Pod
from auditor.facts.kube.nodes import HOSTNAME_LABEL

from .._wording import EXAMPLES_AT_MOST, counted, examples, listed
from ._replicas import Replicas, owners_named, replica_sets
from ._sets import ScopeParameters

_MAJORITY_OF_THREE = 3
"""Fewer replicas cannot outlive a zone with a quorum, wherever they are."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the replicas of one set are.

    Attributes:
        replicas: the set and its pods.
        shared: nodes that hold more than one of the pods, with how many.
        nodes: names of all nodes that hold one.
        kept_apart: whether the pods' specification forbids that two of them share a node.
    """

    replicas: Replicas
    shared: dict[str, int]
    nodes: frozenset[str]
    kept_apart: bool


@check(
    "stateful.replicas-apart",
    title="Replicas of a data system are on nodes of their own, and kept there",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA, Workload.HDFS),
    reads=(Pod, Node),
    aliases=("STS-008",),
)
def replicas_apart(facts: Facts, params: ScopeParameters) -> Iterator[Finding]:
    """Two copies on one node are lost together, so the replicas of a set must be on different nodes.

    ## What it checks
    For every StatefulSet and StrimziPodSet of Kafka, ZooKeeper, HDFS, etcd or Cassandra with more than one pod:

    - No two of its running pods share a node. Two on one node fail, whatever the specification says.
    - The pods are kept apart: a required anti-affinity to their own labels per node or wider, or a topology spread
      constraint per node with `maxSkew: 1` and `DoNotSchedule`. Where they are apart without it, that is a warning:
      chance or a preference holds them, and the next drain may end it. Pods on the host's network are kept apart by
      their ports.
    - Three or more pods are not all in one zone, where the nodes that can hold data span several: a warning.

    Sets with claims whose system is not known are a warning when two of their pods share a node: whether these are
    copies of one another cannot be seen. Flink and Spark keep no copies and are not judged.

    ## Why it matters
    Kafka counts three in-sync replicas and HDFS three copies of a block; both are gone with the node that holds them. A
    quorum of three with two members on one node ends when that node is drained. The anti-affinity that Stackable and
    Bitnami set is a preference, which a full cluster ignores.

    ## How to fix
    Add this to the pod template, or to `template.pod` of Kafka and its node pools in Strimzi, with the set's labels:

        affinity:
          podAntiAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels: {app.kubernetes.io/name: kafka}

    It needs as many nodes as replicas, and one more for drains. Pods that already share a node move when they are
    deleted one at a time; pods on local volumes need a new claim as well.

    ## References
    - [Inter-pod affinity and anti-affinity](https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity)
    - [Pod topology spread constraints](https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/)
    - [Strimzi: configuring pod scheduling](https://strimzi.io/docs/operators/latest/deploying#assembly-scheduling-str)
    - [Stackable HDFS: pod placement](https://docs.stackable.tech/home/stable/hdfs/usage-guide/operations/pod-placement/)
    """
    placements = [_placement(each) for each in replica_sets(facts, params) if _has_copies(each)]
    if not placements:
        yield Finding.skip("No set with data outside the platform's namespaces has more than one running pod.")
        return
    together = [p for p in placements if p.shared]
    yield from _together(Status.FAIL, [p for p in together if _is_replicated(p)])
    yield from _together(Status.WARN, [p for p in together if not _is_replicated(p)])
    apart = [p for p in placements if not p.shared]
    unbound = [p for p in apart if _is_replicated(p) and not p.kept_apart]
    if unbound:
        yield _unbound(unbound)
    if sound := [p for p in apart if p.kept_apart or not _is_replicated(p)]:
        yield Finding.ok(
            f"{_named(sound)}: the pods are on nodes of their own.",
            subjects=[p.replicas.owner for p in sound],
        )
    yield from _in_one_zone(facts, [p for p in apart if _is_replicated(p)])


def _has_copies(replicas: Replicas) -> bool:
    """Whether a second pod of the set may hold what the first one holds."""
    if len(replicas.pods) < 2:
        return False
    return replicas.role is None or replicas.role.is_replicated


def _is_replicated(placement: Placement) -> bool:
    return placement.replicas.role is not None


def _placement(replicas: Replicas) -> Placement:
    pods_on = Counter(pod.spec.node_name for pod in replicas.pods if pod.spec.node_name)
    return Placement(
        replicas=replicas,
        shared={node: count for node, count in sorted(pods_on.items()) if count > 1},
        nodes=frozenset(pods_on),
        kept_apart=all(_is_kept_apart(pod) for pod in replicas.pods),
    )


def _is_kept_apart(pod: Pod) -> bool:
    """Whether the scheduler refuses a node, or a wider place, that holds another pod of the same labels."""
    if pod.spec.host_network:
        return True
    anti = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity is not None else None
    terms = (anti.required_during_scheduling_ignored_during_execution if anti is not None else None) or ()
    if any(_selects_itself(term.label_selector, pod) for term in terms):
        return True
    return any(
        spread.topology_key == HOSTNAME_LABEL
        and spread.max_skew == 1
        and spread.when_unsatisfiable == "DoNotSchedule"
        and _selects_itself(spread.label_selector, pod)
        for spread in pod.spec.topology_spread_constraints or ()
    )


def _selects_itself(selector: LabelSelector | None, pod: Pod) -> bool:
    return selector is not None and selector.matches(pod.labels)


def _named(placements: Sequence[Placement]) -> str:
    return owners_named([p.replicas for p in placements])


def _together(status: Status, placements: Sequence[Placement]) -> Iterator[Finding]:
    if not placements:
        return
    first = placements[0]
    node, count = max(first.shared.items(), key=lambda item: (item[1], item[0]))
    known = status is Status.FAIL
    consequence = (
        "copies of the same data are lost together" if known else "if they hold copies, both are lost together"
    )
    yield Finding.of(
        status,
        f"{_named(placements)}: pods of one set share a node (such as {count} of {first.replicas.name} on {node}), "
        f"a node for each was expected; {consequence}.",
        subjects=[p.replicas.owner for p in placements],
        fix="Require anti-affinity per node in the pod template, then delete the pods that share a node one at a time.",
        evidence=_seen(placements),
    )


def _unbound(placements: Sequence[Placement]) -> Finding:
    return Finding.warn(
        f"{_named(placements)}: the pods are on nodes of their own, but nothing keeps them there; "
        "a required anti-affinity or a spread constraint per node was expected.",
        subjects=[p.replicas.owner for p in placements],
        fix="Require anti-affinity per node in the pod template of the set.",
        evidence=_seen(placements),
    )


def _in_one_zone(facts: Facts, placements: Sequence[Placement]) -> Iterator[Finding]:
    candidates = [p for p in placements if len(p.nodes) >= _MAJORITY_OF_THREE]
    if not candidates:
        return
    zone_of = {node.name: node.zone for node in facts.list(Node)}
    zones = sorted({node.zone for node in facts.list(Node) if node.takes_ordinary_pods and node.zone})
    if len(zones) < 2:
        return
    zones_of = {p.replicas.name: {zone_of.get(node) for node in p.nodes} for p in candidates}
    crowded = [p for p in candidates if len(zones_of[p.replicas.name] - {None}) == 1 == len(zones_of[p.replicas.name])]
    if crowded:
        yield Finding.warn(
            f"{_named(crowded)}: all pods are in one zone although the nodes span {counted(len(zones), 'zone')} "
            f"({listed(zones)}); pods in more than one were expected.",
            subjects=[p.replicas.owner for p in crowded],
            fix="Add a topology spread constraint over topology.kubernetes.io/zone to the pod template of the set.",
            evidence=examples({p.replicas.name: zone_of.get(min(p.nodes)) or "not known" for p in crowded}),
        )


def _seen(placements: Sequence[Placement]) -> dict[str, object]:
    return {
        "role": {p.replicas.name: p.replicas.role or "not known" for p in placements[:EXAMPLES_AT_MOST]},
        "pods": {p.replicas.name: len(p.replicas.pods) for p in placements[:EXAMPLES_AT_MOST]},
        "shared nodes": {p.replicas.name: examples(p.shared) for p in placements[:EXAMPLES_AT_MOST] if p.shared},
    }
