"""The cluster's DNS: its Service, the pods behind it, and the Corefile that they run with.

What is known by name here is what vendors ship: CoreDNS in kube-system (kubeadm, EKS, AKS, DOKS, k3s, RKE2 …), kube-dns
(GKE), the DNS operator's DaemonSet (OpenShift). EKS Auto Mode and GKE's Cloud DNS answer outside the cluster's pods.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.facts.corefile import Corefile, CorefileError, parse_corefile
from auditor.facts.corefile.parser import COREFILE
from auditor.facts.kube.core import ConfigMap, Service
from auditor.facts.kube.meta import LabelSelector
from auditor.facts.kube.nodes import Node
from auditor.facts.kube.pods import Container, Pod
from auditor.facts.parts import Part, named
from auditor.facts.store import Facts

DNS_PORT = 53
KUBE_SYSTEM = "kube-system"
OPENSHIFT_NAMESPACE = "openshift-dns"
OPENSHIFT_SERVICE = "dns-default"

CUSTOM_FOLDER = "/etc/coredns/custom"
"""Where AKS, DOKS, k3s and others mount the site's own ConfigMap, for ``import custom/*.override``."""

CUSTOM_COREFILE = ("kube-system", "coredns-custom")
NODE_LOCAL_COREFILE = ("kube-system", "node-local-dns")

COREFILES = (
    ("kube-system", "coredns"),
    ("kube-system", "rke2-coredns-rke2-coredns"),
    (OPENSHIFT_NAMESPACE, OPENSHIFT_SERVICE),
)
"""Namespace and name of the ConfigMaps that hold a cluster's Corefile."""


def _part(place: tuple[str, str]) -> Part:
    return named(ConfigMap, place[1], namespace=place[0])


COREFILE_PARTS = tuple(_part(place) for place in (*COREFILES, CUSTOM_COREFILE))
"""What a check declares that reads the Corefile, besides Service and Pod."""

_EKS_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
_GKE_POOL = "cloud.google.com/gke-nodepool"
_AKS_LABELS = ("kubernetes.azure.com/cluster", "kubernetes.azure.com/agentpool")


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """The DNS that pods are pointed to.

    Attributes:
        service: its Service.
        pods: the pods that the Service selects, by name; those that have ended for good are left out.
    """

    service: Service
    pods: tuple[Pod, ...]

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return self.service.namespace or KUBE_SYSTEM

    @property
    def is_openshifts(self) -> bool:
        """Whether OpenShift's DNS operator runs it, on every node."""
        return self.namespace == OPENSHIFT_NAMESPACE

    @property
    def servers(self) -> list[tuple[Pod, Container]]:
        """CoreDNS' own container in every pod; none in those of the older kube-dns."""
        return [(pod, each) for pod in self.pods for each in pod.spec.containers if _is_coredns(each)]

    @property
    def workload(self) -> tuple[str, str] | None:
        """Kind and name of what makes the pods (``Deployment`` or ``DaemonSet``); None where that cannot be told."""
        for pod in self.pods:
            for owner in pod.metadata.owner_references or ():
                if owner.kind == "ReplicaSet":
                    return "Deployment", owner.name.rpartition("-")[0]
                if owner.kind == "DaemonSet":
                    return owner.kind, owner.name
        return None

    @property
    def is_googles(self) -> bool:
        """Whether GKE runs it, whose settings are Google's."""
        return any("gke.gcr.io/" in (each.image or "") for pod in self.pods for each in pod.spec.containers)


def find_dns(facts: Facts) -> ClusterDns | None:
    """The cluster's DNS, or None where no Service stands for it. Reads Services and pods."""
    service = find_dns_service(facts)
    if service is None:
        return None
    return ClusterDns(service, tuple(_pods_of(facts, service)))


def find_dns_service(facts: Facts) -> Service | None:
    """The Service that answers on port 53 for the cluster."""
    candidates = (*facts.in_namespace(Service, OPENSHIFT_NAMESPACE), *facts.in_namespace(Service, KUBE_SYSTEM))
    ranked = [(rank, each.name, each) for each in candidates if (rank := _rank(each)) is not None]
    return min(ranked, key=lambda one: one[:2])[2] if ranked else None


def _rank(service: Service) -> int | None:
    """How surely a Service is the cluster's DNS, 0 most of all; None where it is not."""
    if service.is_headless or not any(port.port == DNS_PORT for port in service.spec.ports or ()):
        return None
    labels = service.labels
    signs = (
        service.namespace == OPENSHIFT_NAMESPACE and service.name == OPENSHIFT_SERVICE,
        service.name == "kube-dns",
        labels.get("k8s-app") == "kube-dns" and labels.get("kubernetes.io/name") != "KubeDNSUpstream",
        labels.get("kubernetes.io/name") in ("CoreDNS", "KubeDNS"),
        service.name == "coredns",
    )
    return next((rank for rank, sign in enumerate(signs) if sign), None)


