"""Has a pod's address the pod's name?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.observations.dns import DnsObservations, ReverseName

from .._wording import examples, listed
from ._observed import NOT_KNOWN, asking, no_target, observed, on, silent, subjects, unseen


@check(
    "dns.reverse-names",
    title="A pod's address resolves to its name, and the name to the address",
    severity=Severity.CRITICAL,
    workloads={Workload.HDFS: Severity.CRITICAL},
    reads=(DnsObservations,),
    aliases=("DNS-011",),
)
def reverse_names(facts: Facts) -> Iterator[Finding]:
    """The NameNode asks for the name of each DataNode's address, and turns away those without one.

    ## What it checks
    Pods on a node of each zone ask for the name of a new pod's address. It must be the pod's name through its headless
    Service, `HOSTNAME.SERVICE.NAMESPACE.svc.DOMAIN`, or have it among others, and the name must have that address. For
    35 s an old name of the address is borne with.

    ## Why it matters
    "Datanode denied communication with namenode because hostname cannot be resolved": without reverse names no DataNode
    registers. Kerberos, and all that checks clients by name, fails likewise.

    ## How to fix
    Give the `kubernetes` plugin of CoreDNS the zones `in-addr.arpa ip6.arpa`, and have no `noendpoints` there. As a
    last resort set `dfs.namenode.datanode.registration.ip-hostname-check` to `false`.

        kubectl --namespace kube-system edit configmap coredns

    ## References
    - [CoreDNS: kubernetes](https://coredns.io/plugins/kubernetes/)
    - [hdfs-default.xml](https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/hdfs-default.xml)
    - [DataNodes that were refused](https://github.com/stackabletech/hdfs-operator/issues/361)
    """
    what = "Whether a pod's address has its name"
    document = observed(facts)
    yield from unseen(document)
    views = asking(document)
    found = {name: view.reverse for name, view in views.items() if view.reverse is not None}
    answering = {name for name, view in views.items() if view.lookups is not None and view.lookups.latencies}
    nameless = {name: each for name, each in found.items() if not each.names}
    denied = {name: each for name, each in nameless.items() if each.error in NOT_KNOWN or name in answering}
    if denied:
        first = next(iter(denied.values()))
        upstream = "" if first.error in NOT_KNOWN else "; DNS may ask upstream, in vain"
        yield _fail(denied, f"the address {first.address} of a pod has no name ({first.error}{upstream})")
    if mute := {name: each.error for name, each in nameless.items() if name not in denied}:
        yield silent(mute, what)
    if other := {name: each for name, each in found.items() if each.names and each.expected not in each.names}:
        first = next(iter(other.values()))
        yield _fail(other, f"the address {first.address} of a pod has the name {listed(first.names)}")
    known = {name: each for name, each in found.items() if each.expected in each.names}
    if unconfirmed := {name: each for name, each in known.items() if each.address not in each.forward}:
        first = next(iter(unconfirmed.values()))
        addresses = listed(first.forward) if first.forward else "no address"
        yield _fail(unconfirmed, f"the name of {first.address} has {addresses}, not that one")
    yield from no_target(document, what)
    if known and not nameless and not other and not unconfirmed:
        yield Finding.ok(
            f"On {on(known)} a pod's address resolves to its name, and the name to the address.",
            subjects=subjects(known),
        )


def _fail(found: dict[str, ReverseName], seen: str) -> Finding:
    expected = next(iter(found.values())).expected
    return Finding.fail(
        f"On {on(found)} {seen}; {expected} was expected, with that address.",
        subjects=subjects(found),
        fix="Add the zones in-addr.arpa and ip6.arpa to the kubernetes plugin of the Corefile; remove noendpoints.",
        command="kubectl --namespace kube-system edit configmap coredns",
        evidence=examples({name: {"names": list(each.names), "error": each.error} for name, each in found.items()}),
    )
