"""How long does a name stay away after somebody asked for it too early?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, Workload, check, named, threshold
from auditor.facts.corefile import CorefileError, parse_corefile
from auditor.facts.corefile.plugins import KubernetesPlugin, read_cache
from auditor.facts.corefile.zones import closest
from auditor.facts.dns import COREFILE_PARTS, NODE_LOCAL_COREFILE
from auditor.facts.kube import ConfigMap, Pod, Service

from .._wording import full_name
from ._corefile import Reading, broken, edit, not_served, read_corefile

_DOMAIN_PLACEHOLDER = "__PILLAR__DNS__DOMAIN__"
"""What the manifest of NodeLocal DNSCache writes where the cluster's domain belongs."""

_SOA_CAP_SECONDS = 300
"""CoreDNS never says longer than this that a name does not exist."""


class NegativeCacheParameters(Parameters, frozen=True, kw_only=True):
    """How long a name that does not exist yet may stay away."""

    longest_seconds: Annotated[
        float,
        threshold(
            "Seconds that DNS may keep that a name of the cluster does not exist.",
            source="The Corefiles of kubeadm and AKS come to 30 s (ttl 30, cache 30); without a ttl it is 5 s.",
            ge=0,
        ),
    ] = 30


@check(
    "dns.negative-cache",
    title="DNS forgets soon that a name did not exist",
    severity=Severity.MEDIUM,
    workloads=dict.fromkeys((Workload.SPARK, *STATEFUL_WORKLOADS), Severity.MEDIUM),
    reads=(Service, Pod, *COREFILE_PARTS, named(ConfigMap, NODE_LOCAL_COREFILE[1], namespace=NODE_LOCAL_COREFILE[0])),
    aliases=("DNS-009",),
)
def negative_cache(facts: Facts, params: NegativeCacheParameters) -> Iterator[Finding]:
    """Who asks for a pod's name a moment too early must not be told for minutes that there is no such name.

    ## What it checks
    For how long CoreDNS keeps that a name of the cluster does not exist: the time to live that the `kubernetes` plugin
    gives (`ttl`, 5 s unless set, 300 s at most), within the bounds of the `cache` plugin of the same block (`cache 30`
    and `denial CAPACITY TTL MINTTL`; 1,800 s and 5 s unless set). Where `cache` leaves the zone out
    (`disable denial`), only the answer's own time to live counts. Where the `kubernetes` plugin passes unknown names on
    to `forward`, the upstream says how long, and the bound of `cache` counts. The Corefile of NodeLocal DNSCache is
    judged in the same way.

    ## Why it matters
    A headless Service has a pod's name only once the pod is ready, and its peers ask before. Spark executors ask for
    their driver, brokers for the controllers, DataNodes for the NameNode. What they are told then is kept, for them and
    for everybody who asks later, and on top of it in the JVM (10 s). A start that takes seconds takes minutes.

    ## How to fix
    Lower the `ttl` of the `kubernetes` plugin, or cap what does not exist in the `cache` plugin:

        cache 30 {
            denial 9984 5
        }

    ## References
    - [CoreDNS: cache](https://coredns.io/plugins/cache/)
    - [CoreDNS: kubernetes](https://coredns.io/plugins/kubernetes/)
    - [Executors that ask for the driver too early](https://github.com/kubeflow/spark-operator/issues/1200)
    - [NodeLocal DNSCache](https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/)
    """
    reading = read_corefile(facts)
    if isinstance(reading, Finding):
        yield reading
        return
    if reading.kubernetes is None or reading.domain is None:
        yield not_served(reading)
        return
    try:
        kept = _kept_by_coredns(reading, reading.kubernetes, f"svc.{reading.domain}")
    except CorefileError as error:
        yield broken(reading.config_map, error)
        return
    if reading.corefile.missing:
        kept = None
    yield _judge("CoreDNS", reading.config_map, kept, params)
    yield from _node_local(facts, reading, kept, params)


def _kept_by_coredns(reading: Reading, plugin: KubernetesPlugin, name: str) -> int | None:
    """For how many seconds a name of the cluster that did not exist is kept; None where that cannot be told."""
    if plugin.ttl_seconds is None:
        return None
    block = reading.cluster_block
    directive = block.plugin("cache") if block else None
    own = min(plugin.ttl_seconds, _SOA_CAP_SECONDS)
    if block is None or directive is None:
        return own
    cache = read_cache(block, directive)
    if not cache.keeps_denial_of(name):
        return own
    if closest(name, plugin.passes_on) is not None and block.plugin("forward") is not None:
        return cache.denial_seconds
    return cache.denial_kept_seconds(own)


def _node_local(facts: Facts, reading: Reading, kept: int | None, params: NegativeCacheParameters) -> Iterator[Finding]:
    """NodeLocal DNSCache takes the time to live from CoreDNS and bounds it once more."""
    namespace, name = NODE_LOCAL_COREFILE
    config_map = facts.get_named(ConfigMap, name, namespace=namespace)
    text = (config_map.data or {}).get("Corefile") if config_map else None
    if config_map is None or text is None:
        return
    try:
        block = parse_corefile(text.replace(_DOMAIN_PLACEHOLDER, reading.domain or "")).block_for(
            f"svc.{reading.domain}"
        )
        directive = block.plugin("cache") if block else None
        cache = read_cache(block, directive) if block and directive else None
    except CorefileError as error:
        yield broken(config_map, error)
        return
    if cache is None or not cache.keeps_denial_of(f"svc.{reading.domain}"):
        return
    longest = cache.denial_seconds
    if kept is None and longest is not None and longest > params.longest_seconds:
        longest = None
    yield _judge("NodeLocal DNSCache", config_map, longest if kept is None else cache.denial_kept_seconds(kept), params)


def _judge(who: str, config_map: ConfigMap, kept: int | None, params: NegativeCacheParameters) -> Finding:
    name = f"ConfigMap {full_name(config_map)}"
    if kept is None:
        return Finding.unknown(
            f"How long {who} keeps that a name does not exist cannot be told from {name}: an environment variable or "
            "an import says it.",
            subjects=[config_map.subject],
            fix="Look at the ttl of kubernetes and at the cache plugin in what is imported.",
        )
    if kept <= params.longest_seconds:
        return Finding.ok(
            f"{who} keeps for {kept} s at most that a name of the cluster does not exist.",
            subjects=[config_map.subject],
        )
    return Finding.fail(
        f"{who} keeps for up to {kept} s that a name of the cluster does not exist ({name}), at most "
        f"{params.longest_seconds:g} s were expected: pods that ask too early wait that long for their peers.",
        subjects=[config_map.subject],
        fix="Lower the ttl of the kubernetes plugin or the denial time of the cache plugin.",
        command=edit(config_map),
        evidence={"kept_seconds": kept},
    )
