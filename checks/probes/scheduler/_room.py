"""How much is free on nodes, and priorities under which only the probe's own pods lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import msgspec

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Node, Pod
from auditor.facts.kube.scheduling import PriorityClass
from auditor.facts.requests import allocatable, load_of_nodes
from auditor.sandbox import Sandbox, Trouble, TroubleError
from auditor.sandbox.kinds import PRIORITY_CLASS

HIGHEST_OWN_VALUE = -1_000
"""Below the -10 from which on cluster-autoscaler adds nodes for waiting pods."""

_LOWEST_VALUE = -(2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left of a node: CPU in millicores, and places for pods."""

    millicores: int
    pods: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Priorities:
    """Names of the probe's own classes: pods of ``high`` may push out those of ``low``, and those only."""

    low: str
    high: str


def room_of(sandbox: Sandbox, nodes: Sequence[Node]) -> dict[str, Room]:
    """What is left of nodes, by name.

    Raises:
        ObjectError: pods may not be listed in all namespaces.
    """
    return {node.name: _room(sandbox, node) for node in nodes}


def _room(sandbox: Sandbox, node: Node) -> Room:
    listed = sandbox.objects.list(Pod.api, fields=f"spec.nodeName={node.name}")
    loads = load_of_nodes(msgspec.convert(found, Pod) for found in listed)
    left = allocatable(node)
    if node.name in loads:
        left -= loads[node.name].requested
    return Room(millicores=left.cpu_millicores, pods=left.pods)


def class_manifests(sandbox: Sandbox, high_value: int = HIGHEST_OWN_VALUE) -> tuple[Manifest, Manifest]:
    """The lower class, whose pods never push out anybody, and the higher one."""
    low, high = (
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": PRIORITY_CLASS.kind,
            "metadata": {"name": sandbox.name(f"auditor-{name}")},
            "value": value,
            "globalDefault": False,
            "preemptionPolicy": policy,
            "description": "Of the probe of the scheduler; below all other classes.",
        }
        for name, value, policy in (
            ("low", high_value - 1, "Never"),
            ("high", high_value, "PreemptLowerPriority"),
        )
    )
    return low, high


def own_value(taken: Sequence[int]) -> int:
    """The value of the higher class: with the next one below it, less than every value that is taken.

    Raises:
        TroubleError: there is no room below them.
    """
    value = min(HIGHEST_OWN_VALUE, min(taken, default=0) - 1)
    if value - 1 < _LOWEST_VALUE:
        raise TroubleError(
            Trouble(
                reason="PriorityClass",
                message=f"a PriorityClass has the value {min(taken)}: none can be made below it that harms nobody",
            )
        )
    return value


@contextmanager
def priorities(sandbox: Sandbox) -> Iterator[Priorities]:
    """Two classes below all that there are, so that nobody else's pod can be pushed out; removed at the end.

    Raises:
        ObjectError: classes may not be listed or made.
        TroubleError: there is no room below those that are there.
    """
    taken = [msgspec.convert(found, PriorityClass).value for found in sandbox.objects.list(PRIORITY_CLASS)]
    made: list[str] = []
    try:
        for manifest in class_manifests(sandbox, own_value(taken)):
            sandbox.create(manifest)
            made.append(manifest["metadata"]["name"])
        yield Priorities(low=made[0], high=made[1])
    finally:
        for name in made:
            with suppress(ObjectError):  # it goes with the run
                sandbox.delete(PRIORITY_CLASS.kind, name)
