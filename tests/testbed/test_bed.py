"""The test bed is a real cluster: nodes in zones, pods that reach each other by name, volumes that keep data."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from kubernetes.client import ApiException

from tests.testbed import bed, processes, prometheus
from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import AUDIT_KUBECONFIG, ETCD, KUBERNETES_VERSION, NODES
from tests.testbed.shell import run

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${NAMESPACE}}
spec: {selector: {app: web}, clusterIP: None, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced, namespace: ${NAMESPACE}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: ${NAMESPACE}}
spec:
  serviceName: web
  replicas: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {matchLabels: {app: web}}
      containers:
      - name: web
        image: localhost/auditor-testbed/busybox:1
        imagePullPolicy: Never
        command: [/bin/sh, -c]
        args: ["test -e /data/name || hostname > /data/name; while :; do nc -l -p 8080 < /data/name; done"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


@pytest.fixture
def web(cluster: Cluster, fresh_namespace: str) -> str:
    """A StatefulSet of three that answers with its pods' names; yields its namespace."""
    cluster.apply(WEB, NAMESPACE=fresh_namespace)
    wait_for("three ready pods", lambda: cluster.ready_pods(fresh_namespace) == 3, timeout_seconds=180)
    return fresh_namespace


def test_three_nodes_in_three_zones(test_bed: Cluster) -> None:
    nodes = test_bed.core.list_node().items

    assert {node.metadata.labels["topology.kubernetes.io/zone"] for node in nodes} == {n.zone for n in NODES}
    assert all(node.status.node_info.kubelet_version == f"v{KUBERNETES_VERSION}" for node in nodes)
    assert json.loads(test_bed.get("/version"))["gitVersion"] == f"v{KUBERNETES_VERSION}"


def test_pods_on_every_node_reach_each_other_by_name_and_through_a_service(cluster: Cluster, web: str) -> None:
    pods = cluster.core.list_namespaced_pod(web).items
    assert len({pod.spec.node_name for pod in pods}) == 3

    for pod in pods:
        for target in ("web-0.web 8080", "web-1.web 8080", "web-2.web 8080", "balanced 80"):
            host, port = target.split()
            resolved = f"nslookup {host}.{web}.svc.cluster.local | awk '/^Address: /{{print $2; exit}}'"
            answer = cluster.exec(pod.metadata.name, web, f"nc -w 5 $({resolved}) {port} < /dev/null")
            assert answer.startswith("web-"), f"{pod.metadata.name} → {target}: {answer!r}"


def test_a_stateful_pod_keeps_its_data_and_name(cluster: Cluster, web: str) -> None:
    cluster.exec("web-1", web, "echo kept >> /data/name")
    before = cluster.core.read_namespaced_pod("web-1", web).metadata.uid

    cluster.core.delete_namespaced_pod("web-1", web)
    wait_for(
        "a new web-1",
        lambda: cluster.core.read_namespaced_pod("web-1", web).metadata.uid != before and cluster.ready_pods(web) == 3,
    )

    assert cluster.exec("web-1", web, "cat /data/name") == "web-1\nkept\n"


def test_metrics_server_answers(cluster: Cluster) -> None:
    usage = wait_for("node metrics", lambda: json.loads(cluster.get("/apis/metrics.k8s.io/v1beta1/nodes"))["items"])

    assert {item["metadata"]["name"] for item in usage} >= {node.name for node in NODES}


@pytest.mark.parametrize("job", ["apiserver", "kubelet", "kubelet-cadvisor", "etcd", "coredns"])
def test_prometheus_scrapes(test_bed: Cluster, job: str) -> None:
    def up() -> bool:
        found = json.loads(run("curl", "--silent", f"{prometheus.URL}/api/v1/query?query=up%7Bjob%3D%22{job}%22%7D"))
        values = [series["value"][1] for series in found["data"]["result"]]
        return bool(values) and set(values) == {"1"}

    assert wait_for(f"targets of {job}", up, timeout_seconds=60)


def test_native_gang_scheduling_is_served(cluster: Cluster) -> None:
    served = json.loads(cluster.get("/apis/scheduling.k8s.io/v1alpha1"))["resources"]

    assert "workloads" in {resource["name"] for resource in served}


def test_the_audit_account_may_read_nothing_that_it_was_not_granted(test_bed: Cluster) -> None:
    with closing(Cluster(AUDIT_KUBECONFIG)) as account:
        assert KUBERNETES_VERSION in account.get("/version")
        with pytest.raises(ApiException, match="403"):
            account.core.list_secret_for_all_namespaces()


def test_a_lost_etcd_member_is_seen_and_comes_back(test_bed: Cluster) -> None:
    lost = ETCD[2]
    processes.stop(lost.name)
    try:
        assert "etcd ok" in test_bed.get("/readyz?verbose")  # two of three are a quorum
        health = run("curl", "--silent", "--max-time", "2", f"http://{lost.address}:2381/health", check=False)
        assert health == ""
    finally:
        processes.restart(lost.name)
    wait_for(
        "the member to be healthy",
        lambda: json.loads(run("curl", "--silent", f"http://{lost.address}:2381/health"))["health"] == "true",
    )


def test_status_explains_itself(test_bed: Cluster) -> None:
    lines = list(bed.status())

    assert lines[0].startswith("The test bed is up.")
    assert any("node n2: Ready=True, zone-b" in line for line in lines)
    assert sum("running" in line for line in lines) >= 15
