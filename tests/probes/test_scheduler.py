"""The scheduler probe: what it plans, what it finds on the test bed, what checks say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from kubernetes.client import SchedulingV1Api

from auditor.cluster import Objects
from auditor.facts.kube import Node
from auditor.facts.observations import StepState
from auditor.facts.observations.scheduler import SchedulerObservations
from auditor.model import Status
from auditor.probing import ProbeOutcome
from auditor.sandbox import Sandbox, SandboxSettings, TroubleError
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.scheduler import plan
from checks.probes.scheduler._burst import burst_size, pull_of, summary
from checks.probes.scheduler._gangs import gang_pods, roomiest
from checks.probes.scheduler._mechanisms import (
    Declared,
    Gang,
    _coscheduling,
    _native_group,
    _native_workload,
    _volcano,
    _yunikorn,
)
from checks.probes.scheduler._pods import Life, chosen_nodes
from checks.probes.scheduler._room import Room, class_manifests, own_value
from checks.probes.scheduler._spread import spread_pods
from tests.probes.conftest import Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster

ZONE = "topology.kubernetes.io/zone"
GANG = Gang(name="gang-a", size=6, millicores=200, priority_class="low")


def node_of(name: str, zone: str | None = "a", **labels: str) -> Node:
    own = {"kubernetes.io/hostname": name, **({ZONE: zone} if zone else {}), **labels}
    manifest = {
        "metadata": {"name": name, "labels": own},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"operatingSystem": "linux"},
        },
    }
    return msgspec.convert(manifest, Node)


def sandbox_of(**settings: Any) -> Sandbox:
    return Sandbox(
        cast("Objects", None),
        SandboxSettings(**settings),
        run_id="0123456789",
        expires_at=datetime.fromtimestamp(0, UTC),
    )


def scope_of(*nodes: Node, **options: Any) -> Scope:
    return Scope(nodes=nodes, classes=(), classes_used=frozenset(), versions={}, options=ProbeOptions(**options))


class TestTheChoiceOfNodes:
    def test_is_few_of_many_from_all_zones(self) -> None:
        scope = scope_of(*(node_of(f"n{number:03}", zone="abc"[number % 3]) for number in range(300)))

        chosen = chosen_nodes(sandbox_of(), scope)

        assert len(chosen) == 20
        assert {node.zone for node in chosen} == {"a", "b", "c"}

    def test_goes_by_the_sites_node_selector(self) -> None:
        scope = scope_of(node_of("a"), node_of("b", pool="data"))

        assert [node.name for node in chosen_nodes(sandbox_of(node_selector={"pool": "data"}), scope)] == ["b"]


class TestTheBurst:
    @pytest.mark.parametrize(
        ("nodes", "options", "settings", "size"),
        [
            (3, {}, {}, 30),
            (20, {}, {}, 60),
            (20, {}, {"pods_at_once": 300}, 200),
            (20, {"burst_pods": 12}, {}, 12),
            (0, {}, {}, 0),
        ],
    )
    def test_fits_options_budget_and_nodes(
        self, nodes: int, options: dict[str, int], settings: dict[str, int], size: int
    ) -> None:
        names = [f"n{number}" for number in range(nodes)]

        assert burst_size(sandbox_of(**settings), scope_of(**options), names) == size

    def test_fits_the_places_that_nodes_have(self) -> None:
        room = {"a": Room(millicores=1000, pods=5), "b": Room(millicores=1000, pods=1)}

        assert burst_size(sandbox_of(), scope_of(), ["a", "b"], room) == 3

    def test_counts_from_each_creation(self) -> None:
        asked = {"a": 10.0, "b": 10.5, "c": 11.0}
        lives = {"a": Life(scheduled=10.1, started=11.0), "b": Life(scheduled=10.7, started=12.0), "c": Life()}

        found = summary(asked, lives, pods=3, nodes=1)

        assert (found.pods, found.started) == (3, 2)
        assert found.scheduled is not None
        assert found.scheduled.max_seconds == pytest.approx(0.2)
        assert found.startup is not None
        assert found.startup.p50_seconds == pytest.approx(1.0)
        assert found.on_node is not None
        assert found.on_node.max_seconds == pytest.approx(1.3)
        assert found.started_per_second == pytest.approx(1.0)

    def test_of_pods_that_never_start_has_no_latencies(self) -> None:
        found = summary({"a": 1.0}, {"a": Life()}, pods=1, nodes=1)

        assert (found.scheduled, found.startup, found.on_node, found.started_per_second) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("message", "seconds", "size"),
    [
        (
            'Successfully pulled image "python:3" in 3.25s (4.1s including waiting). Image size: 44000000 bytes.',
            3.25,
            44_000_000,
        ),
        ('Successfully pulled image "python:3.13-slim" in 1m2.5s (1m2.5s including waiting)', 62.5, 0),
        ('Successfully pulled image "a" in 812ms (812ms including waiting). Image size: 10 bytes.', 0.812, 10),
    ],
)
def test_pulls_are_read_from_what_kubelets_say(message: str, seconds: float, size: int) -> None:
    found = pull_of(message)

    assert found is not None
    assert found.seconds == pytest.approx(seconds)
    assert found.size_bytes == size


def test_an_image_that_was_there_is_no_pull() -> None:
    assert pull_of('Container image "python:3.13-slim" already present on machine') is None


class TestPriorities:
    @pytest.mark.parametrize(
        ("taken", "value"),
        [([], -1000), ([2_000_000_000, 0], -1000), ([-10], -1000), ([-1000], -1001), ([-5000, 7], -5001)],
    )
    def test_are_below_all_others(self, taken: list[int], value: int) -> None:
        assert own_value(taken) == value

    def test_are_refused_where_nothing_is_below(self) -> None:
        with pytest.raises(TroubleError, match="none can be made below it"):
            own_value([-(2**31) + 1])

    def test_of_the_lower_class_never_push_out_anybody(self) -> None:
        low, high = class_manifests(sandbox_of(), -1234)

        assert (low["value"], low["preemptionPolicy"]) == (-1235, "Never")
        assert (high["value"], high["preemptionPolicy"]) == (-1234, "PreemptLowerPriority")
        assert not low["globalDefault"]


class TestSpreading:
    def test_is_over_zones_and_wishes_for_one(self) -> None:
        key, pods = spread_pods(sandbox_of(), [node_of("a", "x"), node_of("b", "y"), node_of("c", None)])

        assert key == ZONE
        assert len(pods) == 4
        affinity = pods[0]["spec"]["affinity"]["nodeAffinity"]
        assert len(affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]) == 3
        assert affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["weight"] == 100

    def test_is_over_nodes_where_there_is_one_zone(self) -> None:
        assert spread_pods(sandbox_of(), [node_of("a"), node_of("b")])[0] == "kubernetes.io/hostname"

    def test_needs_two_places(self) -> None:
        assert spread_pods(sandbox_of(), [node_of("a")])[1] == []


class TestGangs:
    def test_go_to_the_node_with_the_most_room(self) -> None:
        room = {
            "a": Room(millicores=4000, pods=5),
            "b": Room(millicores=900, pods=50),
            "c": Room(millicores=50, pods=50),
        }

        assert roomiest(room) == "b"
        assert roomiest({}) is None

    def test_are_created_in_turn(self) -> None:
        pods = gang_pods(sandbox_of(), "n1", 200, "low", [Declared(), Declared()])

        assert [pod["metadata"]["name"].rsplit("-", 1)[0] for pod in pods[:3]] == ["gang-a-0", "gang-b-0", "gang-a-1"]
        assert {pod["spec"]["priorityClassName"] for pod in pods} == {"low"}
        requested = pods[0]["spec"]["containers"][0]["resources"]
        assert requested["requests"]["cpu"] == requested["limits"]["cpu"] == "200m"

    def test_are_declared_as_each_mechanism_knows_them(self) -> None:
        workload, group = _native_workload(GANG, "v1alpha1"), _native_group(GANG, "v1alpha2")
        assert workload.objects[0][2]["spec"]["podGroups"][0]["policy"] == {"gang": {"minCount": 6}}
        assert workload.spec == {"workloadRef": {"name": "gang-a", "podGroup": "workers"}}
        assert group.objects[0][2]["spec"]["schedulingPolicy"] == {"gang": {"minCount": 6}}
        assert group.spec == {"schedulingGroup": {"podGroupName": "gang-a"}}
        assert _volcano(GANG).annotations == {"scheduling.k8s.io/group-name": "gang-a"}
        assert _coscheduling(GANG).labels == {"scheduling.x-k8s.io/pod-group": "gang-a"}
        [task_group] = json.loads(_yunikorn(GANG).annotations["yunikorn.apache.org/task-groups"])
        assert task_group["minMember"] == 6


class TestThePlan:
    def test_counts_what_is_made(self) -> None:
        found = plan(sandbox_of(), scope_of(node_of("a", "x"), node_of("b", "y")))

        counts = {each.manifest["metadata"]["name"].removesuffix("-0123456789"): each.count for each in found.objects}
        assert counts == {
            "warm-up-0": 2,
            "burst-0": 20,
            "spread-0": 4,
            "gang-a-0": 12,
            "preemption-low": 1,
            "preemption-high": 1,
            "auditor-low": 1,
            "auditor-high": 1,
        }
        assert found.pods_at_once == 20

    def test_without_nodes_is_empty(self) -> None:
        assert plan(sandbox_of(), scope_of()).objects == ()


@pytest.fixture(scope="module")
def outcome(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["scheduler"]


@pytest.fixture(scope="module")
def found(outcome: ProbeOutcome) -> SchedulerObservations:
    assert isinstance(outcome.observations, SchedulerObservations), outcome.status
    return outcome.observations


def only(judged: Judge, outcome: ProbeOutcome, check: str, **parameters: Any) -> tuple[Status, str]:
    [finding] = judged(outcome, check, parameters=parameters)
    return finding.status, finding.message


class TestOnTheTestBed:
    @pytest.fixture(autouse=True)
    def _only_there(self, test_bed: Cluster) -> None:
        """Skip on clusters of one's own."""

    def test_everything_is_tried(self, found: SchedulerObservations) -> None:
        assert {step.name: step.state for step in found.steps} == dict.fromkeys(
            ("warm-up", "burst", "spread", "preemption", "gangs"), StepState.OK
        ), found.steps
        assert found.nodes == ("n1", "n2", "n3")

    def test_all_pods_of_the_burst_start(
        self, outcome: ProbeOutcome, found: SchedulerObservations, judged: Judge
    ) -> None:
        assert found.burst is not None
        assert (found.burst.pods, found.burst.started) == (15, 15)
        assert found.burst.scheduled is not None
        assert found.burst.startup is not None
        assert 0 < found.burst.scheduled.p50_seconds < found.burst.startup.p50_seconds
        # How fast depends on the machine, which is small and busy.
        assert only(judged, outcome, "scheduler.pod-startup", max_startup_p99_seconds=60)[0] is Status.OK
        assert only(judged, outcome, "scheduler.pod-startup", max_startup_p99_seconds=0.01)[0] is Status.WARN
        assert only(judged, outcome, "scheduler.pod-startup", max_scheduling_p99_seconds=0)[0] is Status.FAIL

    def test_pods_are_spread(self, outcome: ProbeOutcome, found: SchedulerObservations, judged: Judge) -> None:
        assert found.spread is not None
        assert found.spread.placed == {"zone-a": 2, "zone-b": 2, "zone-c": 2}
        assert only(judged, outcome, "scheduler.spread-observed")[0] is Status.OK

    def test_priority_takes_the_place(self, outcome: ProbeOutcome, found: SchedulerObservations, judged: Judge) -> None:
        assert found.preemption is not None
        assert found.preemption.victim_gone_seconds is not None
        assert only(judged, outcome, "scheduler.preemption", max_preemption_seconds=60)[0] is Status.OK

    def test_one_gang_runs_and_the_other_waits(
        self, outcome: ProbeOutcome, found: SchedulerObservations, judged: Judge
    ) -> None:
        assert found.gangs is not None
        assert found.gangs.mechanism == "Kubernetes' own Workload"
        assert sorted(found.gangs.placed) == [0, 6]
        assert only(judged, outcome, "scheduler.gangs-observed")[0] is Status.OK

    def test_no_priority_class_is_left(self, test_bed: Cluster, found: SchedulerObservations) -> None:
        assert found.gangs is not None  # they were made

        listed = SchedulingV1Api(test_bed.core.api_client).list_priority_class().items

        began = found.started_at.replace(microsecond=0)
        ended = found.started_at + timedelta(seconds=found.took_seconds)
        assert [each.metadata.name for each in listed if each.value < 0 and _is_of(each, began, ended)] == []

    def test_it_survives_the_bundle(self, found: SchedulerObservations) -> None:
        assert msgspec.json.decode(msgspec.json.encode(found), type=SchedulerObservations) == found

    def test_a_stopped_scheduler_is_named(
        self, test_bed: Cluster, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.scheduler_stopped(test_bed))

        outcome = run_probe("scheduler", settings={"patience_seconds": 8})

        status, message = only(judged, outcome, "scheduler.pod-startup")
        assert status is Status.FAIL
        assert "no scheduler has looked at the pod" in message
        assert only(judged, outcome, "scheduler.gangs-observed")[0] is Status.UNKNOWN

    def test_a_small_quota_is_named(
        self,
        test_bed: Cluster,
        fault: Callable[..., Any],
        fresh_namespace: str,
        run_probe: RunProbe,
        judged: Judge,
    ) -> None:
        fault(faults.quota_too_small(test_bed, fresh_namespace))

        outcome = run_probe("scheduler", settings={"namespace": fresh_namespace, "patience_seconds": 20}, burst_pods=3)

        findings = judged(outcome, "scheduler.pod-startup")
        assert any(f.status is Status.UNKNOWN and "exceeded quota" in f.message for f in findings), findings
        status, message = only(judged, outcome, "scheduler.gangs-observed")
        assert status is Status.UNKNOWN
        assert "exceeded quota" in message


def _is_of(made: Any, began: datetime, ended: datetime) -> bool:
    """Whether an object was made while the probe ran, and not by another run since."""
    at: datetime = made.metadata.creation_timestamp
    return began <= at <= ended
