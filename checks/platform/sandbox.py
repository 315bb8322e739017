"""Does the cluster remove what it is asked to remove?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

from auditor import ALL_WORKLOADS, Facts, Finding, Severity, Subject, check
from auditor.facts.observations.sandbox import LeftBehind, SandboxObservations

from .._wording import EXAMPLES_AT_MOST, NAMED_AT_MOST, counted, listed


@check(
    "platform.sandbox-clean",
    title="The cluster removed everything that the probes had made",
    severity=Severity.MEDIUM,
    workloads=ALL_WORKLOADS,
    reads=(SandboxObservations,),
)
def sandbox_clean(facts: Facts) -> Iterator[Finding]:
    """A namespace or volume that does not go away shows that deletion does not work, and may cost money.

    ## What it checks
    After the probes everything that they made is removed and followed until it is gone: the namespace with all in it,
    the volumes and snapshots of its claims, and objects that belong to no namespace. What is still there after 3 min
    fails, with the reason that the cluster gives. It is only a warning where the account lacks a right, or where a
    claim of the probes was bound to a volume that was there before and is kept. What could not be looked at is unknown.

    ## Why it matters
    What blocks the probes' sandbox blocks the removal of a Kafka cluster or a Spark job as well: a namespace that stays
    Terminating because an API service is down, a volume that its driver cannot delete, a pod on a lost node. Disks
    that are left are paid for.

    ## How to fix
    Remove the cause that the finding names, then run `auditor clean`. A namespace that stays Terminating names what it
    waits for in its status. Do not remove finalizers by hand: what they guard, a disk or a load balancer, then stays.

    ## References
    - [Namespaces: troubleshooting, stuck in Terminating](https://kubernetes.io/docs/tasks/administer-cluster/namespaces/)
    - [Finalizers](https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/)
    - [Persistent volumes: reclaiming](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming)
    """
    seen = cast("SandboxObservations", facts.document(SandboxObservations))
    stuck = [each for each in seen.left if not (each.missing_permission or each.is_kept)]
    barred = [each for each in seen.left if each.missing_permission]
    kept = [each for each in seen.left if each.is_kept and not each.missing_permission]
    if stuck:
        yield Finding.fail(
            f"{_were(stuck)} not removed within {seen.took_seconds:.0f} s: {_reasons(stuck)}.",
            subjects=_subjects(stuck),
            evidence=_evidence(stuck),
            fix="Remove the cause, then what is left.",
            command=_command(stuck, seen.run_id),
        )
    if barred:
        lacks = listed(sorted({each.missing_permission for each in barred}))
        yield Finding.warn(
            f"{_were(barred)} left behind, because the account that ran the probes may not {lacks}.",
            subjects=_subjects(barred),
            evidence=_evidence(barred),
            fix="Remove them with an account that may.",
            command=_command(barred, seen.run_id),
        )
    if kept:
        yield Finding.warn(
            f"{_were(kept)} used by a claim of the probes and given back as Released: {_reasons(kept)}.",
            subjects=_subjects(kept),
            evidence=_evidence(kept),
            fix="Make them available again.",
            command=_command(kept, seen.run_id),
        )
    if seen.unseen:
        yield Finding.unknown(
            f"Whether more is left of run {seen.run_id} cannot be told of {listed(sorted(seen.unseen))}: "
            f"{listed(sorted(set(seen.unseen.values())))}.",
            fix="Look with an account that may, or when the API server answers.",
            command=f"auditor clean --run {seen.run_id} --dry-run",
        )
    if not (seen.left or seen.unseen):
        yield Finding.ok(
            f"All of {counted(sum(seen.removed.values()), 'object')} that the probes left were gone after "
            f"{seen.took_seconds:.0f} s."
        )


def _were(left: Sequence[LeftBehind]) -> str:
    names = listed([f"{each.kind} {_name(each)}" for each in left])
    return f"{counted(len(left), 'object')} of the probes ({names}) {'was' if len(left) == 1 else 'were'}"


def _reasons(left: Sequence[LeftBehind]) -> str:
    """What the cluster says, each once."""
    reasons = list(dict.fromkeys(each.reason.rstrip(".") for each in left))
    rest = len(reasons) - NAMED_AT_MOST
    return "; ".join(reasons[:NAMED_AT_MOST]) + (f"; and {rest} more reasons" if rest > 0 else "")


def _evidence(left: Sequence[LeftBehind]) -> dict[str, str]:
    return {f"{each.kind} {_name(each)}": each.reason for each in islice(left, EXAMPLES_AT_MOST)}


def _subjects(left: Sequence[LeftBehind]) -> list[Subject]:
    return [Subject(kind=each.kind, name=each.name, namespace=each.namespace) for each in left]


def _command(left: Sequence[LeftBehind], run_id: str) -> str:
    """The object's own where there is only one; else the one that removes them all."""
    return (left[0].command if len(left) == 1 else "") or f"auditor clean --run {run_id}"


def _name(each: LeftBehind) -> str:
    return f"{each.namespace}/{each.name}" if each.namespace else each.name
