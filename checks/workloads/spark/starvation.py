"""Can drivers take all there is, so that no executor finds room?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, Workload, check, threshold
from auditor.facts.kube import Deployment, Pod, ResourceQuota
from auditor.facts.kube.spark import AnySparkApplication
from auditor.facts.times import age_at_collection

from ..._wording import counted, examples, full_names, listed
from ._applications import (
    APPLICATIONS,
    applications,
    by_namespace,
    driver_of,
    drivers,
    executors,
    nothing_to_judge,
)
from ._operators import SparkOperator, operators

_DEFAULT_SCHEDULERS = (None, "", "default-scheduler")
_KUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_PRIORITY_SCOPE = "PriorityClass"


class StarvationParameters(Parameters, frozen=True, kw_only=True):
    """From when on waiting executors are no passing state."""

    waiting_minutes: Annotated[
        int,
        threshold(
            "Executors that are Pending for this many minutes count as starved.",
            source="No upstream number; longer than a cluster autoscaler takes to add nodes (15 minutes at most by its "
            "default max-node-provision-time).",
            ge=1,
        ),
    ] = 15


@check(
    "spark.driver-starvation",
    title="Spark drivers cannot take the room that their executors need",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, Pod, ResourceQuota, Deployment),
    aliases=("SPK-006",),
)
def driver_starvation(facts: Facts, params: StarvationParameters) -> Iterator[Finding]:
    """Drivers that wait for executors hold the room that the executors wait for.

    ## What it checks
    In every namespace with two or more Spark applications or drivers that have not ended:

    - something admits an application as a whole, or bounds its drivers apart from its executors: a queue or gang
      scheduler (Volcano, YuniKorn, Kueue), by the application, by its pods or by the operator's
      `--default-batch-scheduler`; a ResourceQuota with a PriorityClass scope; or the operator's
      `--enable-resource-quota-enforcement`. Otherwise a warning;
    - no two drivers stand there with all of their executors Pending for longer than `waiting_minutes`. Otherwise a
      failure: that is the deadlock itself.

    ## Why it matters
    Ten applications are submitted at once. Ten drivers start, and fill the quota or the nodes. None of their executors
    finds room, none of the drivers ends, and nothing moves until somebody deletes drivers by hand. An autoscaler only
    shifts the bound.

    ## How to fix
    Install a queue: Kueue, YuniKorn or Volcano, and name it in the application (`batchScheduler`) or in the operator
    (`controller.batchScheduler`). Or give drivers a PriorityClass of their own and bound them with a quota:

        apiVersion: v1
        kind: ResourceQuota
        metadata: {name: drivers}
        spec:
          hard: {pods: "10"}
          scopeSelector:
            matchExpressions:
            - {scopeName: PriorityClass, operator: In, values: [spark-driver]}

    ## References
    - [Drivers take everything, executors wait for ever](https://github.com/kubeflow/spark-operator/issues/1757)
    - [The same with Kyuubi](https://github.com/apache/kyuubi/issues/6710)
    - [Resource quota per PriorityClass](https://kubernetes.io/docs/concepts/policy/resource-quotas/#resource-quota-per-priorityclass)
    - [Customized Kubernetes schedulers for Spark](https://spark.apache.org/docs/latest/running-on-kubernetes.html#customized-kubernetes-schedulers-for-spark-on-kubernetes)
    """
    apps = [app for app in applications(facts) if not app.is_finished]
    standing = drivers(facts)
    if not apps and not standing:
        yield nothing_to_judge("SparkApplication or driver that has not ended")
        return
    if starved := _starved(facts, standing, params):
        yield _deadlock(starved, params)
    busy = _busy_namespaces(apps, standing)
    bounds = _Bounds(facts, apps, standing)
    held = {namespace: bounds.hold(namespace) for namespace in busy}
    if unbounded := [namespace for namespace in busy if not held[namespace]]:
        yield Finding.warn(
            f"Nothing keeps Spark drivers from taking the room of their executors in {_spaces(unbounded)}: no queue or "
            "gang scheduler, no ResourceQuota with a PriorityClass scope, one of them was expected.",
            subjects=[Subject(kind="Namespace", name=namespace) for namespace in unbounded],
            fix="Install a queue such as Kueue, YuniKorn or Volcano, or bound drivers with a quota per PriorityClass.",
            evidence=examples({namespace: busy[namespace] for namespace in unbounded}),
        )
    if bounded := [namespace for namespace in busy if held[namespace]]:
        yield Finding.ok(
            f"A queue or a quota keeps Spark drivers from taking the room of their executors in {_spaces(bounded)}.",
            subjects=[Subject(kind="Namespace", name=namespace) for namespace in bounded],
        )
    if not busy and not starved:
        yield Finding.ok("No namespace has two Spark applications at once, so no driver can take another one's room.")


def _busy_namespaces(apps: Sequence[AnySparkApplication], standing: Sequence[Pod]) -> dict[str, int]:
    """The namespaces where drivers can meet, with how many there are or will be."""
    asked: defaultdict[str, int] = defaultdict(int)
    for app in apps:
        asked[app.namespace or ""] += 1
    there = {namespace: len(pods) for namespace, pods in by_namespace(standing).items()}
    counts = {name: max(asked[name], there.get(name, 0)) for name in sorted({*asked, *there})}
    return {name: count for name, count in counts.items() if count > 1}


class _Bounds:
    """What admits applications as a whole, or bounds drivers, in each namespace."""

    def __init__(self, facts: Facts, apps: Sequence[AnySparkApplication], standing: Sequence[Pod]) -> None:
        self._facts = facts
        self._apps: defaultdict[str, list[AnySparkApplication]] = defaultdict(list)
        for app in apps:
            self._apps[app.namespace or ""].append(app)
        self._drivers = by_namespace(standing)
        self._operators: list[SparkOperator] | None = None
        self._quotas_are_enforced = False

    def hold(self, namespace: str) -> bool:
        """Whether something does so in a namespace."""
        own, pods = self._apps[namespace], self._drivers.get(namespace, [])
        if all(map(_is_queued, own)) and all(map(_is_queued_pod, pods)):
            return True
        quotas = self._facts.in_namespace(ResourceQuota, namespace)
        if any(_counts_by_priority(quota) for quota in quotas):
            return True
        if self._operators is None:
            self._operators = operators(self._facts)
            self._quotas_are_enforced = any(map(_enforces_quota, self._facts.list(Deployment)))
        if quotas and self._quotas_are_enforced:
            return True
        in_charge = [each for each in self._operators if any(each.takes(app) for app in own)]
        return bool(in_charge) and all(_has_default_queue(each) for each in in_charge)


def _is_queued(app: AnySparkApplication) -> bool:
    return app.scheduler not in _DEFAULT_SCHEDULERS or _KUEUE_LABEL in app.labels


def _is_queued_pod(pod: Pod) -> bool:
    return pod.spec.scheduler_name not in _DEFAULT_SCHEDULERS or _KUEUE_LABEL in pod.labels


def _counts_by_priority(quota: ResourceQuota) -> bool:
    selector = quota.spec.scope_selector
    return any(each.scope_name == _PRIORITY_SCOPE for each in (selector.match_expressions or () if selector else ()))


def _enforces_quota(deployment: Deployment) -> bool:
    arguments = (argument for each in deployment.spec.template.spec.containers for argument in each.args or ())
    return any(argument.lstrip("-") == "enable-resource-quota-enforcement=true" for argument in arguments)


def _has_default_queue(operator: SparkOperator) -> bool:
    return operator.option("default-batch-scheduler") not in _DEFAULT_SCHEDULERS


def _starved(facts: Facts, standing: Sequence[Pod], params: StarvationParameters) -> dict[str, list[Pod]]:
    """By namespace, the running drivers whose executors are all Pending for too long, where there are several."""
    waiting: defaultdict[tuple[str, str | None], list[Pod]] = defaultdict(list)
    for pod in executors(facts):
        waiting[pod.namespace or "", driver_of(pod)].append(pod)
    found = {}
    for namespace, pods in by_namespace(standing).items():
        stuck = [
            pod
            for pod in pods
            if pod.status.phase == "Running"
            and (own := waiting.get((namespace, pod.name)))
            and all(_waits_too_long(facts, each, params) for each in own)
        ]
        if len(stuck) > 1:
            found[namespace] = stuck
    return found


def _waits_too_long(facts: Facts, pod: Pod, params: StarvationParameters) -> bool:
    age = age_at_collection(facts, pod.metadata.creation_timestamp)
    return pod.status.phase == "Pending" and age is not None and age >= timedelta(minutes=params.waiting_minutes)


def _deadlock(starved: dict[str, list[Pod]], params: StarvationParameters) -> Finding:
    pods = [pod for group in starved.values() for pod in group]
    return Finding.fail(
        f"{counted(len(pods), 'Spark driver')} ({full_names(pods)}) run in {_spaces(list(starved))} and all of their "
        f"executors are Pending for {params.waiting_minutes} minutes or longer, running executors were expected: "
        "the drivers hold the room that they wait for.",
        subjects=[pod.subject for pod in pods],
        fix="Delete some of the drivers so that the others get their executors, and install a queue.",
        command="kubectl get pods -A --selector spark-role=executor --field-selector status.phase=Pending",
        evidence=examples({namespace: [pod.name for pod in group][:10] for namespace, group in starved.items()}),
    )


def _spaces(namespaces: Sequence[str]) -> str:
    return f"namespace{'' if len(namespaces) == 1 else 's'} {listed(namespaces)}"
