"""Can pods resolve the names that operators write into configurations?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.nodes import NodesObservations, ResolvConf

from .._wording import examples, listed
from ._observed import hidden, measured, on, subjects, unseen, visits, where_else


class ResolvConfParameters(Parameters, frozen=True, kw_only=True):
    """What a resolver takes, and the domain that systems expect."""

    expected_domain: Annotated[
        str,
        threshold(
            "Domain of the cluster that the site's operators and systems are configured for.",
            source="Kubernetes' default; Strimzi, Flink and others expect it unless told otherwise.",
        ),
    ] = "cluster.local"
    max_nameservers: Annotated[
        int,
        threshold("Name servers that resolvers use; further ones are ignored.", source="resolv.conf(5), MAXNS.", ge=1),
    ] = 3
    max_search_domains: Annotated[
        int,
        threshold(
            "Search domains that every resolver uses; older ones ignore further ones.",
            source="resolv.conf(5): glibc before 2.26 takes six.",
            ge=1,
        ),
    ] = 6


@check(
    "nodes.resolv-conf",
    title="Pods find Services by their short names, in the expected cluster domain",
    severity=Severity.MEDIUM,
    reads=(NodesObservations,),
)
def resolv_conf(facts: Facts, params: ResolvConfParameters) -> Iterator[Finding]:
    """The kubelet writes /etc/resolv.conf of every pod, from its own settings and the node's.

    ## What it checks
    In a pod with the default DNS policy on each visited node: there is a name server, and there are no more than
    `max_nameservers`; the search list begins with `<namespace>.svc.<domain>` and has no more than
    `max_search_domains`; the domain is the same on all nodes, and is `expected_domain`.

    ## Why it matters
    A kubelet with another `clusterDomain` than the DNS server's, or none, gives pods names that do not resolve, on its
    node only. Where the domain is not cluster.local, operators build wrong names until they are told: brokers
    advertise addresses that nobody finds. Domains of the node's own come last in the search list, and old images cut
    it off.

    ## How to fix
    Set `clusterDNS` and `clusterDomain` of the kubelet alike on all nodes. For another domain, tell the systems:
    `KUBERNETES_SERVICE_DNS_DOMAIN` for Strimzi, `kubernetesClusterDomain` for Stackable's operators, and
    `expected_domain` for this check. Shorten the search list in the node's /etc/resolv.conf, or give the kubelet a file
    of its own in `resolvConf`.

    ## References
    - [DNS for Services and Pods](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    - [Debugging DNS: known issues](https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues)
    - [Strimzi: the cluster operator's environment](https://strimzi.io/docs/operators/latest/deploying#ref-operator-cluster-str)
    - [resolv.conf(5)](https://man7.org/linux/man-pages/man5/resolv.conf.5.html)
    """
    document = visits(facts)
    yield from unseen(document)
    files, silent = measured(document, lambda node: node.resolv_conf)
    yield from hidden(silent, "/etc/resolv.conf")
    domains = {name: _domain(file, document.namespace) for name, file in files.items()}
    lost = {name: file for name, file in files.items() if not file.nameservers or not domains[name]}
    if lost:
        yield Finding.fail(
            f"Pods on {on(lost)} cannot find Services by short names: /etc/resolv.conf has no name server, or its "
            "search list does not begin with the pod's namespace and svc.",
            subjects=subjects(lost),
            fix="Set clusterDNS and clusterDomain in the kubelets' configuration of these nodes.",
            evidence=_seen(lost),
        )
    yield from _judge_domains({name: domain for name, domain in domains.items() if name not in lost}, params)
    crowded = {
        name: file
        for name, file in files.items()
        if len(file.nameservers) > params.max_nameservers or len(file.search) > params.max_search_domains
    }
    if crowded:
        yield Finding.warn(
            f"/etc/resolv.conf of pods on {on(crowded)} has more than {params.max_nameservers} name servers or "
            f"{params.max_search_domains} search domains: old images ignore the rest.",
            subjects=subjects(crowded),
            fix="Shorten the search list in /etc/resolv.conf of these nodes, or name another file in resolvConf.",
            evidence=_seen(crowded),
        )
    good = [n for n in files if n not in lost and n not in crowded and domains[n] == params.expected_domain]
    if good:
        yield Finding.ok(
            f"Pods on {on(good)} find Services by short names, in the domain {params.expected_domain}"
            f"{where_else(document)}.",
            subjects=subjects(good),
        )


def _judge_domains(domains: Mapping[str, str], params: ResolvConfParameters) -> Iterator[Finding]:
    by_domain: defaultdict[str, list[str]] = defaultdict(list)
    for name, domain in domains.items():
        by_domain[domain].append(name)
    if len(by_domain) > 1:
        told = listed([f"{domain} on {on(names)}" for domain, names in sorted(by_domain.items())])
        yield Finding.fail(
            f"The cluster has different domains on different nodes, one was expected: {told}.",
            subjects=subjects(domains),
            fix="Set one clusterDomain, that of the DNS server, in the configuration of all kubelets.",
            evidence=examples(domains),
        )
    elif others := [domain for domain in by_domain if domain != params.expected_domain]:
        yield Finding.warn(
            f"The cluster's domain is {others[0]}, {params.expected_domain} was expected, as systems do by default.",
            subjects=subjects(domains),
            fix="Tell operators and systems the domain, then name it in expected_domain of this check.",
        )


def _domain(file: ResolvConf, namespace: str) -> str:
    """The cluster's domain by the search list; empty where that does not begin as it should."""
    own = f"{namespace}.svc."
    first = file.search[0] if file.search else ""
    return first.removeprefix(own).rstrip(".") if first.startswith(own) else ""


def _seen(files: Mapping[str, ResolvConf]) -> dict[str, object]:
    return examples({n: {"nameservers": list(f.nameservers), "search": list(f.search)} for n, f in files.items()})
