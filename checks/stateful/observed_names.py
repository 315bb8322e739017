"""Do replicas have names before they are Ready?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.stateful import Member, StatefulObservations

from .._wording import examples, listed
from ._observed import not_started, observed, short


class NamesParameters(Parameters, frozen=True, kw_only=True):
    """How long a replica may wait for names."""

    max_names_seconds: Annotated[
        float,
        threshold(
            "Seconds from the start of a container until its own name and those of the replicas before it resolve.",
            source="No upstream number; three times the 5 s for which CoreDNS lets a name stay unknown.",
            ge=0,
        ),
    ] = 15


@check(
    "stateful.early-names",
    title="Replicas find themselves and their peers in DNS before they are Ready",
    severity=Severity.HIGH,
    workloads={
        Workload.KAFKA: Severity.HIGH,
        Workload.HDFS: Severity.HIGH,
        Workload.DATA_FABRIC: Severity.HIGH,
        Workload.FLINK: Severity.MEDIUM,
    },
    reads=(StatefulObservations,),
)
def early_names(facts: Facts, params: NamesParameters) -> Iterator[Finding]:
    """Peers that must find each other before they serve need names that are published before they are Ready.

    ## What it checks
    Each replica of the probe's StatefulSet, whose headless Service has `publishNotReadyAddresses: true`, asks DNS for
    its own name and those of the replicas before it, and is not Ready until they resolve, its own to its own address.
    It fails where a name did not resolve within 30 s; more than `max_names_seconds` is a warning.

    ## Why it matters
    Controllers of Kafka, JournalNodes, ZooKeeper and the nodes of a data fabric form a quorum before any of them is
    Ready. Where DNS leaves out pods that are not Ready, or headless Services altogether, all of them wait for each
    other for ever. Where it keeps for long that a name was unknown, each start takes that much longer.

    ## How to fix
    Remove `noendpoints` from the `kubernetes` block of the Corefile, and lower the time of `denial` in its `cache` and
    in that of a DNS cache on the nodes. Ask for the name of any pod that is not Ready:

        kubectl run ask --rm --stdin --tty --image=busybox --restart=Never -- nslookup POD.SERVICE.NAMESPACE.svc

    ## References
    - [Service: publishNotReadyAddresses](https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec)
    - [CoreDNS: the kubernetes plugin](https://coredns.io/plugins/kubernetes/)
    - [CoreDNS: the cache plugin](https://coredns.io/plugins/cache/)
    """
    document = observed(facts)
    members = [*document.members, *(each.after for each in document.restarts if each.after is not None)]
    if not members:
        yield from not_started(document, "Whether replicas have names before they are Ready")
        return
    silent = [each for each in members if not each.hostname]
    lost = [each for each in members if each.hostname and each.names_seconds is None and each.unresolved]
    slow = [each for each in members if (each.names_seconds or 0.0) > params.max_names_seconds]
    if lost:
        yield _lost(lost)
    if slow:
        seen = [f"{short(each.name)} {each.names_seconds:.0f} s" for each in slow]
        yield Finding.warn(
            f"Replicas waited for long until names resolved ({listed(seen)}); at most {params.max_names_seconds:g} s "
            "were expected.",
            fix="Lower the time of denial in the cache block of the Corefile, and in DNS caches on the nodes.",
        )
    if silent:
        yield Finding.unknown(
            f"Whether {listed(sorted({short(each.name) for each in silent}))} had names before being Ready cannot be "
            "told: the log did not say so in time.",
            fix="Probe again; look at the kubelets' logs where pods' logs come late.",
        )
    if not (lost or slow or silent):
        longest = max(each.names_seconds or 0.0 for each in members)
        yield Finding.ok(
            f"At {len(members)} starts of replicas their own name and those of the replicas before them resolved "
            f"while they were not Ready yet, after {longest:.1f} s at most."
        )


def _lost(members: Sequence[Member]) -> Finding:
    seen = {
        f"{short(each.name)} for {short(name)}": error or "no address"
        for each in members
        for name, error in each.unresolved.items()
    }
    return Finding.fail(
        f"Names of replicas that were not Ready yet did not resolve within 30 s: "
        f"{listed([f'{who} ({error})' for who, error in seen.items()])}.",
        fix="Let CoreDNS answer for headless Services: remove noendpoints and filters from its kubernetes block.",
        command="kubectl --namespace kube-system get configmap coredns --output yaml",
        evidence=examples(seen),
    )
