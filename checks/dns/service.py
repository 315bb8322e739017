"""Does anybody answer on the address that every pod asks?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.dns import DNS_PORT, find_dns_service, runs_outside_pods
from auditor.facts.kube import EndpointSlice, Node, Service
from auditor.facts.kube.discovery import SERVICE_NAME_LABEL, Endpoint

from .._wording import counted, full_name


@check(
    "dns.service-endpoints",
    title="The DNS Service has at least two ready endpoints",
    severity=Severity.CRITICAL,
    reads=(Service, EndpointSlice, Node),
    aliases=("DNS-001",),
)
def service_endpoints(facts: Facts) -> Iterator[Finding]:
    """Every pod asks one address for every name, and somebody has to answer there.

    ## What it checks
    There is a Service for DNS: `kube-dns` in kube-system, or one that carries `k8s-app=kube-dns` or
    `kubernetes.io/name: CoreDNS` there, or OpenShift's `dns-default`. It takes UDP and TCP on port 53, and at least two
    endpoints behind it are ready. None is a failure, one is a warning as long as there are several nodes.

    On EKS Auto Mode and with GKE's Cloud DNS nobody has to stand behind that Service: DNS is answered on the node or
    outside the cluster, and the check does not apply.

    ## Why it matters
    Brokers, NameNodes, drivers and executors find each other by name. Without DNS nothing that starts finds its peers,
    and what runs loses them at the next reconnect. With a single endpoint, one eviction or one lost node is an outage
    for the whole cluster. Answers over 512 bytes, such as those of large headless Services, come over TCP.

    ## How to fix
    Look why the pods behind the Service are not ready, and give DNS two replicas at least:

        kubectl --namespace kube-system get pods --selector k8s-app=kube-dns
        kubectl --namespace kube-system scale deployment coredns --replicas=2

    ## References
    - [DNS for Services and Pods](https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)
    - [Debugging DNS resolution](https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/)
    - [CoreDNS autoscaling and replicas on AKS](https://learn.microsoft.com/azure/aks/coredns-autoscale)
    - [EKS Auto Mode has no kube-dns Service](https://github.com/aws/containers-roadmap/issues/2546)
    """
    service = find_dns_service(facts)
    if service is None:
        yield _without_service(facts)
        return
    lacking = _lacking_protocols(service)
    if lacking:
        yield Finding.fail(
            f"Service {full_name(service)} does not take {' and '.join(lacking)} on port {DNS_PORT}; "
            "UDP and TCP were expected.",
            subjects=[service.subject],
            fix=f"Add the port {DNS_PORT} for {' and '.join(lacking)} to the Service.",
            command=f"kubectl --namespace {service.namespace} edit service {service.name}",
        )
    yield _judge_endpoints(facts, service, _endpoints(facts, service))


def _lacking_protocols(service: Service) -> list[str]:
    taken = {port.protocol for port in service.spec.ports or () if port.port == DNS_PORT}
    return [protocol for protocol in ("UDP", "TCP") if protocol not in taken]


def _endpoints(facts: Facts, service: Service) -> list[Endpoint]:
    slices = facts.labelled(EndpointSlice, SERVICE_NAME_LABEL, service.name)
    return [each for one in slices if one.namespace == service.namespace for each in one.endpoints or ()]


def _names(endpoints: Sequence[Endpoint]) -> set[str]:
    """One name per backend: with two address families a pod stands in two slices."""
    return {
        each.target_ref.name if each.target_ref and each.target_ref.name else ",".join(each.addresses)
        for each in endpoints
    }


def _judge_endpoints(facts: Facts, service: Service, endpoints: Sequence[Endpoint]) -> Finding:
    name = full_name(service)
    ready = _names([each for each in endpoints if each.is_ready])
    idle = len(_names(endpoints) - ready)
    also = f" ({idle} more not ready)" if idle else ""
    if len(ready) >= 2:
        return Finding.ok(f"Service {name} has {len(ready)} ready endpoints{also}.", subjects=[service.subject])
    nodes = facts.list(Node)
    if not ready:
        reason = runs_outside_pods(nodes)
        if reason is not None and not idle:
            return Finding.skip(f"Nobody stands behind Service {name}, and nobody has to: {reason}.")
        return Finding.fail(
            f"Service {name} has no ready endpoint{also}, two were expected: no name resolves in the cluster.",
            subjects=[service.subject],
            fix="Look at the events and logs of the pods behind the Service, and repair or start them.",
            command=f"kubectl --namespace {service.namespace} describe pods --selector {_selector(service)}",
        )
    if len(nodes) <= 1:
        return Finding.ok(
            f"Service {name} has one ready endpoint, which is enough for {counted(len(nodes), 'node')}.",
            subjects=[service.subject],
        )
    return Finding.warn(
        f"Service {name} has one ready endpoint only{also}, two were expected: when its node fails, no name resolves "
        f"on any of the {len(nodes)} nodes.",
        subjects=[service.subject],
        fix="Give DNS two ready replicas at least.",
        command=f"kubectl --namespace {service.namespace} get pods --output wide --selector {_selector(service)}",
    )


def _selector(service: Service) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((service.spec.selector or {}).items()))


def _without_service(facts: Facts) -> Finding:
    reason = runs_outside_pods(facts.list(Node))
    if reason is not None:
        return Finding.skip(f"The cluster has no Service for DNS, and needs none: {reason}.")
    return Finding.fail(
        f"No Service of kube-system or openshift-dns answers for DNS on port {DNS_PORT} (kube-dns was expected): "
        "pods have nobody to ask for names.",
        fix="Install CoreDNS with its Service kube-dns in kube-system, at the address that the kubelets give to pods.",
    )
