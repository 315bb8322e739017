"""Do addresses of pods have names?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.corefile import Corefile
from auditor.facts.corefile.plugins import KubernetesPlugin, read_kubernetes
from auditor.facts.corefile.zones import IPV4_REVERSE, IPV6_REVERSE, closest, is_within
from auditor.facts.dns import COREFILE_PARTS, place
from auditor.facts.kube import EndpointSlice, Pod, Service

from .._wording import EXAMPLES_AT_MOST, full_name, listed
from ._corefile import Reading, edit, not_served, read_corefile

_ZONES = {"IPv4": IPV4_REVERSE, "IPv6": IPV6_REVERSE}


@check(
    "dns.reverse-zones",
    title="DNS answers for the names of pod addresses",
    severity=Severity.CRITICAL,
    workloads={Workload.HDFS: Severity.CRITICAL},
    reads=(Service, Pod, EndpointSlice, *COREFILE_PARTS),
    aliases=("DNS-008",),
)
def reverse_zones(facts: Facts) -> Iterator[Finding]:
    """A NameNode asks DNS for the name of every DataNode's address, and turns away the one that has none.

    ## What it checks
    The `kubernetes` plugin answers for the reverse zones of the cluster's addresses: `in-addr.arpa` where DNS has an
    IPv4 address, `ip6.arpa` where it has an IPv6 one. Where only parts of a reverse zone are named (`10.0.0.0/17`), or
    another server block takes a part of it away, every address behind a Service is looked up in the Corefile.

    Whether the answers are right is proved by a probe, not here.

    ## Why it matters
    HDFS checks a DataNode by the name of its address (`dfs.namenode.datanode.registration.ip-hostname-check`). Without
    the reverse zone it is "Datanode denied communication with namenode because hostname cannot be resolved", and the
    file system comes up without storage. Kerberos, which asks for names in the same way, fails too.

    ## How to fix
    Name the reverse zones in the Corefile and let only unknown addresses fall through:

        kubernetes cluster.local in-addr.arpa ip6.arpa {
            fallthrough in-addr.arpa ip6.arpa
        }

    ## References
    - [CoreDNS: kubernetes, PTR records](https://coredns.io/plugins/kubernetes/)
    - [CoreDNS' manifest for Kubernetes](https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed)
    - [HDFS default configuration](https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/hdfs-default.xml)
    - [Reverse lookups of DataNodes](https://github.com/stackabletech/hdfs-operator/issues/361)
    - [DataNodes denied](https://github.com/gchq/gaffer-docker/issues/329)
    """
    reading = read_corefile(facts)
    if isinstance(reading, Finding):
        yield reading
        return
    if reading.kubernetes is None:
        yield not_served(reading)
        return
    families = reading.dns.service.spec.ip_families or ("IPv4",)
    for family in sorted(set(families) & _ZONES.keys()):
        yield _judge(facts, reading, reading.kubernetes, _ZONES[family])


def _judge(facts: Facts, reading: Reading, plugin: KubernetesPlugin, zone: str) -> Finding:
    subjects = [reading.config_map.subject]
    where = place(plugin.directive.file, plugin.directive.line)
    name = zone.removesuffix(".")
    if _answers(reading.corefile, zone) and not reading.corefile.blocks_below(zone):
        return Finding.ok(f"The kubernetes plugin answers for {name} ({where}).", subjects=subjects)
    if _answers_any(reading.corefile, zone):
        return _by_addresses(facts, reading, zone)
    if reading.corefile.missing:
        return Finding.unknown(
            f"Whether a kubernetes plugin answers for {name} cannot be told: the Corefile imports "
            f"{reading.unknown_imports}.",
            subjects=subjects,
            fix="Look whether the imported files hold it.",
        )
    return Finding.fail(
        f"No kubernetes plugin of the Corefile in ConfigMap {full_name(reading.config_map)} answers for {name} "
        f"({where}), it was expected to: addresses of pods have no names.",
        subjects=subjects,
        fix=f"Add {name} to the zones of the kubernetes plugin.",
        command=edit(reading.config_map),
    )


def _by_addresses(facts: Facts, reading: Reading, zone: str) -> Finding:
    """What to say where a kubernetes plugin answers for parts of a zone: it depends on where the addresses lie."""
    subjects, part = [reading.config_map.subject], zone.removesuffix(".")
    addresses = _addresses(facts, zone)
    nameless = [address for address, name in addresses.items() if not _answers(reading.corefile, name)]
    if nameless and reading.corefile.missing:
        return Finding.unknown(
            f"Whether a kubernetes plugin answers for {listed(nameless)} cannot be told: the Corefile imports "
            f"{reading.unknown_imports}.",
            subjects=subjects,
            fix="Look whether the imported files hold it.",
        )
    if nameless:
        return Finding.fail(
            f"DNS has no names for {len(nameless)} of {len(addresses)} addresses behind Services ({listed(nameless)}): "
            f"no kubernetes plugin of the Corefile in ConfigMap {full_name(reading.config_map)} answers for their "
            f"part of {part}, it was expected to.",
            subjects=subjects,
            fix=f"Let the kubernetes plugin answer for all of {part}, and no other server block for parts of it that "
            "pods have addresses in.",
            command=edit(reading.config_map),
            evidence={"addresses": nameless[:EXAMPLES_AT_MOST]},
        )
    if not addresses:
        return Finding.unknown(
            f"The kubernetes plugin answers for parts of {part} only, and there are no addresses to try them with.",
            subjects=subjects,
            fix=f"Let the kubernetes plugin answer for all of {part}.",
        )
    return Finding.ok(
        f"The kubernetes plugin answers for the part of {part} that all addresses behind Services ({len(addresses)}) "
        "lie in.",
        subjects=subjects,
    )


def _answers(corefile: Corefile, name: str) -> bool:
    """Whether the block that a name belongs to has a kubernetes plugin that answers for it."""
    block = corefile.block_for(name)
    return block is not None and any(
        closest(name, read_kubernetes(block, each).zones) is not None for each in block.named("kubernetes")
    )


def _answers_any(corefile: Corefile, zone: str) -> bool:
    """Whether some kubernetes plugin answers for the zone or a part of it."""
    return any(
        is_within(own, zone) or is_within(zone, own)
        for block, each in corefile.plugins("kubernetes")
        for own in read_kubernetes(block, each).zones
    )


def _addresses(facts: Facts, zone: str) -> dict[str, str]:
    """The addresses of pods behind Services with their reverse names, those of one zone."""
    found = {
        address
        for each in facts.list(EndpointSlice)
        for endpoint in each.endpoints or ()
        for address in endpoint.addresses
    }
    names = {}
    for address in sorted(found):
        try:
            name = f"{ipaddress.ip_address(address).reverse_pointer}."
        except ValueError:
            continue  # a slice of the type FQDN holds names
        if is_within(name, zone):
            names[address] = name
    return names
