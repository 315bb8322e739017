"""The cluster's DNS: which Service it is, which pods stand behind it, where the Corefile comes from."""

from typing import Any

import msgspec
import pytest

from auditor.facts.dns import (
    COREFILE_PARTS,
    ClusterDns,
    find_corefile,
    find_dns,
    find_dns_service,
    is_aks,
    is_eks,
    is_eks_auto,
    load_corefile,
    place,
    runs_outside_pods,
)
from auditor.facts.kube import ConfigMap, Node, Pod, Service
from auditor.facts.parts import OK, Resource, part_of
from auditor.facts.store import Facts, PartFacts, PartKey

LABELS = {"k8s-app": "kube-dns"}


def service(
    name: str,
    namespace: str = "kube-system",
    *,
    port: int = 53,
    ip: str = "10.0.0.10",
    labels: dict[str, str] | None = None,
) -> Service:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"clusterIP": ip, "selector": LABELS, "ports": [{"port": port, "protocol": "UDP"}]}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Service)


def pod(
    name: str,
    *,
    owner: tuple[str, str] | None = None,
    phase: str = "Running",
    mounted: str = "",
    container: dict[str, Any] | None = None,
) -> Pod:
    owners = [{"kind": owner[0], "name": owner[1]}] if owner else []
    spec = {
        "containers": [{"name": "main", **(container or {})}],
        "volumes": [{"name": "config", "configMap": {"name": mounted}}] if mounted else [],
    }
    metadata = {"name": name, "namespace": "kube-system", "labels": LABELS, "ownerReferences": owners}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": {"phase": phase}}, Pod)


def config_map(name: str, **data: str) -> ConfigMap:
    metadata = {"name": name, "namespace": "kube-system"}
    return msgspec.convert({"metadata": metadata, "data": {k.replace("_", "."): v for k, v in data.items()}}, ConfigMap)


def node(provider: str = "", version: str = "", **labels: str) -> Node:
    metadata = {"name": "node", "labels": labels}
    status = {"nodeInfo": {"kubeletVersion": version}}
    return msgspec.convert({"metadata": metadata, "spec": {"providerID": provider}, "status": status}, Node)


def facts(*objects: Resource) -> Facts:
    parts: dict[PartKey, PartFacts] = {
        part_of(view).key: PartFacts(OK, tuple(each for each in objects if isinstance(each, view)))
        for view in (Service, Pod)
    }
    for part in COREFILE_PARTS:
        found = [each for each in objects if isinstance(each, ConfigMap) and f"kube-system/{each.name}" == part.object]
        parts[part.key] = PartFacts(OK, tuple(found))
    return Facts(parts)


class TestService:
    @pytest.mark.parametrize(
        ("services", "name"),
        [
            ([], None),
            ([service("kube-dns")], "kube-dns"),
            ([service("kube-dns", port=9153)], None),
            ([service("kube-dns", ip="None")], None),
            ([service("kube-dns", "other")], None),
            ([service("kube-dns-upstream"), service("kube-dns")], "kube-dns"),
            ([service("coredns"), service("other")], "coredns"),
        ],
    )
    def test_by_name(self, services: list[Service], name: str | None) -> None:
        found = find_dns_service(facts(*services))

        assert (found.name if found else None) == name

    def test_by_label(self) -> None:
        upstream = service("a-upstream", labels={**LABELS, "kubernetes.io/name": "KubeDNSUpstream"})
        chart = service("chart", labels={"k8s-app": "coredns", "kubernetes.io/name": "CoreDNS"})
        own = service("own", labels=LABELS)

        assert find_dns_service(facts(upstream)) is None
        assert find_dns_service(facts(upstream, chart)) == chart
        assert find_dns_service(facts(upstream, chart, own)) == own

    def test_openshifts_comes_first(self) -> None:
        operators = service("dns-default", "openshift-dns")
        found = find_dns(facts(service("kube-dns"), operators))

        assert found is not None
        assert (found.service, found.is_openshifts, found.namespace) == (operators, True, "openshift-dns")


