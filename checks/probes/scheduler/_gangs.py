"""Two jobs at once for which there is not enough room: does one run, or does each hold what the other needs?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Pod
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.scheduler import Gangs
from auditor.sandbox import Sandbox

from ._mechanisms import Declared, Gang, Mechanism, mechanism_of
from ._pods import GROUP, create_all, remove_all, sleeper
from ._room import Room

GANGS = "gangs"
SIZE = 6
ROOM_FOR = 10
"""Pods that fit at one time: a gang takes 60 % of it."""

LEAST_MILLICORES = 10
"""Of each pod; with less a few helpers of the system coming and going would decide."""

_GANG = "cluster-readiness-auditor/gang"
_SECONDS = 60.0
_UNCHANGED_SECONDS = 10.0
_SECOND_SECONDS = 30.0
_NAMES = ("gang-a", "gang-b")


@dataclass(frozen=True, slots=True)
class State:
    """Where the pods of both gangs are.

    Attributes:
        placed: pods with a node, of each gang.
        unseen: pods without a node at which no scheduler has looked.
        said: what the scheduler says of one without a node.
    """

    placed: tuple[int, int]
    unseen: int
    said: str = ""


def roomiest(room: Mapping[str, Room]) -> str | None:
    """The node with the most CPU left, of those with places for all pods of both gangs."""
    fitting = {name: left.millicores for name, left in room.items() if left.pods > 2 * SIZE}
    return max(sorted(fitting), key=lambda name: fitting[name], default=None)


def no_room(name: str) -> Step:
    """The step that cannot be done, because all nodes are full."""
    message = f"no node has {ROOM_FOR * LEAST_MILLICORES}m of CPU and {2 * SIZE} places for pods left"
    return Step(name=name, state=StepState.NOT_DONE, cause=Cause(reason="NoRoom", message=message))


def gang_pods(sandbox: Sandbox, node: str, millicores: int, low: str, declared: Sequence[Declared]) -> list[Manifest]:
    """The pods of both gangs in turn, as two jobs that are submitted together make them."""
    return [
        sleeper(
            sandbox,
            f"{gang}-{number}",
            GANGS,
            [node],
            millicores=millicores,
            priority_class=low,
            labels={_GANG: gang, **each.labels},
            annotations=each.annotations,
            **each.spec,
        )
        for number in range(SIZE)
        for gang, each in zip(_NAMES, declared, strict=True)
    ]


def gangs(sandbox: Sandbox, room: Mapping[str, Room], low: str) -> tuple[Gangs | None, Step]:
    """Create both in turn on one node and see who gets there."""
    node = roomiest(room)
    millicores = room[node].millicores // ROOM_FOR if node is not None else 0
    if node is None or millicores < LEAST_MILLICORES:
        return None, no_room(GANGS)
    mechanism = mechanism_of(sandbox)
    declared = [
        mechanism.declare(Gang(name=sandbox.name(name), size=SIZE, millicores=millicores, priority_class=low))
        for name in _NAMES
    ]
    manifests = gang_pods(sandbox, node, millicores, low, declared)
    started = time.monotonic()
    try:
        for each in declared:
            for api, version, manifest in each.objects:
                sandbox.create(manifest, api=api, version=version)
        created = create_all(sandbox, manifests, at_once=1)
        if created.refused:
            cause = next(iter(created.refused.values()))
            return None, Step(name=GANGS, state=StepState.NOT_DONE, cause=cause)
        state = _settled(sandbox)
        seconds = time.monotonic() - started
        second = _second(sandbox, state)
    finally:
        remove_all(sandbox, [manifest["metadata"]["name"] for manifest in manifests], group=GANGS)
        _forget(sandbox, declared)
    found = _found(mechanism, node, room[node].millicores, millicores, state, seconds=seconds, second=second)
    return found, Step(name=GANGS, state=StepState.OK, seconds=time.monotonic() - started)


def _found(
    mechanism: Mechanism,
    node: str,
    free: int,
    millicores: int,
    state: State,
    *,
    seconds: float,
    second: float | None,
) -> Gangs:
    return Gangs(
        mechanism=mechanism.name,
        queues=mechanism.queues,
        node=node,
        free_millicores=free,
        pod_millicores=millicores,
        size=SIZE,
        placed=state.placed,
        unseen=state.unseen,
        seconds=seconds,
        second_seconds=second,
        said=state.said,
    )


def _settled(sandbox: Sandbox) -> State:
    """The state that has not changed for a while: at once where a gang is whole, else at the very end."""
    deadline, changed = time.monotonic() + _SECONDS, time.monotonic()
    state = _state(sandbox)
    while time.monotonic() < deadline:
        sandbox.pause(0.5)
        now = _state(sandbox)
        if now.placed != state.placed:
            changed = time.monotonic()
        state = now
        if _is_decided(state) and time.monotonic() - changed > _UNCHANGED_SECONDS:
            break
    return state


def _is_decided(state: State) -> bool:
    """Whether waiting longer would change nothing, for all that is known: one is whole, or all were looked at."""
    return sorted(state.placed) == [0, SIZE] or (any(state.placed) and state.unseen == 0)


def _second(sandbox: Sandbox, state: State) -> float | None:
    """Remove the gang that is whole, and see how soon the other is."""
    if sorted(state.placed) != [0, SIZE]:
        return None
    whole = 0 if state.placed[0] else 1
    listed = sandbox.list(Pod.api.kind, labels=f"{GROUP}={GANGS},{_GANG}={_NAMES[whole]}")
    for pod in listed:
        sandbox.delete(Pod.api.kind, pod["metadata"]["name"], grace_seconds=1)
    started = time.monotonic()
    while time.monotonic() - started < _SECOND_SECONDS:
        if _state(sandbox).placed[1 - whole] == SIZE:
            return time.monotonic() - started
        sandbox.pause(0.5)
    return None


def _state(sandbox: Sandbox) -> State:
    placed, unseen, said = [0, 0], 0, ""
    for pod in sandbox.list(Pod.api.kind, labels=f"{GROUP}={GANGS}"):
        labels = pod["metadata"].get("labels", {})
        if labels.get(_GANG) not in _NAMES or "deletionTimestamp" in pod["metadata"]:
            continue
        if pod["spec"].get("nodeName"):
            placed[_NAMES.index(labels[_GANG])] += 1
            continue
        conditions = [c for c in pod.get("status", {}).get("conditions", ()) if c["type"] == "PodScheduled"]
        unseen += 0 if conditions else 1
        said = said or next((c.get("message", "") for c in conditions), "")
    return State((placed[0], placed[1]), unseen, said)


def _forget(sandbox: Sandbox, declared: Sequence[Declared]) -> None:
    """Remove what declared the gangs; what cannot be removed goes with the sandbox."""
    for each in declared:
        for api, version, manifest in each.objects:
            try:
                sandbox.objects.delete(api, manifest["metadata"]["name"], namespace=sandbox.namespace, version=version)
            except ObjectError:
                continue
