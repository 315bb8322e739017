"""How soon do pods know the name of a new pod, also where they asked too early?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.dns import DnsObservations, NewName

from .._wording import examples
from ._observed import NOT_KNOWN, asking, no_target, observed, on, silent, subjects, unseen


class NewNamesParameters(Parameters, frozen=True, kw_only=True):
    """How soon a new name must be known."""

    max_seconds: Annotated[
        float,
        threshold(
            "Seconds from the start of a pod's container until its name resolves, where nobody asked before.",
            source="No upstream number; Spark's driver waits 1 s for its own pod, executors try for longer.",
            ge=0,
        ),
    ] = 5


class DeniedNamesParameters(Parameters, frozen=True, kw_only=True):
    """For how long asking too early may cost."""

    max_seconds: Annotated[
        float,
        threshold(
            "Seconds from the start of a pod's container until its name resolves, where others asked for it before.",
            source="The 30 s for which Corefiles of kubeadm and AKS let a name be unknown, and the 5 s of a new name.",
            ge=0,
        ),
    ] = 35


@check(
    "dns.new-names",
    title="A new pod's name resolves in every zone within seconds",
    severity=Severity.HIGH,
    workloads=dict.fromkeys((Workload.SPARK, Workload.KAFKA, Workload.HDFS), Severity.HIGH),
    reads=(DnsObservations,),
    aliases=("DNS-010",),
)
def new_names(facts: Facts, params: NewNamesParameters) -> Iterator[Finding]:
    """Executors ask for their driver, brokers for their peers, as soon as these run.

    ## What it checks
    A pod behind a headless Service starts. Pods on a node of each zone learn of it by a datagram, and ask DNS until its
    names resolve. Each time they ask for another name of it (the SRV records of the Service's ports), so that no
    cache can hold an answer from before. It fails where that takes more than `max_seconds`, or where DNS says for 30 s
    that there is no such name. The time includes that of the kubelet and of the endpoint controller.

    ## Why it matters
    A name comes to be by way of the kubelet, the API server, the controller manager and CoreDNS' watch. Where one of
    them lags, executors fail with UnknownHostException and are made again, over and over. Where CoreDNS has
    `noendpoints` or hides the namespace, no such name ever comes to be.

    ## How to fix
    Where the names never resolve, see what `dns.headless-names` says of the Corefile. Where they are late, look at the
    load of CoreDNS, of the controller manager and of the API server.

        kubectl --namespace kube-system get configmap coredns --output yaml

    ## References
    - [DNS for Services and Pods](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    - [CoreDNS: kubernetes](https://coredns.io/plugins/kubernetes/)
    - [Executors that ask for the driver too early](https://github.com/kubeflow/spark-operator/issues/1200)
    """
    document = observed(facts)
    found = {name: view.fresh for name, view in asking(document).items() if view.fresh is not None}
    yield from _judge(document, found, params.max_seconds, "How soon a new pod's name resolves")


@check(
    "dns.negative-cache-observed",
    title="A name that was asked for too early resolves soon after",
    severity=Severity.MEDIUM,
    workloads=dict.fromkeys((Workload.SPARK, *STATEFUL_WORKLOADS), Severity.MEDIUM),
    reads=(DnsObservations,),
)
def negative_cache_observed(facts: Facts, params: DeniedNamesParameters) -> Iterator[Finding]:
    """What DNS keeps of names that do not exist yet must be forgotten within half a minute, with all caches on the way.

    ## What it checks
    Pods on a node of each zone ask for the name of a pod before it exists, and go on asking every half second while
    it starts. The name must resolve within `max_seconds` of the start of its container. Nothing is judged where names
    of new pods do not resolve at all, of which `dns.new-names` speaks.

    ## Why it matters
    Peers that start together ask for each other too early. What they are told is kept by CoreDNS and by a cache on the
    node, for all who ask later. `dns.negative-cache` computes the time from the Corefile; this is what clients see,
    whatever caches there are. Processes on the JVM keep it for another 10 s.

    ## How to fix
    Lower the `ttl` of the `kubernetes` plugin, or the time of `denial` in the `cache` plugin, of CoreDNS and of
    NodeLocal DNSCache:

        kubectl --namespace kube-system edit configmap coredns

    ## References
    - [CoreDNS: cache](https://coredns.io/plugins/cache/)
    - [NodeLocal DNSCache](https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/)
    - [Executors that ask for the driver too early](https://github.com/kubeflow/spark-operator/issues/1200)
    """
    document = observed(facts)
    views = {
        name: view for name, view in asking(document).items() if view.denied is not None and view.fresh is not None
    }
    unfit = [n for n, v in views.items() if v.before != "NXDOMAIN" or (v.fresh and v.fresh.seconds is None)]
    found = {name: view.denied for name, view in views.items() if name not in unfit and view.denied is not None}
    yield from _judge(
        document, found, params.max_seconds, "How soon a name resolves that was asked for too early",
        kept="CoreDNS or a cache on the nodes keeps for longer that the name did not exist",
    )  # fmt: skip
    if unfit:
        yield Finding.unknown(
            f"How soon a name resolves that was asked for too early cannot be told on {on(unfit)}: the name of a new "
            "pod did not become known there, or was not denied before.",
            subjects=subjects(unfit),
            fix="Repair what dns.new-names and dns.lookups find, and probe again.",
        )


def _judge(
    document: DnsObservations, found: Mapping[str, NewName], max_seconds: float, what: str, *, kept: str = ""
) -> Iterator[Finding]:
    yield from unseen(document)
    never = {name: each for name, each in found.items() if each.seconds is None}
    if denied := {name: each.error for name, each in never.items() if each.error in NOT_KNOWN}:
        yield Finding.fail(
            f"On {on(denied)} the name of a new pod behind a headless Service did not resolve at all "
            f"({next(iter(denied.values()))}), it was expected to within {max_seconds:g} s.",
            subjects=subjects(denied),
            fix="Let CoreDNS answer for headless Services of all namespaces: remove noendpoints and filters from its "
            "kubernetes block.",
            command="kubectl --namespace kube-system get configmap coredns --output yaml",
            evidence=examples(denied),
        )
    if mute := {name: each.error for name, each in never.items() if each.error not in NOT_KNOWN}:
        yield silent(mute, what)
    seconds = {name: each.seconds for name, each in found.items() if each.seconds is not None}
    if late := {name: each for name, each in seconds.items() if each > max_seconds}:
        why = f": {kept}" if kept else ""
        yield Finding.fail(
            f"On {on(late)} the name of a new pod resolved only {max(late.values()):.1f} s after its start, at most "
            f"{max_seconds:g} s were expected{why}.",
            subjects=subjects(late),
            fix="Lower the denial time of the cache plugin and the ttl of the kubernetes plugin."
            if kept
            else "Look at the load of CoreDNS, of the controller manager and of the API server.",
            command="kubectl --namespace kube-system get configmap coredns --output yaml" if kept else None,
            evidence=examples(late),
        )
    yield from no_target(document, what)
    if seconds and not late and not never:
        yield Finding.ok(
            f"On {on(seconds)} the name of a new pod resolved within {max(seconds.values()):.1f} s of its start"
            f"{', though it had been asked for before' if kept else ''}.",
            subjects=subjects(seconds),
        )
