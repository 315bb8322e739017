"""Does the API server answer a client in time, and can leaders keep their leases?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, cast

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations import Latencies
from auditor.facts.observations.api import ApiObservations, Failures, LeaseRenewals

from .._wording import counted, listed
from ._figures import milliseconds, percent

_LIST = "list"


class ApiLatencyParameters(Parameters, frozen=True, kw_only=True):
    """How long the API server may take, and how often it may not answer."""

    max_object_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds within which 99 of 100 requests for one object must be answered.",
            source="Kubernetes SLO: 99 of 100 calls that change or read one object within 1 s.",
            ge=0,
        ),
    ] = 1.0
    max_list_p99_seconds: Annotated[
        float,
        threshold(
            "The same for lists.",
            source="Kubernetes SLO: 99 of 100 lists within 30 s.",
            ge=0,
        ),
    ] = 30.0
    max_failed_share: Annotated[
        float,
        threshold(
            "Share of requests, made one at a time, that may meet an error, no answer or a refusal for overload (429).",
            source="Kubernetes SLO: 99 of 100; one that is not answered is not answered in time.",
            ge=0,
            le=1,
        ),
    ] = 0.01
    min_requests: Annotated[
        int,
        threshold(
            "With fewer answers than this of a kind, nothing good is said of their 99th percentile.",
            source="No upstream number; of 20 answers the slowest stands for the 99th percentile.",
            ge=1,
        ),
    ] = 20


class LeaseParameters(Parameters, frozen=True, kw_only=True):
    """How regularly a leader must be able to renew its lease."""

    max_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds that a renewal may take (99th percentile), else a warning.",
            source="Kubernetes SLO: 99 of 100 calls that change one object within 1 s.",
            ge=0,
        ),
    ] = 1.0
    max_gap_seconds: Annotated[
        float,
        threshold(
            "Seconds between two renewals that worked, else a warning.",
            source="client-go's default renew deadline of 10 s, after which operators' leaders give up.",
            ge=0,
        ),
    ] = 10.5
    fail_gap_seconds: Annotated[
        float,
        threshold(
            "The same for a failure.",
            source="Flink's defaults of lease-duration and renew-deadline, 15 s, and client-go's lease duration.",
            ge=0,
        ),
    ] = 15.0


@check(
    "control-plane.api-latency",
    title="The API server answers requests for one object within 1 s, lists within 30 s",
    severity=Severity.HIGH,
    reads=(ApiObservations,),
    aliases=("CPL-008",),
)
def api_latency(facts: Facts, params: ApiLatencyParameters) -> Iterator[Finding]:
    """99 of 100 small requests of a client, one at a time, are answered in time.

    ## What it checks
    The probe makes, reads, lists, changes and removes ConfigMaps of a few bytes, one request at a time, each asked
    once. For every verb the 99th percentile must be within Kubernetes' objectives. More than `max_failed_share` of
    requests that meet an error, no answer or 429 is a failure too.

    What is measured is all that a client waits for: the way, admission webhooks and queues included, which the
    objectives leave out. The way is measured too, by requests for the server's version: where an answer would have been
    in time without it, being slow is a warning only.

    ## Why it matters
    Spark's drivers make their executors one request after another, operators reconcile, and Flink's leaders write their
    locks. On a slow API server all of them are slow, and beyond their timeouts they fail.

    ## How to fix
    Give the control plane more CPU, or choose a larger one of the managed service. Find clients that list much, and
    webhooks that take long:

        kubectl get --raw /metrics | grep -E '^apiserver_(request|admission_webhook_admission)_duration_seconds_sum'

    Where only the way is long, run the probe nearer to the cluster.

    ## References
    - [Kubernetes SLOs: API call latency](https://github.com/kubernetes/community/blob/master/sig-scalability/slos/api_call_latency.md)
    - [Considerations for large clusters](https://kubernetes.io/docs/setup/best-practices/cluster-large/)
    - [API priority and fairness](https://kubernetes.io/docs/concepts/cluster-administration/flow-control/)
    """
    document = _observed(facts)
    slow = {verb: seen for verb, seen in document.verbs.items() if seen.p99_seconds > _limit(verb, params)}
    way_seconds = document.way.p50_seconds if document.way else 0.0
    far = {v: seen for v, seen in slow.items() if seen.p99_seconds - way_seconds <= _limit(v, params)}
    near = {verb: seen for verb, seen in slow.items() if verb not in far}
    expected = f"at most {milliseconds(params.max_object_p99_seconds)}, {params.max_list_p99_seconds:g} s for lists,"
    if near:
        yield Finding.fail(
            f"The API server answers slowly (p99 of requests, one at a time: {_said(near)}); {expected} were expected.",
            fix="Give the control plane more room, and find clients that list much and webhooks that take long.",
            evidence=_evidence(document),
        )
    if far:
        yield Finding.warn(
            f"Answers of the API server come late (p99: {_said(far)}; {expected} were expected), and already the "
            f"cheapest request takes {milliseconds(way_seconds)}: the way to it is long, or all of it is slow.",
            fix="Run the probe nearer to the cluster; if it is as slow there, give the control plane more room.",
            evidence=_evidence(document),
        )
    wrong = list(_failures(document, params))
    yield from wrong
    few = [verb for verb, seen in document.verbs.items() if seen.count < params.min_requests]
    if few or not document.verbs:
        least = min((seen.count for seen in document.verbs.values()), default=0)
        yield Finding.unknown(
            f"How fast the API server answers cannot be told of {least} answers to {listed(few or ['create'])}; at "
            f"least {params.min_requests} of each kind were expected.",
            fix="Remove what kept requests from being answered, or let the probe make more of them, and probe again.",
        )
    elif not slow and not wrong:
        yield Finding.ok(
            f"The API server answers in time (p99 of requests, one at a time: {_said(document.verbs)}); "
            f"{expected} were expected.",
            evidence=_evidence(document),
        )


@check(
    "control-plane.lease-renewal",
    title="Leaders can renew their leases without gaps",
    severity=Severity.HIGH,
    workloads={
        Workload.FLINK: Severity.HIGH,
        Workload.SPARK: Severity.HIGH,
        Workload.KAFKA: Severity.HIGH,
    },
    reads=(ApiObservations,),
    aliases=("CPL-009",),
)
def lease_renewal(facts: Facts, params: LeaseParameters) -> Iterator[Finding]:
    """A lease that is renewed every 5 s, as leaders do, is never without a renewal for long.

    ## What it checks
    The probe holds a lease for a minute (`probes.lease_seconds`) and renews it every 5 s, each time with one request
    that has 10 s. A gap between two renewals of more than `fail_gap_seconds` fails; more than `max_gap_seconds`, which
    is one renewal missed and late, or a 99th percentile above `max_p99_seconds` is a warning.

    A minute shows what is always there. Gaps that come once an hour need a longer time: 300 s show more.

    ## Why it matters
    Flink's job managers with high availability give up after 15 s without a renewal, and all of their jobs restart:
    "renew deadline reached". Operators of Spark and Kafka end themselves after 10 s, and what they manage waits.

    ## How to fix
    Look at the latency of etcd and at the API server's load, and at restarts of API servers behind the load balancer.
    Meanwhile give Flink more patience:

        high-availability.kubernetes.leader-election.lease-duration: 60 s
        high-availability.kubernetes.leader-election.renew-deadline: 60 s

    ## References
    - [Flink: Kubernetes HA services](https://nightlies.apache.org/flink/flink-docs-master/docs/deployment/ha/kubernetes_ha/)
    - [fabric8: renew deadline reached](https://github.com/fabric8io/kubernetes-client/issues/4246)
    - [Leases](https://kubernetes.io/docs/concepts/architecture/leases/)
    - [client-go: leader election](https://pkg.go.dev/k8s.io/client-go/tools/leaderelection)
    """
    document = _observed(facts)
    lease = document.lease
    if lease is None:
        why = document.no_lease.message.rstrip(". ") if document.no_lease else "no reason was given"
        yield Finding.unknown(
            f"Whether leaders can renew their leases cannot be told: the probe's lease could not be made: {why}.",
            fix="Remove the cause, and probe again.",
        )
    elif lease.failed.refused and lease.renewals is None:
        yield Finding.unknown(
            f"Whether leaders can renew their leases cannot be told: the renewals were refused{_last(lease.failed)}.",
            fix="Remove what refuses to change the probe's lease, and probe again.",
        )
    else:
        yield _judged(lease, params)


def _judged(lease: LeaseRenewals, params: LeaseParameters) -> Finding:
    done = lease.renewals.count if lease.renewals else 0
    p99_seconds = lease.renewals.p99_seconds if lease.renewals else 0.0
    tries = counted(done + lease.failed.count, "renewal")
    failed = f", {lease.failed.count} of which failed{_last(lease.failed)}" if lease.failed.count else ""
    evidence = {
        "renewed": done,
        "throttled": lease.failed.throttled,
        "unanswered": lease.failed.unanswered,
        "refused": lease.failed.refused,
        "p99_seconds": round(p99_seconds, 4),
        "longest_gap_seconds": round(lease.longest_gap_seconds, 3),
    }
    gap = f"the longest gap between renewals that worked was {lease.longest_gap_seconds:.1f} s"
    fix = "Look at the latency of etcd and the load of the API server; give leaders longer lease durations meanwhile."
    if lease.longest_gap_seconds > params.fail_gap_seconds:
        return Finding.fail(
            f"A lease could not be kept over {lease.for_seconds:.0f} s ({tries}{failed}): {gap}, at most "
            f"{params.fail_gap_seconds:g} s were expected.",
            fix=fix,
            evidence=evidence,
        )
    if lease.longest_gap_seconds > params.max_gap_seconds or p99_seconds > params.max_p99_seconds:
        return Finding.warn(
            f"A lease was renewed unsteadily over {lease.for_seconds:.0f} s ({tries}{failed}): {gap}, at most "
            f"{params.max_gap_seconds:g} s were expected; p99 was {milliseconds(p99_seconds)}, at most "
            f"{milliseconds(params.max_p99_seconds)} were expected.",
            fix=fix,
            evidence=evidence,
        )
    return Finding.ok(
        f"A lease was renewed every {lease.every_seconds:g} s over {lease.for_seconds:.0f} s ({tries}{failed}), p99 "
        f"{milliseconds(p99_seconds)}; {gap}.",
        evidence=evidence,
    )


def _observed(facts: Facts) -> ApiObservations:
    return cast("ApiObservations", facts.document(ApiObservations))


def _limit(verb: str, params: ApiLatencyParameters) -> float:
    return params.max_list_p99_seconds if verb == _LIST else params.max_object_p99_seconds


def _failures(document: ApiObservations, params: ApiLatencyParameters) -> Iterator[Finding]:
    refused = {verb: failed for verb, failed in document.failed.items() if failed.refused}
    bad = {verb: share for verb in document.failed if (share := _share(document, verb)) > params.max_failed_share}
    if bad:
        throttled = sum(document.failed[verb].throttled for verb in bad)
        seen = [f"{verb} {percent(share)}{_last(document.failed[verb])}" for verb, share in bad.items()]
        yield Finding.fail(
            f"Requests to the API server, made one at a time, failed ({listed(seen)}); at most "
            f"{percent(params.max_failed_share)} were expected.",
            fix="Look at flow control: which priority level refuses requests, and who fills it."
            if throttled
            else "Look at the logs of the API servers and of what stands before them.",
            command="kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels" if throttled else None,
            evidence=_evidence(document),
        )
    if refused:
        seen = [f"{verb}{_last(failed)}" for verb, failed in refused.items()]
        yield Finding.unknown(
            f"How fast the API server answers cannot be told whole: requests were refused for good ({listed(seen)}).",
            fix="Remove what refuses the probe's ConfigMaps, and probe again.",
        )


def _share(document: ApiObservations, verb: str) -> float:
    """The share of requests that were not answered; those refused for good are answers."""
    failed = document.failed[verb]
    lost = failed.throttled + failed.unanswered
    worked = document.verbs[verb].count if verb in document.verbs else 0
    return lost / max(1, lost + worked)


def _last(failed: Failures) -> str:
    return f', the last with "{failed.last.message.rstrip(". ")}"' if failed.last else ""


def _said(verbs: Mapping[str, Latencies]) -> str:
    return listed([f"{verb} {milliseconds(seen.p99_seconds)} of {seen.count}" for verb, seen in verbs.items()])


def _evidence(document: ApiObservations) -> dict[str, object]:
    seen: dict[str, object] = {
        verb: {
            "requests": each.count,
            "p50_seconds": round(each.p50_seconds, 4),
            "p99_seconds": round(each.p99_seconds, 4),
            "max_seconds": round(each.max_seconds, 4),
        }
        for verb, each in document.verbs.items()
    }
    failed = {verb: each.count for verb, each in document.failed.items()}
    way = round(document.way.p50_seconds, 4) if document.way else None
    return {**seen, "failed": failed, "way_p50_seconds": way}
