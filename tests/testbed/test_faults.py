"""Every fault is visible while it is on and gone afterwards, and all of them are listed in docs/testbed.md."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.testbed import faults, processes
from tests.testbed.client import Cluster, wait_for
from tests.testbed.csi.layout import DRIVER
from tests.testbed.faults import dns_upstream, journal
from tests.testbed.faults.changes import inverse, is_healthy
from tests.testbed.faults.control_plane import etcd_member_is_healthy, scheduler_leads
from tests.testbed.faults.nodes import ZONE, ready_status, taints
from tests.testbed.faults.storage import default_classes
from tests.testbed.layout import ETCD, NODES, REPOSITORY
from tests.testbed.probe import Probe, sleeping_pod
from tests.testbed.shell import run

CLUSTER_NAME = "kubernetes.default.svc.cluster.local"


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test bed is healthy after every test, and no fault is on any more."""
    before = journal.active(of_pid=os.getpid())
    yield
    if "test_bed" in request.fixturenames:
        cluster = request.getfixturevalue("test_bed")
        wait_for("a healthy test bed", lambda: is_healthy(cluster), timeout_seconds=20)
        assert journal.active(of_pid=os.getpid()) == before


@contextmanager
def pod(probe: Probe, **spec: Any) -> Iterator[str]:
    """A pod in the probe's namespace; yields its name."""
    name = f"pod-{uuid.uuid4().hex[:6]}"
    probe.cluster.core.create_namespaced_pod(probe.namespace, sleeping_pod(name, **spec))
    try:
        yield name
    finally:
        probe.cluster.core.delete_namespaced_pod(name, probe.namespace, grace_period_seconds=0)


@contextmanager
def claim(probe: Probe, storage_class: str | None = None) -> Iterator[str]:
    """A claim in the probe's namespace; yields its name."""
    name = f"claim-{uuid.uuid4().hex[:6]}"
    body: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    }
    if storage_class is not None:
        body["spec"]["storageClassName"] = storage_class
    probe.cluster.core.create_namespaced_persistent_volume_claim(probe.namespace, body)
    try:
        yield name
    finally:
        probe.cluster.core.delete_namespaced_persistent_volume_claim(name, probe.namespace)


def volume_of(name: str) -> dict[str, Any]:
    return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}


def phase(probe: Probe, name: str) -> str:
    status = probe.cluster.core.read_namespaced_persistent_volume_claim(name, probe.namespace).status
    return str(status.phase)


def event_reasons(probe: Probe, name: str) -> set[str]:
    events = probe.cluster.core.list_namespaced_event(probe.namespace, field_selector=f"involvedObject.name={name}")
    return {event.reason for event in events.items}


def runs(probe: Probe, name: str) -> bool:
    return bool(probe.cluster.core.read_namespaced_pod(name, probe.namespace).status.phase == "Running")


def storage_class(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.get(f"/apis/storage.k8s.io/v1/storageclasses/{name}"))
    return found


def classes(cluster: Cluster) -> set[str]:
    return {
        item["metadata"]["name"] for item in json.loads(cluster.get("/apis/storage.k8s.io/v1/storageclasses"))["items"]
    }


# Storage


def test_no_default_class(test_bed: Cluster, probe: Probe) -> None:
    with faults.no_default_class(test_bed):
        assert default_classes(test_bed) == []
        with claim(probe) as name:
            found = test_bed.core.read_namespaced_persistent_volume_claim(name, probe.namespace)
            assert found.spec.storage_class_name is None
    assert default_classes(test_bed) == ["local-path"]


def test_two_default_classes(test_bed: Cluster) -> None:
    with faults.two_default_classes(test_bed) as second:
        assert sorted(default_classes(test_bed)) == ["local-path", second]
    assert default_classes(test_bed) == ["local-path"]


def test_class_without_expansion(test_bed: Cluster, probe: Probe) -> None:
    grown = {"spec": {"resources": {"requests": {"storage": "32Mi"}}}}
    with faults.class_without_expansion(test_bed) as name:
        assert storage_class(test_bed, name)["allowVolumeExpansion"] is False
        with claim(probe, name) as wanted, pod(probe, **volume_of(wanted)):
            wait_for("the volume", lambda: phase(probe, wanted) == "Bound")
            with pytest.raises(ApiException, match="must support resize"):
                test_bed.core.patch_namespaced_persistent_volume_claim(wanted, probe.namespace, grown)
    assert name not in classes(test_bed)


