"""Do stateful systems outrank batch jobs when nodes run full?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Pod
from auditor.facts.kube.scheduling import HIGHEST_USER_PRIORITY, SYSTEM_PRIORITY_PREFIX, PriorityClass

from .._roles import Role, role_of
from .._wording import counted, examples, full_name, full_names, listed

_LEVELS_AT_LEAST = 2


class PriorityParameters(Parameters, frozen=True, kw_only=True):
    """What does not belong to the data systems."""

    platform_namespaces: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of namespaces whose pods belong to the platform and may use the system's classes.",
            source="Namespaces that Kubernetes, OpenShift, Rancher and the managed services keep for themselves.",
        ),
    ] = ("kube-*", "aks-*", "amazon-*", "cattle-*", "gke-*", "gmp-*", "ibm-system", "openshift", "openshift-*")
    platform_classes: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of PriorityClasses below 1000000000 that the platform brings for pods of its own.",
            source="Default PriorityClasses of IBM Cloud Kubernetes Service, which are not to be modified.",
        ),
    ] = ("ibm-app-cluster-critical",)


@check(
    "scheduler.priority-classes",
    title="Priorities put stateful systems before batch jobs",
    severity=Severity.HIGH,
    reads=(PriorityClass, Pod),
    aliases=("SCH-006",),
)
def priority_classes(facts: Facts, params: PriorityParameters) -> Iterator[Finding]:
    """When nodes run full, priorities decide who starts, who waits and who is thrown out.

    ## What it checks
    - The class that pods get which name none (`globalDefault`) is not the highest of the site's classes, and none of
      the values kept for what the cluster itself needs (from 1000000000 on). It fails: every forgotten pod would push
      out brokers.
    - No pod of a data system, told by its labels and images, uses `system-node-critical` or `system-cluster-critical`.
      It fails: such a pod pushes out the cluster's own DNS, and quotas on these classes do not hold it.
    - No pod that keeps data ranks below a Spark or Flink worker that may preempt. It fails: a job evicts a broker.
    - There are at least two classes of different value for the site's own workloads, so that stateful systems can
      outrank drivers, and drivers their executors. Fewer are a warning. Classes of Kubernetes, of add-ons and of the
      platform (`system-…`, values from 1000000000 on, and `platform_classes`) do not count.

    ## Why it matters
    Without classes all pods have priority 0: after the loss of a node a Kafka broker queues behind a hundred executors,
    and nothing may be evicted for it. With wrong ones the evicted pod is the broker. The example in Spark's
    documentation uses `system-node-critical` for its driver; copied into production, it outranks the control plane's
    helpers.

    ## How to fix
    Create classes, name them in the operators' pod templates, and leave `globalDefault` to none or to the lowest:

        kubectl create priorityclass data-stateful --value=100000
        kubectl create priorityclass data-driver --value=10000
        kubectl create priorityclass data-batch --value=1000 --preemption-policy=Never

    A ResourceQuota with the scope `PriorityClass` keeps a namespace from using a class that is not meant for it.

    ## References
    - [Pod priority and preemption](https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/)
    - [Limit priority class consumption](https://kubernetes.io/docs/concepts/policy/resource-quotas/#limit-priority-class-consumption-by-default)
    - [Spark: priority scheduling](https://spark.apache.org/docs/latest/running-on-kubernetes.html#priority-scheduling)
    """
    classes = sorted((cls for cls in facts.list(PriorityClass) if not cls.is_system), key=lambda cls: cls.name)
    own = [cls for cls in classes if cls.value < HIGHEST_USER_PRIORITY and not _is_of_platform(cls, params)]
    default = min((cls for cls in classes if cls.global_default), key=lambda cls: cls.value, default=None)
    yield _judge_levels(own)
    if default is not None:
        yield from _judge_default(default, own)
    pods = [(pod, role) for pod, role in _data_pods(facts, params) if role is not Role.ETCD]
    yield from _misuse(pods)
    yield from _inversions(pods, {cls.name: cls for cls in facts.list(PriorityClass)})


def _is_of_platform(cls: PriorityClass, params: PriorityParameters) -> bool:
    return any(fnmatchcase(cls.name, glob) for glob in params.platform_classes)


def _judge_levels(own: Sequence[PriorityClass]) -> Finding:
    levels = listed([f"{cls.name} {cls.value}" for cls in own]) if own else ""
    if len({cls.value for cls in own}) >= _LEVELS_AT_LEAST:
        return Finding.ok(
            f"Workloads of the site can have different priorities: {levels}.", subjects=[cls.subject for cls in own]
        )
    found = (
        f"All PriorityClasses for workloads have one value ({levels})" if own else "No PriorityClass is for workloads"
    )
    return Finding.warn(
        f"{found}, at least {_LEVELS_AT_LEAST} different ones were expected: when nodes run full, a broker waits "
        "behind batch jobs and nothing is evicted for it.",
        subjects=[cls.subject for cls in own],
        fix="Create a class for stateful systems, one for drivers, one for executors, and name them in pod templates.",
        command="kubectl create priorityclass data-stateful --value=100000\n"
        "kubectl create priorityclass data-driver --value=10000\n"
        "kubectl create priorityclass data-batch --value=1000 --preemption-policy=Never",
    )


def _judge_default(default: PriorityClass, own: Sequence[PriorityClass]) -> Iterator[Finding]:
    others = [cls for cls in own if cls.name != default.name]
    if default.value >= HIGHEST_USER_PRIORITY:
        why = f"a value that is kept for what the cluster itself needs (from {HIGHEST_USER_PRIORITY} on)"
    elif others and all(cls.value < default.value for cls in others):
        why = f"more than every other class for workloads ({listed([f'{cls.name} {cls.value}' for cls in others])})"
    else:
        return
    yield Finding.fail(
        f"PriorityClass {default.name} is the global default and has the value {default.value}, {why}; "
        "a low one was expected: every pod that names no class outranks those that do.",
        subjects=[default.subject],
        fix="Take the global default from the class, or give it to one of the lowest value; pods keep what they have.",
        command=f"kubectl patch priorityclass {default.name} --patch '{{\"globalDefault\": false}}'",
        evidence={cls.name: cls.value for cls in (default, *others[:9])},
    )


def _data_pods(facts: Facts, params: PriorityParameters) -> Iterator[tuple[Pod, Role]]:
    """The pods of data systems that are not at their end, with their roles."""
    for pod in facts.list(Pod):
        if pod.is_finished or any(fnmatchcase(pod.namespace or "", glob) for glob in params.platform_namespaces):
            continue
        role = role_of(pod)
        if role is not None:
            yield pod, role


def _misuse(pods: Sequence[tuple[Pod, Role]]) -> Iterator[Finding]:
    by_class: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod, _ in pods:
        name = pod.spec.priority_class_name or ""
        if name.startswith(SYSTEM_PRIORITY_PREFIX):
            by_class[name].append(pod)
    for name, users in sorted(by_class.items()):
        users.sort(key=full_name)
        yield Finding.fail(
            f"The PriorityClass {name} is used by {counted(len(users), 'pod')} of data systems ({full_names(users)}), "
            "a class of the site's own was expected: this one pushes out the cluster's DNS and network pods.",
            subjects=[pod.subject for pod in users],
            fix="Name a class of the site's own in the pod template, and let a quota keep this one for the platform.",
        )


def _inversions(pods: Sequence[tuple[Pod, Role]], classes: Mapping[str, PriorityClass]) -> Iterator[Finding]:
    """Pods that keep data and rank below a worker that may push them out."""
    ranked = [(_value(pod, classes), full_name(pod), pod, role) for pod, role in pods]
    workers = [
        (value, name)
        for value, name, pod, role in ranked
        if value is not None and role.is_scratch and _preempts(pod, classes)
    ]
    highest, worker = max(workers, default=(0, ""))
    victims = {
        name: (value, pod)
        for value, name, pod, role in sorted(ranked, key=lambda each: each[1])
        if worker and value is not None and role.keeps_data and value < highest
    }
    if victims:
        values = {name: value for name, (value, _) in victims.items()}
        yield Finding.fail(
            f"The priority of {counted(len(victims), 'pod')} with data ({listed(list(victims))}) is at most "
            f"{max(values.values())}, less than that of the worker {worker} ({highest}), which may evict them: more "
            "was expected.",
            subjects=[pod.subject for _, pod in victims.values()],
            fix="Give stateful systems a PriorityClass above that of jobs, or let jobs wait (preemptionPolicy Never).",
            evidence=dict(examples(values)),
        )


def _value(pod: Pod, classes: Mapping[str, PriorityClass]) -> int | None:
    """A pod's priority; None where its class is gone. A pod that got the global default names it."""
    name = pod.spec.priority_class_name
    if not name:
        return 0
    return classes[name].value if name in classes else None


def _preempts(pod: Pod, classes: Mapping[str, PriorityClass]) -> bool:
    cls = classes.get(pod.spec.priority_class_name or "")
    return cls is None or cls.preempts
