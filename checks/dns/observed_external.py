"""Do names outside the cluster resolve fast enough for object stores?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.dns import DnsObservations, External

from .._wording import counted, examples, listed
from ._observed import asking, dead, milliseconds, observed, on, silent, subjects, unseen


class ExternalParameters(Parameters, frozen=True, kw_only=True):
    """How fast and with how many questions names outside must resolve."""

    max_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds of the slowest hundredth of look-ups of a name outside the cluster.",
            source="No upstream number; a task that lists an object store does several of them.",
            ge=0,
        ),
    ] = 0.2
    max_candidates: Annotated[
        int,
        threshold(
            "Names that the resolver may try until it finds the one that was meant.",
            source="No upstream number; three of Kubernetes, two of the node's own domains, and the name itself.",
            ge=1,
        ),
    ] = 6


@check(
    "dns.external-names",
    title="A name outside the cluster resolves quickly and without many detours",
    severity=Severity.MEDIUM,
    workloads=dict.fromkeys((Workload.SPARK, Workload.TENSORFLOW, Workload.FLINK), Severity.MEDIUM),
    reads=(DnsObservations,),
    aliases=("DNS-013",),
)
def external_names(facts: Facts, params: ExternalParameters) -> Iterator[Finding]:
    """Jobs that read an object store ask for its name without end, each time with a few names that do not exist.

    ## What it checks
    Where the site gives the probes an `external_name`, pods on a node of each zone ask for it 100 times in 20 s by
    single datagrams, with a dot at its end: none may fail, and the slowest hundredth takes at most `max_p99_seconds`.
    Without the dot they try what the resolver tries by the search list: at most `max_candidates` names.

    ## Why it matters
    With `ndots:5` a name such as `bucket.s3.example.com` is first tried in all domains of the search list, twice each,
    for IPv4 and IPv6. What does not exist within the cluster's domain CoreDNS knows; the node's domains are asked for
    upstream. A slow upstream is then slow several times over.

    ## How to fix
    Give pods of jobs that read object stores `dnsConfig` with `ndots: "2"`, or write the name with a dot at its end;
    do not change it for the whole cluster. Where the upstream is slow, name a nearer one in `forward`.

    ## References
    - [Pod's DNS Config](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-dns-config)
    - [EKS best practices: cluster services](https://docs.aws.amazon.com/eks/latest/best-practices/scale-cluster-services.html)
    - [CoreDNS: forward](https://coredns.io/plugins/forward/)
    """
    document = observed(facts)
    yield from unseen(document)
    views = asking(document)
    found = {name: view.external for name, view in views.items() if view.external is not None}
    mute = dead(views)
    if any(name not in mute for name in views) and not found:
        yield Finding.skip(
            "The site names no host outside the cluster to ask for (option external_name of the probes)."
        )
        return
    if mute:
        yield silent(mute, "Whether names outside the cluster resolve")
    heard = {name: each for name, each in found.items() if name not in mute}
    troubles = [*_failing(heard), *_slow(heard, params), *_detours(heard, params)]
    yield from troubles
    if heard and not mute and not troubles:
        p99 = max(each.lookups.latencies.p99_seconds for each in heard.values() if each.lookups.latencies)
        most = max(len(each.candidates) for each in heard.values())
        yield Finding.ok(
            f"On {on(heard)} {next(iter(heard.values())).name} resolves, 99 of 100 times within {milliseconds(p99)}; "
            f"without a dot at its end the resolver tries {counted(most, 'name')} for it.",
            subjects=subjects(heard),
        )


def _failing(found: Mapping[str, External]) -> Iterator[Finding]:
    failing = {
        name: {**each.lookups.failures, **each.resolver_absolute.failures, **each.resolver_searched.failures}
        for name, each in found.items()
    }
    if failing := {name: each for name, each in failing.items() if each}:
        first = next(iter(failing))
        yield Finding.fail(
            f"On {on(failing)} look-ups of {found[first].name} failed ({listed(sorted(failing[first]))}), of single "
            f"datagrams {found[first].lookups.failed} of {found[first].lookups.asked}; none was expected to.",
            subjects=subjects(failing),
            fix="Look at the servers that the forward plugin of the Corefile names, and the way to them.",
            command="kubectl --namespace kube-system get configmap coredns --output yaml",
            evidence=examples(failing),
        )


def _slow(found: Mapping[str, External], params: ExternalParameters) -> Iterator[Finding]:
    p99 = {name: each.lookups.latencies.p99_seconds for name, each in found.items() if each.lookups.latencies}
    if slow := {name: each for name, each in p99.items() if each > params.max_p99_seconds}:
        first = found[next(iter(slow))]
        yield Finding.fail(
            f"On {on(slow)} look-ups of {first.name} are slow: 1 of 100 takes "
            f"{milliseconds(max(slow.values()))} or more; at most {milliseconds(params.max_p99_seconds)} were "
            "expected.",
            subjects=subjects(slow),
            fix="Name a nearer upstream in the forward plugin of the Corefile, and let the cache plugin prefetch.",
            command="kubectl --namespace kube-system get configmap coredns --output yaml",
            evidence=examples({name: {"p99_seconds": p99[name], **found[name].lookups.buckets} for name in slow}),
        )


def _detours(found: Mapping[str, External], params: ExternalParameters) -> Iterator[Finding]:
    tried = {name: len(each.candidates) for name, each in found.items()}
    if many := {name: count for name, count in tried.items() if count > params.max_candidates}:
        first = next(iter(many))
        names = [each.name for each in found[first].candidates]
        yield Finding.warn(
            f"On {on(many)} the resolver tries {max(many.values())} names for {found[first].name} ({listed(names)}), "
            f"each for IPv4 and IPv6; at most {params.max_candidates} were expected.",
            subjects=subjects(many),
            fix='Give pods that read object stores dnsConfig with ndots "2", and shorten the nodes\' search lists.',
            evidence=examples(many),
        )
