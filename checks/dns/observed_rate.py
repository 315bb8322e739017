"""Does DNS bear the questions of many executors that start at once?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.dns import DnsObservations

from .._wording import examples
from ._observed import asking, dead, observed, on, silent, subjects, unseen

LOOKUPS_PER_EXECUTOR = 10
"""For the driver, with the search list and for IPv4 and IPv6."""


class RateParameters(Parameters, frozen=True, kw_only=True):
    """How much DNS must bear."""

    executors_per_second: Annotated[
        float,
        threshold(
            "Executors that start within a second, at 10 look-ups each.",
            source="No upstream number; Spark asks for 10 to 20 a second and application "
            "(spark.kubernetes.allocation.batch.size and .delay).",
            ge=0,
        ),
    ] = 20
    max_failed_share: Annotated[
        float,
        threshold(
            "Share of look-ups that may fail meanwhile, from 0 to 1.",
            source="No upstream number; each makes an executor wait for 5 s.",
            ge=0,
            le=1,
        ),
    ] = 0.001


@check(
    "dns.lookup-rate",
    title="DNS answers as many look-ups at once as starting executors need",
    severity=Severity.MEDIUM,
    workloads={Workload.SPARK: Severity.MEDIUM},
    reads=(DnsObservations,),
    aliases=("DNS-014",),
)
def lookup_rate(facts: Facts, params: RateParameters) -> Iterator[Finding]:
    """A wave of executors asks for its driver all at once.

    ## What it checks
    A pod on a node of each zone asks 16 questions at a time for 2 s, at about the same time as the others. No more than
    `max_failed_share` of them may fail. The fastest of the pods must have had 10 answers a second for each of
    `executors_per_second`; that one pod is slower than that is a warning, for its node may be what is slow.

    ## Why it matters
    An executor that cannot resolve its driver ends, and is made again, which asks again. CoreDNS on two processors
    answers about 33,000 questions a second from memory and 6,700 from upstream; CPU limits of a tenth of a processor,
    which some installers set, answer some hundreds.

    ## How to fix
    Raise the replicas and CPU limits of CoreDNS, or run NodeLocal DNSCache.

        kubectl --namespace kube-system scale deployment coredns --replicas=3

    ## References
    - [CoreDNS: scaling](https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md)
    - [Spark on Kubernetes: configuration](https://spark.apache.org/docs/latest/running-on-kubernetes.html#configuration)
    - [NodeLocal DNSCache](https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/)
    """
    document = observed(facts)
    yield from unseen(document)
    views = asking(document)
    found = {name: view.burst for name, view in views.items() if view.burst is not None}
    mute = dead(views)
    mute |= {name: next(iter(each.failures), "no answer") for name, each in found.items() if not each.answered}
    if mute:
        yield silent(mute, "How many look-ups DNS answers at once")
    heard = {name: each for name, each in found.items() if name not in mute}
    if not heard:
        return
    failing = {n: e for n, e in heard.items() if sum(e.failures.values()) > params.max_failed_share * e.asked}
    expected = params.executors_per_second * LOOKUPS_PER_EXECUTOR
    fastest = max(each.per_second for each in heard.values())
    if failing:
        counts = Counter[str]()
        for each in failing.values():
            counts.update(each.failures)
        asked = sum(each.asked for each in failing.values())
        yield Finding.fail(
            f"On {on(failing)} {counts.total():,} of {asked:,} look-ups failed while 16 were asked at a time "
            f"({', '.join(f'{kind}: {count}' for kind, count in counts.most_common())}), at most "
            f"{100 * params.max_failed_share:g} % were expected to.",
            subjects=subjects(failing),
            fix="Raise the replicas and CPU limits of CoreDNS, or run NodeLocal DNSCache.",
            command="kubectl --namespace kube-system get deployment coredns --output yaml",
            evidence=examples({name: each.failures for name, each in failing.items()}),
        )
    if fastest < expected:
        yield Finding.warn(
            f"No pod had more than {fastest:,.0f} answers a second from DNS, {expected:,.0f} were expected for "
            f"{params.executors_per_second:g} executors a second.",
            subjects=subjects(heard),
            fix="Raise the replicas and CPU limits of CoreDNS, or run NodeLocal DNSCache.",
            command="kubectl --namespace kube-system get deployment coredns --output yaml",
            evidence=examples({name: each.per_second for name, each in heard.items()}),
        )
    if not failing and fastest >= expected and not mute:
        yield Finding.ok(
            f"A pod had up to {fastest:,.0f} answers a second from DNS, {expected:,.0f} were expected.",
            subjects=subjects(heard),
        )
