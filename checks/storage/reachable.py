"""Can the volumes that hold data still be reached from a node?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check
from auditor.facts.kube import Node, PersistentVolume, Pod
from auditor.facts.kube.meta import NodeSelector, NodeSelectorTerm

from .._wording import counted, examples, full_names, listed
from ._claims import ClaimKey, consumers


@check(
    "storage.volumes-reachable",
    title="Every volume in use can be reached from a Ready node",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(PersistentVolume, Node, Pod),
    aliases=("STO-017",),
)
def volumes_reachable(facts: Facts) -> Iterator[Finding]:
    """A volume of one zone or one node is worth as much as the nodes that are left there.

    ## What it checks
    For every volume that is bound to a claim and that only some nodes can reach (`spec.nodeAffinity`), at least one of
    these nodes is Ready and not cordoned. Taints do not count, since the pods of a dedicated pool tolerate them.

    A volume that a pod waits for fails: a pod that is not scheduled yet, or is on a node that is not Ready. One that no
    pod waits for is a warning: its pod may still run on a cordoned node, or an autoscaler may add a node in its zone
    when it is needed.

    ## Why it matters
    A pod can only run where its volume is. When the last node of a zone leaves, or the one node that holds a local
    volume, the pod stays Pending with "volume node affinity conflict", whatever room there is elsewhere. Node groups
    that span zones lose a zone silently when they are scaled down; one group per zone does not.

    ## How to fix
    Bring back a node in that zone, or uncordon it; keep one node group per zone. A volume on a node that is gone for
    good has to be given up: delete its claim and its pod, and let the system replicate again.

        kubectl get nodes -L topology.kubernetes.io/zone
        kubectl get pv NAME -o jsonpath='{.spec.nodeAffinity}'

    ## References
    - [Node affinity of a volume](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity)
    - [Running in multiple zones](https://kubernetes.io/docs/setup/best-practices/multiple-zones/)
    - [EKS best practices: one node group per zone for volumes](https://docs.aws.amazon.com/eks/latest/best-practices/reliability.html)
    - [A pod that cannot follow its volume](https://github.com/kubernetes/kubernetes/issues/49906)
    """
    bound = [volume for volume in facts.list(PersistentVolume) if volume.status.phase == "Bound"]
    if not bound:
        yield Finding.skip("No volume is bound to a claim, so there is none to reach.")
        return
    pinned: defaultdict[NodeSelector, list[PersistentVolume]] = defaultdict(list)
    for volume in bound:
        if volume.spec.node_affinity is not None and volume.spec.node_affinity.required is not None:
            pinned[volume.spec.node_affinity.required].append(volume)
    lost = {places: volumes for places, volumes in pinned.items() if not _has_node(facts, places)}
    if lost:
        yield from _judge_lost(facts, lost)
    reached = len(bound) - sum(len(volumes) for volumes in lost.values())
    if reached:
        yield Finding.ok(f"Within reach of a Ready node: {counted(reached, 'bound volume')}.")


def _has_node(facts: Facts, places: NodeSelector) -> bool:
    """Whether a Ready node that takes pods is in one of these places."""
    return any(
        node.is_ready and not node.spec.unschedulable and term.matches(node.labels, name=node.name)
        for term in places.node_selector_terms
        for node in _candidates(facts, term)
    )


def _candidates(facts: Facts, term: NodeSelectorTerm) -> Iterable[Node]:
    """The nodes that a term can mean: those of its rarest value, so that a local volume costs one look and not all."""
    narrowed = [
        [node for value in requirement.values or () for node in facts.labelled(Node, requirement.key, value)]
        for requirement in term.match_expressions or ()
        if requirement.operator == "In"
    ]
    narrowed += [
        [node for name in requirement.values or () if (node := facts.get(Node, name)) is not None]
        for requirement in term.match_fields or ()
        if requirement.operator == "In" and requirement.key == "metadata.name"
    ]
    return min(narrowed, key=len, default=facts.list(Node))


def _judge_lost(facts: Facts, lost: dict[NodeSelector, list[PersistentVolume]]) -> Iterator[Finding]:
    """One finding for the volumes that pods wait for and one for the others."""
    place_of = {volume.name: _described(places) for places, volumes in lost.items() for volume in volumes}
    by_name = sorted((volume for volumes in lost.values() for volume in volumes), key=lambda volume: volume.name)
    pods_of = consumers(facts, [_claim_of(volume) for volume in by_name])
    missed = [v for v in by_name if any(_waits(facts, pod) for pod in pods_of.get(_claim_of(v), ()))]
    if missed:
        yield Finding.fail(f"{_message(missed, place_of)}, and pods wait.", **_details(missed, place_of))
    names = {volume.name for volume in missed}
    if others := [volume for volume in by_name if volume.name not in names]:
        yield Finding.warn(f"{_message(others, place_of)}; no pod waits now.", **_details(others, place_of))


def _waits(facts: Facts, pod: Pod) -> bool:
    """Whether a pod is not where it can use its volume: nowhere yet, or on a node that went silent or away."""
    node = facts.get(Node, pod.spec.node_name) if pod.spec.node_name else None
    return node is None or not node.is_ready


def _claim_of(volume: PersistentVolume) -> ClaimKey:
    claim = volume.spec.claim_ref
    return (claim.namespace, claim.name or "") if claim is not None else (None, "")


def _message(volumes: Sequence[PersistentVolume], place_of: Mapping[str, str]) -> str:
    places = sorted({place_of[volume.name] for volume in volumes})
    return (
        f"No node that is Ready and takes pods can reach {counted(len(volumes), 'bound volume')} "
        f"({full_names(volumes)}), at {listed(places)} one was expected"
    )


def _details(volumes: Sequence[PersistentVolume], place_of: Mapping[str, str]) -> dict[str, Any]:
    seen = {
        volume.name: {"place": place_of[volume.name], "claim": "/".join(part or "" for part in _claim_of(volume))}
        for volume in volumes
    }
    return {
        "subjects": [volume.subject for volume in volumes],
        "fix": "Bring a node of that place back, or uncordon it; keep one node group per zone.",
        "command": "kubectl get nodes -L topology.kubernetes.io/zone",
        "evidence": examples(seen),
    }


def _described(places: NodeSelector) -> str:
    """The places of a volume in words, as its affinity has them: ``topology.kubernetes.io/zone a``."""
    return " or ".join(_described_term(term) for term in places.node_selector_terms) or "an empty selector"


def _described_term(term: NodeSelectorTerm) -> str:
    words = []
    for requirement in (*(term.match_expressions or ()), *(term.match_fields or ())):
        operator = "" if requirement.operator == "In" else f" {requirement.operator}"
        words.append(f"{requirement.key}{operator} {'/'.join(requirement.values or ())}".strip())
    return " and ".join(words) or "an empty term"
