"""Does DNS grow with the cluster by itself?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from auditor import Facts, Finding, Parameters, Severity, check, if_served, named, threshold
from auditor.facts.dns import ClusterDns, find_dns, is_eks, is_eks_auto, runs_outside_pods
from auditor.facts.kube import ConfigMap, Deployment, Node, Pod, Service
from auditor.facts.kube.autoscaling import HorizontalPodAutoscaler
from auditor.facts.quantity import quantity_cores

from .._wording import counted, full_name
from ._corefile import no_service

CONFIG_MAPS = ("coredns-autoscaler", "kube-dns-autoscaler", "dns-autoscaler", "rke2-coredns-rke2-coredns-autoscaler")
"""Names of the ConfigMaps, and of the Deployments, that vendors give to the proportional autoscaler of DNS."""

_PROGRAM = "cluster-proportional-autoscaler"


class AutoscalerParameters(Parameters, frozen=True, kw_only=True):
    """When a cluster needs an autoscaler for DNS."""

    few_nodes: Annotated[
        int,
        threshold(
            "Up to so many nodes two fixed replicas are enough, one of them being the reserve.",
            source="nodesPerReplica of the DNS autoscaler in the Kubernetes documentation.",
            ge=0,
        ),
    ] = 16
    many_nodes: Annotated[
        int,
        threshold(
            "With more nodes than this a missing autoscaler is a failure and no warning.",
            source="No upstream number; two replicas serve 32 nodes by the autoscaler's own formula.",
            ge=0,
        ),
    ] = 30
    few_cores: Annotated[
        int,
        threshold(
            "Up to so many CPU cores two fixed replicas are enough.",
            source="coresPerReplica of the DNS autoscaler in the Kubernetes documentation.",
            ge=0,
        ),
    ] = 256
    scaled_from_outside: Annotated[
        bool,
        threshold(
            "Whether something outside the cluster scales DNS, such as the autoscaling of the EKS add-on.",
            source="The site's own knowledge; it cannot be seen in the cluster.",
        ),
    ] = False


@check(
    "dns.autoscaler",
    title="An autoscaler gives DNS as many replicas as the cluster needs",
    severity=Severity.MEDIUM,
    reads=(
        Service,
        Pod,
        Node,
        Deployment,
        if_served(HorizontalPodAutoscaler),
        *(named(ConfigMap, name, namespace="kube-system") for name in CONFIG_MAPS),
    ),
    aliases=("DNS-003",),
)
def autoscaler(facts: Facts, params: AutoscalerParameters) -> Iterator[Finding]:
    """Nobody remembers DNS when a cluster grows from 20 nodes to 200.

    ## What it checks
    Something scales the Deployment of DNS: a cluster proportional autoscaler that targets it and runs, or a
    HorizontalPodAutoscaler. It never goes below two replicas on several nodes (`preventSinglePointFailure`, a `min`, a
    ladder that begins at two, `minReplicas`). A DaemonSet, as OpenShift has it, grows by itself.

    Without one, two fixed replicas do for up to 16 nodes and 256 cores. Beyond, its absence is a warning, and a failure
    from 31 nodes on. The autoscaling of the EKS add-on runs outside the cluster and cannot be seen: there the answer is
    unknown until `scaled_from_outside` says it.

    ## Why it matters
    The questions grow with nodes, executors and brokers. Two replicas that were ample at the start become the slowest
    part of every job, with timeouts that look like failures of Kafka or of the object store.

    ## How to fix
    Install the cluster proportional autoscaler with `coresPerReplica` 256, `nodesPerReplica` 16 and
    `preventSinglePointFailure`. On EKS, switch on `autoScaling` in the configuration of the CoreDNS add-on.

    ## References
    - [Autoscale the DNS service in a cluster](https://kubernetes.io/docs/tasks/administer-cluster/dns-horizontal-autoscaling/)
    - [Cluster proportional autoscaler](https://github.com/kubernetes-sigs/cluster-proportional-autoscaler)
    - [EKS: scale CoreDNS pods for high DNS traffic](https://docs.aws.amazon.com/eks/latest/userguide/coredns-autoscaling.html)
    - [CoreDNS autoscaling on AKS](https://learn.microsoft.com/azure/aks/coredns-autoscale)
    """
    dns = find_dns(facts)
    if dns is None:
        yield no_service()
        return
    kind, name = dns.workload or ("", "")
    if kind == "DaemonSet":
        yield Finding.ok(
            f"DNS runs on every node as DaemonSet {dns.namespace}/{name}, so that it grows with the cluster."
        )
        return
    if not name:
        yield _without_workload(facts, dns)
        return
    found = [*_proportional(facts, dns, name), *_horizontal(facts, dns, name)]
    for each in found:
        yield _judge(each, dns, name)
    if not found:
        yield _without(facts, dns, name, params)


@dataclass(frozen=True, slots=True)
class _Autoscaler:
    """Something that scales DNS.

    Attributes:
        obj: what it is.
        runs: whether it does so now.
        floor: the fewest replicas that it leaves on several nodes; None where that cannot be told.
        settings: where its settings are, for a reader.
    """

    obj: Deployment | HorizontalPodAutoscaler
    runs: bool
    floor: int | None
    settings: str

    @property
    def title(self) -> str:
        return f"{self.obj.api.kind} {full_name(self.obj)}"


def _without_workload(facts: Facts, dns: ClusterDns) -> Finding:
    reason = None if dns.pods else runs_outside_pods(facts.list(Node))
    if reason is not None:
        return Finding.skip(f"There is nothing to scale: {reason}.")
    return Finding.unknown(
        f"What makes the pods behind Service {full_name(dns.service)} cannot be told "
        f"({counted(len(dns.pods), 'pod')}), so neither can what scales it.",
        subjects=[dns.service.subject],
        fix="Look at the owners of the DNS pods.",
        command=f"kubectl --namespace {dns.namespace} get pods,replicasets,deployments",
    )


def _proportional(facts: Facts, dns: ClusterDns, target: str) -> Iterator[_Autoscaler]:
    """The proportional autoscalers whose target is the Deployment of DNS."""
    for deployment in sorted(facts.list(Deployment), key=full_name):
        words = [
            word
            for container in deployment.spec.template.spec.containers
            for word in (container.image or "", *(container.command or ()), *(container.args or ()))
        ]
        known = deployment.namespace == dns.namespace and deployment.name in CONFIG_MAPS
        if not known and not any(_PROGRAM in word for word in words):
            continue
        flags = _flags(words)
        targets = [each.rpartition("/")[2].lower() for each in flags.get("target", target).split(",")]
        if target not in targets or flags.get("namespace", dns.namespace) != dns.namespace:
            continue
        runs = deployment.replicas > 0 and deployment.status.ready_replicas > 0
        source, floor = _floor(facts, flags, deployment)
        yield _Autoscaler(deployment, runs, floor, source)


def _flags(words: Sequence[str]) -> dict[str, str]:
    """``--name=value`` and ``--name value`` of a command line."""
    flags = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            name, separator, value = word.removeprefix("--").partition("=")
            flags[name] = value if separator else following
    return flags


def _floor(facts: Facts, flags: dict[str, str], deployment: Deployment) -> tuple[str, int | None]:
    """Where a proportional autoscaler has its settings from, and the fewest replicas that they leave."""
    name = flags.get("configmap", deployment.name)
    if name in CONFIG_MAPS and deployment.namespace == "kube-system":
        config_map = facts.get_named(ConfigMap, name, namespace="kube-system")
        if config_map is not None:
            return f"ConfigMap kube-system/{name}", _floor_of(config_map.data or {})
    try:
        defaults = json.loads(flags.get("default-params", "null"))
    except ValueError:
        defaults = None
    data = {mode: json.dumps(value) for mode, value in defaults.items()} if isinstance(defaults, dict) else {}
    return f"its flag default-params or ConfigMap {name}", _floor_of(data)


def _floor_of(data: dict[str, str]) -> int | None:
    """The fewest replicas on two nodes or more; None where the settings are not there or cannot be read."""
    try:
        settings: Any = json.loads(data.get("linear") or data.get("ladder") or "null")
        if "linear" in data:
            return max(int(settings.get("min", 1)), 2 if settings.get("preventSinglePointFailure") else 1)
        return max(_step(settings.get("coresToReplicas"), 2), _step(settings.get("nodesToReplicas"), 2))
    except (ValueError, TypeError, AttributeError, IndexError):
        return None


def _step(ladder: list[list[int]] | None, resources: int) -> int:
    """The replicas of the highest rung that is reached."""
    rungs = sorted(ladder or [[1, 1]])
    return next((replicas for from_, replicas in reversed(rungs) if from_ <= resources), rungs[0][1])


def _horizontal(facts: Facts, dns: ClusterDns, target: str) -> Iterator[_Autoscaler]:
    for hpa in sorted(facts.list(HorizontalPodAutoscaler), key=full_name):
        scaled = hpa.spec.scale_target_ref
        if hpa.namespace == dns.namespace and scaled.kind == "Deployment" and scaled.name == target:
            yield _Autoscaler(hpa, runs=True, floor=hpa.min_replicas, settings="minReplicas")


def _judge(found: _Autoscaler, dns: ClusterDns, target: str) -> Finding:
    name, subjects = f"{dns.namespace}/{target}", [found.obj.subject]
    if not found.runs:
        return Finding.warn(
            f"{found.title}, which scales DNS, has no ready pod; one was expected.",
            subjects=subjects,
            fix="Start the autoscaler again, and look at the events of its pod.",
            command=f"kubectl --namespace {found.obj.namespace} describe deployment {found.obj.name}",
        )
    if found.floor is None:
        return Finding.ok(
            f"{found.title} scales DNS; its settings ({found.settings}) are not visible.", subjects=subjects
        )
    if found.floor < 2:
        return Finding.warn(
            f"{found.title} may scale Deployment {name} down to {counted(found.floor, 'replica')} on several nodes "
            f"({found.settings}); two at least were expected.",
            subjects=subjects,
            fix="Set preventSinglePointFailure to true, or the least number of replicas to 2.",
            evidence={"floor": found.floor},
        )
    return Finding.ok(
        f"{found.title} scales Deployment {name}, to {found.floor} replicas at least ({found.settings}).",
        subjects=subjects,
    )


def _without(facts: Facts, dns: ClusterDns, target: str, params: AutoscalerParameters) -> Finding:
    name = f"Deployment {dns.namespace}/{target}"
    if params.scaled_from_outside:
        return Finding.ok(f"{name} is scaled from outside the cluster, as the parameter scaled_from_outside says.")
    nodes = [node for node in facts.list(Node) if not is_eks_auto(node)]
    cores = sum(quantity_cores((node.status.allocatable or {}).get("cpu", "0")) for node in nodes)
    size = f"{counted(len(nodes), 'node')} with {cores:g} cores"
    if len(nodes) <= params.few_nodes and cores <= params.few_cores:
        return Finding.ok(
            f"No autoscaler scales {name}, and none is needed for {size} (up to {params.few_nodes} nodes and "
            f"{params.few_cores} cores)."
        )
    subjects = [pod.subject for pod in dns.pods]
    if any(is_eks(node) for node in nodes):
        return Finding.unknown(
            f"Nothing in the cluster scales {name} on {size}, and whether the EKS add-on does cannot be seen.",
            subjects=subjects,
            fix="Look for autoScaling in the add-on's configuration; if it is on, set scaled_from_outside.",
            command="aws eks describe-addon --addon-name coredns --query addon.configurationValues --cluster-name NAME",
        )
    message = (
        f"Nothing scales {name} on {size}; an autoscaler was expected beyond {params.few_nodes} nodes or "
        f"{params.few_cores} cores."
    )
    fix = "Install the cluster proportional autoscaler for DNS, with preventSinglePointFailure."
    if len(nodes) > params.many_nodes:
        return Finding.fail(message, subjects=subjects, fix=fix)
    return Finding.warn(message, subjects=subjects, fix=fix)
