"""Does every pod find a node in time?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, check, threshold
from auditor.facts.kube import Pod
from auditor.facts.kube.meta import Condition
from auditor.facts.kube.scheduling import SYSTEM_PRIORITY_PREFIX, PriorityClass
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, full_name, full_names

_DEFAULT_SCHEDULER = "default-scheduler"
_GATED = "SchedulingGated"
_REASONS_AT_MOST = 4
"""A message shows this many of the reasons for which nodes were refused."""


class PendingParameters(Parameters, frozen=True, kw_only=True):
    """How long a pod may wait."""

    pending_minutes: Annotated[
        int,
        threshold(
            "Minutes for which a pod may wait for a node.",
            source="No upstream number; a node autoscaler adds a node well within 10 minutes.",
            ge=0,
        ),
    ] = 10


class Wait(Enum):
    """What a pod without a node waits for."""

    REFUSED = auto()
    """The scheduler found no node for it, and said why."""
    IGNORED = auto()
    """No scheduler has looked at it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Pods that wait for the same reason.

    Attributes:
        wait: whether a scheduler has looked at them.
        scheduler: whose pods they are.
        reason: the scheduler's message without its numbers; empty where there is none.
    """

    wait: Wait
    scheduler: str
    reason: str


@check(
    "scheduler.unschedulable-pods",
    title="Every pod finds a node in time",
    severity=Severity.HIGH,
    reads=(Pod, PriorityClass),
    aliases=("SCH-008",),
)
def unschedulable_pods(facts: Facts, params: PendingParameters) -> Iterator[Finding]:
    """A pod that waits for a node is a broker, a worker or a job that is missing.

    ## What it checks
    No pod has been waiting for a node for more than `pending_minutes`, counted up to the end of the collection:

    - Pods that the scheduler refused (`PodScheduled` is False). Pods that it refused for the same reason are one
      finding; numbers, and the search for victims, are left out of its message.
    - Pods at which nobody has looked: Pending and without the condition. Either their `schedulerName` names nobody, or
      that scheduler is down.

    A pod of the default scheduler fails. Others are a warning, since a scheduler with queues, such as Volcano or
    YuniKorn, makes pods wait on purpose; but a scheduler that has never placed any pod fails too.

    Not judged are pods with scheduling gates, which wait on purpose (Kueue), and pods whose PriorityClass has a
    negative value: they keep room for others and are meant to be pushed out.

    ## Why it matters
    The controllers do not tell: the StatefulSet has two of three brokers, the job simply does not begin. A claim that
    waits for its first consumer stays Pending as long as its pod does.

    ## How to fix
    Ask the scheduler, and act on what it says: add nodes or lower requests for `Insufficient cpu`; tolerate the taint
    or label the nodes for what did not match; make a volume in a zone that has room.

        kubectl get pods --all-namespaces --field-selector=status.phase=Pending
        kubectl -n NAMESPACE describe pod NAME

    ## References
    - [Pod conditions](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions)
    - [Scheduling readiness](https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/)
    - [Configure multiple schedulers](https://kubernetes.io/docs/tasks/extend-kubernetes/configure-multiple-schedulers/)
    - [Overprovisioning with negative priority](https://kubernetes.io/docs/tasks/administer-cluster/node-overprovisioning/)
    """
    waiting = [pod for pod in facts.list(Pod) if _waits_for_a_node(pod)]
    undated = [pod for pod in waiting if age_at_collection(facts, _since(pod)) is None]
    if undated:
        yield _cannot_tell(undated)
    limit = timedelta(minutes=params.pending_minutes)
    late = [pod for pod in waiting if (age_at_collection(facts, _since(pod)) or timedelta()) > limit]
    groups: defaultdict[Group, list[Pod]] = defaultdict(list)
    for pod in sorted(late, key=full_name):
        groups[_group(pod)].append(pod)
    used = Counter(_scheduler(pod) for pod in facts.list(Pod) if pod.spec.node_name)
    found = False
    for group, pods in sorted(groups.items(), key=lambda each: any(map(_may_be_expendable, each[1]))):
        judged = [pod for pod in pods if not _is_expendable(facts, pod)]
        if judged:
            found = True
            yield _late(facts, group, judged, used, params.pending_minutes)
    if not found and not undated:
        yield Finding.ok(f"No pod has been waiting for a node for more than {params.pending_minutes} minutes.")


def _waits_for_a_node(pod: Pod) -> bool:
    if pod.spec.node_name or pod.status.phase != "Pending" or pod.metadata.deletion_timestamp is not None:
        return False
    condition = _scheduled(pod)
    return condition is None or (condition.status == "False" and condition.reason != _GATED)


def _scheduled(pod: Pod) -> Condition | None:
    return next((c for c in pod.status.conditions or () if c.type == "PodScheduled"), None)


def _since(pod: Pod) -> str | None:
    condition = _scheduled(pod)
    own = condition.last_transition_time if condition is not None else None
    return own or pod.metadata.creation_timestamp


def _scheduler(pod: Pod) -> str:
    return pod.spec.scheduler_name or _DEFAULT_SCHEDULER


def _may_be_expendable(pod: Pod) -> bool:
    """Whether only its PriorityClass can tell whether the pod is meant to wait."""
    name = pod.spec.priority_class_name
    return bool(name) and not str(name).startswith(SYSTEM_PRIORITY_PREFIX)


def _is_expendable(facts: Facts, pod: Pod) -> bool:
    if not _may_be_expendable(pod):
        return False
    cls = facts.get(PriorityClass, pod.spec.priority_class_name or "")
    return cls is not None and cls.value < 0


def _group(pod: Pod) -> Group:
    condition = _scheduled(pod)
    if condition is None:
        return Group(Wait.IGNORED, _scheduler(pod), "")
    return Group(Wait.REFUSED, _scheduler(pod), normalized(condition.message or condition.reason or ""))


_NODES = re.compile(r"^\d+/\d+ nodes are available: ")
_PREEMPTION = re.compile(r"\s*(?:preemption: |no new claims to deallocate).*$")
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'")


def normalized(message: str) -> str:
    """A scheduler's message without what differs from pod to pod: numbers, names in quotes, the search for victims.

    ``0/9 nodes are available: 3 Insufficient cpu, 6 node(s) had untolerated taint {a: b}. preemption: …`` becomes
    ``Insufficient cpu; node(s) had untolerated taint (a: b)``.
    """
    text = _PREEMPTION.sub("", " ".join(message.split())).replace("{", "(").replace("}", ")")
    text = _QUOTED.sub("…", text).rstrip(". ")
    reasons = _NODES.sub("", text)
    if reasons == text:
        return re.sub(r"\d+", "N", text)
    parts = {re.sub(r"^\d+ ", "", part).strip() for part in re.split(r", (?=\d+ )", reasons)}
    return "; ".join(sorted(part for part in parts if part))


def _late(facts: Facts, group: Group, pods: Sequence[Pod], used: Mapping[str, int], minutes: int) -> Finding:
    oldest = max(pods, key=lambda pod: age_at_collection(facts, _since(pod)) or timedelta())
    age = age_at_collection(facts, _since(oldest)) or timedelta()
    who = f"{counted(len(pods), 'pod')} ({full_names(pods)}) waited for a node for more than {minutes} minutes"
    longest = f"the longest for {int(age.total_seconds() // 60)} minutes"
    is_default = group.scheduler == _DEFAULT_SCHEDULER
    if group.wait is Wait.REFUSED:
        status = Status.FAIL if is_default else Status.WARN
        why = f"{group.scheduler} says: {_shortened(group.reason) or 'nothing'}"
        fix = Fix(text=_advice(group.reason), command=_describe(oldest))
    else:
        never = group.scheduler not in used
        status = Status.FAIL if is_default or never else Status.WARN
        why = f"nothing was heard from the scheduler {group.scheduler}"
        why += ", which has placed no pod of this cluster" if never else ""
        fix = Fix(
            text=f"Let the scheduler {group.scheduler} run, or correct the schedulerName of these pods.",
            command=_describe(oldest),
        )
    return Finding.of(
        status,
        f"{who}, {longest}: {why}.",
        subjects=[pod.subject for pod in pods],
        fix=fix,
        evidence={"reason": group.reason, "since": examples({full_name(pod): _since(pod) for pod in pods})},
    )


def _shortened(reason: str) -> str:
    parts = reason.split("; ")
    more = f" and {len(parts) - _REASONS_AT_MOST} more" if len(parts) > _REASONS_AT_MOST else ""
    return "; ".join(parts[:_REASONS_AT_MOST]) + more


_ADVICE = (
    ("unbound immediate PersistentVolumeClaim", "Let the pods' claims be bound: see their events and StorageClass."),
    ("persistentvolumeclaim", "Create the claims that the pods name."),
    ("volume node affinity", "Give nodes in the zone of the pods' volumes room, or move the volumes' data elsewhere."),
    ("available persistent volumes", "Create volumes that fit the pods' claims, where the pods may run."),
    ("Insufficient", "Add nodes that are large enough, or lower the pods' requests."),
    ("Too many pods", "Add nodes, or raise the number of pods that a node takes."),
    ("max volume count", "Add nodes: those there can attach no more volumes."),
    ("unschedulable", "Uncordon nodes that are meant to take pods, or add nodes."),
    ("untolerated taint", "Let the pods tolerate the taint of the nodes meant for them, or add nodes."),
    ("anti-affinity", "Add nodes, or lower the number of replicas that must be apart."),
    ("topology spread", "Add nodes in the places that have too few, or relax the pods' topology spread constraint."),
    ("affinity", "Label the nodes meant for these pods as their affinity or node selector asks, or add such nodes."),
)
"""What helps, by words of the scheduler's message, the surest first."""


def _advice(reason: str) -> str:
    return next((advice for words, advice in _ADVICE if words in reason), "Act on what the scheduler says of the pods.")


def _describe(pod: Pod) -> str:
    return f"kubectl -n {pod.namespace} describe pod {pod.name}"


def _cannot_tell(pods: Sequence[Pod]) -> Finding:
    return Finding.unknown(
        f"For {counted(len(pods), 'pod')} without a node ({full_names(sorted(pods, key=full_name))}) it cannot be told "
        "since when: the time of the collection or of the pod is not known.",
        subjects=[pod.subject for pod in pods],
        fix="Collect with auditor, which notes the time.",
    )
