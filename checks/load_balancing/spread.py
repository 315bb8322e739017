"""Does a Service spread connections over its backends, and forget one that is gone?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, cast

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations import StepState
from auditor.facts.observations.network import Loss, NetworkObservations, Spread

from .._wording import counted

_PERCENT = 100


class SpreadParameters(Parameters, frozen=True, kw_only=True):
    """How evenly, and how soon."""

    min_share_percent: Annotated[
        float,
        threshold(
            "Percent of the connections that each of three backends must get.",
            source="No upstream number; an even share is 33 %, from which chance takes less than 3 % of 3,000.",
            ge=0,
            le=33,
        ),
    ] = 20.0
    max_error_seconds: Annotated[
        float,
        threshold(
            "Seconds for which requests may fail after a backend was removed.",
            source="No upstream number; kube-proxy changes its rules within a second or two of the endpoint's change.",
            ge=0,
        ),
    ] = 5.0


@check(
    "load-balancing.service-spread",
    title="Services spread connections over their backends, and drop one that goes",
    severity=Severity.MEDIUM,
    reads=(NetworkObservations,),
    aliases=("LBS-001",),
)
def service_spread(facts: Facts, params: SpreadParameters) -> Iterator[Finding]:
    """Bootstrap addresses, REST servers and proxies all live behind Services.

    ## What it checks
    3,000 connections to a ClusterIP before three pods: each must get at least `min_share_percent`, and all connections
    must come about. Then requests go every 20 ms while one of the pods is deleted, which ends at once when it is told
    to: from the first failure to the last may lie `max_error_seconds`.

    ## Why it matters
    A Service that always gives the same backend turns three Schema Registries or three gateways into one. One that
    keeps sending to a pod that is gone makes each rolling update an outage of its own.

    ## How to fix
    See whether kube-proxy, or what replaces it, runs and keeps up on all nodes, by its log and by the metric
    `kubeproxy_network_programming_duration_seconds`.

        kubectl --namespace kube-system logs --selector k8s-app=kube-proxy --tail 50

    ## References
    - [Virtual IPs and service proxies](https://kubernetes.io/docs/reference/networking/virtual-ips/)
    - [Debug Services](https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/)
    - [SLI of network programming latency](https://github.com/kubernetes/community/blob/master/sig-scalability/slos/network_programming_latency.md)
    """
    document = cast("NetworkObservations", facts.document(NetworkObservations))
    yield from _untold(document)
    troubles = [
        *(_uneven(document.spread, params) if document.spread else ()),
        *(_felt(document.loss, params) if document.loss else ()),
    ]
    yield from troubles
    if document.spread and document.loss and not troubles:
        least = min(document.spread.connections.get(name, 0) for name in document.spread.backends)
        total = sum(document.spread.connections.values())
        yield Finding.ok(
            f"Each of {counted(len(document.spread.backends), 'backend')} got at least "
            f"{_PERCENT * least / max(total, 1):.0f} % of {total} connections; when one went, requests failed for "
            f"{document.loss.error_seconds:.1f} s."
        )


def _untold(document: NetworkObservations) -> Iterator[Finding]:
    undone = [step for step in document.balancing if step.state is not StepState.OK]
    if undone or not document.balancing:
        cause = undone[0].cause if undone else None
        why = cause.message.rstrip(".") if cause else "no step was recorded"
        yield Finding.unknown(
            f"How a Service spreads connections could not be measured: {why}.",
            fix="Remove what kept the probe's pods from running, and probe again.",
        )


def _uneven(spread: Spread, params: SpreadParameters) -> Iterator[Finding]:
    total = sum(spread.connections.values()) + spread.failed
    shares = {name: _PERCENT * spread.connections.get(name, 0) / max(total, 1) for name in spread.backends}
    low = {name: share for name, share in shares.items() if share < params.min_share_percent}
    fix = "Repair kube-proxy or what replaces it: see its pods' logs on the client's node."
    command = "kubectl --namespace kube-system logs --selector k8s-app=kube-proxy --tail 50"
    if low:
        yield Finding.fail(
            f"Of {total} connections to a Service, {len(low)} of {counted(len(shares), 'backend')} got less than "
            f"{params.min_share_percent:g} %, as little as {min(low.values()):.0f} %.",
            fix=fix,
            command=command,
            evidence={"connections": spread.connections, "failed": spread.failed},
        )
    if spread.failed:
        yield Finding.warn(
            f"Of {total} connections to a Service with {counted(len(shares), 'ready backend')}, {spread.failed} "
            f"failed, none was expected to: {next(iter(spread.errors), 'no reason was given')}.",
            fix=fix,
            command=command,
            evidence={"errors": spread.errors},
        )


def _felt(loss: Loss, params: SpreadParameters) -> Iterator[Finding]:
    if loss.error_seconds > params.max_error_seconds:
        yield Finding.fail(
            f"After a backend was removed, requests to its Service failed for {loss.error_seconds:.1f} s "
            f"({loss.failed} of {loss.failed + sum(loss.answered.values())}), at most {params.max_error_seconds:g} s "
            "were expected.",
            fix="See why the Service's endpoints or kube-proxy's rules come late: both log how long they take.",
            command="kubectl --namespace kube-system logs --selector k8s-app=kube-proxy --tail 50",
            evidence={"errors": loss.errors, "answered": loss.answered},
        )
