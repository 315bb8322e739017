"""The scheduler at work: a burst of pods, spreading, two gangs that do not both fit, preemption."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import ObjectError
from auditor.facts.kube import Node
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.scheduler import Burst, Gangs, Preemption, Pull, SchedulerObservations, Spread
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.causes import cause_of
from auditor.sandbox.scope import Scope

from ._burst import BURST, WARM_UP, burst, burst_pods, burst_size, warm_up, warm_up_pods
from ._gangs import GANGS, LEAST_MILLICORES, SIZE, gang_pods, gangs
from ._mechanisms import Declared
from ._pods import chosen_nodes
from ._preemption import PREEMPTION, preemption, preemption_pods
from ._room import Priorities, Room, class_manifests, priorities, room_of
from ._spread import SPREAD, spread, spread_pods

__all__ = ["plan", "scheduler"]

_SECONDS = 45.0
_SECONDS_PER_POD = 0.3

_SCHEDULING = "scheduling.k8s.io"
_OTHER_GROUPS = ("scheduling.volcano.sh", "scheduling.x-k8s.io")


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """A pod per chosen node, then the burst, then a dozen pods at most."""
    nodes = chosen_nodes(sandbox, scope)
    names = [node.name for node in nodes]
    if not nodes:
        return ProbePlan(objects=(), notes=("No node takes the probe's pods: nothing is tried.",))
    count = burst_size(sandbox, scope, names)
    low, high = class_manifests(sandbox)
    classes = Priorities(low=low["metadata"]["name"], high=high["metadata"]["name"])
    gang = gang_pods(sandbox, names[0], LEAST_MILLICORES, classes.low, [Declared(), Declared()])
    _, spreading = spread_pods(sandbox, nodes)
    crowds = [warm_up_pods(sandbox, names), burst_pods(sandbox, names, count), spreading, gang]
    pair = preemption_pods(sandbox, names[0], SIZE * LEAST_MILLICORES, classes)
    return ProbePlan(
        objects=(
            *(Planned(manifest=crowd[0], count=len(crowd)) for crowd in crowds if crowd),
            *(Planned(manifest=each) for each in (*pair, low, high)),
        ),
        pods_at_once=min(max(len(crowd) for crowd in crowds), sandbox.settings.pods_at_once),
        seconds=_SECONDS + count * _SECONDS_PER_POD,
        notes=(
            "The pods of the last two experiments ask for CPU that one node has left, for a minute or two. "
            "Their priority is below all others: any other pod that needs the room pushes them out.",
            "Where gang scheduling is found, a Workload or PodGroup is made for each of two groups of pods.",
        ),
    )


@probe(
    "scheduler",
    title="How fast pods start, and whether spreading, gangs and preemption work",
    yields=SchedulerObservations,
    needs=(
        *rights("create get list watch delete", "pods"),
        *rights("list", "events", optional=True),
        *rights("list", "pods", cluster_wide=True, optional=True),
        *rights("list", "deployments", group="apps", cluster_wide=True, optional=True),
        *rights("create delete list", "priorityclasses", group=_SCHEDULING, cluster_wide=True, optional=True),
        *rights("create delete", "workloads", "podgroups", group=_SCHEDULING, optional=True),
        *(
            right
            for group in _OTHER_GROUPS
            for right in rights("create delete", "podgroups", group=group, optional=True)
        ),
    ),
    plan=plan,
)
def scheduler(sandbox: Sandbox, scope: Scope) -> SchedulerObservations:
    """Bring the image to some nodes, then one experiment after the other; what one cannot do does not stop the next."""
    started_at, started = datetime.now(UTC), time.monotonic()
    nodes = chosen_nodes(sandbox, scope)
    work = _Work(sandbox, scope, nodes)
    work.run()
    return SchedulerObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - started,
        nodes=tuple(node.name for node in nodes),
        steps=tuple(work.steps),
        pulls=work.pulls,
        burst=work.burst,
        spread=work.spread,
        gangs=work.gangs,
        preemption=work.preemption,
    )


class _Work:
    """The experiments of one run, and what came of them."""

    def __init__(self, sandbox: Sandbox, scope: Scope, nodes: Sequence[Node]) -> None:
        self._sandbox = sandbox
        self._scope = scope
        self._nodes = nodes
        self.steps: list[Step] = []
        self.pulls: dict[str, Pull] = {}
        self.burst: Burst | None = None
        self.spread: Spread | None = None
        self.gangs: Gangs | None = None
        self.preemption: Preemption | None = None

    def run(self) -> None:
        """All of them."""
        names = [node.name for node in self._nodes]
        if not names:
            cause = Cause(reason="NoNodes", message="no node takes the probe's pods")
            self._not_done(WARM_UP, BURST, SPREAD, GANGS, PREEMPTION, cause=cause)
            return
        warm, self.pulls, step = warm_up(self._sandbox, names)
        self.steps.append(step)
        if not warm:
            why = step.cause or Cause(reason="Timeout", message="no pod started in time")
            self._not_done(BURST, SPREAD, GANGS, PREEMPTION, cause=why)
            return
        nodes = [node for node in self._nodes if node.name in warm]
        room = self._room(nodes)
        self._burst(warm, room if isinstance(room, dict) else None)
        self.spread, step = spread(self._sandbox, nodes)
        self.steps.append(step)
        if isinstance(room, Cause):
            self._not_done(GANGS, PREEMPTION, cause=room)
        else:
            self._by_priority(nodes)

    def _room(self, nodes: Sequence[Node]) -> dict[str, Room] | Cause:
        try:
            return room_of(self._sandbox, nodes)
        except ObjectError as error:
            return cause_of(error)
        except ValueError as error:
            return Cause(reason="Quantity", message=f"what is left of the nodes cannot be told: {error}")

    def _burst(self, names: Sequence[str], room: Mapping[str, Room] | None) -> None:
        count = burst_size(self._sandbox, self._scope, names, room)
        if count == 0:
            self._not_done(BURST, cause=Cause(reason="NoRoom", message="the nodes take no further pods"))
            return
        self.burst, step = burst(self._sandbox, names, count)
        self.steps.append(step)

    def _by_priority(self, nodes: Sequence[Node]) -> None:
        """The experiments that fill a node, and therefore need priorities that harm nobody."""
        done = len(self.steps)
        try:
            with priorities(self._sandbox) as classes:
                self.preemption, step = preemption(self._sandbox, room_of(self._sandbox, nodes), classes)
                self.steps.append(step)
                self.gangs, step = gangs(self._sandbox, room_of(self._sandbox, nodes), classes.low)
                self.steps.append(step)
        except (ObjectError, TroubleError) as error:
            missing = (PREEMPTION, GANGS)[len(self.steps) - done :]
            self._not_done(*missing, cause=cause_of(error))

    def _not_done(self, *names: str, cause: Cause) -> None:
        self.steps += [Step(name=name, state=StepState.NOT_DONE, cause=cause) for name in names]
