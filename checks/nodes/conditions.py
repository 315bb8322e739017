"""Do the nodes say that they are well?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, check, threshold
from auditor.facts.kube import Node
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, listed
from ._shared import names

_BAD_WHEN_TRUE = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_REPORTED_WHEN_TRUE = ("KernelDeadlock", "ReadonlyFilesystem")
"""Conditions that the node problem detector sets, and leaves set after the problem is over."""

_LEAVING_TAINTS = (
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupt*",
    "node.cloudprovider.kubernetes.io/shutdown",
)


class ConditionParameters(Parameters, frozen=True, kw_only=True):
    """What a site lets pass."""

    tolerated_percent: Annotated[
        float,
        threshold(
            "Share of nodes, in percent, that may be unwell without a failure.",
            source="No upstream number; of hundreds of nodes one is always under repair, below 100 each one counts.",
            ge=0,
            le=100,
        ),
    ] = 1.0
    joining_minutes: Annotated[
        float,
        threshold(
            "Minutes that a new node may take to become Ready.",
            source="The cluster autoscaler's default of --max-node-provision-time.",
            ge=0,
        ),
    ] = 15.0


@check(
    "nodes.healthy-conditions",
    title="Every node is Ready and under no pressure",
    severity=Severity.CRITICAL,
    reads=(Node,),
    aliases=("NOD-001",),
)
def healthy_conditions(facts: Facts, params: ConditionParameters) -> Iterator[Finding]:
    """A node that is not Ready, or short of memory, disk or process ids, takes no pods and loses those it has.

    ## What it checks
    The conditions of all nodes, the control plane's too: `Ready` is True; `MemoryPressure`, `DiskPressure`,
    `PIDPressure` and `NetworkUnavailable` are not True. A node whose kubelet went silent is not Ready.

    More unwell nodes than `tolerated_percent` are a failure, fewer a warning. So are nodes that are cordoned, about to
    be removed by an autoscaler, or younger than `joining_minutes`, and what the node problem detector reports
    (`KernelDeadlock`, `ReadonlyFilesystem`).

    ## Why it matters
    Pods of a node that is not Ready are evicted after five minutes, and their ReadWriteOnce volumes stay attached to it
    for six more: a broker or DataNode is gone for as long. A node under pressure evicts pods by itself, those with the
    largest use beyond their requests first, which are often Spark executors.

    ## How to fix
    Look at the node's conditions and events:

        kubectl describe node NODE

    For disk pressure give the node a larger disk or remove images and logs; for memory pressure set requests that are
    true. Restart or replace a node whose kubelet is silent.

    ## References
    - [Node status](https://kubernetes.io/docs/reference/node/node-status/#condition)
    - [Node-pressure eviction](https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/)
    - [Taints by node conditions](https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions)
    - [Node problem detector](https://github.com/kubernetes/node-problem-detector)
    """
    nodes = sorted(facts.list(Node), key=lambda node: node.name)
    if not nodes:
        yield Finding.unknown("The cluster has no nodes, so there is none to judge.", fix="Collect again with nodes.")
        return
    ailments = {node.name: found for node in nodes if (found := _ailments(node))}
    excuses = {node.name: _excuse(facts, node, params) for node in nodes if node.name in ailments}
    unwell = [node for node in nodes if node.name in ailments and not excuses[node.name]]
    if unwell:
        few = len(unwell) * 100 <= params.tolerated_percent * len(nodes)
        yield _unwell(unwell, ailments, few=few, total=len(nodes))
    if passing := [node for node in nodes if excuses.get(node.name)]:
        yield _passing(passing, ailments, excuses)
    if reported := [node for node in nodes if _true_conditions(node, _REPORTED_WHEN_TRUE)]:
        yield _reported(reported)
    if not unwell and not passing and not reported:
        yield Finding.ok(f"{counted(len(nodes), 'node')}: all are Ready and none is under pressure.")


def _ailments(node: Node) -> list[str]:
    """What is wrong with a node, in words; nothing is said of conditions that a silent kubelet cannot know."""
    conditions = {condition.type: condition for condition in node.status.conditions or ()}
    found = [] if node.is_ready else ["not Ready"]
    ready = conditions.get("Ready")
    if ready is not None and ready.status == "Unknown":
        found = ["not Ready (its kubelet is silent)"]
    elif ready is None:
        found = ["not Ready (it never said so)"]
    return found + _true_conditions(node, _BAD_WHEN_TRUE)


def _true_conditions(node: Node, types: Sequence[str]) -> list[str]:
    return [each.type for each in node.status.conditions or () if each.type in types and each.status == "True"]


def _excuse(facts: Facts, node: Node, params: ConditionParameters) -> str:
    """Why it is no surprise that a node is not Ready; empty where it is one."""
    if any(fnmatchcase(taint.key, leaving) for taint in node.spec.taints or () for leaving in _LEAVING_TAINTS):
        return "leaving"
    if node.spec.unschedulable:
        return "cordoned"
    age = age_at_collection(facts, node.metadata.creation_timestamp)
    return "joining" if age is not None and age <= timedelta(minutes=params.joining_minutes) else ""


def _by_ailment(nodes: Sequence[Node], ailments: Mapping[str, Sequence[str]]) -> str:
    groups: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        groups[", ".join(ailments[node.name])].append(node)
    return "; ".join(f"{names(group)}: {ailment}" for ailment, group in sorted(groups.items()))


def _seen(nodes: Sequence[Node]) -> dict[str, object]:
    return examples({node.name: _conditions(node) for node in nodes})


def _conditions(node: Node) -> dict[str, str]:
    return {each.type: each.status for each in node.status.conditions or ()}


def _unwell(nodes: Sequence[Node], ailments: Mapping[str, Sequence[str]], *, few: bool, total: int) -> Finding:
    return Finding.of(
        Status.WARN if few else Status.FAIL,
        f"{len(nodes)} of {counted(total, 'node')} unwell, all were expected to be Ready and under no pressure "
        f"({_by_ailment(nodes, ailments)}).",
        subjects=[node.subject for node in nodes],
        fix=Fix(
            text="Look at the nodes' conditions and events, then repair or replace them.",
            command=f"kubectl describe node {nodes[0].name}",
        ),
        evidence=_seen(nodes),
    )


def _passing(nodes: Sequence[Node], ailments: Mapping[str, Sequence[str]], excuses: Mapping[str, str]) -> Finding:
    why = listed(sorted({excuses[node.name] for node in nodes}))
    return Finding.warn(
        f"{counted(len(nodes), 'node')} that {'is' if len(nodes) == 1 else 'are'} {why} "
        f"cannot be used now ({_by_ailment(nodes, ailments)}).",
        subjects=[node.subject for node in nodes],
        fix="Collect again when these nodes have joined, are back from maintenance or are gone.",
        evidence=_seen(nodes),
    )


def _reported(nodes: Sequence[Node]) -> Finding:
    problems = {node.name: _true_conditions(node, _REPORTED_WHEN_TRUE) for node in nodes}
    return Finding.warn(
        f"The node problem detector reports {counted(len(nodes), 'node')} ({_by_ailment(nodes, problems)}).",
        subjects=[node.subject for node in nodes],
        fix="Look at the kernel log of these nodes; drain and restart them if the problem is real.",
        evidence=_seen(nodes),
    )
