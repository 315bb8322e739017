"""What an ordinary container finds on the nodes: one pod on each, or on some of each kind where there are many."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import msgspec

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import Manifest
from auditor.facts.kube import Node
from auditor.facts.kube.nodes import NO_SCHEDULE_EFFECTS, Taint
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.nodes import LeftOut, NodeObservation, NodesObservations
from auditor.sandbox import Sandbox, Trouble
from auditor.sandbox.agent_pods import agent_pod, run_all
from auditor.sandbox.causes import cause_of
from auditor.sandbox.scope import Scope

from .._nodes import is_linux, is_virtual

AT_ONCE = 10
"""Visits at one time: many enough to be quick, few enough for images to be pulled side by side."""

CLOCK_SECONDS = 1.2
"""Longer than a second, so that the API server's clock turns at least once meanwhile."""

TASK_SECONDS = 30.0
_VISIT_SECONDS = 6.0

SHARED_MEMORY_BYTES = 128 * 1024**2
"""Twice what runtimes give by default, and half of the pod's memory."""
WRITTEN_BYTES = 96 * 1024**2

POOL_LABELS = (
    "alibabacloud.com/nodepool-id",
    "cloud.google.com/gke-nodepool",
    "doks.digitalocean.com/node-pool",
    "eks.amazonaws.com/nodegroup",
    "k8s.scaleway.com/pool-name",
    "karpenter.sh/nodepool",
    "kops.k8s.io/instancegroup",
    "kubernetes.azure.com/agentpool",
    "machine.openshift.io/cluster-api-machineset",
    "nodepool",
)

_EXAMPLES = 10
_SCRATCH = "/tmp"  # noqa: S108  inside the pod, an emptyDir of its own
_SHM_VOLUME = "shm"


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """One pod per visited node, a few at a time, and one with a folder in memory."""
    chosen, left_out = choose(scope, sandbox.settings.tolerations)
    visits = [_visit(sandbox, number, node) for number, node in enumerate(chosen)]
    objects = [Planned(manifest=visits[0], count=len(visits))] if visits else []
    return ProbePlan(
        objects=(*objects, Planned(manifest=_shared_memory_pod(sandbox))),
        pods_at_once=min(len(visits), AT_ONCE) + 1,
        seconds=_VISIT_SECONDS * (1 + len(visits) / AT_ONCE),
        notes=tuple(f"{each.count} of the nodes are not visited: {each.reason}." for each in left_out),
    )


@probe(
    "nodes",
    title="What an ordinary container finds on the nodes: limits, kernel settings, cgroups, disks, names, clocks",
    yields=NodesObservations,
    needs=(*rights("create get delete", "pods"), *rights("get", "pods/log"), *rights("list", "events", optional=True)),
    plan=plan,
)
def nodes(sandbox: Sandbox, scope: Scope) -> NodesObservations:
    """Visit the nodes, then ask for a folder in memory."""
    started_at, started = datetime.now(UTC), time.monotonic()
    chosen, left_out = choose(scope, sandbox.settings.tolerations)
    pods = {_visit_name(sandbox, number): node.name for number, node in enumerate(chosen)}
    visits = [_visit(sandbox, number, node) for number, node in enumerate(chosen)]
    memory = _shared_memory_pod(sandbox)
    found = run_all(sandbox, [memory, *visits], seconds=TASK_SECONDS, at_once=min(AT_ONCE, len(visits)) + 1)
    seen, failed = _sorted_out({pods[name]: outcome for name, outcome in found.items() if name in pods})
    return NodesObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - started,
        nodes=seen,
        failed=failed,
        left_out=tuple(left_out),
        namespace=sandbox.namespace,
        shared_memory=_shared_memory(found[memory["metadata"]["name"]]),
    )


