"""The Corefile that the cluster's DNS runs with, or the finding that says why there is none to judge."""

from __future__ import annotations

from dataclasses import dataclass

from auditor import Facts, Finding
from auditor.facts.corefile import Corefile, CorefileError, ServerBlock
from auditor.facts.corefile.plugins import KubernetesPlugin, cluster_domain, read_kubernetes
from auditor.facts.dns import (
    CUSTOM_COREFILE,
    CUSTOM_FOLDER,
    ClusterDns,
    find_corefile,
    find_dns,
    load_corefile,
    place,
)
from auditor.facts.kube import ConfigMap

from .._wording import full_name, listed


@dataclass(frozen=True, slots=True)
class Located:
    """The DNS and the ConfigMap with its Corefile."""

    dns: ClusterDns
    config_map: ConfigMap


@dataclass(frozen=True, slots=True)
class Reading:
    """A Corefile that could be read.

    Attributes:
        dns: the DNS that runs with it.
        config_map: the ConfigMap that it stands in.
        corefile: what it says.
        domain: the cluster's domain as DNS knows it, with the final dot; None where no kubernetes plugin names one.
        cluster_block: the server block that answers for names of Services.
        kubernetes: what answers for them in that block.
    """

    dns: ClusterDns
    config_map: ConfigMap
    corefile: Corefile
    domain: str | None
    cluster_block: ServerBlock | None
    kubernetes: KubernetesPlugin | None

    @property
    def unknown_imports(self) -> str:
        """What it imports from files that are not known, with the places; empty where there is no such thing."""
        return listed([f"{each.pattern} ({place(each.file, each.line)})" for each in self.corefile.missing] or [""])


def no_service() -> Finding:
    """The finding where no DNS is found; dns.service-endpoints says what that means."""
    return Finding.skip(
        "No Service of kube-system or openshift-dns answers for DNS, so there is nothing to judge here; "
        "dns.service-endpoints judges that."
    )


def locate_corefile(facts: Facts) -> Located | Finding:
    """The ConfigMap with the Corefile, or why there is none. Reads Service, Pod and the ConfigMaps."""
    dns = find_dns(facts)
    if dns is None:
        return no_service()
    if dns.pods and not dns.servers:
        names = sorted({each.name for pod in dns.pods for each in pod.spec.containers})
        return Finding.skip(
            f"The DNS of this cluster has no Corefile: the pods of Service {full_name(dns.service)} are not CoreDNS "
            f"(containers {listed(names)})."
        )
    source = find_corefile(facts, dns)
    if source.config_map is not None:
        return Located(dns, source.config_map)
    if dns.is_googles:
        return Finding.skip("The Corefile of GKE's DNS is Google's own and not visible.")
    if not dns.pods:
        return Finding.skip(
            f"Service {full_name(dns.service)} has no pods and its namespace has no Corefile: DNS runs elsewhere or "
            "not at all; dns.service-endpoints judges that."
        )
    mounted = f"the pods mount {listed(list(source.mounted))}" if source.mounted else "the pods mount no ConfigMap"
    return Finding.unknown(
        f"Where CoreDNS has its Corefile from cannot be told: {mounted}, and none of the known ConfigMaps "
        "(kube-system/coredns and its like) holds one.",
        subjects=[dns.service.subject],
        fix="Judge the Corefile that the CoreDNS pods mount by hand.",
        command=f"kubectl --namespace {dns.namespace} get configmaps",
    )


def read_located(facts: Facts, located: Located) -> Reading:
    """What the Corefile says.

    Raises:
        CorefileError: CoreDNS would not start with it.
    """
    corefile = load_corefile(facts, located.config_map)
    domain = cluster_domain(corefile)
    block = corefile.block_for(f"svc.{domain}") if domain else None
    directive = block.plugin("kubernetes") if block else None
    return Reading(
        dns=located.dns,
        config_map=located.config_map,
        corefile=corefile,
        domain=domain,
        cluster_block=block,
        kubernetes=read_kubernetes(block, directive) if block and directive else None,
    )


def read_corefile(facts: Facts) -> Reading | Finding:
    """What the Corefile says, or the finding that says why it cannot be judged."""
    located = locate_corefile(facts)
    if isinstance(located, Finding):
        return located
    try:
        return read_located(facts, located)
    except CorefileError as error:
        return broken(located.config_map, error)


def broken(config_map: ConfigMap, error: CorefileError) -> Finding:
    """The finding of every other check while dns.corefile fails."""
    return Finding.unknown(
        f"The Corefile in ConfigMap {full_name(config_map)} cannot be read ({place(error.file, error.line)}: "
        f"{without_braces(error.what)}); dns.corefile judges that.",
        subjects=[config_map.subject],
        fix="Repair the Corefile first, then audit again.",
    )


def not_served(reading: Reading) -> Finding:
    """The finding of every other check where nobody answers for names of Services."""
    return Finding.unknown(
        f"The Corefile in ConfigMap {full_name(reading.config_map)} has no kubernetes plugin that answers for names of "
        "Services, as far as it can be read; dns.corefile judges that.",
        subjects=[reading.config_map.subject],
        fix="Repair the Corefile first, then audit again.",
    )


def edit(config_map: ConfigMap, file: str = "") -> str:
    """The command that opens a Corefile, or the ConfigMap that a file which it imports lies in."""
    namespace, name = (
        CUSTOM_COREFILE if file.startswith(f"{CUSTOM_FOLDER}/") else (config_map.namespace, config_map.name)
    )
    return f"kubectl --namespace {namespace} edit configmap {name}"


def without_braces(text: str) -> str:
    """Text for a message, which shows no braces."""
    return text.replace("{", "(").replace("}", ")")
