"""The stateful probe: the class that it takes, what its looks tell, what it sees on the test bed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from auditor.facts.kube import StorageClass
from auditor.facts.observations import StepState
from auditor.facts.observations.stateful import DRAIN, KILL, REFUSAL, SCALE, START, STEPS, UPDATE, StatefulObservations
from auditor.model import Status
from auditor.probing import ProbeOutcome
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.stateful.film import Seen, created, look, most_down, replaced
from checks.probes.stateful.manifests import choose_class
from tests.probes.conftest import Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster

IDS = (
    "stateful.stable-identity",
    "stateful.early-names",
    "stateful.ordered-updates",
    "stateful.scaling-claims",
    "stateful.budgeted-drains",
)
SMALL = 64 * 1024**2
PROBE = "auditor.checks.probes.stateful"
"""As the registry loads it."""
NAMES = ("s-0", "s-1", "s-2")


def class_of(name: str, provisioner: str, *, default: bool = False) -> StorageClass:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return msgspec.convert(
        {
            "metadata": {"name": name, "annotations": annotations},
            "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        StorageClass,
    )


def chosen(*classes: StorageClass, used: tuple[str, ...] = (), globs: tuple[str, ...] = ()) -> str | None:
    options = ProbeOptions(storage_classes=globs)
    scope = Scope(nodes=(), classes=classes, classes_used=frozenset(used), versions={}, options=options)
    found = choose_class(scope)
    assert found == choose_class(
        Scope(nodes=(), classes=classes[::-1], classes_used=frozenset(used), versions={}, options=options)
    )
    return found.name if found else None


LOCAL_PATH = class_of("local-path", "rancher.io/local-path", default=True)
EBS = class_of("gp3", "ebs.csi.aws.com")
EFS = class_of("efs", "efs.csi.aws.com")


class TestTheClass:
    def test_is_the_default(self) -> None:
        assert chosen(class_of("standard", "pd.csi.storage.gke.io", default=True), EBS) == "standard"

    def test_is_one_that_can_move_where_the_default_cannot(self) -> None:
        assert chosen(LOCAL_PATH, EFS, EBS) == "gp3"

    def test_is_the_default_where_none_can_move(self) -> None:
        assert chosen(LOCAL_PATH, class_of("hostpath", "microk8s.io/hostpath")) == "local-path"

    def test_is_rather_one_in_use(self) -> None:
        assert chosen(LOCAL_PATH, EBS, class_of("rbd", "rbd.csi.ceph.com"), used=("rbd",)) == "rbd"

    def test_is_among_those_that_the_site_names(self) -> None:
        assert chosen(LOCAL_PATH, EBS, globs=("local-*",)) == "local-path"

    def test_is_none_where_volumes_are_made_by_hand(self) -> None:
        by_hand = class_of("disks", "kubernetes.io/no-provisioner", default=True)

        assert chosen(by_hand, class_of("bucket", "rook-ceph.ceph.rook.io/bucket")) is None


def moment(**pods: str) -> dict[str, Seen]:
    """``moment(s0="a+")``: the pod s-0 of uid a, Ready."""
    return {f"s-{key[1:]}": Seen(value[0], value.endswith("+")) for key, value in pods.items()}


class TestLooks:
    def test_show_an_ordered_start(self) -> None:
        looks = [
            moment(),
            moment(s0="a"),
            moment(s0="a+"),
            moment(s0="a+", s1="b"),
            moment(s0="a+", s1="b+", s2="c"),
        ]

        assert created(looks, NAMES) == (NAMES, {})

    def test_show_who_came_too_early(self) -> None:
        looks = [moment(s0="a"), moment(s0="a", s1="b"), moment(s0="a+", s1="b+", s2="c+")]

        assert created(looks, NAMES) == (NAMES, {"s-1": ("s-0",)})

    def test_show_the_order_of_an_update(self) -> None:
        before = {"s-0": "a", "s-1": "b", "s-2": "c"}
        looks = [
            moment(s0="a+", s1="b+", s2="c+"),
            moment(s0="a+", s1="b+"),
            moment(s0="a+", s1="b+", s2="x"),
            moment(s0="a+", s1="y+", s2="x+"),
            moment(s0="z+", s1="y+", s2="x+"),
        ]

        assert replaced(looks, before) == ("s-2", "s-1", "s-0")
        assert most_down(looks, NAMES) == 1

    def test_between_which_much_happened_are_taken_as_well(self) -> None:
        looks = [moment(s0="a+", s1="b+"), moment(s0="y+", s1="x+")]

        assert replaced(looks, {"s-0": "a", "s-1": "b"}) == ("s-1", "s-0")

    def test_show_two_that_are_down_at_once(self) -> None:
        assert most_down([moment(s0="a+", s1="b", s2="c+"), moment(s0="a+", s1="b")], NAMES) == 2
        assert most_down([], NAMES) == 0

    def test_take_no_pod_as_ready_that_is_being_deleted(self) -> None:
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        pods: list[dict[str, Any]] = [
            {"metadata": {"name": "s-0", "uid": "a"}, **ready},
            {"metadata": {"name": "s-1", "uid": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}, **ready},
            {"metadata": {"name": "s-2", "uid": "c"}},
        ]

        assert look(pods) == moment(s0="a+", s1="b", s2="c")


def observed(outcome: ProbeOutcome) -> StatefulObservations:
    assert isinstance(outcome.observations, StatefulObservations), outcome.status.reason
    return outcome.observations


@pytest.fixture(scope="module")
def healthy(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["stateful"]


@pytest.fixture
def only_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step only, and names that are soon given up."""

    def start(self: Any) -> None:
        try:
            self._step(START, self._start)
        finally:
            self._remove()

    monkeypatch.setattr(importlib.import_module(f"{PROBE}.trial").Trial, "run", start)
    monkeypatch.setattr(importlib.import_module(f"{PROBE}.manifests"), "NAMES_SECONDS", 3.0)


