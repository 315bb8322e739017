"""Can nodes be drained of the pods that keep data?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import cast

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, Status, Subject, check
from auditor.facts.kube.admission import ValidatingWebhookConfiguration
from auditor.facts.observations.admission import AdmissionObservations, Eviction

from .._wording import counted, listed

_STRIMZI = "StrimziPodSet"
_DRAIN_CLEANER = "drain-cleaner"
_EVICTIONS = "pods/eviction"

_ALLOW_ONE = "Let the budget allow one pod to go at a time: maxUnavailable 1."


@check(
    "resilience.evictions",
    title="Each pod that keeps data can be evicted while the others are well",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(AdmissionObservations, ValidatingWebhookConfiguration),
    aliases=("RES-003",),
)
def evictions(facts: Facts) -> Iterator[Finding]:
    """A pod that can never be evicted stops every upgrade of nodes, or is killed by force in the end.

    ## What it checks
    The probe asks for the eviction of running pods of StatefulSets and StrimziPodSets, one at a time and with
    `dryRun=All`: nothing is evicted.

    - A disruption budget that refuses although all pods are healthy refuses for ever: failure.
    - One that refuses while a pod is missing does what it is for; until that pod is back, drains wait: warning.
    - A pod with two budgets cannot be evicted at all: failure.
    - Pods of Strimzi are left out where its Drain Cleaner is there, which refuses evictions and lets the operator
      restart the pod elsewhere.

    Other refusals, such as those of webhooks, are unknown: what they mean only their owner can tell.

    ## Why it matters
    Managed services wait for a drain for an hour (GKE), half of one (AKS) or fifteen minutes (EKS), then kill the pod
    anyway or give the upgrade up. Security patches of nodes stay undone because one budget of a test cluster says
    `maxUnavailable: 0`.

    ## How to fix
    Let budgets allow one pod to be away (`maxUnavailable: 1`), run as many replicas as that needs, and give each pod
    one budget only:

        kubectl get poddisruptionbudgets --all-namespaces

    ## References
    - [API-initiated eviction](https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/)
    - [Disruption budgets](https://kubernetes.io/docs/tasks/run-application/configure-pdb/)
    - [Strimzi Drain Cleaner](https://github.com/strimzi/drain-cleaner)
    """
    document = cast("AdmissionObservations", facts.document(AdmissionObservations))
    if document.eviction.cause is not None:
        yield _not_told(document)
        return
    if not document.evictions:
        yield Finding.skip("No pod of a StatefulSet or StrimziPodSet runs: there is nothing to evict.")
        return
    refused = [each for each in document.evictions if not each.is_accepted]
    own_way = [each for each in refused if each.owner_kind == _STRIMZI]
    yield from _judge([each for each in refused if each not in own_way])
    accepted = len(document.evictions) - len(refused)
    if accepted:
        yield Finding.ok(f"{counted(accepted, 'pod')} that {'keeps' if accepted == 1 else 'keep'} data can be evicted.")
    if own_way:
        yield from _judge_strimzi(facts, own_way)


def _judge_strimzi(facts: Facts, refused: Sequence[Eviction]) -> Iterator[Finding]:
    if not any(_is_drain_cleaner(each) for each in facts.list(ValidatingWebhookConfiguration)):
        yield from _judge(refused)
        return
    yield Finding.ok(
        f"{counted(len(refused), 'pod')} of Strimzi ({_names(refused)}) cannot be evicted, which is meant so: its "
        "Drain Cleaner lets the operator move them.",
        subjects=_subjects(refused),
    )


def _is_drain_cleaner(configuration: ValidatingWebhookConfiguration) -> bool:
    return _DRAIN_CLEANER in configuration.name and any(
        _EVICTIONS in (rule.resources or ()) for hook in configuration.webhooks or () for rule in hook.rules or ()
    )


def _judge(refused: Sequence[Eviction]) -> Iterator[Finding]:
    by_budget: defaultdict[tuple[str, str], list[Eviction]] = defaultdict(list)
    rest: defaultdict[str, list[Eviction]] = defaultdict(list)
    double: list[Eviction] = []
    for each in refused:
        if each.budget:
            by_budget[each.namespace, each.budget].append(each)
        elif "more than one PodDisruptionBudget" in each.message:
            double.append(each)
        else:
            rest[" ".join(each.message.split()).rstrip(".").replace("{", "(").replace("}", ")")].append(each)
    never = {key: pods for key, pods in by_budget.items() if all(map(_is_for_ever, pods))}
    yield from _by_budget(never, Status.FAIL)
    if double:
        yield Finding.fail(
            f"{counted(len(double), 'pod')} ({_names(double)}) cannot be evicted, having more than one disruption "
            "budget; one at most was expected.",
            subjects=_subjects(double),
            fix="Delete or narrow all but one of the budgets that select these pods.",
            command=f"kubectl --namespace {double[0].namespace} get poddisruptionbudgets",
        )
    yield from _by_budget({key: pods for key, pods in by_budget.items() if key not in never}, Status.WARN)
    for message, pods in sorted(rest.items()):
        yield Finding.unknown(
            f"Whether {counted(len(pods), 'pod')} ({_names(pods)}) can be evicted cannot be told: {message} (HTTP "
            f"{pods[0].status}).",
            subjects=_subjects(pods),
            fix="Ask the owner of what refuses what it does when a node is drained.",
        )


def _is_for_ever(pod: Eviction) -> bool:
    """Whether a budget refuses although nothing is missing."""
    return pod.healthy_pods >= max(pod.owner_pods, pod.needed_pods)


def _by_budget(budgets: dict[tuple[str, str], list[Eviction]], status: Status) -> Iterator[Finding]:
    if not budgets:
        return
    pods = [pod for group in budgets.values() for pod in group]
    names = listed([f"{namespace}/{name}" for namespace, name in sorted(budgets)])
    one = len(budgets) == 1
    if status is Status.FAIL:
        text = (
            f"{'Disruption budget' if one else 'Disruption budgets'} {names} {'refuses' if one else 'refuse'} every "
            f"eviction though all pods are healthy ({_needs(pods)}): drains of the nodes of "
            f"{counted(len(pods), 'pod')} ({_names(pods)}) never end."
        )
    else:
        text = (
            f"{'Disruption budget' if one else 'Disruption budgets'} {names} {'refuses' if one else 'refuse'} "
            f"evictions as long as a pod is missing ({_needs(pods)}); all were expected to be healthy."
        )
    yield Finding.of(
        status,
        text,
        subjects=[Subject(kind="PodDisruptionBudget", name=name, namespace=space) for space, name in sorted(budgets)],
        fix=_ALLOW_ONE if status is Status.FAIL else "Bring the missing pods back before nodes are drained.",
        command="\n".join(
            f"kubectl --namespace {namespace} describe poddisruptionbudget {name}"
            for namespace, name in sorted(budgets)[:3]
        ),
        evidence={
            f"{pod.namespace}/{pod.pod}": {"budget": pod.budget, "needed": pod.needed_pods, "healthy": pod.healthy_pods}
            for pod in pods[:10]
        },
    )


def _needs(pods: Sequence[Eviction]) -> str:
    first = pods[0]
    return f"{first.budget} needs {first.needed_pods} of {first.owner_pods}, {first.healthy_pods} are healthy"


def _names(pods: Sequence[Eviction]) -> str:
    return listed([f"{pod.namespace}/{pod.pod}" for pod in pods])


def _subjects(pods: Sequence[Eviction]) -> list[Subject]:
    return [Subject(kind="Pod", name=pod.pod, namespace=pod.namespace) for pod in pods]


def _not_told(document: AdmissionObservations) -> Finding:
    cause = document.eviction.cause
    lacks = cause.missing_permission if cause is not None else ""
    why = f"the account may not {lacks}" if lacks else (cause.message if cause is not None else "")
    return Finding.unknown(
        f"Whether pods that keep data can be evicted cannot be told: {why.rstrip('.')}.",
        fix="Grant the account what the probe needs, or probe again.",
        command="auditor rbac --probes",
    )