def test_class_with_immediate_binding(test_bed: Cluster, probe: Probe) -> None:
    with faults.class_with_immediate_binding(test_bed) as name:
        assert storage_class(test_bed, name)["volumeBindingMode"] == "Immediate"
        with claim(probe, name) as wanted:  # nobody uses it, and still it is provisioned, or tried to be
            wait_for("the provisioner to be asked", lambda: "ExternalProvisioning" in event_reasons(probe, wanted))
    assert name not in classes(test_bed)


@pytest.mark.parametrize("storage_class", ["local-path", "testbed-csi"])
def test_provisioner_hanging(test_bed: Cluster, probe: Probe, storage_class: str) -> None:
    with (
        faults.provisioner_hanging(test_bed, storage_class=storage_class),
        claim(probe, storage_class) as wanted,
        pod(probe, **volume_of(wanted)),
    ):
        wait_for("the provisioner to be asked", lambda: "ExternalProvisioning" in event_reasons(probe, wanted))
        assert phase(probe, wanted) == "Pending"
    with claim(probe, storage_class) as wanted, pod(probe, **volume_of(wanted)):
        wait_for("the volume", lambda: phase(probe, wanted) == "Bound")


def test_csi_driver_missing(test_bed: Cluster) -> None:
    with faults.csi_driver_missing(test_bed, "n2"):
        assert csi_drivers(test_bed, "n2") == set()
        assert csi_drivers(test_bed, "n1") == {DRIVER}
    assert csi_drivers(test_bed, "n2") == {DRIVER}


def csi_drivers(cluster: Cluster, node: str) -> set[str]:
    spec = json.loads(cluster.get(f"/apis/storage.k8s.io/v1/csinodes/{node}"))["spec"]
    return {driver["name"] for driver in spec.get("drivers") or ()}


# DNS


def coredns(cluster: Cluster) -> list[Any]:
    pods: list[Any] = cluster.core.list_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns").items
    return pods


def corefile(cluster: Cluster) -> str:
    return str(cluster.core.read_namespaced_config_map("coredns", "kube-system").data["Corefile"])


def seconds_to_resolve(probe: Probe, name: str) -> float:
    started = time.monotonic()
    assert probe.resolves(name)
    return time.monotonic() - started


def test_coredns_single(test_bed: Cluster, probe: Probe) -> None:
    with faults.coredns_single(test_bed):
        assert len(coredns(test_bed)) == 1
        wait_for("DNS", lambda: probe.resolves(CLUSTER_NAME))
    assert len(coredns(test_bed)) == 2


def test_coredns_crashing(test_bed: Cluster, probe: Probe) -> None:
    before = corefile(test_bed)
    with faults.coredns_crashing(test_bed):
        states = [status for each in coredns(test_bed) for status in each.status.container_statuses]
        assert [status.ready for status in states] == [False, False]
        assert not probe.resolves(CLUSTER_NAME)
    assert corefile(test_bed) == before
    wait_for("DNS", lambda: probe.resolves(CLUSTER_NAME))


def test_coredns_without_endpoints(test_bed: Cluster, probe: Probe) -> None:
    before = corefile(test_bed)
    headless = {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "selector": {"app": "probe"}}}
    test_bed.core.create_namespaced_service(probe.namespace, headless)
    name = f"headless.{probe.namespace}.svc.cluster.local"
    wait_for("the Service's name", lambda: probe.resolves(name))
    with faults.coredns_without_endpoints(test_bed):
        wait_for("the cache to forget", lambda: not probe.resolves(name))
        assert probe.resolves(CLUSTER_NAME)
    assert corefile(test_bed) == before
    wait_for("the Service's name", lambda: probe.resolves(name))
    test_bed.core.delete_namespaced_service("headless", probe.namespace)


