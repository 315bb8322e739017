"""Are pods spread when they must be?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Subject, Workload, check
from auditor.facts.observations.scheduler import SchedulerObservations, Spread

from .._wording import counted, listed
from ._observed import evidence, not_told, observed, said

_WHAT = "Whether pods are spread over zones or nodes"


@check(
    "scheduler.spread-observed",
    title="Pods that must be spread over zones or nodes are",
    severity=Severity.HIGH,
    workloads={Workload.KAFKA: Severity.HIGH, Workload.HDFS: Severity.HIGH, Workload.DATA_FABRIC: Severity.MEDIUM},
    reads=(SchedulerObservations,),
)
def spread_observed(facts: Facts) -> Iterator[Finding]:
    """Replicas are worth nothing when they fail together.

    ## What it checks
    The probe creates two pods per zone that would all rather be in one, with a topology spread constraint that
    forbids it (`maxSkew` 1, `DoNotSchedule`). Where its nodes lie in one zone only, or carry no zone, it spreads them
    over nodes. Every zone has as many pods as any other, give or take one. Nodes without the label get none, which is
    how the constraint is meant; they are named.

    Where the pods did not all get a node, for instance because a zone is full, the finding says what the scheduler
    says.

    ## Why it matters
    Operators for Kafka and HDFS rely on these constraints. Where a scheduler other than kube-scheduler ignores them, or
    a mutating webhook takes them away, three brokers with all replicas of a partition share one machine or one zone.

    ## How to fix
    Look at which scheduler places pods (`spec.schedulerName`) and whether its PodTopologySpread plugin is on; look for
    webhooks that change pods. Give every node its zone's label.

    ## References
    - [Topology spread constraints](https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/)
    - [Strimzi: topology spread](https://strimzi.io/docs/operators/latest/deploying#assembly-scheduling-str)
    """
    document = observed(facts)
    found, step = document.spread, document.step("spread")
    if found is None:
        if step is not None and step.cause is not None and step.cause.reason == "OnePlace":
            yield Finding.skip("The probe's pods could run on one node only: there is nothing to spread them over.")
        else:
            yield not_told(_WHAT, step)
        return
    placed = sum(found.placed.values()) + found.elsewhere
    if found.elsewhere or (found.placed and _skew(found) > found.max_skew and placed == found.pods):
        yield _uneven(found)
    elif placed < found.pods:
        cause = step.cause if step is not None else None
        yield Finding.unknown(
            f"{_WHAT} cannot be told: {found.pods - placed} of {counted(found.pods, 'pod')} got no node"
            f"{': ' + said(cause) if cause else ''}.",
            fix="Make room where the scheduler says there is none, and probe again.",
            evidence={**_evidence(found), **(evidence(cause) if cause else {})},
        )
    else:
        without = f"; {_unlabelled(found)} not have the label and got none" if found.unlabelled else ""
        yield Finding.ok(
            f"{counted(found.pods, 'pod')} that had to be spread were, by {found.topology_key}: {_counts(found)}"
            f"{without}.",
            evidence=_evidence(found),
        )


def _skew(found: Spread) -> int:
    return max(found.placed.values()) - min(found.placed.values())


def _uneven(found: Spread) -> Finding:
    lost = f", and {found.elsewhere} on nodes without the label" if found.elsewhere else ""
    return Finding.fail(
        f"{counted(found.pods, 'pod')} that had to be spread by {found.topology_key} were put unevenly: "
        f"{_counts(found)}{lost}; a difference of {found.max_skew} at most was expected.",
        subjects=[Subject(kind="Node", name=name) for name in found.unlabelled] if found.elsewhere else (),
        fix="Look at which scheduler placed them, and for webhooks that change pods.",
        command="kubectl get mutatingwebhookconfigurations",
        evidence=_evidence(found),
    )


def _unlabelled(found: Spread) -> str:
    names = listed(list(found.unlabelled))
    return f"{counted(len(found.unlabelled), 'node')} ({names}) {'does' if len(found.unlabelled) == 1 else 'do'}"


def _counts(found: Spread) -> str:
    return ", ".join(f"{place} {count}" for place, count in sorted(found.placed.items()))


def _evidence(found: Spread) -> dict[str, object]:
    return {"placed": dict(found.placed), "unlabelled": list(found.unlabelled[:10])}