def choose(scope: Scope, tolerations: Sequence[Mapping[str, Any]]) -> tuple[list[Node], list[LeftOut]]:
    """The nodes to visit, and those that are not.

    Where there are more than the options allow, each kind of node gets its turn: nodes of one pool, shape, image,
    kernel, runtime and kubelet are expected to be alike.

    Args:
        scope: the cluster's nodes, and how many may be visited.
        tolerations: of the site's pods.
    """
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    kinds: defaultdict[tuple[str, ...], list[Node]] = defaultdict(list)
    for node in sorted(scope.nodes, key=lambda node: node.name):
        if reason := _obstacle(node, tolerations):
            reasons[reason].append(node.name)
        else:
            kinds[_kind(node)].append(node)
    in_turn = [node for round_ in zip_longest(*map(_by_zone, kinds.values())) for node in round_ if node is not None]
    chosen, rest = in_turn[: scope.options.visited_nodes], in_turn[scope.options.visited_nodes :]
    if rest:
        alike = f"{scope.options.visited_nodes} nodes of all kinds are enough, says the option visited_nodes"
        reasons[alike] = sorted(node.name for node in rest)
    left_out = [
        LeftOut(reason=reason, count=len(names), examples=tuple(names[:_EXAMPLES]))
        for reason, names in sorted(reasons.items())
    ]
    return sorted(chosen, key=lambda node: node.name), left_out


def _obstacle(node: Node, tolerations: Sequence[Mapping[str, Any]]) -> str:
    """Why no ordinary pod of the site can be put on a node; empty if it can."""
    if is_virtual(node):
        return "they are no machines (Fargate, virtual-kubelet or KWOK)"
    if not is_linux(node):
        return "they do not run Linux"
    if not node.is_ready:
        return "they are not ready"
    if node.spec.unschedulable:
        return "they are cordoned"
    barring = [
        taint.key
        for taint in node.spec.taints or ()
        if taint.effect in NO_SCHEDULE_EFFECTS and not any(_tolerates(t, taint) for t in tolerations)
    ]
    return f"their taint {barring[0]} is not among the tolerations of the settings" if barring else ""


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect", "") not in ("", taint.effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key", "") in ("", taint.key)
    return bool(toleration.get("key") == taint.key and toleration.get("value", "") == (taint.value or ""))


def _kind(node: Node) -> tuple[str, ...]:
    info = node.status.node_info
    return (
        next((node.labels[label] for label in POOL_LABELS if label in node.labels), ""),
        node.instance_type or "",
        info.os_image,
        info.kernel_version,
        info.container_runtime_version,
        info.kubelet_version,
    )


def _by_zone(nodes_of_kind: Sequence[Node]) -> Iterator[Node]:
    """The nodes of one kind, the zones taking turns."""
    zones: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes_of_kind:
        zones[node.zone or ""].append(node)
    for round_ in zip_longest(*(zones[zone] for zone in sorted(zones))):
        yield from (node for node in round_ if node is not None)


def _visit_name(sandbox: Sandbox, number: int) -> str:
    return sandbox.name(f"node-{number}")


def _visit(sandbox: Sandbox, number: int, node: Node) -> Manifest:
    arguments = {"scratch": _SCRATCH, "clock_seconds": CLOCK_SECONDS}
    return agent_pod(sandbox, "node", arguments, name=_visit_name(sandbox, number), node=node.name)


def _shared_memory_pod(sandbox: Sandbox) -> Manifest:
    """A pod with a larger /dev/shm, as templates of TensorFlow and PyTorch ask for it."""
    in_memory = {"medium": "Memory", "sizeLimit": str(SHARED_MEMORY_BYTES)}
    shm = "/dev/shm"  # noqa: S108  the volume is mounted there
    return agent_pod(
        sandbox,
        "shared-memory",
        {"path": shm, "write_bytes": WRITTEN_BYTES},
        name=sandbox.name("shared-memory"),
        volumes=[{"name": _SHM_VOLUME, "emptyDir": in_memory}],
        mounts=[{"name": _SHM_VOLUME, "mountPath": shm}],
        container_more={"memory": "32Mi"},
    )


def _sorted_out(
    outcomes: Mapping[str, list[dict[str, Any]] | Trouble],
) -> tuple[dict[str, NodeObservation], dict[str, Cause]]:
    seen: dict[str, NodeObservation] = {}
    failed: dict[str, Cause] = {}
    for node, outcome in sorted(outcomes.items()):
        if isinstance(outcome, Trouble):
            failed[node] = cause_of(outcome)
        else:
            seen[node] = msgspec.convert(outcome[0], NodeObservation)
    return seen, failed


def _shared_memory(outcome: list[dict[str, Any]] | Trouble) -> Step:
    name = "shared-memory"
    asked = {"asked_bytes": SHARED_MEMORY_BYTES}
    if isinstance(outcome, Trouble):
        return Step(
            name=name, state=StepState.FAILED, seconds=outcome.seconds, cause=cause_of(outcome), detail={**asked}
        )
    return Step(name=name, state=StepState.OK, detail={**asked, **outcome[0]})
