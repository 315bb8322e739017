"""Does a replica come back as the one that it was?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Subject, check, threshold
from auditor.facts.observations import StepState
from auditor.facts.observations.stateful import (
    DRAIN,
    KILL,
    SCALE,
    START,
    UPDATE,
    Member,
    Restart,
    StatefulObservations,
)

from .._wording import listed
from ._observed import is_done, is_own, observed, of_step, said, short, told

_WENT = {
    KILL: "was deleted",
    DRAIN: "was evicted",
    UPDATE: "was updated",
    SCALE: "was scaled away and back",
}


class IdentityParameters(Parameters, frozen=True, kw_only=True):
    """How long a replica may be away, and unknown by its new address."""

    max_ready_seconds: Annotated[
        float,
        threshold(
            "Seconds from the end of a replica until it is Ready again, on a volume that it had before.",
            source="No upstream number; time for a start with its image on the node, and for detaching and attaching a "
            "cloud's disk, which takes tens of seconds.",
            ge=0,
        ),
    ] = 90
    max_resolve_seconds: Annotated[
        float,
        threshold(
            "Seconds after it is Ready until another replica resolves its name to the new address.",
            source="CoreDNS's default Corefile caches answers for 30 s at most; 5 s more for their way.",
            ge=0,
        ),
    ] = 35


@check(
    "stateful.stable-identity",
    title="Replicas of a StatefulSet come back with their name, claim and data",
    severity=Severity.CRITICAL,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulObservations,),
    aliases=("STS-001",),
)
def stable_identity(facts: Facts, params: IdentityParameters) -> Iterator[Finding]:
    """A replica that goes comes back as the same one: same name, same claim, same data, found under its new address.

    ## What it checks
    The probe starts a StatefulSet of three with a claim each, of the default class, or where that class keeps its
    volumes on the nodes' own disks, of one whose volumes can move. It deletes one pod, evicts the pods of one node,
    changes the template, and scales down and up. Each replica that comes back must have its hostname, the claim of the
    same uid and the marker that it wrote at its first start. After a deletion and an eviction another replica must
    resolve its name to the new address.

    Slow is a warning: more than `max_ready_seconds` until Ready, or more than `max_resolve_seconds` after that until
    the name is right. Whether the volume follows to another node is not asked for here: the pod goes where the
    scheduler puts it.

    ## Why it matters
    Brokers, DataNodes, journals and databases know each other by name, and find their data by their claim. A replica
    that comes back with an empty volume is a lost replica; one whose name leads nowhere takes no part.

    ## How to fix
    Look at why the set did not start or a replica did not come back: the finding quotes what the cluster said. A claim
    that stays Pending belongs to the provisioner of its class, a volume that does not attach to its driver, a name that
    does not resolve to DNS:

        kubectl get events --all-namespaces --field-selector type=Warning --sort-by .lastTimestamp

    ## References
    - [StatefulSets: pod identity](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity)
    - [StatefulSet basics: pods keep their volumes](https://kubernetes.io/docs/tutorials/stateful-application/basic-stateful-set/)
    - [DNS for pods and Services](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    """
    document = observed(facts)
    subjects = [Subject(kind="StorageClass", name=document.storage_class)] if document.storage_class else []
    if not is_done(document.step(START)):
        yield _not_started(document, subjects)
        return
    restarts = [restart for restart in document.restarts if restart.after is not None]
    yield from _lost(document, subjects)
    wrong = [fault for restart in restarts for fault in _faults(restart)]
    if wrong:
        yield Finding.fail(
            f"Replicas did not come back as the ones that they were: {listed(wrong)}.",
            subjects=subjects,
            fix="Find out who removed the claim or emptied the volume; the class and its provisioner come first.",
        )
    nameless = [restart for restart in restarts if restart.observer and restart.resolved_seconds is None]
    if nameless:
        yield _nameless(nameless)
    yield from _slow(restarts, params)
    yield from _untold(document, restarts)
    if restarts and not wrong and not nameless and all(_is_told(document, each) for each in restarts):
        yield _well(document, restarts, subjects)


def _not_started(document: StatefulObservations, subjects: list[Subject]) -> Finding:
    start = document.step(START)
    of_class = f" with claims of class {document.storage_class}" if document.storage_class else ""
    if start is None or start.state is StepState.NOT_DONE or (start.cause is not None and is_own(start.cause)):
        return Finding.unknown(
            f"Whether replicas keep their identity cannot be told: the probe's StatefulSet{of_class} did not start, "
            f"because of the probe's own place: {said(start)}.",
            subjects=subjects,
            fix="Give the probe an image, a namespace and a quota that let it start, and probe again.",
            evidence=told(start),
        )
    return Finding.fail(
        f"A StatefulSet of {document.replicas} replicas{of_class} did not start: {said(start)}.",
        subjects=subjects,
        fix="Remove the cause that the cluster names; StatefulSets of data systems meet it too.",
        evidence=told(start),
    )


def _lost(document: StatefulObservations, subjects: list[Subject]) -> Iterator[Finding]:
    """Replicas that did not come back."""
    for name, went in _WENT.items():
        step = document.step(name)
        if step is not None and step.state is StepState.FAILED and _did_not_return(document, name):
            yield Finding.fail(
                f"A replica that {went} did not come back: {said(step)}.",
                subjects=subjects,
                fix="Remove the cause that the cluster names; replicas of data systems meet it too.",
                evidence=told(step),
            )


def _did_not_return(document: StatefulObservations, step: str) -> bool:
    found = of_step(document, step)
    return any(restart.after is None for restart in found) or (step == UPDATE and not found)


def _faults(restart: Restart) -> Iterator[str]:
    """What is not as it was, in words."""
    before, after = restart.before, restart.after
    if after is None:
        return
    who = f"{short(before.name)}, which {_WENT[restart.step]},"
    if after.hostname and after.hostname != after.name:
        yield f"{who} has the hostname {after.hostname}"
    if before.claim_uid and after.claim_uid != before.claim_uid:
        yield f"{who} has another claim"
    elif before.claim_uid and before.marker and after.marker and after.marker != before.marker:
        yield f"{who} found its volume without the data that it had written"


def _nameless(restarts: list[Restart]) -> Finding:
    seen = [
        f"{short(each.before.name)} (at {', '.join(each.after.addresses if each.after else ())}) by "
        f"{short(each.observer)}"
        for each in restarts
    ]
    return Finding.fail(
        f"The names of replicas that had come back were not resolved to their new addresses within 60 s: "
        f"{listed(seen)}.",
        fix="Look at CoreDNS and its caches: the names of pods behind a headless Service must follow their addresses.",
    )


def _slow(restarts: list[Restart], params: IdentityParameters) -> Iterator[Finding]:
    ready = [each for each in restarts if (each.ready_seconds or 0) > params.max_ready_seconds]
    if ready:
        seen = [f"{short(each.before.name)} {_WENT[each.step]}: {each.ready_seconds:.0f} s" for each in ready]
        yield Finding.warn(
            f"Replicas were away for long ({listed(seen)}); Ready again within {params.max_ready_seconds:g} s was "
            "expected.",
            fix="Look at what the time goes to: placing, attaching the volume, pulling the image or starting.",
        )
    late = [each for each in restarts if _lag(each) > params.max_resolve_seconds]
    if late:
        seen = [f"{short(each.before.name)}: {_lag(each):.0f} s" for each in late]
        yield Finding.warn(
            f"Names led to old addresses for long after replicas were Ready ({listed(seen)}); at most "
            f"{params.max_resolve_seconds:g} s were expected.",
            fix="Lower the time for which CoreDNS or the nodes' DNS caches keep answers.",
        )


def _lag(restart: Restart) -> float:
    """Seconds for which a Ready replica was not found under its name."""
    return max(0.0, (restart.resolved_seconds or 0.0) - (restart.ready_seconds or 0.0))


def _untold(document: StatefulObservations, restarts: list[Restart]) -> Iterator[Finding]:
    """What was not seen, so that it is not taken as well."""
    if not document.storage_class:
        yield Finding.unknown(
            "Whether replicas keep claims and data cannot be told: no StorageClass makes volumes by itself, and the "
            "probe's replicas had none.",
            fix="Create a StorageClass with a provisioner, make it the default, and probe again.",
        )
    silent = [each for each in restarts if document.storage_class and not _is_told(document, each)]
    if silent:
        seen = [f"{short(each.before.name)}, which {_WENT[each.step]}," for each in silent]
        yield Finding.unknown(
            f"Whether {listed(seen)} found its data cannot be told: its log did not say so in time.",
            fix="Probe again; look at the kubelets' logs where pods' logs come late.",
        )
    missed = [name for name in _WENT if not is_done(document.step(name)) and not _did_not_return(document, name)]
    if missed:
        first = document.step(missed[0])
        lacks = first.cause.missing_permission if first is not None and first.cause else ""
        yield Finding.unknown(
            f"How replicas come back was not seen in the {'step' if len(missed) == 1 else 'steps'} {listed(missed)}: "
            f"{said(first)}.",
            fix=f"Give the account that probes the right to {lacks}, and probe again." if lacks else "Probe again.",
            evidence=told(first),
        )


def _is_told(document: StatefulObservations, restart: Restart) -> bool:
    def speaks(member: Member | None) -> bool:
        return member is not None and bool(member.marker)

    return not document.storage_class or (speaks(restart.before) and speaks(restart.after))


def _well(document: StatefulObservations, restarts: list[Restart], subjects: list[Subject]) -> Finding:
    kept = "name, claim and data" if document.storage_class else "name"
    times = [
        f"{each.ready_seconds:.0f} s after it {_WENT[each.step]}" for each in restarts if each.ready_seconds is not None
    ]
    again = f"; it was Ready again {listed(times)}" if times else ""
    of_class = f" on class {document.storage_class}" if document.storage_class else ""
    return Finding.ok(
        f"{len(restarts)} times a replica went and came back with its {kept}{of_class}{again}.",
        subjects=subjects,
        evidence={
            f"{each.step} {short(each.before.name)}": {
                "ready_seconds": each.ready_seconds,
                "resolved_seconds": each.resolved_seconds,
            }
            for each in restarts
        },
    )
