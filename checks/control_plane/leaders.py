"""Do scheduler and controller manager lead, and for long?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Pod
from auditor.facts.kube.coordination import Lease
from auditor.facts.times import parse_time

from .._wording import examples, full_name, full_names, listed
from ._figures import duration
from ._hosting import HOSTING_PARTS, control_plane_nodes, hidden_by
from ._leases import read_at, renewed_at

_SCHEDULER = "kube-scheduler"
_CONTROLLERS = "kube-controller-manager"
_NAMESPACES = ("kube-system", "openshift-kube-scheduler", "openshift-kube-controller-manager")
_MADE_BY_CONTROLLERS = {"ReplicaSet", "StatefulSet", "DaemonSet", "Job"}


class LeadersParameters(Parameters, frozen=True, kw_only=True):
    """When nobody leads, and when leaders change too often."""

    max_silence_seconds: Annotated[
        int,
        threshold(
            "Seconds since a leader's last renewal; never less than twice the lease's own duration.",
            source="No upstream number; twice the default lease duration of 15 s, after which another one leads.",
            ge=1,
        ),
    ] = 30
    max_changes_per_day: Annotated[
        float,
        threshold(
            "Changes of the leader per day, over the life of the lease.",
            source="No upstream number; each upgrade and restart of the control plane costs a change or three.",
            ge=0,
        ),
    ] = 4
    min_changes: Annotated[
        int,
        threshold(
            "With fewer changes than this in all, nothing is said of their rate.",
            source="No upstream number; a new control plane needs a few changes to settle.",
            ge=1,
        ),
    ] = 10


@dataclass(frozen=True, slots=True)
class _Leader:
    """The leader of one component, as its lease shows it.

    Attributes:
        lease: where it renews its claim.
        silent: for how long it had not, when the leases were read.
        changes_per_day: how often it changed, over the life of the lease.
    """

    lease: Lease
    silent: timedelta
    changes_per_day: float

    def is_gone(self, params: LeadersParameters) -> bool:
        """Whether nobody leads."""
        allowed = max(params.max_silence_seconds, 2 * (self.lease.spec.lease_duration_seconds or 0))
        return self.silent > timedelta(seconds=allowed)

    def changes_often(self, params: LeadersParameters) -> bool:
        """Whether it is lost again and again."""
        changes = self.lease.spec.lease_transitions or 0
        return changes >= params.min_changes and self.changes_per_day > params.max_changes_per_day


@check(
    "control-plane.leader-leases",
    title="Scheduler and controller manager have leaders that stay",
    severity=Severity.HIGH,
    reads=(Lease, Pod, *HOSTING_PARTS),
    aliases=("CPL-007",),
)
def leader_leases(facts: Facts, params: LeadersParameters) -> Iterator[Finding]:
    """Somebody leads as scheduler and as controller manager, and leaders seldom change.

    ## What it checks
    The leases `kube-scheduler` and `kube-controller-manager`: when the leases were read, the last renewal was at most
    30 s old, or twice the lease's own duration where that is more (OpenShift's is 137 s). The time of reading is told
    from the leases of nodes and API servers, which are renewed every 10 s, and not from another clock. Then
    `leaseTransitions` over the age of the lease: an average, in which a bad hour of an old cluster does not show.

    A lease that is not renewed while its component evidently works is left over, from a time when leaders were elected
    or kept elsewhere: that is a warning. Where there is no such lease, the check is skipped for a control plane of one
    node, which needs no election, and on managed services.

    ## Why it matters
    Without a scheduler no pod is placed, without a controller manager none is made: Spark executors, Flink task
    managers and lost brokers are waited for in vain, while everything that runs looks well. Leaders that change again
    and again are a sign of a slow etcd or API server, which the leases of operators and of Flink will feel too.

    ## How to fix
    Look at who leads, and at the log of those who should:

        kubectl --namespace kube-system get leases kube-scheduler kube-controller-manager --output yaml
        kubectl --namespace kube-system logs --selector component=kube-scheduler

    Where leaders change, look at the latency of etcd first.

    ## References
    - [Leases: leader election](https://kubernetes.io/docs/concepts/architecture/leases/#leader-election)
    - [kube-scheduler: the --leader-elect flags](https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/)
    - [kube-controller-manager: the --leader-elect flags](https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/)
    """
    leases = facts.list(Lease)
    read = read_at(leases)
    newest = {name: lease for name in (_SCHEDULER, _CONTROLLERS) if (lease := _newest(leases, name)) is not None}
    missing = [name for name in (_SCHEDULER, _CONTROLLERS) if name not in newest]
    if newest and read is None:
        yield _no_time(list(newest.values()))
    elif read is not None:
        leaders = [_leader(lease, read) for lease in newest.values()]
        yield from _judge_silence(facts, [leader for leader in leaders if leader.is_gone(params)], params)
        yield from _judge_changes([leader for leader in leaders if leader.changes_often(params)], params)
        if well := [each for each in leaders if not each.is_gone(params) and not each.changes_often(params)]:
            yield _well(well)
    if missing:
        yield _missing(facts, missing)


def _newest(leases: Sequence[Lease], name: str) -> Lease | None:
    """The lease of that name that was renewed last: OpenShift's scheduler has one in a namespace of its own."""
    found = [
        (time, lease)
        for lease in leases
        if lease.name == name and lease.namespace in _NAMESPACES and (time := renewed_at(lease)) is not None
    ]
    return max(found, key=lambda each: (each[0], full_name(each[1])))[1] if found else None


def _leader(lease: Lease, read: datetime) -> _Leader:
    renewed, created = renewed_at(lease), lease.metadata.creation_timestamp
    age_days = (read - parse_time(created)) / timedelta(days=1) if created else 1.0
    return _Leader(
        lease=lease,
        silent=read - renewed if renewed is not None else timedelta(0),
        changes_per_day=(lease.spec.lease_transitions or 0) / max(age_days, 1.0),
    )


def _judge_silence(facts: Facts, silent: Sequence[_Leader], params: LeadersParameters) -> Iterator[Finding]:
    left_over = [leader for leader in silent if _works(facts, leader.lease)]
    if left_over:
        yield Finding.warn(
            f"Nobody has renewed the lease {full_names([each.lease for each in left_over])} for {_longest(left_over)}, "
            "though the work has gone on since: left over from another way of election.",
            subjects=[leader.lease.subject for leader in left_over],
            fix="Delete the leases that nobody renews.",
            command="\n".join(
                f"kubectl --namespace {each.lease.namespace} delete lease {each.lease.name}" for each in left_over
            ),
        )
    if gone := [leader for leader in silent if leader not in left_over]:
        holders = {full_name(each.lease): each.lease.spec.holder_identity or "nobody" for each in gone}
        yield Finding.fail(
            f"Nobody leads as {listed([each.lease.name for each in gone])}: the lease was not renewed for "
            f"{_longest(gone)} when it was read, at most {params.max_silence_seconds} s were expected.",
            subjects=[leader.lease.subject for leader in gone],
            fix="Start the component, and read its log where it runs and does not lead.",
            command="\n".join(
                f"kubectl --namespace kube-system logs --selector component={each.lease.name}" for each in gone
            ),
            evidence={"holders": holders, "renewed": {full_name(e.lease): e.lease.spec.renew_time for e in gone}},
        )


def _longest(leaders: Sequence[_Leader]) -> str:
    return duration(max(leader.silent for leader in leaders))


def _works(facts: Facts, lease: Lease) -> bool:
    """Whether pods show work of the component after the last renewal."""
    renewed = renewed_at(lease)
    if renewed is None:
        return False
    since = renewed + timedelta(minutes=1)
    if lease.name == _SCHEDULER:
        times = (
            condition.last_transition_time
            for pod in facts.list(Pod)
            for condition in pod.status.conditions or ()
            if condition.type == "PodScheduled" and condition.status == "True"
        )
    else:
        times = (
            pod.metadata.creation_timestamp
            for pod in facts.list(Pod)
            if any(owner.kind in _MADE_BY_CONTROLLERS for owner in pod.metadata.owner_references or ())
        )
    return any(time is not None and parse_time(time) > since for time in times)


def _judge_changes(leaders: Sequence[_Leader], params: LeadersParameters) -> Iterator[Finding]:
    if leaders:
        seen = [f"{each.lease.name} {each.lease.spec.lease_transitions} times" for each in leaders]
        rates = [f"{each.changes_per_day:.0f}" for each in leaders]
        yield Finding.warn(
            f"Leaders change often: {listed(seen)}, {listed(rates)} times a day over the life of the lease; at most "
            f"{params.max_changes_per_day:g} times a day were expected.",
            subjects=[leader.lease.subject for leader in leaders],
            fix="Look at the latency of etcd and of the API server, and at restarts of the component.",
            evidence=examples({full_name(e.lease): {"changes": e.lease.spec.lease_transitions} for e in leaders}),
        )


def _well(leaders: Sequence[_Leader]) -> Finding:
    changes = [str(leader.lease.spec.lease_transitions or 0) for leader in leaders]
    return Finding.ok(
        f"The leader of {listed([leader.lease.name for leader in leaders])} renewed its lease in time; it has changed "
        f"{listed(changes)} times since the lease was made.",
        subjects=[leader.lease.subject for leader in leaders],
    )


def _no_time(leases: Sequence[Lease]) -> Finding:
    return Finding.unknown(
        f"Whether {full_names(leases)} are renewed cannot be told: no lease of a node or an API server shows when the "
        "leases were read.",
        subjects=[lease.subject for lease in leases],
        fix="Collect all leases, those of kube-node-lease too.",
    )


def _missing(facts: Facts, names: Sequence[str]) -> Finding:
    what = f"There is no lease {listed(names)}"
    if vendor := hidden_by(facts):
        return Finding.skip(f"{what}: {vendor} runs the control plane out of sight.")
    nodes = control_plane_nodes(facts)
    if len(nodes) == 1:
        return Finding.skip(f"{what}: the control plane is one node ({nodes[0].name}), which needs no election.")
    return Finding.unknown(
        f"{what} in {_NAMESPACES[0]}, so that it cannot be told whether somebody leads.",
        fix="Find out where the control plane keeps its leases, or whether --leader-elect is off.",
    )
