"""Do pods reach each other on all nodes, and the API server?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.observations.network import ApiReach, Connection, NetworkObservations

from .._wording import counted, examples, listed
from ._observed import alone, ends, nodes, observed, routes, suspects, unseen

_ANSWERS = (200, 401, 403)


@check(
    "network.pod-to-pod",
    title="Pods reach each other between all sampled nodes, directly and through Services",
    severity=Severity.CRITICAL,
    reads=(NetworkObservations,),
    aliases=("NET-002",),
)
def pod_to_pod(facts: Facts) -> Iterator[Finding]:
    """Every broker, executor and DataNode talks to every other one.

    ## What it checks
    A pod on each sampled node, two of each zone, connects to the pods on all others, to their own addresses and through
    the address of a Service. Each attempt is made twice, of two seconds. All must succeed; a first attempt that fails
    is a warning. NetworkPolicies that the site puts into the probe's namespace make a failure unknown.

    ## Why it matters
    Kubernetes promises that all pods reach all others without translation. Where a firewall between nodes or zones, a
    broken tunnel or an old kube-proxy breaks the promise, shuffles hang on one executor, replicas stay behind on one
    broker, and the rest looks healthy.

    ## How to fix
    Compare the pairs: one node in all of them points to that node's network plugin or kube-proxy, one zone to routes
    and security groups. Only Services failing points to kube-proxy or what replaces it.

        kubectl --namespace kube-system get pods --output wide --field-selector spec.nodeName=NODE

    ## References
    - [The Kubernetes network model](https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model)
    - [Debug Services](https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/)
    - [Amazon EKS: security groups](https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html)
    """
    document = observed(facts)
    yield from unseen(document)
    lost = [each for each in document.connections if each.error]
    for by_service in (False, True):
        if some := [each for each in lost if each.by_service is by_service]:
            yield _lost(document, some, by_service=by_service)
    late = [each for each in document.connections if each.failed_attempts and not each.error]
    if late:
        yield Finding.warn(
            f"Of {counted(len(document.connections), 'connection')} between nodes, {len(late)} came about at the "
            f"second attempt only ({routes(each.route for each in late)}).",
            subjects=ends(each.route for each in late),
            fix="Look for lost packets between these nodes.",
        )
    if lost or late:
        return
    yield from alone(document)
    if document.connections and len(document.peers) > 1:
        yield Finding.ok(
            f"All {len(document.connections)} connections between {counted(len(document.peers), 'node')} came about, "
            "directly and through Services.",
            subjects=nodes(document.peers),
        )


def _lost(document: NetworkObservations, lost: Sequence[Connection], *, by_service: bool) -> Finding:
    tried = sum(each.by_service is by_service for each in document.connections)
    how = "through Services" if by_service else "to pods' own addresses"
    told = (
        f"Of {counted(tried, 'connection')} {how}, {len(lost)} failed ({routes(each.route for each in lost)}"
        f"{suspects(each.route for each in lost)}), none was expected to: {lost[0].error}."
    )
    evidence = examples({str(each.route): each.error for each in lost})
    if document.foreign_policies:
        return Finding.unknown(
            f"{told} NetworkPolicies of the site ({listed(document.foreign_policies)}) may be why.",
            subjects=ends(each.route for each in lost),
            fix="Let the probe's namespace go without these policies, and probe again.",
            evidence=evidence,
        )
    return Finding.fail(
        told,
        subjects=ends(each.route for each in lost),
        fix="Repair kube-proxy or what replaces it on these nodes."
        if by_service and all(each.by_service for each in document.connections if each.error)
        else "Open all ports between the nodes and between the ranges of pods, and repair the network plugin there.",
        command="kubectl --namespace kube-system get pods --output wide",
        evidence=evidence,
    )


@check(
    "network.api-server-reachable",
    title="Ordinary pods reach the API server",
    severity=Severity.CRITICAL,
    workloads=(Workload.SPARK, Workload.FLINK, Workload.ZEPPELIN),
    reads=(NetworkObservations,),
    aliases=("NET-009",),
)
def api_server_reachable(facts: Facts) -> Iterator[Finding]:
    """Drivers, JobManagers and Zeppelin ask the API server for their executors.

    ## What it checks
    A pod on each sampled node asks `https://kubernetes.default.svc:443/version` without a token. Any answer of 200, 401
    or 403 will do: names, route, TLS and server work. Where the name does not resolve, the address from the environment
    is tried, so that DNS and network are told apart. The pods live in a namespace of their own: policies of the data
    systems' namespaces are not seen.

    ## Why it matters
    A Spark driver makes its executors through this address, Flink's JobManager its TaskManagers and its leader
    election. Without it the driver's pod runs, waits and fails after minutes with a timeout in its log.

    ## How to fix
    Allow egress from pods to the API server's addresses and port, those behind the Service included: many network
    plugins apply policies after the Service's address was translated.

        kubectl get endpointslices --namespace default kubernetes

    ## References
    - [Accessing the Kubernetes API from a pod](https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/)
    - [Spark on Kubernetes](https://spark.apache.org/docs/latest/running-on-kubernetes.html)
    - [Flink: Kubernetes HA services](https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/)
    """
    document = observed(facts)
    yield from unseen(document)
    found = dict(sorted(document.api_server.items()))
    if lost := {node: each for node, each in found.items() if each.error}:
        yield _api_lost(document, lost)
    reached = {node: each for node, each in found.items() if not each.error}
    if nameless := {node: each.name_error for node, each in reached.items() if each.name_error}:
        yield Finding.warn(
            f"From {counted(len(nameless), 'node')} ({listed(list(nameless))}) pods reach the API server by its "
            f"address only, its name does not resolve: {next(iter(nameless.values()))}.",
            subjects=nodes(nameless),
            fix="Repair DNS for pods on these nodes; the checks of the area dns say more.",
            evidence=examples(nameless),
        )
    if odd := {node: each.status for node, each in reached.items() if each.status not in _ANSWERS}:
        yield Finding.warn(
            f"From {counted(len(odd), 'node')} ({listed(list(odd))}) the API server answered "
            f"{next(iter(odd.values()))}, 200, 401 or 403 was expected.",
            subjects=nodes(odd),
            fix="See whether a proxy answers in the API server's place, or the server is overloaded.",
            evidence=examples(odd),
        )
    if reached and not lost and not nameless and not odd:
        slowest = max(each.seconds for each in reached.values())
        yield Finding.ok(
            f"Pods on all {len(reached)} sampled nodes reach the API server, within {1000 * slowest:.0f} ms.",
            subjects=nodes(reached),
        )


def _api_lost(document: NetworkObservations, lost: dict[str, ApiReach]) -> Finding:
    told = (
        f"From {counted(len(lost), 'node')} ({listed(list(lost))}) ordinary pods do not reach the API server: "
        f"{next(iter(lost.values())).error}."
    )
    evidence = examples({node: each.error for node, each in lost.items()})
    if document.foreign_policies:
        return Finding.unknown(
            f"{told} NetworkPolicies of the site ({listed(document.foreign_policies)}) may be why.",
            subjects=nodes(lost),
            fix="Let these policies allow egress to the API server, and probe again.",
            evidence=evidence,
        )
    return Finding.fail(
        told,
        subjects=nodes(lost),
        fix="Allow pods on these nodes to connect to the API server's addresses and port.",
        command="kubectl get endpointslices --namespace default kubernetes",
        evidence=evidence,
    )
