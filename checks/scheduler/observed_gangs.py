"""Two jobs at once for which there is not enough room: does one of them run?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Subject, Workload, check
from auditor.facts.observations.scheduler import Gangs, SchedulerObservations

from ._observed import not_told, observed

_WHAT = "Whether two jobs that do not both fit keep each other from running"
_INSTALL = "Install Kueue, Volcano or YuniKorn, and let Spark and training jobs name its queue or scheduler."
_LOOK = "Look at the scheduler that places gangs: its log, and whether its gang plugin is on."


@check(
    "scheduler.gangs-observed",
    title="Of two jobs that do not both fit, one runs and the other holds nothing",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(SchedulerObservations,),
    aliases=("SCH-002",),
)
def gangs_observed(facts: Facts) -> Iterator[Finding]:
    """Jobs whose pods are placed one by one can wait for each other for ever.

    ## What it checks
    On one node the probe creates two groups of 6 pods in turn. 10 of the 12 fit: each group asks for 60 % of the CPU
    that is left. Where gang scheduling is found that needs no queue of the site's (Kubernetes' own, Volcano, the
    Coscheduling plugin, YuniKorn), the groups are declared to it; else the pods are plain ones.

    - One group is whole and the other holds no node: good.
    - Both hold some, or one holds some without being whole: failure. Where nothing keeps pods together, that is how
      Kubernetes works. Where Kueue is found it says nothing of jobs in Kueue's queues, and the check does not apply.
    - Neither holds any although gang scheduling was found: failure; unknown where no scheduler looked at the pods.

    Nobody else's pods suffer: the probe's have a priority below all others, and give way to any other pod.

    ## Why it matters
    Ten Spark applications submitted at once got ten drivers and no executor. Two trainings on eight GPUs each wait with
    five and three, and both idle until somebody deletes one.

    ## How to fix
    Install a mechanism and let jobs use it; see `scheduler.gang-scheduling`. For Spark alone, a quota on drivers apart
    from executors (by PriorityClass) keeps some room for executors.

    ## References
    - [Gang scheduling](https://kubernetes.io/docs/concepts/scheduling-eviction/gang-scheduling/)
    - [Drivers take everything, executors wait](https://github.com/kubeflow/spark-operator/issues/594)
    - [Kueue: all-or-nothing with ready pods](https://kueue.sigs.k8s.io/docs/tasks/manage/setup_wait_for_pods_ready/)
    - [Quota by PriorityClass](https://kubernetes.io/docs/concepts/policy/resource-quotas/#resource-quota-per-priorityclass)
    """
    document = observed(facts)
    gangs = document.gangs
    if gangs is None:
        yield not_told(_WHAT, document.step("gangs"))
        return
    first, second = sorted(gangs.placed, reverse=True)
    if second == gangs.size:
        yield _inconclusive(gangs, "both groups fitted, something else must have ended meanwhile")
    elif first == gangs.size and second == 0:
        yield _good(gangs)
    elif first == 0:
        yield _none(gangs)
    elif not gangs.mechanism and gangs.queues:
        yield Finding.skip(
            f"Kueue admits jobs as a whole, which was not tried: it needs a queue of the site's. Pods outside of its "
            f"queues got {_counts(gangs)}.",
            evidence=_evidence(gangs),
        )
    else:
        yield _torn(gangs)


def _good(gangs: Gangs) -> Finding:
    known = f"With {gangs.mechanism} one"
    who = known if gangs.mechanism else "Nothing is known that keeps pods together, yet one"
    then = (
        f" When the first was removed, the other had all of its nodes after {gangs.second_seconds:.0f} s."
        if gangs.second_seconds is not None
        else ""
    )
    return Finding.ok(
        f"{who} of two groups of {gangs.size} pods that did not both fit got all of its nodes, the other held none."
        f"{then}",
        subjects=_subjects(gangs),
        evidence=_evidence(gangs),
    )


def _torn(gangs: Gangs) -> Finding:
    who = (
        f"{gangs.mechanism} was to keep them together"
        if gangs.mechanism
        else "nothing keeps the pods of a job together"
    )
    waits = "each holds what the other waits for" if all(gangs.placed) else "it holds them and cannot begin"
    if max(gangs.placed) == gangs.size:
        waits = "one runs, and the other holds nodes without being able to begin"
    return Finding.fail(
        f"Of two groups of {gangs.size} pods that did not both fit, {_counts(gangs)} got a node and kept it for "
        f"{gangs.seconds:.0f} s; all of one and none of the other were expected. {who[0].upper()}{who[1:]}: {waits}.",
        subjects=_subjects(gangs),
        fix=_LOOK if gangs.mechanism else _INSTALL,
        evidence=_evidence(gangs),
    )


def _none(gangs: Gangs) -> Finding:
    if not gangs.mechanism or gangs.unseen == 2 * gangs.size:
        why = (
            "no scheduler looked at the pods"
            if gangs.unseen
            else f"no pod of either group got a node: {_one_line(gangs.said) or 'no reason is given'}"
        )
        return _inconclusive(gangs, why)
    return Finding.fail(
        f"With {gangs.mechanism} neither of two groups of {gangs.size} pods got a node within {gangs.seconds:.0f} s, "
        "though each alone would fit: all of one was expected.",
        subjects=_subjects(gangs),
        fix=_LOOK,
        evidence=_evidence(gangs),
    )


def _inconclusive(gangs: Gangs, why: str) -> Finding:
    mechanism = f" with {gangs.mechanism}" if gangs.mechanism else ""
    return Finding.unknown(
        f"{_WHAT}{mechanism} cannot be told: {why}.",
        subjects=_subjects(gangs),
        fix="Probe again, at a quieter time or with the scheduler that places gangs running.",
        evidence=_evidence(gangs),
    )


def _counts(gangs: Gangs) -> str:
    return f"{gangs.placed[0]} of the one and {gangs.placed[1]} of the other"


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("{", "(").replace("}", ")")


def _subjects(gangs: Gangs) -> list[Subject]:
    return [Subject(kind="Node", name=gangs.node)]


def _evidence(gangs: Gangs) -> dict[str, object]:
    return {
        "mechanism": gangs.mechanism,
        "free_millicores": gangs.free_millicores,
        "pod_millicores": gangs.pod_millicores,
        "placed": list(gangs.placed),
        "seconds": round(gangs.seconds, 1),
        "scheduler_says": gangs.said,
    }
