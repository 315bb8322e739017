"""Does a drain take one replica at a time?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check
from auditor.facts.observations import StepState
from auditor.facts.observations.stateful import DRAIN, REFUSAL, START, StatefulObservations

from .._wording import counted
from ._observed import is_done, not_started, not_tried, observed, of_step, said, told


@check(
    "stateful.budgeted-drains",
    title="A drain evicts replicas, and never more at once than their disruption budget allows",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulObservations,),
)
def budgeted_drains(facts: Facts) -> Iterator[Finding]:
    """Evictions move replicas off a node one after another, and the disruption budget holds the second one back.

    ## What it checks
    The probe's StatefulSet has a PodDisruptionBudget with `maxUnavailable: 1`. The probe evicts its own pods of one
    node through the eviction API, as `kubectl drain` does, and asks at once for the eviction of another replica: that
    must be refused with 429 as long as the first is not back. No node is cordoned, and no other pod is touched.

    ## Why it matters
    Upgrades of nodes, autoscalers and administrators drain nodes, several at a time. The budget is all that keeps them
    from taking two brokers of a partition or two of three JournalNodes.

    ## How to fix
    Where the second eviction was admitted, look at the budget's status, which the disruption controller of the
    controller manager keeps:

        kubectl get poddisruptionbudgets --all-namespaces

    Where the first was refused, look at what the finding quotes: a webhook that guards evictions, for example.

    ## References
    - [Disruptions](https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)
    - [API-initiated eviction](https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/)
    - [Safely drain a node](https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/)
    """
    document = observed(facts)
    if not is_done(document.step(START)):
        yield from not_started(document, "Whether drains keep to disruption budgets")
        return
    yield from _refusal(document)
    step = document.step(DRAIN)
    if step is None or step.state is StepState.NOT_DONE:
        yield not_tried(step, "Whether replicas can be evicted")
    elif not is_done(step):
        yield Finding.fail(
            f"A drain of a replica's node did not come to its end: {said(step)}.",
            fix="Remove the cause that the cluster names; drains of data systems meet it too.",
            evidence=told(step),
        )
    elif is_done(document.step(REFUSAL)):
        evicted = of_step(document, DRAIN)
        longest = max((each.ready_seconds or 0.0 for each in evicted), default=0.0)
        yield Finding.ok(
            f"{counted(len(evicted), 'replica')} of one node could be evicted and came back after {longest:.0f} s at "
            "most; the eviction of another one meanwhile was refused, as the disruption budget asks."
        )


def _refusal(document: StatefulObservations) -> Iterator[Finding]:
    refusal = document.step(REFUSAL)
    if refusal is not None and refusal.state is StepState.FAILED:
        yield Finding.fail(
            "A second replica could be evicted while the first one was not back, although the disruption budget allows "
            "one at a time.",
            fix="Look at the controller manager, whose disruption controller keeps the budget's status.",
            command="kubectl get poddisruptionbudgets --all-namespaces",
            evidence=told(refusal),
        )
    elif not is_done(refusal) and is_done(document.step(DRAIN)):
        yield not_tried(refusal, "Whether a disruption budget holds a second eviction back")