class TestPods:
    def test_are_those_that_the_service_selects_and_that_still_run(self) -> None:
        objects = (service("kube-dns"), pod("b"), pod("a"), pod("gone", phase="Failed"))
        found = find_dns(facts(*objects))

        assert found is not None
        assert [each.name for each in found.pods] == ["a", "b"]

    @pytest.mark.parametrize(
        ("container", "expected"),
        [
            ({"name": "coredns"}, True),
            ({"name": "dns", "command": ["coredns"]}, True),
            ({"image": "rancher/hardened-coredns:v1.12"}, True),
            ({"name": "kubedns", "image": "gke.gcr.io/k8s-dns-kube-dns:1.23"}, False),
        ],
    )
    def test_that_are_coredns(self, container: dict[str, Any], *, expected: bool) -> None:
        dns = ClusterDns(service("kube-dns"), (pod("a", container=container),))

        assert bool(dns.servers) is expected

    @pytest.mark.parametrize(
        ("owner", "workload"),
        [
            (("ReplicaSet", "rke2-coredns-6f44"), ("Deployment", "rke2-coredns")),
            (("DaemonSet", "dns-default"), ("DaemonSet", "dns-default")),
            (("Node", "node-1"), None),
            (None, None),
        ],
    )
    def test_are_made_by(self, owner: tuple[str, str] | None, workload: tuple[str, str] | None) -> None:
        assert ClusterDns(service("kube-dns"), (pod("a", owner=owner),)).workload == workload


class TestCorefile:
    COREFILE = config_map("coredns", Corefile=". {\n import custom/*.override\n kubernetes cluster.local\n}\n")

    def test_is_the_one_that_the_pods_mount(self) -> None:
        chart = config_map("rke2-coredns-rke2-coredns", Corefile=". {\n}\n")
        dns = ClusterDns(service("kube-dns"), (pod("a", mounted=chart.name),))

        source = find_corefile(facts(self.COREFILE, chart), dns)

        assert (source.config_map, source.mounted) == (chart, ("kube-system/rke2-coredns-rke2-coredns",))

    def test_is_the_usual_one_where_there_are_no_pods(self) -> None:
        source = find_corefile(facts(self.COREFILE), ClusterDns(service("kube-dns"), ()))

        assert source.config_map == self.COREFILE

    @pytest.mark.parametrize("other", [config_map("coredns", Other=""), config_map("other", Corefile="")])
    def test_may_not_be_known(self, other: ConfigMap) -> None:
        dns = ClusterDns(service("kube-dns"), (pod("a", mounted=other.name),))

        assert find_corefile(facts(other), dns).config_map is None

    def test_comes_with_the_sites_own(self) -> None:
        own = config_map("coredns-custom", log_override="log", other_server="x {\n}")

        corefile = load_corefile(facts(own), self.COREFILE)

        assert [each.name for each in corefile.blocks[0].directives] == ["log", "kubernetes"]
        assert not corefile.missing

    def test_needs_none_of_the_sites_own(self) -> None:
        assert not load_corefile(facts(), self.COREFILE).missing

    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            ("/etc/coredns/Corefile", "line 7 of the Corefile"),
            ("/etc/coredns/extra.conf", "line 7 of extra.conf"),
            ("/etc/coredns/custom/a.server", "line 7 of a.server in kube-system/coredns-custom"),
        ],
    )
    def test_places_are_named(self, file: str, expected: str) -> None:
        assert place(file, 7) == expected


class TestVendors:
    AUTO = node(**{"eks.amazonaws.com/compute-type": "auto"})
    GKE = node(**{"cloud.google.com/gke-nodepool": "default-pool"})

    def test_that_run_dns_outside_pods(self) -> None:
        assert "Auto Mode" in (runs_outside_pods([self.AUTO, self.AUTO]) or "")
        assert "Cloud DNS" in (runs_outside_pods([self.GKE]) or "")
        assert runs_outside_pods([self.AUTO, node()]) is None
        assert runs_outside_pods([]) is None

    def test_by_their_nodes(self) -> None:
        assert is_eks_auto(self.AUTO)
        assert is_aks(node(**{"kubernetes.azure.com/agentpool": "data"}))
        assert is_eks(node("aws:///a/i-1", "v1.33.5-eks-113cf36"))
        assert not is_eks(node("aws:///a/i-1", "v1.33.5"))
        assert not is_aks(node())
