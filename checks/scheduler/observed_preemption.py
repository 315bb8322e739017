"""Does a pod of higher priority get its place when nodes are full?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Subject, check, threshold
from auditor.facts.observations.scheduler import Preemption, SchedulerObservations

from ._observed import evidence, not_told, observed, said

_WHAT = "Whether a pod of higher priority gets its place on a full node"


class PreemptionParameters(Parameters, frozen=True, kw_only=True):
    """How long it may take."""

    max_preemption_seconds: Annotated[
        float,
        threshold(
            "Seconds within which a pod must have the node of a pod of lower priority that ends within 1 s.",
            source="No upstream number; the victim's time to end, and a new attempt of the scheduler, which comes "
            "10 s later at the most.",
            ge=0,
        ),
    ] = 30.0


@check(
    "scheduler.preemption",
    title="A pod of higher priority takes the place of one of lower priority",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(SchedulerObservations,),
)
def preemption(facts: Facts, params: PreemptionParameters) -> Iterator[Finding]:
    """A broker that comes back must get its place, though batch jobs have taken the room.

    ## What it checks
    On one node the probe lets a pod run that asks for 60 % of the CPU that is left, and creates another of the same
    size and a higher priority. The first must go, and the second get the node within `max_preemption_seconds`. Both
    priorities lie below those of all other pods, so that nobody else is pushed out.

    A failure is that it does not come about, a warning that it takes longer. Where nodes have no room to try it, or the
    account may not make PriorityClasses, it is unknown.

    ## Why it matters
    PriorityClasses are of use only where the scheduler acts on them. After the loss of a node, a broker or NameNode
    without a place is an outage, however many executors run.

    ## How to fix
    Look at the scheduler that places pods: kube-scheduler needs its DefaultPreemption plugin, other schedulers have
    switches and queues of their own.

    ## References
    - [Pod priority and preemption](https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/)
    - [Scheduler configuration: plugins](https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins)
    """
    document = observed(facts)
    found, step = document.preemption, document.step("preemption")
    if found is None:
        yield not_told(_WHAT, step)
        return
    cause = step.cause if step is not None else None
    if found.scheduled_seconds is None and found.victim_gone_seconds is not None:
        yield Finding.unknown(
            f"{_WHAT} cannot be told: the pod of lower priority on node {found.node} went, and others took its place.",
            subjects=_subjects(found),
            fix="Probe again at a quieter time.",
            evidence=_evidence(found),
        )
    elif found.scheduled_seconds is None:
        yield Finding.fail(
            f"A pod of higher priority did not get the place of one of lower priority on node {found.node} within "
            f"{step.seconds if step is not None else 0:.0f} s{': ' + said(cause) if cause else ''}.",
            subjects=_subjects(found),
            fix="Look at whether the scheduler's preemption is on.",
            command="kubectl get events --all-namespaces --field-selector reason=FailedScheduling",
            evidence={**_evidence(found), **(evidence(cause) if cause else {})},
        )
    elif found.scheduled_seconds > params.max_preemption_seconds:
        yield Finding.warn(
            f"A pod of higher priority got the place of one of lower priority on node {found.node} after "
            f"{found.scheduled_seconds:.0f} s, {params.max_preemption_seconds:g} s were expected.",
            subjects=_subjects(found),
            fix="Look at the scheduler's load, and at how long the node takes to end a pod.",
            evidence=_evidence(found),
        )
    else:
        yield Finding.ok(
            f"A pod of higher priority got the place of one of lower priority on node {found.node} after "
            f"{found.scheduled_seconds:.1f} s.",
            subjects=_subjects(found),
            evidence=_evidence(found),
        )


def _subjects(found: Preemption) -> list[Subject]:
    return [Subject(kind="Node", name=found.node)]


def _evidence(found: Preemption) -> dict[str, object]:
    return {
        "pod_millicores": found.pod_millicores,
        "victim_gone_seconds": found.victim_gone_seconds,
        "scheduled_seconds": found.scheduled_seconds,
        "started_seconds": found.started_seconds,
    }
