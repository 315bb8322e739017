"""Does the Corefile hold what CoreDNS needs in production, and would CoreDNS start with it again?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.corefile import CorefileError, Directive, ServerBlock
from auditor.facts.corefile.plugins import lameduck_seconds
from auditor.facts.dns import COREFILE_PARTS, ClusterDns, place
from auditor.facts.kube import ConfigMap, Pod, Service

from .._wording import counted, full_name, full_names, listed
from ._corefile import Reading, edit, locate_corefile, read_located, without_braces

_BUILT_IN = frozenset(
    {
        "root", "metadata", "geoip", "cancel", "tls", "proxyproto", "quic", "grpc_server", "https", "https3",
        "timeouts", "multisocket", "reload", "nsid", "bufsize", "bind", "debug", "trace", "ready", "health", "pprof",
        "prometheus", "errors", "log", "dnstap", "local", "dns64", "any", "chaos", "loadbalance", "tsig", "cache",
        "rewrite", "acl", "header", "dnssec", "autopath", "minimal", "template", "transfer", "hosts", "route53",
        "azure", "clouddns", "k8s_external", "kubernetes", "file", "auto", "secondary", "etcd", "loop", "forward",
        "grpc", "erratic", "whoami", "on", "sign", "view", "nomad", "ocp_dnsnameresolver",
    }
)  # fmt: skip
"""The plugins of CoreDNS 1.14, and the one that OpenShift builds in."""

_ONCE = frozenset({"cache", "errors", "hosts", "kubernetes", "loop", "prometheus", "ready"})
"""Plugins that CoreDNS refuses a second time in one server block."""

_OPTIONS = {
    "cache": {"success", "denial", "prefetch", "serve_stale", "servfail", "disable", "keepttl"},
    "health": {"lameduck"},
    "kubernetes": {
        "apiserver_burst", "apiserver_max_inflight", "apiserver_qps", "endpoint", "endpoint_pod_names", "fallthrough",
        "ignore", "kubeconfig", "labels", "multicluster", "namespace_labels", "namespaces", "noendpoints", "pods",
        "startup_timeout", "tls", "ttl",
    },
}  # fmt: skip
"""All options of some plugins of CoreDNS 1.14; `upstream` of kubernetes is one that older versions had."""

_FORWARDING = frozenset({"forward", "grpc"})

_CLUSTER, _ROOT, _ANYWHERE = "cluster", "root", "anywhere"

_EXPECTED = {
    "errors": (_CLUSTER, "failures leave no line in the log"),
    "health": (_ANYWHERE, "a hanging CoreDNS is not restarted"),
    "ready": (_CLUSTER, "pods get questions before they know the cluster"),
    "prometheus": (_CLUSTER, "there are no figures of questions, errors and latency"),
    "forward": (_ROOT, "names outside the cluster do not resolve"),
    "cache": (_ROOT, "every question for a name outside goes upstream"),
    "loop": (_ROOT, "a forwarding loop eats memory and CPU instead of stopping CoreDNS"),
    "reload": (_ANYWHERE, "changes need a restart"),
    "loadbalance": (_CLUSTER, "clients that take the first address all take the same"),
}
"""Which server block a plugin belongs into, and what its absence means."""


class CorefileParameters(Parameters, frozen=True, kw_only=True):
    """What a Corefile should hold."""

    expected_plugins: Annotated[
        tuple[str, ...],
        threshold(
            "Plugins that the Corefile should have, besides kubernetes.",
            source="CoreDNS' own manifest for Kubernetes, coredns.yaml.sed; kubeadm, EKS, AKS and DOKS have the same.",
        ),
    ] = tuple(_EXPECTED)
    external_plugins: Annotated[
        tuple[str, ...],
        threshold(
            "Plugins that the site's own build of CoreDNS has, beyond CoreDNS' own.", source="The site's own build."
        ),
    ] = ()
    lameduck_seconds: Annotated[
        float,
        threshold(
            "Seconds that CoreDNS goes on answering after it was told to stop.",
            source="CoreDNS' own manifest and kubeadm: 5 s; the EKS best practices advise 30 s.",
            ge=0,
        ),
    ] = 5


@check(
    "dns.corefile",
    title="The Corefile is valid and has the plugins that production needs",
    severity=Severity.MEDIUM,
    reads=(Service, Pod, *COREFILE_PARTS),
    aliases=("DNS-006",),
)
def corefile(facts: Facts, params: CorefileParameters) -> Iterator[Finding]:
    """A Corefile decides what CoreDNS answers, and an invalid one waits for the next restart.

    ## What it checks
    The Corefile that the CoreDNS pods mount is read as CoreDNS reads it: snippets, environment variables, imports from
    `coredns-custom`. It fails where CoreDNS would not start: a syntax error, a value out of range, a plugin twice in
    one block that may stand there once, a zone in two blocks. It fails too where no `kubernetes` plugin answers for
    names of Services.

    A warning names what is missing and what that means: `errors`, `ready`, `prometheus` and `loadbalance` in the block
    that answers for the cluster; `forward`, `cache` and `loop` in the block for everything else; `health` and `reload`
    anywhere. `health` has a `lameduck` of 5 s or more, and the readiness probe asks `/ready`. A plugin that CoreDNS
    1.14 does not have, or an option that its `kubernetes`, `cache` or `health` do not have, such as the `upstream` of
    former versions, is a warning, and a failure while DNS pods crash.

    On OpenShift an operator writes the Corefile; only what would break there is judged.

    ## Why it matters
    With `reload`, CoreDNS refuses an invalid Corefile quietly and goes on with the old one, until a node is drained and
    no CoreDNS comes back. Without `lameduck`, every update and every eviction loses questions that are still under way
    to a pod that is gone, which clients see as stalls of five seconds.

    ## How to fix
    Edit the Corefile, on AKS, DOKS and k3s the ConfigMap `coredns-custom` beside it, and look at the log:

        kubectl --namespace kube-system edit configmap coredns
        kubectl --namespace kube-system logs --selector k8s-app=kube-dns --tail 20

    ## References
    - [CoreDNS' manifest for Kubernetes](https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed)
    - [Corefile](https://coredns.io/manual/configuration/)
    - [CoreDNS: health](https://coredns.io/plugins/health/)
    - [EKS best practices: CoreDNS lameduck duration](https://docs.aws.amazon.com/eks/latest/best-practices/scale-cluster-services.html)
    - [DNS latency when a CoreDNS pod is deleted](https://github.com/kubernetes/kubernetes/issues/129617)
    """
    located = locate_corefile(facts)
    if isinstance(located, Finding):
        yield located
        return
    try:
        reading = read_located(facts, located)
        findings = [*_broken_parts(reading, params), *_shortcomings(reading, params)]
    except CorefileError as error:
        yield _refused(located.config_map, error.file, error.line, without_braces(error.what))
        return
    yield from findings
    if not findings:
        yield Finding.ok(
            f"The Corefile in ConfigMap {full_name(reading.config_map)} is valid and complete"
            + (" (written by OpenShift's DNS operator)." if reading.dns.is_openshifts else "."),
            subjects=[reading.config_map.subject],
        )


def _refused(config_map: ConfigMap, file: str, line: int, what: str) -> Finding:
    where = place(file, line)
    return Finding.fail(
        f"CoreDNS would not start with the Corefile in ConfigMap {full_name(config_map)}: {where}: {what}; a valid "
        "Corefile was expected. Pods that run keep the old one until they restart.",
        subjects=[config_map.subject],
        fix=f"Correct {where}.",
        command=edit(config_map, file),
        evidence={"place": where, "error": what},
    )


def _broken_parts(reading: Reading, params: CorefileParameters) -> Iterator[Finding]:
    """What keeps CoreDNS from starting or from answering for the cluster."""
    yield from _repeated(reading)
    yield from _defined_twice(reading)
    yield from _foreign(reading, params)
    if reading.kubernetes is None:
        yield _no_kubernetes(reading)


def _repeated(reading: Reading) -> Iterator[Finding]:
    for block in reading.corefile.blocks:
        counts = Counter(each.name for each in block.directives if each.name in _ONCE)
        for name in sorted(name for name, count in counts.items() if count > 1):
            uses = block.named(name)
            places = [place(each.file, each.line) for each in uses]
            yield _refused(
                reading.config_map,
                uses[-1].file,
                uses[-1].line,
                f"plugin {name} stands more than once in the block of {listed(block.keys)} ({listed(places)})",
            )


def _defined_twice(reading: Reading) -> Iterator[Finding]:
    """Zones that two blocks answer for on one port; ``bind`` and ``view`` may part them."""
    first: dict[str, ServerBlock] = {}
    for block in reading.corefile.blocks:
        if block.plugin("bind") or block.plugin("view"):
            continue
        for address in map(str, block.addresses):
            if address in first:
                yield _refused(
                    reading.config_map,
                    block.file,
                    block.line,
                    f"{address} is defined already, in {place(first[address].file, first[address].line)}",
                )
            first.setdefault(address, block)


def _foreign(reading: Reading, params: CorefileParameters) -> Iterator[Finding]:
    """Plugins and options that only other builds of CoreDNS have, or that are misspelt."""
    for what, directive in sorted(_strangers(reading, params).items()):
        if crashing := _crashing(reading.dns):
            yield _refused(
                reading.config_map,
                directive.file,
                directive.line,
                f"CoreDNS 1.14 does not know {what}, and {listed(crashing)} {_crash(crashing)}",
            )
            continue
        yield Finding.warn(
            f"CoreDNS 1.14 does not know {what} ({place(directive.file, directive.line)}), only what it knows was "
            "expected; a CoreDNS that does not know it does not start.",
            subjects=[reading.config_map.subject],
            fix="Correct or remove it, or name the plugin in external_plugins if the site's build has it.",
            command=edit(reading.config_map, directive.file),
        )


def _strangers(reading: Reading, params: CorefileParameters) -> dict[str, Directive]:
    """What is not known, as a reader calls it, with its last place."""
    known = _BUILT_IN | set(params.external_plugins)
    found: dict[str, Directive] = {}
    for block in reading.corefile.blocks:
        for plugin in block.directives:
            if plugin.name not in known:
                found[f"the plugin {plugin.name!r}"] = plugin
            for option in plugin.options:
                if option.name not in _OPTIONS.get(plugin.name, {option.name}):
                    found[f"the option {option.name!r} of {plugin.name}"] = option
    return found


def _crash(pods: Sequence[str]) -> str:
    return "crashes" if len(pods) == 1 else "crash"


def _crashing(dns: ClusterDns) -> list[str]:
    """The DNS pods of which a container waits after a crash, or stopped with an error."""
    return [
        pod.name
        for pod in dns.pods
        for status in pod.status.container_statuses or ()
        if not status.ready
        and status.state is not None
        and (
            (status.state.waiting is not None and status.state.waiting.reason == "CrashLoopBackOff")
            or (status.state.terminated is not None and bool(status.state.terminated.exit_code))
        )
    ]


def _no_kubernetes(reading: Reading) -> Finding:
    name = f"The Corefile in ConfigMap {full_name(reading.config_map)}"
    if reading.corefile.missing:
        return Finding.unknown(
            f"{name} shows no kubernetes plugin that answers for names of Services, but imports "
            f"{reading.unknown_imports}.",
            subjects=[reading.config_map.subject],
            fix="Look whether the imported files hold it.",
        )
    block = reading.cluster_block
    seen = "no block has one"
    if block is not None:
        domain = (reading.domain or "").removesuffix(".")
        seen = f"the block of {listed(block.keys)} (line {block.line}) answers for svc.{domain} and has none"
    return Finding.fail(
        f"{name} has no kubernetes plugin that answers for names of Services ({seen}), one was expected: they do not "
        "resolve.",
        subjects=[reading.config_map.subject],
        fix="Add the kubernetes plugin to the block that answers for the cluster's domain.",
        command=edit(reading.config_map),
    )


def _shortcomings(reading: Reading, params: CorefileParameters) -> Iterator[Finding]:
    """What CoreDNS can do without, at a cost."""
    if reading.dns.is_openshifts or reading.kubernetes is None:
        return
    missing = [name for name in params.expected_plugins if not _has(reading, name)]
    if missing and reading.corefile.missing:
        yield Finding.unknown(
            f"Whether the Corefile has {listed(missing)} cannot be told: it imports {reading.unknown_imports}.",
            subjects=[reading.config_map.subject],
            fix="Look whether the imported files hold them.",
        )
    elif missing:
        what = [f"{name} ({_EXPECTED[name][1]})" if name in _EXPECTED else name for name in missing]
        yield Finding.warn(
            f"The Corefile in ConfigMap {full_name(reading.config_map)} lacks {counted(len(missing), 'plugin')} where "
            f"expected: {listed(what)}.",
            subjects=[reading.config_map.subject],
            fix=f"Add {listed(missing)} to the Corefile.",
            command=edit(reading.config_map),
            evidence={"missing": missing},
        )
    yield from _lameduck(reading, params)
    yield from _readiness(reading)


def _has(reading: Reading, name: str) -> bool:
    """Whether a plugin stands in the block that it belongs into."""
    where = _EXPECTED.get(name, (_ANYWHERE, ""))[0]
    blocks: Sequence[ServerBlock | None] = reading.corefile.blocks
    if where != _ANYWHERE:
        blocks = [reading.cluster_block if where == _CLUSTER else reading.corefile.block_for(".")]
    names = _FORWARDING if name == "forward" else {name}
    return any(each.name in names for block in blocks if block is not None for each in block.directives)


def _lameduck(reading: Reading, params: CorefileParameters) -> Iterator[Finding]:
    for _, health in reading.corefile.plugins("health"):
        seconds = lameduck_seconds(health)
        if seconds is not None and seconds < params.lameduck_seconds:
            yield Finding.warn(
                f"CoreDNS goes on answering for {seconds:g} s after it was told to stop (lameduck of health, "
                f"{place(health.file, health.line)} in ConfigMap {full_name(reading.config_map)}), at least "
                f"{params.lameduck_seconds:g} s were expected: questions on their way to it are lost.",
                subjects=[reading.config_map.subject],
                fix=f"Set lameduck {params.lameduck_seconds:g}s in the block of health.",
                command=edit(reading.config_map),
                evidence={"lameduck_seconds": seconds},
            )
        return


def _readiness(reading: Reading) -> Iterator[Finding]:
    unasked = [
        pod
        for pod, container in reading.dns.servers
        if container.readiness_probe is None
        or container.readiness_probe.http_get is None
        or container.readiness_probe.http_get.path != "/ready"
    ]
    if unasked:
        yield Finding.warn(
            f"{counted(len(unasked), 'DNS pod')} ({full_names(unasked)}) {'has' if len(unasked) == 1 else 'have'} no "
            "readiness probe that asks CoreDNS for /ready, one was expected: questions reach pods that do not know the "
            "cluster yet.",
            subjects=[pod.subject for pod in unasked],
            fix="Give the container a readiness probe for /ready on port 8181, where the plugin ready listens.",
        )
