"""Do names resolve every time, from everywhere, and without waiting for lost datagrams?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.dns import DnsObservations, Lookups, View

from .._wording import counted, examples, listed
from ._observed import asking, milliseconds, observed, on, subjects, unseen

_PODS = "kubectl --namespace kube-system get pods --selector k8s-app=kube-dns --output wide"


class LookupsParameters(Parameters, frozen=True, kw_only=True):
    """How fast and surely names must resolve."""

    max_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds of the slowest hundredth of look-ups of a name of the cluster.",
            source="No upstream number; answers from CoreDNS' memory take about 1 ms, and 100 ms are felt in a task.",
            ge=0,
        ),
    ] = 0.1
    max_lost_share: Annotated[
        float,
        threshold(
            "Share of single datagrams that may be lost, from 0 to 1; fewer that are lost are a warning.",
            source="No upstream number; each makes an application wait for 5 s.",
            ge=0,
            le=1,
        ),
    ] = 0.001


@check(
    "dns.lookups",
    title="Names resolve every time, quickly, and without stalls of 5 seconds",
    severity=Severity.HIGH,
    reads=(DnsObservations,),
    aliases=("DNS-012",),
)
def lookups(facts: Facts, params: LookupsParameters) -> Iterator[Finding]:
    """A look-up that is lost costs an application 5 s, and data systems make thousands of them.

    ## What it checks
    Pods on a node of each zone ask thousands of times for the name of the API server, in two ways:

    - by single datagrams, each from a port of its own, lost after 2 s: no answer may be an error, no more than
      `max_lost_share` may be lost, and the slowest hundredth takes at most `max_p99_seconds`;
    - through the system's resolver, as applications do: none may fail, and none take about 5 s or 10 s.

    ## Why it matters
    The resolver waits 5 s for a datagram that was lost before it asks again. Kernels lose them where two questions from
    one port race for an entry of the connection table, on the way to a Service's address; so do full tables, a CoreDNS
    that is gone but still has traffic, and limits of the cloud (1,024 packets a second and interface on AWS).

    ## How to fix
    Where nothing resolves from anywhere, look at CoreDNS; from one node only, at its network plugin and kube-proxy.
    Against stalls of 5 s run NodeLocal DNSCache, whose questions to CoreDNS go over TCP and are not translated.

        kubectl --namespace kube-system get pods --selector k8s-app=kube-dns --output wide

    ## References
    - [DNS intermittent delays of 5 s](https://github.com/kubernetes/kubernetes/issues/56903)
    - [NodeLocal DNSCache](https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/)
    - [Debugging DNS resolution](https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/)
    """
    document = observed(facts)
    yield from unseen(document)
    views = asking(document)
    found = {name: view.lookups for name, view in views.items() if view.lookups is not None}
    dead = {name: each for name, each in found.items() if each.latencies is None}
    if dead:
        yield _dead(document, dead, of=len(found))
    living = {name: each for name, each in found.items() if name not in dead}
    troubles = [
        *_failing(living, params),
        *_slow(living, params),
        *_stalling({name: view for name, view in views.items() if name in living}),
    ]
    yield from troubles
    if living and not dead and not troubles:
        slowest = max(each.latencies.p99_seconds for each in living.values() if each.latencies)
        asked = sum(each.asked for each in living.values())
        yield Finding.ok(
            f"All {asked:,} look-ups from {on(living)} were answered, 99 of 100 within {milliseconds(slowest)}.",
            subjects=subjects(living),
        )


def _dead(document: DnsObservations, dead: Mapping[str, Lookups], *, of: int) -> Finding:
    first = next(iter(dead.values()))
    ready = [each for each in document.servers.values() if each.ready]
    service = next((each.service for each in document.servers.values()), "kube-system/kube-dns")
    why = f" The Service {service} has no ready endpoint." if document.servers and not ready else ""
    everywhere = len(dead) == of
    return Finding.fail(
        f"On {on(dead)} no name of the cluster resolves: all of the first {counted(first.asked, 'look-up')} of "
        f"{first.name} failed ({_told(dead)}).{why}",
        subjects=subjects(dead),
        fix="Repair CoreDNS: look at its pods, their logs and its Corefile."
        if everywhere
        else "Look at the network plugin, kube-proxy and firewalls of these nodes: from others names resolve.",
        command=_PODS if everywhere else None,
        evidence=examples({name: each.failures for name, each in dead.items()}),
    )


def _failing(found: Mapping[str, Lookups], params: LookupsParameters) -> Iterator[Finding]:
    failing = {name: each for name, each in found.items() if each.failures}
    if not failing:
        return
    worst = max(each.failed / each.asked for each in failing.values())
    only_lost = {kind for each in failing.values() for kind in each.failures} == {"timeout"}
    message = (
        f"On {on(failing)} {sum(each.failed for each in failing.values()):,} of "
        f"{sum(each.asked for each in failing.values()):,} single look-ups failed ({_told(failing)}), up to "
        f"{100 * worst:.2g} % from one node; at most {100 * params.max_lost_share:g} % were expected to be lost."
    )
    make = Finding.warn if only_lost and worst <= params.max_lost_share else Finding.fail
    yield make(
        message,
        subjects=subjects(failing),
        fix="Run NodeLocal DNSCache, and look for lost packets and full connection tables on these nodes."
        if only_lost
        else "Look at the logs of CoreDNS for what it could not answer.",
        command=_PODS,
        evidence=examples({name: each.failures for name, each in failing.items()}),
    )


def _slow(found: Mapping[str, Lookups], params: LookupsParameters) -> Iterator[Finding]:
    p99 = {name: each.latencies.p99_seconds for name, each in found.items() if each.latencies}
    if slow := {name: each for name, each in p99.items() if each > params.max_p99_seconds}:
        median = max(found[name].latencies.p50_seconds for name in slow if found[name].latencies)  # type: ignore[union-attr]
        yield Finding.fail(
            f"On {on(slow)} look-ups are slow: 1 of 100 takes {milliseconds(max(slow.values()))} or more, half of them "
            f"{milliseconds(median)}; at most {milliseconds(params.max_p99_seconds)} were expected.",
            subjects=subjects(slow),
            fix="Look at the load of CoreDNS and of these nodes' network; add replicas, or NodeLocal DNSCache.",
            command=_PODS,
            evidence=examples({name: {"p99_seconds": each, **found[name].buckets} for name, each in slow.items()}),
        )


def _stalling(views: Mapping[str, View]) -> Iterator[Finding]:
    """What the resolver hides of lost datagrams, except for the time."""
    both = {
        name: [each for each in (view.resolver_absolute, view.resolver_searched) if each is not None]
        for name, view in views.items()
    }
    if failing := {name: each for name, each in both.items() if any(one.failures for one in each)}:
        told = Counter(kind for each in failing.values() for one in each for kind in one.failures)
        yield Finding.fail(
            f"On {on(failing)} the system's resolver failed {sum(o.failed for e in failing.values() for o in e)} of "
            f"{sum(o.asked for e in failing.values() for o in e)} times ({listed(sorted(told))}), none was "
            "expected to.",
            subjects=subjects(failing),
            fix="Look for lost packets between these nodes and CoreDNS, and at the logs of CoreDNS.",
            command=_PODS,
            evidence=examples({name: [one.failures for one in each] for name, each in failing.items()}),
        )
    stalls = {name: sum(one.around_timeout for one in each) for name, each in both.items()}
    if stalls := {name: count for name, count in stalls.items() if count}:
        yield Finding.fail(
            f"On {on(stalls)} {counted(sum(stalls.values()), 'look-up')} through the system's resolver took about 5 s "
            "or 10 s, none was expected to: a datagram was lost, and the resolver waited before it asked again.",
            subjects=subjects(stalls),
            fix="Run NodeLocal DNSCache, or a network plugin that does not translate the addresses of DNS.",
            evidence=examples(stalls),
        )


def _told(found: Mapping[str, Lookups]) -> str:
    """``timeout 7 times, SERVFAIL once``."""
    counts: Counter[str] = Counter()
    for each in found.values():
        counts.update(each.failures)
    return ", ".join(f"{kind} {'once' if count == 1 else f'{count} times'}" for kind, count in counts.most_common())
