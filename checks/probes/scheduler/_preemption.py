"""A pod of higher priority takes the place of one of lower priority; both are the probe's own."""

from __future__ import annotations

import time
from collections.abc import Mapping

from auditor.cluster import Manifest
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.scheduler import Preemption
from auditor.sandbox import Sandbox

from ._gangs import LEAST_MILLICORES, ROOM_FOR, no_room, roomiest
from ._pods import Watch, create_all, remove_all, sleeper, why_not
from ._room import Priorities, Room

PREEMPTION = "preemption"

_SHARE = 0.6
"""Of what is left of a node: two such pods do not fit."""
_FIRST_SECONDS = 30.0
_SECONDS = 60.0


def preemption_pods(sandbox: Sandbox, node: str, millicores: int, classes: Priorities) -> tuple[Manifest, Manifest]:
    """The victim and the one that takes its place."""
    victim, taker = (
        sleeper(sandbox, f"preemption-{name}", PREEMPTION, [node], millicores=millicores, priority_class=cls)
        for name, cls in (("low", classes.low), ("high", classes.high))
    )
    return victim, taker


def preemption(sandbox: Sandbox, room: Mapping[str, Room], classes: Priorities) -> tuple[Preemption | None, Step]:
    """Let one pod run, then create the other."""
    node = roomiest(room)
    millicores = int(room[node].millicores * _SHARE) if node is not None else 0
    if node is None or millicores < ROOM_FOR * LEAST_MILLICORES * _SHARE:
        return None, no_room(PREEMPTION)
    victim, taker = preemption_pods(sandbox, node, millicores, classes)
    names = [each["metadata"]["name"] for each in (victim, taker)]
    started = time.monotonic()
    try:
        with Watch(sandbox, PREEMPTION, _FIRST_SECONDS + _SECONDS + 10) as watch:
            if cause := _start(sandbox, watch, victim):
                return None, Step(name=PREEMPTION, state=StepState.NOT_DONE, cause=cause)
            created = create_all(sandbox, [taker])
            if created.refused:
                return None, Step(name=PREEMPTION, state=StepState.NOT_DONE, cause=created.refused[names[1]])
            watch.wait([names[1]], lambda life: life.started, seconds=_SECONDS)
            low, high = (watch.life(name) for name in names)
        asked = created.at[names[1]]
        cause = None if high.started else why_not(sandbox, names[1], time.monotonic() - asked)
    finally:
        remove_all(sandbox, names, group=PREEMPTION)
    found = Preemption(
        node=node,
        pod_millicores=millicores,
        victim_gone_seconds=_after(asked, low.gone),
        scheduled_seconds=_after(asked, high.scheduled),
        started_seconds=_after(asked, high.started),
    )
    state = StepState.FAILED if cause else StepState.OK
    return found, Step(name=PREEMPTION, state=state, seconds=time.monotonic() - started, cause=cause)


def _start(sandbox: Sandbox, watch: Watch, victim: Manifest) -> Cause | None:
    """Let the victim run; why it does not."""
    name = victim["metadata"]["name"]
    created = create_all(sandbox, [victim])
    if created.refused:
        return created.refused[name]
    if watch.wait([name], lambda life: life.started, seconds=_FIRST_SECONDS):
        return None
    return why_not(sandbox, name, _FIRST_SECONDS)


def _after(asked: float, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, moment - asked)
