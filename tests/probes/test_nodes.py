"""The nodes probe: whom it visits, what it finds on the test bed, what checks say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.facts.kube import Node
from auditor.facts.observations import StepState
from auditor.facts.observations.nodes import NodesObservations
from auditor.model import Finding, Status
from auditor.probing import ProbeOutcome
from auditor.sandbox import Images
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.nodes import choose
from tests.probes.conftest import Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster

GIB = 1024**3


def node_of(name: str, *, zone: str = "a", pool: str = "", ready: bool = True, **spec: Any) -> Node:
    labels = {"topology.kubernetes.io/zone": zone} | ({"eks.amazonaws.com/nodegroup": pool} if pool else {})
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "nodeInfo": {"operatingSystem": "linux", "kernelVersion": "6.8"},
            },
        },
        Node,
    )


def scope_of(*nodes: Node, visited_nodes: int = 50) -> Scope:
    options = ProbeOptions(visited_nodes=visited_nodes)
    return Scope(nodes=nodes, classes=(), classes_used=frozenset(), versions={}, options=options)


def names(nodes: list[Node]) -> list[str]:
    return [node.name for node in nodes]


class TestTheChoice:
    def test_is_all_nodes_where_they_are_few(self) -> None:
        chosen, left_out = choose(scope_of(node_of("b"), node_of("a")), ())

        assert names(chosen) == ["a", "b"]
        assert left_out == []

    def test_gives_every_kind_and_zone_its_turn(self) -> None:
        large = [node_of(f"large-{n:03}", zone="abc"[n % 3], pool="large") for n in range(300)]
        small = [node_of("small-1", zone="a", pool="small"), node_of("small-2", zone="b", pool="small")]

        chosen, left_out = choose(scope_of(*large, *small, visited_nodes=6), ())

        assert [node.name for node in chosen if node.name.startswith("small")] == ["small-1", "small-2"]
        assert {node.zone for node in chosen if node.name.startswith("large")} == {"a", "b", "c"}
        assert len(chosen) == 6
        assert [(each.count, len(each.examples)) for each in left_out] == [(296, 10)]
        assert "visited_nodes" in left_out[0].reason

    def test_does_not_depend_on_the_order_of_nodes(self) -> None:
        nodes = [node_of(f"n{n}", zone="ab"[n % 2], pool="pq"[n % 3 % 2]) for n in range(9)]

        forward, backward = (choose(scope_of(*order, visited_nodes=4), ()) for order in (nodes, nodes[::-1]))

        assert forward == backward

    def test_leaves_out_where_no_pod_can_run_and_says_why(self) -> None:
        windows = msgspec.convert(
            {
                "metadata": {"name": "w", "labels": {"kubernetes.io/os": "windows"}},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            },
            Node,
        )
        fargate = node_of("f", taints=[{"key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}])
        nodes = [windows, fargate, node_of("silent", ready=False), node_of("cordoned", unschedulable=True)]

        chosen, left_out = choose(scope_of(*nodes, node_of("a")), ())

        assert names(chosen) == ["a"]
        assert {each.examples[0]: each.reason for each in left_out} == {
            "w": "they do not run Linux",
            "f": "they are no machines (Fargate, virtual-kubelet or KWOK)",
            "silent": "they are not ready",
            "cordoned": "they are cordoned",
        }

    @pytest.mark.parametrize(
        ("toleration", "visited"),
        [
            ({"key": "dedicated", "operator": "Equal", "value": "kafka", "effect": "NoSchedule"}, True),
            ({"key": "dedicated", "value": "kafka"}, True),
            ({"key": "dedicated", "operator": "Exists"}, True),
            ({"operator": "Exists"}, True),
            ({"key": "dedicated", "value": "hdfs"}, False),
            ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
            ({"key": "other", "operator": "Exists"}, False),
        ],
    )
    def test_goes_by_the_tolerations_of_the_site(self, toleration: dict[str, str], visited: bool) -> None:  # noqa: FBT001
        tainted = node_of("k", taints=[{"key": "dedicated", "value": "kafka", "effect": "NoSchedule"}])

        chosen, left_out = choose(scope_of(tainted), [toleration])

        assert names(chosen) == (["k"] if visited else [])
        if not visited:
            assert left_out[0].reason == "their taint dedicated is not among the tolerations of the settings"

    def test_does_not_mind_a_taint_that_only_prefers(self) -> None:
        preferred = node_of("a", taints=[{"key": "spot", "effect": "PreferNoSchedule"}])

        assert names(choose(scope_of(preferred), ())[0]) == ["a"]


@pytest.fixture(scope="module")
def outcome(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["nodes"]


@pytest.fixture(scope="module")
def found(outcome: ProbeOutcome) -> NodesObservations:
    assert isinstance(outcome.observations, NodesObservations), outcome.status
    return outcome.observations


def statuses(findings: list[Finding]) -> set[Status]:
    return {finding.status for finding in findings}


class TestOnTheCluster:
    def test_every_node_is_visited_or_accounted_for(self, cluster: Cluster, found: NodesObservations) -> None:
        everybody = cluster.core.list_node().items

        assert found.nodes
        assert not found.failed
        assert len(found.nodes) + sum(each.count for each in found.left_out) == len(everybody)

    def test_what_nodes_report_is_what_containers_find(self, cluster: Cluster, found: NodesObservations) -> None:
        for name, seen in found.nodes.items():
            node = cluster.core.read_node(name)
            assert seen.kernel == node.status.node_info.kernel_version
            assert seen.cpu.count == int(node.status.capacity["cpu"])
            assert seen.user_id

    def test_disks_are_described(self, found: NodesObservations) -> None:
        for seen in found.nodes.values():
            assert seen.file_systems["scratch"].size_bytes > GIB
            assert seen.file_systems["scratch"].type
            assert seen.file_systems["shm"].type == "tmpfs"

    def test_clocks_are_bounded(self, found: NodesObservations) -> None:
        for seen in found.nodes.values():
            assert seen.clock is not None, seen
            assert not seen.clock.error
            assert seen.clock.ahead_at_least_seconds is not None
            assert seen.clock.ahead_at_most_seconds is not None
            assert seen.clock.ahead_at_most_seconds - seen.clock.ahead_at_least_seconds < 1

    def test_pods_may_have_more_shared_memory(self, found: NodesObservations) -> None:
        assert found.shared_memory.state is StepState.OK
        assert found.shared_memory.detail["written_bytes"] == 96 * 1024**2

    def test_it_survives_the_bundle(self, found: NodesObservations) -> None:
        assert msgspec.json.decode(msgspec.json.encode(found), type=NodesObservations) == found


class TestOnTheTestBed:
    """What this machine is known to be."""

    @pytest.fixture(autouse=True)
    def _only_there(self, test_bed: Cluster) -> None:
        """Skip on clusters of one's own."""

    def test_clocks_are_the_same(self, found: NodesObservations) -> None:
        for seen in found.nodes.values():
            assert seen.clock is not None
            assert seen.clock.ahead_at_least_seconds is not None
            assert seen.clock.ahead_at_most_seconds is not None
            assert seen.clock.ahead_at_least_seconds <= 0 <= seen.clock.ahead_at_most_seconds

    def test_settings_are_those_of_the_machine(self, found: NodesObservations) -> None:
        areas = int(Path("/proc/sys/vm/max_map_count").read_text())
        for seen in found.nodes.values():
            assert seen.sysctl("vm.max_map_count") == areas
            assert seen.memory.total_bytes == _meminfo("MemTotal")

    @pytest.mark.parametrize(
        ("check", "status"),
        [
            ("nodes.clock-offset", Status.OK),
            ("nodes.resolv-conf", Status.OK),
            ("nodes.shared-memory", Status.OK),
        ],
    )
    def test_a_healthy_cluster_is_found_healthy(
        self, outcome: ProbeOutcome, judged: Judge, check: str, status: Status
    ) -> None:
        findings = judged(outcome, check)

        assert statuses(findings) == {status}, findings

    def test_findings_follow_what_the_machine_is(self, outcome: ProbeOutcome, judged: Judge) -> None:
        unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        areas = int(Path("/proc/sys/vm/max_map_count").read_text())

        assert statuses(judged(outcome, "nodes.cgroup-observed")) == {Status.OK if unified else Status.FAIL}
        assert statuses(judged(outcome, "nodes.map-areas")) == {Status.OK if areas >= 262_144 else Status.WARN}
        assert len(judged(outcome, "nodes.open-files")) == 1

    def test_a_cordoned_node_is_left_out_and_named(
        self, test_bed: Cluster, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.cordoned(test_bed, "n2"))

        outcome = run_probe("nodes")

        assert isinstance(outcome.observations, NodesObservations)
        assert set(outcome.observations.nodes) == {"n1", "n3"}
        [finding] = judged(outcome, "nodes.clock-offset")
        assert "not visited were 1 node: they are cordoned" in finding.message

    def test_an_image_that_nobody_has_is_told_quickly(self, run_probe: RunProbe, judged: Judge) -> None:
        missing = Images(agent="localhost/auditor-testbed/no-such-image:1", pull_policy="Never")

        outcome = run_probe("nodes", settings={"images": missing})

        assert isinstance(outcome.observations, NodesObservations)
        assert outcome.seconds < 30
        assert {cause.reason for cause in outcome.observations.failed.values()} == {"ImagePull"}
        [finding] = judged(outcome, "nodes.open-files")
        assert finding.status is Status.UNKNOWN
        assert "no-such-image" in finding.message

    def test_a_quota_is_named(
        self, test_bed: Cluster, fresh_namespace: str, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.quota_too_small(test_bed, fresh_namespace))

        outcome = run_probe("nodes", settings={"namespace": fresh_namespace})

        assert isinstance(outcome.observations, NodesObservations)
        assert {cause.reason for cause in outcome.observations.failed.values()} == {"Quota"}
        assert any("exceeded quota" in each.message for each in judged(outcome, "nodes.open-files"))


def _meminfo(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