@pytest.fixture
def endpoints_hidden(test_bed: Cluster) -> Iterator[None]:
    with faults.coredns_without_endpoints(test_bed):
        yield


@pytest.fixture
def provisioner_hangs(test_bed: Cluster) -> Iterator[None]:
    with faults.provisioner_hanging(test_bed, storage_class="testbed-csi"):
        yield


class TestOnTheTestBed:
    @pytest.mark.usefixtures("test_bed")
    def test_takes_a_class_whose_volumes_can_move(self, healthy: ProbeOutcome) -> None:
        assert observed(healthy).storage_class.startswith("testbed-csi")
        assert not observed(healthy).node_bound

    def test_does_every_step(self, healthy: ProbeOutcome) -> None:
        document = observed(healthy)

        assert {step.name: step.state for step in document.steps} == dict.fromkeys(STEPS, StepState.OK), document.steps
        assert [name[-1] for name in document.created] == ["0", "1", "2"]
        assert document.created_early == {}
        assert [name[-1] for name in document.updated] == ["2", "1", "0"]
        assert document.most_down == 1
        assert len(document.kept_claims) == document.replicas == len(document.members) == 3

    def test_sees_replicas_keep_what_is_theirs(self, healthy: ProbeOutcome) -> None:
        restarts = observed(healthy).restarts

        assert {restart.step for restart in restarts} == {KILL, DRAIN, UPDATE, SCALE}
        for restart in restarts:
            before, after = restart.before, restart.after
            assert after is not None
            assert after.uid != before.uid
            assert after.hostname == before.hostname == before.name == before.written_by
            assert after.claim_uid == before.claim_uid != ""
            assert after.marker == before.marker != ""
            assert after.starts == before.starts + 1
            assert restart.resolved_seconds is not None or not restart.observer

    def test_is_refused_a_second_eviction(self, healthy: ProbeOutcome) -> None:
        refusal = observed(healthy).step(REFUSAL)

        assert refusal is not None
        assert "disruption budget" in str(refusal.detail["said"])

    def test_is_well(self, healthy: ProbeOutcome, judged: Judge) -> None:
        for check in IDS:
            statuses = [finding.status for finding in judged(healthy, check)]
            assert statuses == [Status.OK], (check, judged(healthy, check))

    @pytest.mark.usefixtures("only_start", "endpoints_hidden")
    def test_sees_that_replicas_have_no_names(self, run_probe: RunProbe, judged: Judge) -> None:
        outcome = run_probe("stateful", storage_bytes=SMALL)

        [finding] = judged(outcome, "stateful.early-names")
        assert finding.status is Status.FAIL
        assert "replica 0 for replica 0 (NXDOMAIN)" in finding.message

    @pytest.mark.usefixtures("only_start", "provisioner_hangs")
    def test_says_why_the_set_does_not_start(self, run_probe: RunProbe, judged: Judge) -> None:
        outcome = run_probe(
            "stateful", settings={"patience_seconds": 8}, storage_bytes=SMALL, storage_classes=("testbed-csi",)
        )

        [finding] = judged(outcome, "stateful.stable-identity")
        assert finding.status is Status.FAIL
        assert "csi.testbed.auditor" in finding.message, finding

    @pytest.mark.usefixtures("only_start")
    def test_takes_a_quota_for_what_it_is(
        self, test_bed: Cluster, run_probe: RunProbe, judged: Judge, fresh_namespace: str
    ) -> None:
        with faults.quota_too_small(test_bed, fresh_namespace):
            outcome = run_probe(
                "stateful", settings={"patience_seconds": 5, "namespace": fresh_namespace}, storage_bytes=SMALL
            )

        [finding] = judged(outcome, "stateful.stable-identity")
        assert finding.status is Status.UNKNOWN
        assert "exceeded quota" in finding.message
