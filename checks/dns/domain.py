"""Is the cluster's domain the one that everybody assumes?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.corefile import is_symbolic
from auditor.facts.dns import COREFILE_PARTS
from auditor.facts.kube import Pod, Service

from .._wording import full_name
from ._corefile import not_served, read_corefile


class DomainParameters(Parameters, frozen=True, kw_only=True):
    """Which domain the site's operators know."""

    expected_domain: Annotated[
        str,
        threshold(
            "The cluster's domain that operators and charts of this site were told.",
            source="Default of kubeadm, of all large vendors, and of the operators of Kafka, Flink, HDFS and Spark.",
        ),
    ] = "cluster.local"


@check(
    "dns.cluster-domain",
    title="The cluster's domain is the one that operators expect",
    severity=Severity.MEDIUM,
    reads=(Service, Pod, *COREFILE_PARTS),
    aliases=("DNS-016",),
)
def cluster_domain(facts: Facts, params: DomainParameters) -> Iterator[Finding]:
    """Operators write full names into certificates and settings, and guess the domain.

    ## What it checks
    The domain that the `kubernetes` plugin of the Corefile answers for is `cluster.local`, or the one in
    `expected_domain`. Any other is a warning: nothing is wrong with it as long as every operator was told.

    Which domain the kubelets give to pods, and the limits of a pod's resolv.conf, are looked at by a probe.

    ## Why it matters
    Strimzi puts names such as `broker-0.brokers.data.svc.cluster.local` into listeners and certificates, HDFS
    and Flink operators into their configuration. With another domain clients are redirected to names that do not exist,
    or do not match the certificate.

    ## How to fix
    Tell the operators, then name the domain in `expected_domain`. Strimzi takes it from its environment variable
    `KUBERNETES_SERVICE_DNS_DOMAIN`, Stackable's operators from `kubernetesClusterDomain`.

    ## References
    - [DNS for Services and Pods](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    - [Strimzi: configuring the Cluster Operator](https://strimzi.io/docs/operators/latest/deploying#ref-operator-cluster-str)
    - [Stackable: cluster domain](https://docs.stackable.tech/home/stable/guides/kubernetes-cluster-domain)
    - [CoreDNS: kubernetes](https://coredns.io/plugins/kubernetes/)
    """
    reading = read_corefile(facts)
    if isinstance(reading, Finding):
        yield reading
        return
    if reading.domain is None:
        yield not_served(reading)
        return
    domain, where = reading.domain.removesuffix("."), f"ConfigMap {full_name(reading.config_map)}"
    if is_symbolic(domain):
        yield Finding.unknown(
            f"The cluster's domain cannot be told: {where} has it from an environment variable.",
            subjects=[reading.config_map.subject],
            fix="Look at the environment of the CoreDNS pods.",
        )
    elif domain == params.expected_domain.rstrip(".").lower():
        yield Finding.ok(f"The cluster's domain is {domain} ({where}).", subjects=[reading.config_map.subject])
    else:
        yield Finding.warn(
            f"The cluster's domain is {domain} ({where}), {params.expected_domain} was expected: operators that were "
            "not told use names that do not exist.",
            subjects=[reading.config_map.subject],
            fix="Set the domain in every operator (Strimzi: KUBERNETES_SERVICE_DNS_DOMAIN), then name it in "
            "expected_domain of this check.",
            evidence={"domain": domain},
        )
