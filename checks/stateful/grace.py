"""Do pods with data have the time to stop?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check, threshold
from auditor.facts.kube import StatefulSet

from .._roles import Role, role_of
from .._wording import examples, full_name
from ._sets import ScopeParameters, data_sets, no_data_sets, sets_named

_DEFAULT_SECONDS = 30
"""What the API server sets where nobody says otherwise."""


class GraceParameters(ScopeParameters, frozen=True, kw_only=True):
    """How long the pods of known systems may take to stop."""

    namenode_seconds: Annotated[
        int,
        threshold(
            "Seconds that a NameNode gets to shut down.",
            source="Stackable's default for NameNodes, 15 minutes; Hadoop names no number.",
            ge=1,
        ),
    ] = 900
    journalnode_seconds: Annotated[
        int,
        threshold(
            "Seconds that a JournalNode gets to shut down.",
            source="Stackable's default for JournalNodes, 15 minutes; Hadoop names no number.",
            ge=1,
        ),
    ] = 900
    datanode_seconds: Annotated[
        int,
        threshold(
            "Seconds that a DataNode gets to shut down.",
            source="Stackable's default for DataNodes, 30 minutes; Hadoop names no number.",
            ge=1,
        ),
    ] = 1800
    broker_seconds: Annotated[
        int,
        threshold(
            "Seconds that a Kafka broker gets to shut down.",
            source="Default of Kubernetes and of Strimzi, 30 s; Stackable's is 30 minutes: raise it for large brokers.",
            ge=1,
        ),
    ] = 30

    @property
    def by_role(self) -> dict[Role, int]:
        """The least grace period of each role that has one, in seconds."""
        return {
            Role.NAMENODE: self.namenode_seconds,
            Role.JOURNALNODE: self.journalnode_seconds,
            Role.DATANODE: self.datanode_seconds,
            Role.KAFKA_BROKER: self.broker_seconds,
            Role.KAFKA_CONTROLLER: self.broker_seconds,
        }


@check(
    "stateful.grace-period",
    title="Pods with data have the time to shut down",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulSet,),
    aliases=("STS-006",),
)
def grace_period(facts: Facts, params: GraceParameters) -> Iterator[Finding]:
    r"""A pod that keeps data must be asked to stop, and get the time to do it, before it is killed.

    ## What it checks
    `terminationGracePeriodSeconds` of every StatefulSet that keeps data is above 0; Kubernetes sets 30 where nothing is
    said. 0 fails.

    For HDFS and Kafka it is also at least what the parameters say; less is a warning, since those numbers are the
    defaults of operators and the processes usually stop sooner.

    Whether a node's own shutdown and the tool that drains it wait as long is not seen here.

    ## Why it matters
    With 0 the pod is removed from the API without a word from its node. Its replacement may start while the old process
    still writes: two pods with one identity, on one disk. Kubernetes calls this unsafe.

    A broker that is killed early moves no leaders and recovers its logs at the next start, which takes minutes to
    hours. A NameNode that is killed while it saves its image starts from an old one and replays its edits.

    ## How to fix
    Raise the value in the chart or custom resource (Stackable: `gracefulShutdownTimeout`), or in place, which restarts
    the pods one by one:

        kubectl patch statefulset NAME -n NAMESPACE --patch \
          '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1800}}}}'

    Then raise the time-outs of node drains and of the kubelet's graceful shutdown to the same value.

    ## References
    - [StatefulSet: deployment and scaling guarantees](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees)
    - [Force delete StatefulSet pods](https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/)
    - [Stackable HDFS: graceful shutdown](https://docs.stackable.tech/home/stable/hdfs/usage-guide/operations/graceful-shutdown/)
    - [Stackable Kafka: graceful shutdown](https://docs.stackable.tech/home/stable/kafka/usage-guide/operations/graceful-shutdown/)
    """
    sets = data_sets(facts, params)
    if not sets:
        yield no_data_sets()
        return
    killed, sound = [], []
    short: defaultdict[Role, list[StatefulSet]] = defaultdict(list)
    for stateful_set in sets:
        role, seconds = role_of(stateful_set), _seconds(stateful_set)
        if seconds <= 0:
            killed.append(stateful_set)
        elif role is not None and seconds < params.by_role.get(role, 0):
            short[role].append(stateful_set)
        else:
            sound.append(stateful_set)
    if killed:
        yield _killed(killed)
    for role, group in sorted(short.items()):
        yield _short(role, group, params.by_role[role])
    if sound:
        least = min(_seconds(stateful_set) for stateful_set in sound)
        yield Finding.ok(
            f"{sets_named(sound)}: pods get at least {least} s to shut down.",
            subjects=[stateful_set.subject for stateful_set in sound],
        )


def _seconds(stateful_set: StatefulSet) -> int:
    seconds = stateful_set.spec.template.spec.termination_grace_period_seconds
    return _DEFAULT_SECONDS if seconds is None else seconds


def _killed(sets: Sequence[StatefulSet]) -> Finding:
    return Finding.fail(
        f"{sets_named(sets)}: pods get 0 s to shut down, at least 1 s was expected; "
        "a replacement can start while the old process still writes.",
        subjects=[stateful_set.subject for stateful_set in sets],
        fix=f"Remove terminationGracePeriodSeconds ({_DEFAULT_SECONDS} s then apply), or set what the system needs.",
        evidence=_seen(sets),
    )


def _short(role: Role, sets: Sequence[StatefulSet], least: int) -> Finding:
    found = sorted({_seconds(stateful_set) for stateful_set in sets})
    seen = f"{found[0]} s" if len(found) == 1 else f"{found[0]} s to {found[-1]} s"
    return Finding.warn(
        f"{sets_named(sets)}: {role} pods get {seen} to shut down, at least {least} s were expected.",
        subjects=[stateful_set.subject for stateful_set in sets],
        fix=f"Raise terminationGracePeriodSeconds to {least}, and the time-outs of node drains with it.",
        evidence=_seen(sets),
    )


def _seen(sets: Sequence[StatefulSet]) -> dict[str, object]:
    return examples({full_name(s): {"seconds": _seconds(s), "role": role_of(s) or "not known"} for s in sets})