def test_slow_dns_upstream(test_bed: Cluster, probe: Probe) -> None:
    before = corefile(test_bed)
    with faults.slow_dns_upstream(test_bed, delay_seconds=1.0):
        assert 1.0 <= seconds_to_resolve(probe, f"{uuid.uuid4().hex}.example.") < 3
        assert seconds_to_resolve(probe, CLUSTER_NAME) < 1.0
    assert corefile(test_bed) == before
    assert "dns-upstream" not in processes.recorded()


def test_dns_packets_dropped(test_bed: Cluster, probe: Probe) -> None:
    with faults.dns_packets_dropped(test_bed, node="n1"):
        assert not probe.resolves(CLUSTER_NAME)
        assert "auditor-testbed-fault" in packet_rules("n1")
        assert "auditor-testbed-fault" not in packet_rules("n2")
    assert probe.resolves(CLUSTER_NAME)
    assert "auditor-testbed-fault" not in packet_rules("n1")


def test_dns_packets_delayed(test_bed: Cluster, probe: Probe) -> None:
    with faults.dns_packets_delayed(test_bed, delay_seconds=1.0):
        assert 1.0 <= seconds_to_resolve(probe, CLUSTER_NAME) < 3
    assert seconds_to_resolve(probe, CLUSTER_NAME) < 1.0
    assert "auditor-testbed-fault" not in packet_rules("n1")


def packet_rules(node: str) -> str:
    return run("iptables", "--table", "mangle", "--list-rules", netns=f"atb-{node}")


def test_the_upstream_answers_questions_for_addresses_only() -> None:
    name = b"\x07example\x00"
    question = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name

    of_address = dns_upstream.reply(question + b"\x00\x01\x00\x01")
    of_other = dns_upstream.reply(question + b"\x00\x1c\x00\x01")

    assert of_address[:8] == b"\xab\xcd\x81\x80\x00\x01\x00\x01"
    assert of_address.endswith(bytes([192, 0, 2, 1]))
    assert of_other[6:8] == b"\x00\x00"


# Nodes


def test_cordoned(test_bed: Cluster, probe: Probe) -> None:
    with faults.cordoned(test_bed, "n2"):
        assert test_bed.core.read_node("n2").spec.unschedulable
        with pod(probe, nodeSelector={"kubernetes.io/hostname": "n2"}) as name:
            wait_for("the scheduler's no", lambda: "FailedScheduling" in event_reasons(probe, name))
    assert not test_bed.core.read_node("n2").spec.unschedulable
    assert taints(test_bed, "n2") == set()


def test_node_without_zone(test_bed: Cluster) -> None:
    with faults.node_without_zone(test_bed, "n3"):
        assert ZONE not in test_bed.core.read_node("n3").metadata.labels
    assert test_bed.core.read_node("n3").metadata.labels[ZONE] == NODES[2].zone


@pytest.mark.parametrize(
    ("make", "status"),
    [(faults.node_not_ready, "False"), (faults.kubelet_stopped, "Unknown")],
    ids=["False", "Unknown"],
)
def test_a_node_out_of_order(
    test_bed: Cluster, make: Callable[[Cluster, str], AbstractContextManager[None]], status: str
) -> None:
    with make(test_bed, "n3"):
        assert ready_status(test_bed, "n3") == status
    assert ready_status(test_bed, "n3") == "True"
    wait_for("the taints to be gone", lambda: taints(test_bed, "n3") == set())


# Control plane


def test_scheduler_stopped(test_bed: Cluster, probe: Probe) -> None:
    with faults.scheduler_stopped(test_bed), pod(probe) as name:
        time.sleep(2)
        found = test_bed.core.read_namespaced_pod(name, probe.namespace)
        assert (found.status.phase, found.status.conditions, event_reasons(probe, name)) == ("Pending", None, set())
    assert scheduler_leads(test_bed)
    with pod(probe) as name:
        wait_for("the pod", lambda: runs(probe, name))


def test_etcd_member_down(test_bed: Cluster) -> None:
    with faults.etcd_member_down(test_bed, "etcd-3"):
        assert [etcd_member_is_healthy(member) for member in ETCD] == [True, True, False]
        assert test_bed.get("/readyz") == "ok"
    assert all(etcd_member_is_healthy(member) for member in ETCD)


# Admission


def make_config_map(probe: Probe) -> None:
    name = f"made-{uuid.uuid4().hex[:6]}"
    probe.cluster.core.create_namespaced_config_map(probe.namespace, {"metadata": {"name": name}})


