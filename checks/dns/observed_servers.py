"""Does each server of the cluster's DNS answer, when it is asked by itself?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, check, threshold
from auditor.facts.observations.dns import DnsObservations, Lookups, Server

from .._wording import counted, examples, listed
from ._observed import asking, milliseconds, not_told, observed, on, unseen


class ServersParameters(Parameters, frozen=True, kw_only=True):
    """How fast one server must answer."""

    max_median_seconds: Annotated[
        float,
        threshold(
            "Seconds of the median answer of one server.",
            source="No upstream number; answers from CoreDNS' memory take about 1 ms.",
            ge=0,
        ),
    ] = 0.1
    max_lost: Annotated[
        int,
        threshold(
            "Look-ups of the 20 from one node that one server may leave unanswered.",
            source="No upstream number; one datagram may be lost in a busy moment, and dns.lookups counts those.",
            ge=0,
        ),
    ] = 1


@check(
    "dns.every-server",
    title="Every ready server of the cluster's DNS answers when asked by itself",
    severity=Severity.HIGH,
    reads=(DnsObservations,),
)
def every_server(facts: Facts, params: ServersParameters) -> Iterator[Finding]:
    """One bad server among several spoils its share of all look-ups, and each retry may meet it again.

    ## What it checks
    Pods on a node of each zone ask each ready endpoint of the DNS Service 20 times at its own address, around the
    Service. No server may leave more than `max_lost` unanswered, and the median takes at most `max_median_seconds`.
    Where none answers although the Service does, a policy may let questions through to the Service only, and nothing
    can be told.

    ## Why it matters
    A pod that is Ready and does not answer, or that one zone cannot reach, fails one look-up of two or three there, at
    random. Behind the Service that looks like lost datagrams everywhere.

    ## How to fix
    Delete the pod that does not answer. Where only some nodes cannot reach it, look at the network between them.

        kubectl --namespace kube-system get pods --selector k8s-app=kube-dns --output wide

    ## References
    - [Debugging DNS resolution](https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/)
    - [More CoreDNS replicas, more timeouts](https://github.com/kubernetes/kubernetes/issues/113080)
    """
    document = observed(facts)
    yield from unseen(document)
    what = "Whether each server of the cluster's DNS answers"
    step = document.step("servers")
    if step is None or step.cause is not None:
        yield not_told(what, step)
        return
    views = asking(document)
    ready = {address: each for address, each in document.servers.items() if each.ready}
    if not document.servers:
        yield Finding.skip("The cluster's DNS runs outside its pods, or behind a Service that is not known by name.")
        return
    if not ready:
        yield Finding.unknown(
            f"{what} cannot be told: none of {counted(len(document.servers), 'endpoint')} is ready.",
            fix="Repair CoreDNS first; the checks dns.lookups and dns.service-endpoints say more.",
        )
        return
    asked = {
        address: {node: view.servers[address] for node, view in views.items() if address in view.servers}
        for address in ready
    }
    asked = {address: by_node for address, by_node in asked.items() if by_node}
    answers = any(each.latencies for by_node in asked.values() for each in by_node.values())
    if asked and not answers and any(view.lookups and view.lookups.latencies for view in views.values()):
        yield Finding.unknown(
            f"{what} cannot be told: through the Service names resolve, but none of its servers answers at its own "
            "address; a policy may allow the way through the Service only.",
            fix="Let the probe's pods reach port 53 of the DNS pods, and probe again.",
        )
        return
    troubles = [*_failing(document.servers, asked, params), *_slow(document.servers, asked, params)]
    yield from troubles
    if asked and not troubles:
        lost = sum(each.failed for by_node in asked.values() for each in by_node.values())
        yield Finding.ok(
            f"All {counted(len(asked), 'ready server')} of the cluster's DNS answered from {on(views)}"
            f"{'; lost: ' + counted(lost, 'look-up') if lost else ''}.",
            subjects=[_subject(ready[address]) for address in asked],
        )


def _failing(
    servers: Mapping[str, Server], asked: Mapping[str, Mapping[str, Lookups]], params: ServersParameters
) -> Iterator[Finding]:
    failing = {
        address: {node: each for node, each in by_node.items() if each.failed > params.max_lost}
        for address, by_node in asked.items()
    }
    failing = {address: by_node for address, by_node in failing.items() if by_node}
    if not failing:
        return
    told = [
        f"{_called(address, servers[address])} from {on(by_node)} ({_worst(by_node)})"
        for address, by_node in failing.items()
    ]
    yield Finding.fail(
        f"{len(failing)} of {counted(len(asked), 'ready DNS server')} left look-ups unanswered, at most "
        f"{params.max_lost} from each node was expected: {listed(told)}.",
        subjects=[_subject(servers[address]) for address in failing],
        fix="Delete the DNS pod that does not answer; where only some nodes cannot reach it, look at their network.",
        command="kubectl --namespace kube-system get pods --selector k8s-app=kube-dns --output wide",
        evidence=examples(
            {address: {node: each.failures for node, each in by_node.items()} for address, by_node in failing.items()}
        ),
    )


def _slow(
    servers: Mapping[str, Server], asked: Mapping[str, Mapping[str, Lookups]], params: ServersParameters
) -> Iterator[Finding]:
    slow = {
        address: min(each.latencies.p50_seconds for each in by_node.values() if each.latencies)
        for address, by_node in asked.items()
        if any(each.latencies for each in by_node.values())
    }
    slow = {address: seconds for address, seconds in slow.items() if seconds > params.max_median_seconds}
    if slow:
        told = [f"{_called(address, servers[address])} {milliseconds(each)}" for address, each in slow.items()]
        yield Finding.warn(
            f"DNS servers answer late from everywhere (median of {listed(told)}), at most "
            f"{milliseconds(params.max_median_seconds)} were expected.",
            subjects=[_subject(servers[address]) for address in slow],
            fix="Look at the processor time that these pods get, and at the load of their nodes.",
            evidence=examples(slow),
        )


def _called(address: str, server: Server) -> str:
    return f"{server.pod or address}{f' on {server.node}' if server.node else ''}"


def _worst(by_node: Mapping[str, Lookups]) -> str:
    """What was said most often where most were unanswered."""
    worst = max(by_node.values(), key=lambda each: each.failed / each.asked)
    return f"{worst.failed} of {worst.asked}: {max(worst.failures, key=lambda kind: worst.failures[kind])}"


def _subject(server: Server) -> Subject:
    namespace, _, name = server.service.partition("/")
    if server.pod:
        return Subject(kind="Pod", namespace=namespace, name=server.pod)
    return Subject(kind="Service", namespace=namespace, name=name)
