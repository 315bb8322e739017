"""Do the names of headless Services resolve, which data systems find their peers by?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, Workload, check
from auditor.facts.corefile.plugins import KubernetesPlugin, parse_selector
from auditor.facts.dns import COREFILE_PARTS, place
from auditor.facts.kube import Namespace, Pod, Service

from .._wording import counted, examples, full_name, full_names, listed
from ._corefile import Reading, edit, not_served, read_corefile


@check(
    "dns.headless-names",
    title="DNS knows the pods behind headless Services in every namespace",
    severity=Severity.CRITICAL,
    workloads=dict.fromkeys((*STATEFUL_WORKLOADS, Workload.SPARK), Severity.CRITICAL),
    reads=(Service, Pod, Namespace, *COREFILE_PARTS),
    aliases=("DNS-007",),
)
def headless_names(facts: Facts) -> Iterator[Finding]:
    """Brokers, DataNodes, TaskManagers and drivers are known by the names of headless Services.

    ## What it checks
    The `kubernetes` plugin that answers for names of Services

    - has no `noendpoints`, with which names of headless Services and of their pods do not exist;
    - has no `namespaces` or `namespace_labels` that hides a namespace with headless Services;
    - has no `labels` that hides a headless Service.

    A filter that hides none of the headless Services that exist now is a warning: the next one may be hidden.

    ## Why it matters
    A StatefulSet's pods have stable names only through a headless Service: `broker-0.kafka.data.svc.cluster.local`.
    Kafka advertises them to clients, HDFS writes them into its metadata, Spark's executors call the driver by one. A
    hidden name is NXDOMAIN, for ever and from everywhere.

    ## How to fix
    Remove the option from the `kubernetes` block of the Corefile:

        kubectl --namespace kube-system edit configmap coredns

    ## References
    - [CoreDNS: kubernetes](https://coredns.io/plugins/kubernetes/)
    - [Headless Services](https://kubernetes.io/docs/concepts/services-networking/service/#headless-services)
    - [Stable network identity of StatefulSets](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id)
    - [Spark on Kubernetes: client mode and headless Services](https://spark.apache.org/docs/latest/running-on-kubernetes.html#client-mode-networking)
    """
    reading = read_corefile(facts)
    if isinstance(reading, Finding):
        yield reading
        return
    plugin = reading.kubernetes
    if plugin is None:
        yield not_served(reading)
        return
    found = False
    for finding in _hiding(facts, reading, plugin):
        found = True
        yield finding
    if not found:
        yield _shown(reading, place(plugin.directive.file, plugin.directive.line))


def _hiding(facts: Facts, reading: Reading, plugin: KubernetesPlugin) -> Iterator[Finding]:
    if not plugin.has_endpoints:
        yield Finding.fail(
            f"The kubernetes plugin has the option noendpoints ({_place(plugin, 'noendpoints')}, ConfigMap "
            f"{full_name(reading.config_map)}), none was expected: names of headless Services and of their pods do not "
            "resolve.",
            subjects=[reading.config_map.subject],
            fix="Remove noendpoints from the kubernetes block of the Corefile.",
            command=edit(reading.config_map),
        )
    for option, text, hidden in _filters(facts, plugin):
        yield _filtered(reading, f"{option} {text}", _place(plugin, option), hidden)


def _shown(reading: Reading, where: str) -> Finding:
    if reading.corefile.missing:
        return Finding.unknown(
            f"Whether the kubernetes plugin ({where}) hides anything cannot be told: the Corefile imports "
            f"{reading.unknown_imports}.",
            subjects=[reading.config_map.subject],
            fix="Look whether the imported files hold noendpoints, namespaces, namespace_labels or labels.",
        )
    return Finding.ok(
        f"The kubernetes plugin ({where}) knows the endpoints of all namespaces.", subjects=[reading.config_map.subject]
    )


def _place(plugin: KubernetesPlugin, option: str) -> str:
    directive = plugin.directive.option(option) or plugin.directive
    return place(directive.file, directive.line)


def _filters(facts: Facts, plugin: KubernetesPlugin) -> Iterator[tuple[str, str, list[Service] | None]]:
    """Each filter with the headless Services that it hides; None where that cannot be told."""
    if plugin.namespaces is not None:
        shown = plugin.namespaces
        yield (
            "namespaces",
            listed(sorted(shown)),
            [service for service in _headless(facts) if service.namespace not in shown],
        )
    if plugin.namespace_labels is not None:
        yield "namespace_labels", plugin.namespace_labels, _in_hidden_namespaces(facts, plugin.namespace_labels)
    if plugin.labels is not None:
        selector = parse_selector(plugin.labels)
        hidden = [each for each in _headless(facts) if selector is not None and not selector.matches(each.labels)]
        yield "labels", plugin.labels, None if selector is None else hidden


def _in_hidden_namespaces(facts: Facts, expression: str) -> list[Service] | None:
    selector = parse_selector(expression)
    if selector is None:
        return None
    shown = {namespace.name for namespace in facts.list(Namespace) if selector.matches(namespace.labels)}
    return [service for service in _headless(facts) if service.namespace not in shown]


def _headless(facts: Facts) -> Sequence[Service]:
    return sorted((service for service in facts.list(Service) if service.is_headless), key=full_name)


def _filtered(reading: Reading, option: str, where: str, hidden: Sequence[Service] | None) -> Finding:
    seen = f"The kubernetes plugin shows only what its option {option} lets through ({where})"
    fix = (
        "Remove the filter from the kubernetes block of the Corefile, or extend it to all namespaces with data systems."
    )
    if hidden is None:
        return Finding.unknown(
            f"{seen}; what that hides cannot be told.", subjects=[reading.config_map.subject], fix=fix
        )
    if not hidden:
        return Finding.warn(
            f"{seen}; it hides none of the headless Services that exist now, but no filter was expected.",
            subjects=[reading.config_map.subject],
            fix=fix,
            command=edit(reading.config_map),
        )
    return Finding.fail(
        f"{seen}, no filter was expected: {counted(len(hidden), 'headless Service')} "
        f"{'does' if len(hidden) == 1 else 'do'} not resolve ({full_names(hidden)}).",
        subjects=[service.subject for service in hidden],
        fix=fix,
        command=edit(reading.config_map),
        evidence={"hidden": list(examples({full_name(service): None for service in hidden}))},
    )