def _pods_of(facts: Facts, service: Service) -> Iterator[Pod]:
    if not service.spec.selector:
        return
    selector = LabelSelector(match_labels=service.spec.selector)
    selected = facts.selected(Pod, selector, namespace=service.namespace or KUBE_SYSTEM)
    yield from sorted((pod for pod in selected if not pod.is_finished), key=lambda pod: pod.name)


def _is_coredns(container: Container) -> bool:
    return any("coredns" in word for word in (container.name, container.image or "", *(container.command or ())))


def runs_outside_pods(nodes: Sequence[Node]) -> str | None:
    """Why the cluster may have no DNS pods all the same, as half a sentence; None where it must have some."""
    if nodes and all(is_eks_auto(node) for node in nodes):
        return "EKS Auto Mode runs CoreDNS as a service of each node, outside the cluster's pods"
    if any(_GKE_POOL in node.labels for node in nodes):
        return "GKE lets Cloud DNS answer instead, outside the cluster"
    return None


def is_eks(node: Node) -> bool:
    """Whether a node belongs to EKS."""
    return "-eks-" in node.status.node_info.kubelet_version and (node.spec.provider_id or "").startswith("aws://")


def is_eks_auto(node: Node) -> bool:
    """Whether EKS Auto Mode runs a node, with a CoreDNS of its own on it."""
    return node.labels.get(_EKS_COMPUTE_TYPE) == "auto"


def is_aks(node: Node) -> bool:
    """Whether a node belongs to AKS, whose LocalDNS is a service of the node and no pod."""
    return any(label in node.labels for label in _AKS_LABELS)


@dataclass(frozen=True, slots=True)
class CorefileSource:
    """Where the DNS pods have their Corefile from.

    Attributes:
        mounted: full names of the ConfigMaps that the pods mount.
        config_map: the one of them that holds the Corefile; None where none of them is known or there.
    """

    mounted: tuple[str, ...]
    config_map: ConfigMap | None


def find_corefile(facts: Facts, dns: ClusterDns) -> CorefileSource:
    """The ConfigMap that the DNS pods mount; where there are no pods, the usual one of their namespace."""
    mounted = {
        volume.config_map.name or ""
        for pod in dns.pods
        for volume in pod.spec.volumes or ()
        if volume.config_map is not None
    }
    names = tuple(sorted(f"{dns.namespace}/{name}" for name in mounted))
    for namespace, name in COREFILES:
        if namespace != dns.namespace or (dns.pods and name not in mounted):
            continue
        found = facts.get_named(ConfigMap, name, namespace=namespace)
        if found is not None and "Corefile" in (found.data or {}):
            return CorefileSource(names, found)
    return CorefileSource(names, None)


def load_corefile(facts: Facts, config_map: ConfigMap) -> Corefile:
    """The Corefile of a ConfigMap with what it imports. The site's own ConfigMap is read only if it is imported.

    Raises:
        CorefileError: CoreDNS would not start with it.
    """
    folder = posixpath.dirname(COREFILE)
    data = config_map.data or {}
    files = {f"{folder}/{key}": text for key, text in data.items()}
    corefile = parse_corefile(data["Corefile"], files=files, folders=(folder,))
    if not any(each.folder == CUSTOM_FOLDER for each in corefile.missing):
        return corefile
    namespace, name = CUSTOM_COREFILE
    custom = facts.get_named(ConfigMap, name, namespace=namespace)
    files |= {f"{CUSTOM_FOLDER}/{key}": text for key, text in ((custom.data if custom else None) or {}).items()}
    return parse_corefile(data["Corefile"], files=files, folders=(folder, CUSTOM_FOLDER))


def place(file: str, line: int) -> str:
    """``line 7 of the Corefile``, or ``line 2 of log.override in kube-system/coredns-custom``."""
    if posixpath.dirname(file) == CUSTOM_FOLDER:
        return f"line {line} of {posixpath.basename(file)} in {'/'.join(CUSTOM_COREFILE)}"
    name = posixpath.basename(file)
    return f"line {line} of the Corefile" if name == "Corefile" else f"line {line} of {name}"


__all__ = [
    "COREFILES",
    "COREFILE_PARTS",
    "ClusterDns",
    "CorefileError",
    "CorefileSource",
    "find_corefile",
    "find_dns",
    "find_dns_service",
    "is_aks",
    "is_eks",
    "is_eks_auto",
    "load_corefile",
    "place",
    "runs_outside_pods",
]