def test_failing_webhook(test_bed: Cluster, probe: Probe) -> None:
    with faults.failing_webhook(test_bed, probe.namespace):
        with pytest.raises(ApiException, match="failed calling webhook"):
            make_config_map(probe)
        test_bed.core.create_namespaced_config_map("default", {"metadata": {"name": "elsewhere"}}, dry_run="All")
    make_config_map(probe)


def test_slow_webhook(test_bed: Cluster, probe: Probe) -> None:
    with faults.slow_webhook(test_bed, probe.namespace, delay_seconds=1.0) as passed:
        started = time.monotonic()
        make_config_map(probe)
        assert time.monotonic() - started >= 1.0
        assert any(name.startswith("made-") for name in passed)
    started = time.monotonic()
    make_config_map(probe)
    assert time.monotonic() - started < 1.0


def test_quota_too_small(test_bed: Cluster, probe: Probe) -> None:
    with faults.quota_too_small(test_bed, probe.namespace):
        with pytest.raises(ApiException, match="exceeded quota: too-small"), claim(probe):
            pass
        with pytest.raises(ApiException, match=r"exceeded quota|must specify"), pod(probe):
            pass
    with claim(probe), pod(probe):
        assert test_bed.core.list_namespaced_resource_quota(probe.namespace).items == []


# Network


def test_network_policy_not_enforced(test_bed: Cluster, probe: Probe) -> None:
    with faults.network_policy_not_enforced(test_bed, probe.namespace) as name:
        policies = json.loads(test_bed.get(f"/apis/networking.k8s.io/v1/namespaces/{probe.namespace}/networkpolicies"))
        assert [policy["metadata"]["name"] for policy in policies["items"]] == [name]
        assert probe.resolves(CLUSTER_NAME)  # the policy denies that
    left = json.loads(test_bed.get(f"/apis/networking.k8s.io/v1/namespaces/{probe.namespace}/networkpolicies"))["items"]
    assert left == []


# All faults


def test_a_fault_is_undone_when_the_body_raises(test_bed: Cluster) -> None:
    with suppress(ZeroDivisionError), faults.no_default_class(test_bed):
        assert "no_default_class" in journal.active()
        raise ZeroDivisionError
    assert default_classes(test_bed) == ["local-path"]


def test_the_fault_fixture_undoes_them_after_the_test(
    test_bed: Cluster, fault: Callable[[AbstractContextManager[Any]], Any]
) -> None:
    second = fault(faults.two_default_classes(test_bed))

    assert second in classes(test_bed)


def test_the_journal_tells_active_faults_from_abandoned_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FOLDER", tmp_path / "faults")

    @journal.fault
    def nothing() -> Iterator[None]:
        yield

    with nothing():
        assert (journal.active(), journal.abandoned()) == (["nothing"], [])
        (entry,) = (tmp_path / "faults").iterdir()
        gone = run("sh", "-c", "echo $$").strip()
        entry.with_name(entry.name.replace(str(os.getpid()), gone)).touch()
        assert (journal.active(), journal.abandoned()) == (["nothing"], ["nothing"])
    assert (journal.active(), journal.abandoned()) == ([], ["nothing"])


@pytest.mark.parametrize(
    ("before", "change", "undo"),
    [
        ({"a": 1}, {"a": 2}, {"a": 1}),
        ({}, {"a": 2}, {"a": None}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ({"m": {"a": 1, "b": 1}}, {"m": {"a": None, "c": 3}}, {"m": {"a": 1, "c": None}}),
        ({}, {"m": {"c": 3}}, {"m": {"c": None}}),
        ({"m": None}, {"m": {"c": 3}}, {"m": {"c": None}}),
    ],
)
def test_the_inverse_of_a_merge_patch(before: dict[str, Any], change: dict[str, Any], undo: dict[str, Any]) -> None:
    assert inverse(before, change) == undo


@pytest.mark.parametrize("name", faults.__all__)
def test_every_fault_has_a_test_and_a_line_in_the_documentation(name: str) -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*faults.py")]
    assert any(f"faults.{name}" in text for text in tests)
    assert f"| `{name}" in (REPOSITORY / "docs" / "testbed.md").read_text()
